"""The last requests on a served car's socket, for people who watch: what was asked of whom, and what came."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bench.car_facts import car_map
from bench.monitor.reassembly import Reassembly
from bench.vehicle_file import VehicleSpec
from wire.frame import Frame

KEPT = 12
"""Requests that are kept: as many as fit a screen beside the rest."""
SHOWN_BYTES = 12
TESTER_PRESENT = b"\x3e"
EVERYONE = "all"


@dataclass(slots=True)
class Line:
    """One request and what was last said to it; `repeats` counts the same request asked again directly after."""

    at_ns: int
    unit: str
    request: str
    answer: str = ""
    repeats: int = 1


class RequestLog:
    """Reads the tester's bus. Tester present is left out: it would push everything else off the screen."""

    def __init__(self, spec: VehicleSpec) -> None:
        self.lines: deque[Line] = deque(maxlen=KEPT)
        self.heard_ns: int | None = None
        self.requests = 0
        car = car_map(spec)
        self._asked = {entry.request_id: (entry.name, Reassembly()) for entry in car.ecus}
        self._asked |= {can_id: (EVERYONE, Reassembly()) for can_id in spec.functional_ids}
        self._said = {entry.response_id: (entry.name, Reassembly()) for entry in car.ecus}
        self._open: dict[str, Line] = {}

    def see(self, now_ns: int, _bus: object, frame: Frame, _sender: str) -> None:
        """Take a frame (`wire.can_bus.Tap`)."""
        found = self._asked.get(frame.can_id)
        if found is not None:
            message = found[1].take(frame.data)
            if message:
                self._request(now_ns, found[0], message)
            return
        found = self._said.get(frame.can_id)
        if found is not None:
            message = found[1].take(frame.data)
            line = self._open.get(found[0]) or self._open.get(EVERYONE)
            if message and line is not None:
                line.answer = _shown(message)

    def _request(self, now_ns: int, unit: str, message: bytes) -> None:
        self.heard_ns = now_ns
        self.requests += 1
        if message[:1] == TESTER_PRESENT:
            return
        shown = _shown(message)
        last = self.lines[-1] if self.lines else None
        if last is not None and last.unit == unit and last.request == shown:
            last.repeats += 1
            last.at_ns = now_ns
            self._open[unit] = last
            return
        line = self._open[unit] = Line(now_ns, unit, shown)
        self.lines.append(line)


def _shown(message: bytes) -> str:
    text = message[:SHOWN_BYTES].hex(" ").upper()
    return text if len(message) <= SHOWN_BYTES else f"{text} ... ({len(message)} bytes)"
