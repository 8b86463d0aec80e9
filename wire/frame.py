"""CAN frames, classic and FD. Slotted and unchecked inside; `checked` validates at the edges only.

The identifier carries bit 31 (`EXTENDED`) for 29-bit identifiers, as SocketCAN does, so one integer is the table key.
"""

from __future__ import annotations

from wire.errors import LocalMisuse

EXTENDED = 0x8000_0000
STANDARD_MASK = 0x7FF
EXTENDED_MASK = 0x1FFF_FFFF
CLASSIC_MAX_BYTES = 8
FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
FD_PADDED_LENGTH = tuple(next(size for size in FD_LENGTHS if size >= n) for n in range(65))
"""Index: a length in bytes 0 to 64; value: the shortest FD frame that holds it."""


class Frame:
    """One CAN frame: `can_id` (bit 31 set: 29-bit identifier), `data`, and for FD `fd` and `brs` (bit-rate switch)."""

    __slots__ = ("brs", "can_id", "data", "fd")

    def __init__(self, can_id: int, data: bytes, fd: bool = False, brs: bool = False) -> None:  # noqa: FBT001, FBT002 - hot path, positional
        self.can_id = can_id
        self.data = data
        self.fd = fd
        self.brs = brs

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return (self.can_id, self.data, self.fd, self.brs) == (other.can_id, other.data, other.fd, other.brs)

    def __hash__(self) -> int:
        return hash((self.can_id, self.data, self.fd, self.brs))

    def __repr__(self) -> str:
        return f"Frame({format_can_id(self.can_id)}{'##' if self.fd else '#'}{self.data.hex().upper()})"

    @property
    def extended(self) -> bool:
        """Whether the identifier has 29 bits."""
        return self.can_id >= EXTENDED


def checked(frame: Frame) -> Frame:
    """Return `frame` if it can stand on a bus; raise `LocalMisuse` that says why not."""
    limit = EXTENDED_MASK if frame.extended else STANDARD_MASK
    if not 0 <= frame.can_id & ~EXTENDED <= limit:
        raise LocalMisuse(f"CAN identifier {frame.can_id:#x} does not fit its {29 if frame.extended else 11} bits")
    size = len(frame.data)
    if frame.fd:
        if size not in FD_LENGTHS:
            raise LocalMisuse(f"a CAN FD frame cannot carry {size} bytes; pad to one of {FD_LENGTHS}")
    elif size > CLASSIC_MAX_BYTES:
        raise LocalMisuse(f"a classic CAN frame carries at most {CLASSIC_MAX_BYTES} bytes, not {size}; set fd=True")
    elif frame.brs:
        raise LocalMisuse("the bit-rate switch exists in CAN FD frames only; set fd=True or brs=False")
    return frame


def format_can_id(can_id: int) -> str:
    """Write an identifier as candump does: three hex digits for 11 bits, eight for 29."""
    return f"{can_id & EXTENDED_MASK:08X}" if can_id >= EXTENDED else f"{can_id:03X}"
