"""An ECU profile on its way into a file: sections as the file will have them, and what was found out on the way.

An importer fills it from its source; `yaml_text` writes it. Everything that the source says and the profile cannot say is a
`Finding` in `left_out`; everything that the importer chose by itself is one in `chosen`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

NAME_MAX = 100
"""A name of a source may be a paragraph; the rest of it is in the source."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff\ufffe\uffff]+")
"""What may not stand in a file, nor steer the terminal that shows it."""


def clean(text: str, *, limit: int = NAME_MAX) -> str:
    """Return a source's text as it may stand in a file and on a terminal: one line, no control characters, not endless."""
    line = " ".join(CONTROL.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


@dataclass(frozen=True, slots=True)
class Hex:
    """A number that is written in hex, with at least `digits` of them."""

    value: int
    digits: int = 2


Value = str | int | bool | bytes | None | Hex | Sequence[Hex] | Mapping[str, "Value"]
"""A value of the file. `bytes` are written as hex in quotes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know: what kind of thing, its name in the source, and what about it."""

    kind: str
    name: str
    why: str


@dataclass(slots=True)
class Entry:
    """One entry of a section: its keys, and what is said beside it."""

    keys: dict[str, Value] = field(default_factory=dict)
    comment: str = ""


SECTIONS: Mapping[str, tuple[int, str, str]] = {
    "services": (2, "service", "services"),
    "dids": (4, "identifier", "identifiers"),
    "routines": (4, "routine", "routines"),
    "dtcs": (6, "trouble code", "trouble codes"),
    "security": (2, "security level", "security levels"),
}
"""Sections with keys in hex: digits of a key, and what one and several entries are called. A new section is one line here."""


@dataclass(slots=True)
class ProfileDocument:
    """`head`: the keys of the profile that are no section, in the order in which they are written."""

    head: dict[str, Value] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    sections: dict[str, dict[int, Entry]] = field(default_factory=dict)
    left_out: list[Finding] = field(default_factory=list)
    chosen: list[Finding] = field(default_factory=list)

    def section(self, name: str) -> dict[int, Entry]:
        """Return a section to put entries in."""
        assert name in SECTIONS, name
        return self.sections.setdefault(name, {})

    def entry(self, section: str, number: int) -> Entry:
        """Return an entry of a section, new if it is not there yet."""
        return self.section(section).setdefault(number, Entry())

    def leave_out(self, kind: str, name: str, why: str) -> None:
        """Note what the profile does not hold, once."""
        _once(self.left_out, Finding(kind, name, why))

    def choose(self, kind: str, name: str, why: str) -> None:
        """Note what the source does not say and the importer took, once."""
        _once(self.chosen, Finding(kind, name, why))

    def counts(self) -> Iterator[str]:
        """Yield `12 identifiers`, `1 routine` ... of what there is."""
        for section, (_, one, several) in SECTIONS.items():
            count = len(self.sections.get(section, ()))
            if count:
                yield f"{count} {one if count == 1 else several}"

    def summary(self) -> str:
        """Return one sentence: what is there, and of what kinds of things something is missing."""
        there = ", ".join(self.counts()) or "nothing"
        if not self.left_out:
            return there
        kinds: dict[str, int] = {}
        for finding in self.left_out:
            kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
        return f"{there}; not understood: {', '.join(f'{kind} ({count})' for kind, count in sorted(kinds.items()))}"


def _once(findings: list[Finding], finding: Finding) -> None:
    if finding not in findings:
        findings.append(finding)
