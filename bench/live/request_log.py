"""The last requests on a served car's socket, for people who watch: what was asked of whom, and what came.

While the car works it only keeps frames; they are read when somebody looks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bench.car_facts import car_map
from bench.monitor.reassembly import Reassembly
from bench.vehicle_file import VehicleSpec
from wire.frame import Frame

KEPT = 12
"""Requests that are shown: as many as fit a screen beside the rest."""
FRAMES_KEPT = 2_000
"""Enough for the frames of a dozen requests, unless their answers are long: then for those of the last ones."""
SHOWN_BYTES = 12
TESTER_PRESENT = b"\x3e"
EVERYONE = "all"
_FIRST_FRAME = 0x1F


@dataclass(slots=True)
class Line:
    """One request and what was last said to it; `repeats` counts the same request asked again directly after."""

    at_ns: int
    unit: str
    request: str
    answer: str = ""
    repeats: int = 1


class RequestLog:
    """Keeps what the tester's bus carried last. `requests`: how many were begun, tester present included."""

    def __init__(self, spec: VehicleSpec) -> None:
        self.heard_ns: int | None = None
        self.requests = 0
        car = car_map(spec)
        self._asked = {entry.request_id: entry.name for entry in car.ecus}
        self._asked |= dict.fromkeys(spec.functional_ids, EVERYONE)
        self._said = {entry.response_id: entry.name for entry in car.ecus}
        self._frames: deque[tuple[int, Frame]] = deque(maxlen=FRAMES_KEPT)

    def see(self, now_ns: int, _bus: object, frame: Frame, _sender: str) -> None:
        """Take a frame (`wire.can_bus.Tap`)."""
        self._frames.append((now_ns, frame))
        if frame.can_id in self._asked:
            self.heard_ns = now_ns
            if frame.data[:1] and frame.data[0] <= _FIRST_FRAME:
                self.requests += 1

    def lines(self) -> list[Line]:
        """Return the last requests, oldest first. Tester present is left out: it would push everything else off the screen."""
        lines: deque[Line] = deque(maxlen=KEPT)
        under_way: dict[str, Line] = {}
        readers: dict[int, Reassembly] = {}
        for now_ns, frame in self._frames:
            message = readers.setdefault(frame.can_id, Reassembly()).take(frame.data)
            if not message:
                continue
            unit = self._asked.get(frame.can_id)
            if unit is not None:
                _ask(lines, under_way, Line(now_ns, unit, _shown(message)), message)
            else:
                asked = under_way.get(self._said.get(frame.can_id, "")) or under_way.get(EVERYONE)
                if asked is not None:
                    asked.answer = _shown(message)
        return list(lines)


def _ask(lines: deque[Line], under_way: dict[str, Line], asked: Line, message: bytes) -> None:
    if message[:1] == TESTER_PRESENT:
        return
    last = lines[-1] if lines else None
    if last is not None and (last.unit, last.request) == (asked.unit, asked.request):
        last.repeats += 1
        last.at_ns = asked.at_ns
        asked = last
    else:
        lines.append(asked)
    under_way[asked.unit] = asked


def _shown(message: bytes) -> str:
    text = message[:SHOWN_BYTES].hex(" ").upper()
    return text if len(message) <= SHOWN_BYTES else f"{text} ... ({len(message)} bytes)"
