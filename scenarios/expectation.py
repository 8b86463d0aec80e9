"""What a step expects of its outcome: a closed table of keys. A step without expectation expects a positive answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scenarios.kinds import (
    ANSWER,
    BOOLEAN,
    DURATION,
    NRC,
    PORTAL_CODE,
    TEXT,
    Kind,
    answer_matches,
    choice,
    integer,
    list_of,
    one_of,
)
from scenarios.stage import Outcome, OutcomeKind
from vci_driver.outcome import UnlockResult
from wire.portal_api import CheckState, CompanyState
from wire.uds import nrc_name

KINDS = ("positive", "silence", "failed")
"""What `expect: WORD` may say in short, and the keys that stand for a kind of outcome."""

FACTS: Mapping[str, Kind] = {
    "locked": BOOLEAN,
    "minutes-left": integer(0, 65_535),
    "vin": TEXT,
    "units": list_of(TEXT),
    "silent": list_of(TEXT),
    "dtcs": integer(0, 65_535),
    "answers": list_of(TEXT),
    "pending": integer(0, 1000),
    "transferred": integer(0, 1 << 22),
    "finished": BOOLEAN,
    "winners": integer(0, 2),
    "identity": choice(*CheckState),
    "company": choice(*CompanyState),
    "personal-profile": BOOLEAN,
    "attempts-left": integer(0, 100),
    "enrolled": BOOLEAN,
    "message": TEXT,
    "reason": TEXT,
}
"""Facts of an outcome by name. Lists compare as sets of names; `message` and `reason` need only be contained."""

CONTAINED = frozenset({"message", "reason"})

IN_THE_KIND = frozenset({"nrc", "portal"})
"""Keys that name the kind of outcome already."""

KEYS: Mapping[str, Kind] = {
    "nrc": NRC,
    "portal": PORTAL_CODE,
    "result": one_of(*(int(result) for result in UnlockResult)),
    "answer": ANSWER,
    "within": DURATION,
    **FACTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must hold. `values`: by key of `KEYS`, already read."""

    kind: OutcomeKind = OutcomeKind.POSITIVE
    values: Mapping[str, Any] = field(default_factory=dict)

    def mismatch(self, outcome: Outcome, took_ns: int) -> str | None:
        """Return what differs, in words, or None when all holds."""
        if outcome.kind is not self.kind:
            return f"{self.describe()}, but it was {describe(outcome)}"
        for key, want in self.values.items():
            text = _mismatch(key, want, outcome, took_ns)
            if text is not None:
                return text
        return None

    def describe(self) -> str:
        """Return what is expected, in words."""
        match self.kind:
            case OutcomeKind.NEGATIVE if "nrc" in self.values:
                head = f"a refusal with NRC {nrc_name(self.values['nrc'])}"
            case OutcomeKind.PORTAL_ERROR:
                head = f"the portal's refusal {self.values.get('portal', '')!s}".rstrip()
            case OutcomeKind.SILENCE:
                head = "no answer"
            case OutcomeKind.FAILED:
                head = "a failure"
            case _:
                head = "a positive answer"
        rest = ", ".join(f"{key} {_shown(key, want)}" for key, want in self.values.items() if key not in IN_THE_KIND)
        return f"{head} with {rest}" if rest else head


def describe(outcome: Outcome) -> str:
    """Return what came, in words."""
    return f"{outcome.kind.value}: {outcome.text}"


def _mismatch(key: str, want: Any, outcome: Outcome, took_ns: int) -> str | None:
    match key:
        case "nrc":
            have: object = outcome.nrc
            if have != want:
                return f"NRC {nrc_name(want)}, but it was {nrc_name(outcome.nrc) if outcome.nrc else 'none'}"
        case "portal":
            if outcome.portal_code != want:
                return f"portal error {want}, but it was {outcome.portal_code}"
        case "result":
            if outcome.result != want:
                return f"result {want}, but it was {outcome.result} ({outcome.text})"
        case "answer":
            if not answer_matches(want, outcome.payload):
                return f"answer {want}, but it was {outcome.payload.hex(' ').upper() or 'empty'}"
        case "within":
            if took_ns > want:
                return f"at most {_shown(key, want)}, but it took {_shown(key, took_ns)}"
        case _:
            return _fact_mismatch(key, want, outcome)
    return None


def _fact_mismatch(key: str, want: Any, outcome: Outcome) -> str | None:
    if key not in outcome.facts:
        return f"{key} {_shown(key, want)}, but this act tells no {key}"
    have = outcome.facts[key]
    if key in CONTAINED:
        same = str(want).lower() in str(have).lower()
    elif isinstance(want, tuple):
        same = isinstance(have, list | tuple) and sorted(map(str, have)) == sorted(map(str, want))
    else:
        same = have == want
    return None if same else f"{key} {_shown(key, want)}, but it was {_shown(key, have)}"


def _shown(key: str, value: object) -> str:
    """Return a value as the file would write it."""
    if key == "within" and isinstance(value, int):
        return f"{value / 1e6:g} ms"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)
