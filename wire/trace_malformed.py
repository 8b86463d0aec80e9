"""What can be wrong inside a trace file, said by readers that do not know its name; `wire.trace_read` adds it."""

from __future__ import annotations

from wire.errors import LocalMisuse
from wire.frame import EXTENDED, EXTENDED_MASK, Frame, checked


class Malformed(ValueError):
    """The content is not what its format says. `line`: counted from 1, for text."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_frame(number: int, data: bytes, *, extended: bool, fd: bool = False, brs: bool = False) -> Frame:
    """Return the frame, if it can stand on a bus; raise `Malformed` that says why not."""
    if number > EXTENDED_MASK:
        raise Malformed(f"CAN identifier {number:#x} does not fit 29 bits")
    try:
        return checked(Frame(number | EXTENDED if extended else number, data, fd, brs and fd))
    except LocalMisuse as error:
        raise Malformed(str(error)) from None
