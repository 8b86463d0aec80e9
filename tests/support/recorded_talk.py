"""Requests and answers as they stood on a car's diagnostic socket, put together from frames by scapy."""

from __future__ import annotations

from collections.abc import Iterator

from scapy.contrib.isotp import ISOTPMessageBuilder
from scapy.layers.can import CAN

from bench.topology import Car
from wire.can_bus import CanBus
from wire.frame import Frame

QUIET_TESTER_PRESENT = b"\x3e\x80"
"""Never answered."""


class Recorder:
    """Reads along on the socket of `car`. `pairs` yields each (request, answers) once, 0x78 among the answers."""

    def __init__(self, car: Car) -> None:
        entries = car.car_map().ecus
        self._asked_with = {entry.request_id: entry.request_id for entry in entries}
        self._answered_with = {entry.response_id: entry.request_id for entry in entries}
        self._no_isotp = {can_id for entry in entries for can_id in entry.periodic_ids}
        self._builder = ISOTPMessageBuilder(use_ext_address=False)
        self.messages: list[tuple[int, bytes]] = []
        car.buses["obd"].tap(self._tap)

    def _tap(self, now_ns: int, bus: CanBus, frame: Frame, sender: str) -> None:
        if frame.can_id in self._no_isotp:
            return
        self._builder.feed(CAN(identifier=frame.can_id, data=frame.data))
        while (message := self._builder.pop()) is not None:
            self.messages.append((message.rx_id, bytes(message.data)))

    def talks(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield each different talk: a request with what the unit said to it; a functional one with each unit's answers."""
        open_talks: dict[int, list[bytes]] = {}
        found: list[tuple[bytes, list[bytes]]] = []
        for can_id, payload in self.messages:
            unit = self._answered_with.get(can_id)
            if unit is not None:
                open_talks.setdefault(unit, []).append(payload)
                continue
            units = [self._asked_with[can_id]] if can_id in self._asked_with else list(self._asked_with)
            for unit in units:
                answers: list[bytes] = []
                found.append((payload, answers))
                if payload != QUIET_TESTER_PRESENT:  # said while a unit works, it ends no talk
                    open_talks[unit] = answers
        seen = set()
        for request, answers in found:
            key = (request, tuple(answers))
            if key not in seen:
                seen.add(key)
                yield request, answers
