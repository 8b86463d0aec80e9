"""How busy buses were lately: for whoever looks, averaged since somebody looked last, at least over half a second."""

from __future__ import annotations

from collections.abc import Iterable

from wire.can_bus import CanBus
from wire.clock import NS_PER_S

SPAN_NS = NS_PER_S // 2


class BusLoads:
    """Remembers what buses had done when they were looked at last."""

    def __init__(self) -> None:
        self._since: dict[CanBus, tuple[int, int, int]] = {}
        self._shown: dict[CanBus, tuple[float, float]] = {}

    def take(self, now_ns: int, buses: Iterable[CanBus]) -> list[dict[str, object]]:
        """Return name, frames so far, load (0 to 1) and frames a second of each bus."""
        told = []
        for bus in buses:
            since_ns, busy_ns, frames = self._since.setdefault(bus, (now_ns, bus.busy_ns, bus.frames_sent))
            passed_ns = now_ns - since_ns
            if passed_ns >= SPAN_NS:
                rate = (bus.frames_sent - frames) * NS_PER_S / passed_ns
                self._shown[bus] = (bus.load(since_ns, busy_ns), rate)
                self._since[bus] = (now_ns, bus.busy_ns, bus.frames_sent)
            load, rate = self._shown.get(bus, (0.0, 0.0))
            told.append(
                {"name": bus.name, "frames": bus.frames_sent, "load": round(load, 4), "frames_per_s": round(rate, 1)}
            )
        return told
