"""Cyclic messages as tables: where each signal lies in the bytes, what feeds it, how counter and checksum are made.

Built once from a DBC (`dbc.py`); after that no library stands in the way of a frame. cantools judges it in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wire.frame import EXTENDED, EXTENDED_MASK

CHECKSUM_RULE: Final = "crc8-07"
"""The one rule there is, and its name in a DBC (our own choice). A real CRC of 8 bits tells every single flipped bit."""
_POLYNOMIAL, _START = 0x07, 0xFF


def _crc_table() -> bytes:
    table = bytearray()
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc << 1 ^ _POLYNOMIAL if crc & 0x80 else crc << 1
        table.append(crc & 0xFF)
    return bytes(table)


_CRC_TABLE = _crc_table()


def _crc8(data: bytes | bytearray, crc: int) -> int:
    table = _CRC_TABLE
    for byte in data:
        crc = table[crc ^ byte]
    return crc


def checksum_start(can_id: int) -> int:
    """Return what the checksum of a message begins with: its identifier is part of it, so that no other's bytes will do."""
    if can_id >= EXTENDED:
        return _crc8((can_id & EXTENDED_MASK).to_bytes(4, "big"), _START)
    return _crc8(can_id.to_bytes(2, "big"), _START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal. Its raw value stands `shift` bits from the lowest one when all bytes are read as one number, little-endian
    or big-endian. Physical value = raw * `scale` + `offset`. `source`: what of the vehicle feeds it; nothing: `initial_raw`.
    """

    name: str
    shift: int
    size_bits: int
    big_endian: bool = False
    signed: bool = False
    scale: float = 1
    offset: float = 0
    source: str | None = None
    initial_raw: int = 0

    @property
    def raw_range(self) -> tuple[int, int]:
        """Return the lowest and the highest raw value that fits."""
        if self.signed:
            return -(1 << self.size_bits - 1), (1 << self.size_bits - 1) - 1
        return 0, (1 << self.size_bits) - 1

    def to_raw(self, value: float) -> int:
        """Return the nearest raw value; beyond its ends a signal stands at its end, as a sensor does."""
        low, high = self.raw_range
        return min(max(round((value - self.offset) / self.scale), low), high)

    def to_physical(self, raw: int) -> float:
        """Return the value that a raw value stands for."""
        return raw * self.scale + self.offset

    def place(self, raw: int) -> int:
        """Return the raw value at its place in the number of all bytes."""
        return (raw & (1 << self.size_bits) - 1) << self.shift

    def raw_of(self, data: bytes) -> int:
        """Read the raw value out of a message's bytes."""
        raw = int.from_bytes(data, "big" if self.big_endian else "little") >> self.shift & (1 << self.size_bits) - 1
        return raw - (1 << self.size_bits) if self.signed and raw >> self.size_bits - 1 else raw


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclicMessage:
    """One message that a node sends again and again. `checksum_at`: index of its checksum's byte; `counter`: the signal that
    counts its frames (neither: an unprotected message). `with_terminal_15`: sent only while that is on.
    """

    name: str
    can_id: int
    size: int
    cycle_ns: int
    node: str
    signals: Mapping[str, Signal]
    counter: Signal | None = None
    checksum_at: int | None = None
    with_terminal_15: bool = False
    fd: bool = False

    @property
    def counter_end(self) -> int:
        """Return after how many frames the counter begins anew."""
        return 1 << self.counter.size_bits if self.counter is not None else 1

    def encode(self, raw: Mapping[str, int], count: int) -> bytes:
        """Return the bytes for raw values (of a signal that is not given: its initial one), counter and checksum included."""
        little = big = 0
        for name, signal in self.signals.items():
            placed = signal.place(raw.get(name, signal.initial_raw))
            if signal.big_endian:
                big |= placed
            else:
                little |= placed
        if self.counter is not None:
            if self.counter.big_endian:
                big |= self.counter.place(count)
            else:
                little |= self.counter.place(count)
        data = bytearray(
            (little | int.from_bytes(big.to_bytes(self.size, "big"), "little")).to_bytes(self.size, "little")
        )
        if self.checksum_at is not None:
            data[self.checksum_at] = self.checksum(data)
        return bytes(data)

    def checksum(self, data: bytes | bytearray) -> int:
        """Return the checksum that belongs to these bytes, whatever stands at its place."""
        at = self.checksum_at
        assert at is not None
        return _crc8(data[at + 1 :], _crc8(data[:at], checksum_start(self.can_id)))
