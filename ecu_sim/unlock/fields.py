"""Reads the fields of a 0x29 request: what is cut off or left over is a wrong length, 0x13."""

from __future__ import annotations

from ecu_sim.refusal import Refusal
from wire.uds import Nrc


class Fields:
    """Reads the fields of a 0x29 request; too short or too long is a wrong length (0x13)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "a field is cut off")
        self._at += size
        return part

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def sized(self) -> bytes:
        """Return the next field, which has its length (2 bytes, big endian) before it."""
        return self.take(int.from_bytes(self.take(2), "big"))

    def end(self) -> None:
        """Refuse what is left over."""
        if self._at != len(self._data):
            raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "bytes are left over")
