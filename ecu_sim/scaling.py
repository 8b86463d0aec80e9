"""Scaling bytes of ReadScalingDataByIdentifier 0x24: what kind of data an identifier holds, and by which formula and unit.

Each entry begins with a byte whose high nibble is the kind and whose low nibble counts bytes: of the data itself, or of the
extension that follows (mask, formula, unit, state and connection). Encoded and decoded as a pair. Kinds, formulas and the
format of two-byte real numbers are those of ISO 14229-1 annex C as open libraries in Rust and C list them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum


class ScalingKind(IntEnum):
    """High nibble of a scaling byte."""

    UNSIGNED = 0x0
    SIGNED = 0x1
    BIT_MAPPED = 0x2
    BIT_MAPPED_WITHOUT_MASK = 0x3
    BCD = 0x4
    STATE_ENCODED = 0x5
    ASCII = 0x6
    FLOAT = 0x7
    PACKET = 0x8
    FORMULA = 0x9
    UNIT = 0xA
    STATE_AND_CONNECTION = 0xB


WITH_EXTENSION = frozenset(
    (ScalingKind.BIT_MAPPED, ScalingKind.FORMULA, ScalingKind.UNIT, ScalingKind.STATE_AND_CONNECTION)
)
"""Kinds whose low nibble counts the bytes of an extension and not of the data."""
MAX_COUNT = 15
MANTISSA_RANGE, EXPONENT_RANGE = range(-2048, 2048), range(-8, 8)


@dataclass(frozen=True, slots=True)
class ScalingEntry:
    """One scaling byte. `count`: bytes of data of this kind; or the `extension`, whose length then counts."""

    kind: ScalingKind
    count: int = 0
    extension: bytes = b""

    def encode(self) -> bytes:
        """Return the scaling byte and what follows it."""
        count = len(self.extension) if self.kind in WITH_EXTENSION else self.count
        if not 0 <= count <= MAX_COUNT:
            raise ValueError(f"a scaling byte counts to {MAX_COUNT}, not {count}: repeat it for longer data")
        return bytes((self.kind << 4 | count,)) + self.extension


def encode_scaling(entries: Sequence[ScalingEntry]) -> bytes:
    """Return the record of an identifier. Raises `ValueError`."""
    return b"".join(entry.encode() for entry in entries)


def decode_scaling(record: bytes) -> tuple[ScalingEntry, ...]:
    """Return the entries of a record. Raises `ValueError` for an unknown kind and for an extension that is cut off."""
    entries, at = [], 0
    while at < len(record):
        kind, count = ScalingKind(record[at] >> 4), record[at] & 0x0F
        at += 1
        if kind not in WITH_EXTENSION:
            entries.append(ScalingEntry(kind, count))
            continue
        if at + count > len(record):
            raise ValueError(f"the extension of {kind.name} is cut off")
        entries.append(ScalingEntry(kind, 0, record[at : at + count]))
        at += count
    return tuple(entries)


def encode_real(text: str) -> bytes:
    """Return a number as two bytes: a signed exponent of ten in 4 bits, a signed mantissa in 12. Raises `ValueError`."""
    try:
        sign, digits, exponent = Decimal(text).normalize().as_tuple()
    except ArithmeticError:
        raise ValueError(f"not a number: {text!r}") from None
    if not isinstance(exponent, int):
        raise ValueError(f"not a finite number: {text!r}")
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    while exponent > EXPONENT_RANGE[-1] and mantissa * 10 in MANTISSA_RANGE:
        mantissa, exponent = mantissa * 10, exponent - 1
    if mantissa == 0:
        exponent = 0
    elif exponent > 0 and mantissa * 10**exponent in MANTISSA_RANGE:
        mantissa, exponent = mantissa * 10**exponent, 0
    if mantissa not in MANTISSA_RANGE or exponent not in EXPONENT_RANGE:
        raise ValueError(f"{text} does not fit two bytes: a mantissa of -2048 to 2047 times ten to the -8 to 7")
    return ((exponent & 0xF) << 12 | mantissa & 0xFFF).to_bytes(2, "big")


def decode_real(data: bytes) -> Decimal:
    """Return the number that two bytes stand for."""
    bits = int.from_bytes(data, "big")
    exponent, mantissa = bits >> 12, bits & 0xFFF
    exponent -= 16 if exponent > 7 else 0
    mantissa -= 4096 if mantissa > 2047 else 0
    return Decimal(mantissa).scaleb(exponent)
