"""Writes a talk as the frames of a candump log: requests and answers as hex texts, segmented as ISO-TP does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from wire.frame import EXTENDED, Frame, format_can_id
from wire.isotp_pdu import CONSECUTIVE_FRAME, first_frame, first_frame_room, flow_control, padded, single_frame

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000
REQUEST_ID, RESPONSE_ID, FUNCTIONAL_ID = 0x7A1, 0x7A9, 0x7DF
Line = tuple[int, str, Frame]


def frames_of(payload: bytes, dl: int = 8, padding: int | None = 0x55) -> list[bytes]:
    """Return the data of the frames of one message."""
    whole = single_frame(payload, dl, padding)
    if whole is not None:
        return [whole]
    room = first_frame_room(len(payload), dl)
    frames, rest, number = [first_frame(len(payload), payload[:room])], payload[room:], 1
    while rest:
        frames.append(padded(bytes((CONSECUTIVE_FRAME << 4 | number,)) + rest[: dl - 1], padding))
        rest, number = rest[dl - 1 :], (number + 1) & 0xF
    return frames


class Recorder:
    """Collects frames with their times; each message takes a millisecond a frame."""

    def __init__(self, *, bus: str = "can0", request_id: int = REQUEST_ID, response_id: int = RESPONSE_ID) -> None:
        self.bus = bus
        self.request_id = request_id
        self.response_id = response_id
        self.now_ns = START_NS
        self.lines: list[Line] = []
        self.padding: int | None = 0x55

    def send(self, can_id: int, payload: bytes, other: int | None = None) -> None:
        for number, data in enumerate(frames_of(payload, padding=self.padding)):
            if number == 1 and other is not None:
                self.put(other, flow_control(0, 0, 0, self.padding))
            self.put(can_id, data)

    def put(self, can_id: int, data: bytes) -> None:
        self.now_ns += MS
        self.lines.append((self.now_ns, self.bus, Frame(can_id, data)))

    def wait(self, ms: int) -> Recorder:
        self.now_ns += ms * MS
        return self

    def ask(self, request: str, *answers: str, functional: bool = False) -> Recorder:
        """Put a request and its answers on the bus; `...` between answers lets a second go by."""
        asker = FUNCTIONAL_ID if functional else self.request_id
        self.send(asker, bytes.fromhex(request), self.response_id)
        for answer in answers:
            if answer == "...":
                self.wait(1000)
            else:
                self.wait(4).send(self.response_id, bytes.fromhex(answer), self.request_id)
        return self.wait(10)


def write_log(path: Path, lines: Iterable[Line]) -> Path:
    """Write frames as candump does."""
    path.write_text("".join(_log(lines)))
    return path


def _log(lines: Iterable[Line]) -> Iterator[str]:
    for at_ns, bus, frame in lines:
        text = format_can_id(frame.can_id & ~EXTENDED | (EXTENDED if frame.extended else 0))
        yield f"({at_ns // 10**9}.{at_ns // 1000 % 10**6:06d}) {bus} {text}#{frame.data.hex().upper()}\n"
