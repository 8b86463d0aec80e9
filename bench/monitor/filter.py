"""The witness's belief about a filter that the bonnet disarms (J533): what arms it, what disarms it, from the domain's facts."""

from __future__ import annotations

from bench.monitor.watched import ARMED_ABOVE_KM

REARMED_AFTER_KM = 20


class Filter:
    """Open in a new car, then after the bonnet was opened. `ours`: whether anybody tells; else it counts as open."""

    def __init__(self, odometer_km: int, *, ours: bool) -> None:
        self._new = self.open = odometer_km <= ARMED_ABOVE_KM or not ours
        self._bonnet_open = False
        self._odometer_closed_km: int | None = None

    def bonnet(self, *, is_open: bool, odometer_km: int) -> None:
        """Learn that the bonnet was opened or closed: opening it is the proof that disarms."""
        if is_open == self._bonnet_open:
            return
        self._bonnet_open = is_open
        if self._new:
            return
        self._odometer_closed_km = None if is_open else odometer_km
        if is_open:
            self.open = True

    def odometer(self, km: int) -> None:
        """Learn how far the car has driven."""
        closed_km = self._odometer_closed_km
        if (self._new and km > ARMED_ABOVE_KM) or (closed_km is not None and km - closed_km >= REARMED_AFTER_KM):
            self.alarm()

    def alarm(self) -> None:
        """Learn of what arms: a crash signal, a lost body controller, kilometres."""
        self._new = self.open = False
        self._odometer_closed_km = None
