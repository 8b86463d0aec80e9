"""The kinds of values that a scenario file holds: how each is read, and its JSON Schema. Nothing is ever executed.

`read` takes the plain YAML value and returns the typed one, or raises `ValueError` with a sentence that says what is wrong
and what would be right; the loader adds file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wire.durations import UNITS_NS, read_duration
from wire.names import suggestion
from wire.portal_api import PortalErrorCode
from wire.uds import Nrc


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of value: its name for people, how to read it, its JSON Schema."""

    name: str
    read: Callable[[object], Any]
    schema: Mapping[str, object] = field(default_factory=dict)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {value!r}")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {value!r}")
    return value


def _bytes(value: object) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'YAML read these bytes as the number {value}: put them in quotes, as in "22 F1 90"')
    if not isinstance(value, str):
        raise ValueError(f'expected bytes in hex, as in "22 F1 90", got {value!r}')
    try:
        data = bytes.fromhex(value)
    except ValueError:
        raise ValueError(f'expected bytes in hex, as in "22 F1 90", got {value!r}') from None
    if not data:
        raise ValueError("expected at least one byte")
    return data


def _trouble_code(value: object) -> int:
    code = _bytes(value)
    if len(code) != 3:
        raise ValueError(f'expected a trouble code of three bytes, as in "B1 0A 15", got {value!r}')
    return int.from_bytes(code, "big")


def _whole(value: object) -> int | None:
    """Return a whole number, written as 3 or (as JSON Schema has it) as 3.0, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
        return None
    return int(value)


def integer(low: int, high: int) -> Kind:
    """Return the kind of whole numbers from `low` to `high`."""

    def read(value: object) -> int:
        number = _whole(value)
        if number is None or not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, got {value!r}")
        return number

    return Kind(name=f"{low} to {high}", read=read, schema={"type": "integer", "minimum": low, "maximum": high})


def one_of(*numbers: int) -> Kind:
    """Return the kind of one whole number out of a few."""
    names = ", ".join(map(str, numbers))

    def read(value: object) -> int:
        number = _whole(value)
        if number is None or number not in numbers:
            raise ValueError(f"expected one of {names}, got {value!r}")
        return number

    return Kind(name=names, read=read, schema={"type": "integer", "enum": list(numbers)})


def choice(*words: str) -> Kind:
    """Return the kind of one word out of a list."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"unknown value {value!r}" + suggestion(str(value), words))
        return value

    return Kind(name=" | ".join(words), read=read, schema={"enum": list(words)})


def list_of(kind: Kind, *, at_least: int = 0) -> Kind:
    """Return the kind of lists of another kind."""

    def read(value: object) -> tuple[object, ...]:
        if not isinstance(value, list) or len(value) < at_least:
            raise ValueError(f"expected a list{' with something in it' if at_least else ''}, got {value!r}")
        return tuple(kind.read(item) for item in value)

    schema = {"type": "array", "items": kind.schema, "minItems": at_least}
    return Kind(name=f"list of {kind.name}", read=read, schema=schema)


def _probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"expected a probability from 0 to 1, got {value!r}")
    return float(value)


def _nrc(value: object) -> int:
    if isinstance(value, str):
        try:
            return int(Nrc[value])
        except KeyError:
            raise ValueError(f"unknown NRC {value!r}" + suggestion(value, Nrc.__members__)) from None
    number = _whole(value)
    if number is None or not 0x01 <= number <= 0xFF:
        raise ValueError(f"expected an NRC, as in 0x33 or securityAccessDenied, got {value!r}")
    return number


_ANSWER = re.compile(r"([0-9A-Fa-f?]{2}\s*)+(\.\.\s*)?")


def _answer(value: object) -> str:
    if not isinstance(value, str) or not _ANSWER.fullmatch(value):
        raise ValueError(
            f'expected answer bytes, as in "62 F1 90 .." (?? for any byte, .. for any rest), got {value!r}'
        )
    return re.sub(r"\s+", "", value).upper()


def answer_matches(pattern: str, payload: bytes) -> bool:
    """Return whether `payload` fits a pattern that `ANSWER` read."""
    text = payload.hex().upper()
    head, rest, _ = pattern.partition("..")
    if len(text) < len(head) or (not rest and len(text) != len(head)):
        return False
    return all(want in ("?", have) for want, have in zip(head, text, strict=False))


_DURATION_PARTS = rf"(\d+(\.\d+)?\s*({'|'.join(UNITS_NS)})\s*)+"

TEXT = Kind(name="text", read=_text, schema={"type": "string", "minLength": 1})
BOOLEAN = Kind(name="true | false", read=_boolean, schema={"type": "boolean"})
BYTES = Kind(
    name='bytes in hex, as in "22 F1 90"',
    read=_bytes,
    schema={"type": "string", "pattern": r"^[ \t\n]*([0-9A-Fa-f]{2}[ \t\n]*)+$"},
)
TROUBLE_CODE = Kind(
    name='three bytes in hex, as in "B1 0A 15"',
    read=_trouble_code,
    schema={"type": "string", "pattern": r"^[ \t\n]*([0-9A-Fa-f]{2}[ \t\n]*){3}$"},
)
DURATION = Kind(
    name="duration, as in 90 min",
    read=read_duration,
    schema={"type": "string", "pattern": rf"^\s*\+?{_DURATION_PARTS}$"},
)
SIGNED_DURATION = Kind(
    name="duration, as in -90 s",
    read=lambda value: read_duration(value, signed=True),
    schema={"type": "string", "pattern": rf"^\s*[+-]?{_DURATION_PARTS}$"},
)
PROBABILITY = Kind(name="0 to 1", read=_probability, schema={"type": "number", "minimum": 0, "maximum": 1})
NRC = Kind(
    name="negative response code",
    read=_nrc,
    schema={"anyOf": [{"type": "integer", "minimum": 1, "maximum": 255}, {"enum": list(Nrc.__members__)}]},
)
ANSWER = Kind(
    name='answer bytes, as in "62 F1 90 .."',
    read=_answer,
    schema={"type": "string", "pattern": f"^{_ANSWER.pattern}$"},
)
PORTAL_CODE = choice(*(code.value for code in PortalErrorCode))
