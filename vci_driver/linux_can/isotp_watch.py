"""What passes by of one ISO-TP conversation that the kernel holds: read from its frames, without taking part.

The kernel's socket tells when a message is whole. That a request has left, and that its answer has begun, only the frames tell.
"""

from __future__ import annotations

from enum import Enum, auto

from wire.frame import Frame


class Seen(Enum):
    """What a frame means to the one who asked."""

    NOTHING = auto()
    REQUEST_OUT = auto()
    """The last frame of our message went by."""
    ANSWER_BEGUN = auto()
    ANSWER_INTERRUPTED = auto()
    """A new message begins before the last was whole."""
    UNKNOWN_FLOW_STATUS = auto()
    WAIT = auto()


class ConversationWatch:
    """Follows one pair of identifiers. `length` and `head` are the last first frame's."""

    __slots__ = ("frames_left", "frames_out", "head", "left_bytes", "length", "waits")

    def __init__(self) -> None:
        self.frames_left = 0
        self.frames_out = 0
        self.left_bytes = 0
        self.length = 0
        self.head = b""
        self.waits = 0

    def expect(self, frames: int) -> None:
        """A message of ours is on its way that has so many frames."""
        self.frames_left = frames
        self.frames_out = 0
        self.waits = 0

    def sent(self, frame: Frame) -> Seen:
        """Take a frame with our identifier."""
        if not frame.data or frame.data[0] >> 4 > 2 or not self.frames_left:
            return Seen.NOTHING
        self.frames_out += 1
        self.frames_left -= 1
        self.waits = 0
        return Seen.NOTHING if self.frames_left else Seen.REQUEST_OUT

    def heard(self, frame: Frame) -> Seen:
        """Take a frame with the peer's identifier."""
        data = frame.data
        kind = data[0] >> 4 if data else 15
        if kind == 2:
            self.left_bytes = max(0, self.left_bytes - len(data) + 1)
        elif kind == 3 and self.frames_left and len(data) >= 3:
            return self._flow_control(data[0] & 0xF)
        elif kind == 1 and len(data) >= 8:
            interrupted = self.left_bytes > 0
            self._first_frame(data)
            return Seen.ANSWER_INTERRUPTED if interrupted else Seen.ANSWER_BEGUN
        elif kind == 0 and self.left_bytes:
            self.left_bytes = 0
            return Seen.ANSWER_INTERRUPTED
        return Seen.NOTHING

    def _flow_control(self, status: int) -> Seen:
        if status == 1:
            self.waits += 1
            return Seen.WAIT
        return Seen.NOTHING if status <= 2 else Seen.UNKNOWN_FLOW_STATUS

    def _first_frame(self, data: bytes) -> None:
        self.length = (data[0] & 0xF) << 8 | data[1]
        self.head = data[2:]
        if not self.length:
            self.length = int.from_bytes(data[2:6], "big")
            self.head = data[6:]
        self.left_bytes = self.length - len(self.head)

    def forget(self) -> None:
        """Expect nothing in either direction."""
        self.frames_left = self.left_bytes = 0
