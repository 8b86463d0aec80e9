"""Reads along on one CAN identifier: frames in, whole ISO-TP messages out (ISO 15765-2), without taking part.

For recorded traffic, where no clock of ours times anything out: a message ends when it is whole, or when another begins.
The witness has a reader of its own (`bench/monitor/reassembly.py`) and must not share this one.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire.isotp_pdu import CONSECUTIVE_FRAME, FIRST_FRAME, SINGLE_FRAME

MESSAGE_MAX_BYTES = 1_000_000
"""A first frame may promise 4 GiB; what a diagnostic message of a recording really has fits a download's block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A whole message. `begun_ns`, `whole_ns`: times of its first and last frame. `filler`: the byte that padded it, if any."""

    payload: bytes
    begun_ns: int
    whole_ns: int
    padded: bool
    filler: int | None


class Overhearing:
    """Reads the frames of one identifier. `broken` counts messages that never became whole."""

    __slots__ = ("_begun_ns", "_data", "_length", "_next", "broken")

    def __init__(self) -> None:
        self.broken = 0
        self._data = bytearray()
        self._length = 0
        self._next = 0
        self._begun_ns = 0

    @property
    def open(self) -> bool:
        """Whether a message has begun and is not whole."""
        return self._length > 0

    def take(self, data: bytes, now_ns: int) -> Overheard | None:
        """Take a frame's data; return the message that it completes. Flow control and what is no ISO-TP say nothing."""
        kind = data[0] >> 4 if data else -1
        if kind == SINGLE_FRAME:
            return self._single(data, now_ns)
        if kind == FIRST_FRAME:
            self._first(data, now_ns)
        elif kind == CONSECUTIVE_FRAME and self._length:
            return self._consecutive(data, now_ns)
        return None

    def _single(self, data: bytes, now_ns: int) -> Overheard | None:
        length, head = (data[0], 1) if data[0] else (data[1] if len(data) > 8 else 0, 2)
        if not 0 < length <= len(data) - head:
            return None
        self._give_up()
        self._begun_ns = now_ns
        return self._whole(data[head : head + length], data[head + length :], now_ns)

    def _first(self, data: bytes, now_ns: int) -> None:
        if len(data) < 8:
            return
        length, head = (data[0] & 0xF) << 8 | data[1], 2
        if length == 0:
            length, head = int.from_bytes(data[2:6], "big"), 6
        self._give_up()
        if len(data) - head < length <= MESSAGE_MAX_BYTES:
            self._length, self._data, self._next, self._begun_ns = length, bytearray(data[head:]), 1, now_ns
        else:
            self.broken += 1

    def _consecutive(self, data: bytes, now_ns: int) -> Overheard | None:
        if data[0] & 0xF != self._next:
            self._give_up()
            return None
        self._next = (self._next + 1) & 0xF
        left = self._length - len(self._data)
        self._data += data[1 : 1 + left]
        if len(self._data) < self._length:
            return None
        self._length = 0
        return self._whole(bytes(self._data), data[1 + left :], now_ns)

    def _give_up(self) -> None:
        self.broken += self._length > 0
        self._length = 0

    def _whole(self, payload: bytes, rest: bytes, now_ns: int) -> Overheard:
        return Overheard(
            payload=payload,
            begun_ns=self._begun_ns,
            whole_ns=now_ns,
            padded=bool(rest),
            filler=rest[0] if rest and rest == rest[:1] * len(rest) else None,
        )
