"""The reviewer as data: what an identity check is refused for, in which order, with which sentence, and how long it takes.

Pure: `decide` looks at what was measured and at the account's name, and at nothing else. A rules file says the same as these
classes do (docs/identity-check.md). With `decides: person` nobody is refused or approved before a person says the word.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args

from wire.durations import UNITS_NS, read_duration
from wire.portal_api import IdentityDocuments
from wire.strict_yaml import Node, load, loads

Decides = Literal["rules", "person"]


class Measure(StrEnum):
    """What a rule can look at. A name differs from the account's or does not; all others are numbers from 0.0 to 1.0."""

    FRONT_SHARPNESS = "front-sharpness"
    FRONT_BRIGHTNESS = "front-brightness"
    FRONT_NAME = "front-name"
    BACK_SHARPNESS = "back-sharpness"
    BACK_BRIGHTNESS = "back-brightness"
    BACK_NAME = "back-name"
    VIDEO_MOTION = "video-motion"

    @property
    def is_name(self) -> bool:
        """Whether it is compared with the account's name instead of with a limit."""
        return self in (Measure.FRONT_NAME, Measure.BACK_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRule:
    """Refuse, because of `sentence`, where `measure` is below the limit `below` (a name: where it differs; `below` is None)."""

    measure: Measure
    below: float | None = None
    sentence: str

    def __post_init__(self) -> None:
        """Check the parts against each other. Raises ValueError."""
        if self.measure.is_name and self.below is not None:
            raise ValueError(f"{self.measure} is compared with the account's name: leave 'below' out")
        if not self.measure.is_name and not (self.below is not None and 0 <= self.below <= 1):
            raise ValueError(f"{self.measure} needs a limit 'below' from 0.0 to 1.0, as in 'below: 0.4'")
        if not self.sentence.strip() or len(self.sentence) > MAX_SENTENCE or not self.sentence.isprintable():
            raise ValueError(f"the reason goes into a mail: one line of 1 to {MAX_SENTENCE} characters")


MAX_SENTENCE = 200
"""Characters: as much as any field of the portal."""
MAX_RULES = 100
"""More than all measures with a dozen grades each: a longer list is a wrong file."""
MAX_ATTEMPTS = 100
LONGEST_WAIT_S = 30 * 24 * 3600
"""As long as a duration in a file may be (`wire.durations`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRules:
    """How identity checks are decided: `refuse` is asked in order, the first rule that applies gives the reason.

    The result is told after `wait_min_s` to `wait_max_s` seconds. `decides`: who says the word when the time has come.
    """

    refuse: tuple[RefusalRule, ...]
    wait_min_s: int = 600
    wait_max_s: int = 1200
    decides: Decides = "rules"
    attempts: int = 3

    def __post_init__(self) -> None:
        """Check the numbers. Raises ValueError."""
        if not 0 <= self.wait_min_s <= self.wait_max_s <= LONGEST_WAIT_S:
            raise ValueError("the result comes after a time that runs from the shorter to the longer, at most 30 days")
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise ValueError(f"a person has 1 to {MAX_ATTEMPTS} attempts")


class Reviewer:
    """Who decides identity checks: holds the rules in force, which may change while the portal runs.

    What was submitted earlier stays as it was decided then. The rules hold in this process, until it ends.
    """

    __slots__ = ("rules",)

    def __init__(self, rules: ReviewRules) -> None:
        self.rules = rules


def usual_refusals(*, sharpness: float, brightness: float, motion: float) -> tuple[RefusalRule, ...]:
    """Return the usual list: both sides clear and bright enough, the name on the front the account's, a face that moves."""
    return (
        *_of_a_side("front", Measure.FRONT_SHARPNESS, Measure.FRONT_BRIGHTNESS, sharpness, brightness),
        *_of_a_side("back", Measure.BACK_SHARPNESS, Measure.BACK_BRIGHTNESS, sharpness, brightness),
        RefusalRule(measure=Measure.FRONT_NAME, sentence="the name on the document differs"),
        RefusalRule(measure=Measure.VIDEO_MOTION, below=motion, sentence="the face does not move"),
    )


def _of_a_side(
    side: str, sharpness: Measure, brightness: Measure, min_sharpness: float, min_brightness: float
) -> tuple[RefusalRule, RefusalRule]:
    return (
        RefusalRule(measure=sharpness, below=min_sharpness, sentence=f"the picture of the {side} is not clear"),
        RefusalRule(measure=brightness, below=min_brightness, sentence=f"the picture of the {side} is too dark"),
    )


def decide(documents: IdentityDocuments, account_name: str, rules: ReviewRules) -> str | None:
    """Return the sentence of the first rule that refuses, or None. What is no number (NaN) is below every limit."""
    names = {Measure.FRONT_NAME: documents.front.name, Measure.BACK_NAME: documents.back.name}
    numbers = {
        Measure.FRONT_SHARPNESS: documents.front.sharpness,
        Measure.FRONT_BRIGHTNESS: documents.front.brightness,
        Measure.BACK_SHARPNESS: documents.back.sharpness,
        Measure.BACK_BRIGHTNESS: documents.back.brightness,
        Measure.VIDEO_MOTION: documents.video.motion,
    }
    for rule in rules.refuse:
        if rule.below is None:
            fulfilled = same_name(names[rule.measure], account_name)
        else:
            fulfilled = numbers[rule.measure] >= rule.below
        if not fulfilled:
            return rule.sentence
    return None


# ---- names


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same as people compare them; a name in which no letter is legible is nobody's."""
    words = _words(one)
    return bool(words) and words == _words(other)


def _words(name: str) -> list[str]:
    """Return the name's words, sorted: documents print the family name first. Without case, accents, hyphens, apostrophes.

    NFKD before and after case folding, as in caseless matching of Unicode section 3.13 (D146): 'ß' is 'ss', 'É' is 'e'.
    Letters with a stroke (ø, ł) have no decomposition there and stay letters of their own.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    letters = "".join(" " if _parts_words(char) else char for char in folded if not _passed_over(char))
    return sorted(word for word in letters.split() if any(char.isalnum() for char in word))


APOSTROPHES = "'\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}"


def _parts_words(char: str) -> bool:
    return unicodedata.category(char) in ("Pd", "Zs") or char == "."


def _passed_over(char: str) -> bool:
    """Accents, apostrophes, and what cannot be seen at all (Cf: joiners, marks of direction)."""
    return bool(unicodedata.combining(char)) or unicodedata.category(char) == "Cf" or char in APOSTROPHES


# ---- the rules file


def load_rules(path: Path) -> ReviewRules:
    """Read a rules file. Raises `ConfigError` with file, line and key."""
    return _read_rules(load(path))


def read_rules(text: str, where: str = "<text>") -> ReviewRules:
    """Read rules from a text; `where` is for the errors. Raises `ConfigError`."""
    return _read_rules(loads(text, where))


def _read_rules(root: Node) -> ReviewRules:
    root.mapping(("decides", "attempts", "wait", "refuse"))
    wait = root.require("wait")
    wait.mapping(("from", "to"))
    decides: Decides = "rules"
    if (who := root.get("decides")) is not None and who.choice(get_args(Decides)) == "person":
        decides = "person"
    attempts = root.get("attempts")
    listed = root.require("refuse").items()
    if len(listed) > MAX_RULES:
        raise root.require("refuse").error(f"at most {MAX_RULES} rules")
    wait_min_s, wait_max_s = _seconds(wait.require("from")), _seconds(wait.require("to"))
    if wait_min_s > wait_max_s:
        raise wait.error("'from' is the shorter time, 'to' the longer")
    return ReviewRules(
        refuse=tuple(_read_rule(item) for item in listed),
        wait_min_s=wait_min_s,
        wait_max_s=wait_max_s,
        decides=decides,
        attempts=3 if attempts is None else attempts.integer(1, MAX_ATTEMPTS),
    )


def _read_rule(item: Node) -> RefusalRule:
    item.mapping(("measure", "below", "because"))
    measure = Measure(item.require("measure").choice([measure.value for measure in Measure]))
    below = item.get("below")
    limit = None if below is None else _limit(below)
    sentence = item.require("because").text()
    try:
        return RefusalRule(measure=measure, below=limit, sentence=sentence)
    except ValueError as error:
        raise item.error(str(error)) from None


def _limit(node: Node) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise node.error("expected a number from 0.0 to 1.0, as in 0.4")
    return float(value)


def _seconds(node: Node) -> int:
    whole, rest = divmod(node.read(read_duration), UNITS_NS["s"])
    if rest:
        raise node.error("whole seconds, please, as in '10 min'")
    return whole
