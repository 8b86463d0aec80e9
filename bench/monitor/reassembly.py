"""The witness's own ISO-TP: enough to read along, nothing shared with the stack under test. Never raises on odd frames."""

from __future__ import annotations


class Reassembly:
    """Reads one identifier's frames into messages."""

    __slots__ = ("_data", "_length", "_next")

    def __init__(self) -> None:
        self._data = b""
        self._length = 0
        self._next = 0

    def take(self, data: bytes) -> bytes | None:
        """Return a whole message when this frame completes one."""
        if not data:
            return None
        kind = data[0] >> 4
        if kind == 0:
            length, head = (data[0], 1) if len(data) <= 8 else (data[1], 2)
            self._length = 0
            return data[head : head + length] if 0 < length <= len(data) - head else None
        if kind == 1 and len(data) >= 8:
            length = (data[0] & 0xF) << 8 | data[1]
            head = 2
            if length == 0:
                length, head = int.from_bytes(data[2:6], "big"), 6
            self._length, self._data, self._next = length, data[head:], 1
            return None
        if kind == 2 and self._length:
            if data[0] & 0xF != self._next:
                self._length = 0
                return None
            self._next = (self._next + 1) & 0xF
            self._data += data[1:]
            if len(self._data) >= self._length:
                message, self._length = self._data[: self._length], 0
                return message
        return None
