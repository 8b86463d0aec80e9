"""When the J533 filter is armed: a state machine over the bonnet, the kilometres and two alarms, as a table.

A car that has not driven 200 km is not armed (transport). Opening the bonnet is the proof of physical access that disarms; 20 km
with the bonnet closed arm again, as do the loss of the body controller and a crash signal. (Public facts, domain notes.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ARMS_ABOVE_KM = 200
REARMS_AFTER_KM = 20


class ArmingState(StrEnum):
    """What the filter is."""

    NEW = "new"
    ARMED = "armed"
    BONNET_OPEN = "bonnet open"
    BONNET_CLOSED = "bonnet closed"


class ArmingEvent(StrEnum):
    """What moves it."""

    DRIVEN_IN = "more than 200 km driven"
    OPENED = "bonnet opened"
    CLOSED = "bonnet closed"
    DRIVEN_ON = "20 km with the bonnet closed"
    ALARM = "body controller lost or crash"


S, E = ArmingState, ArmingEvent
TRANSITIONS: dict[tuple[ArmingState, ArmingEvent], ArmingState] = {
    (S.NEW, E.DRIVEN_IN): S.ARMED,
    (S.NEW, E.ALARM): S.ARMED,
    (S.ARMED, E.OPENED): S.BONNET_OPEN,
    (S.BONNET_OPEN, E.CLOSED): S.BONNET_CLOSED,
    (S.BONNET_OPEN, E.ALARM): S.ARMED,
    (S.BONNET_CLOSED, E.OPENED): S.BONNET_OPEN,
    (S.BONNET_CLOSED, E.DRIVEN_ON): S.ARMED,
    (S.BONNET_CLOSED, E.ALARM): S.ARMED,
}
"""A pair that is not listed changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the gateway knows of the vehicle at one moment."""

    bonnet_open: bool
    odometer_km: int
    body_controller_lost: bool = False
    crash: bool = False


class FilterArming:
    """The state of one filter, fed with observations."""

    def __init__(self, first: Observation) -> None:
        self.state = S.NEW
        self._last = first
        self._closed_at_km = first.odometer_km
        if first.odometer_km > ARMS_ABOVE_KM:
            self._apply(E.DRIVEN_IN)

    @property
    def armed(self) -> bool:
        """Whether the filter blocks."""
        return self.state is S.ARMED

    def observe(self, now: Observation) -> None:
        """Take the vehicle's values; edges of bonnet and of each alarm count, not levels."""
        last, self._last = self._last, now
        if now.odometer_km > ARMS_ABOVE_KM:
            self._apply(E.DRIVEN_IN)
        if not now.bonnet_open and now.odometer_km - self._closed_at_km >= REARMS_AFTER_KM:
            self._apply(E.DRIVEN_ON)
        if now.bonnet_open and not last.bonnet_open:
            self._apply(E.OPENED)
        elif last.bonnet_open and not now.bonnet_open:
            self._closed_at_km = now.odometer_km
            self._apply(E.CLOSED)
        if (now.crash and not last.crash) or (now.body_controller_lost and not last.body_controller_lost):
            self._apply(E.ALARM)

    def _apply(self, event: ArmingEvent) -> None:
        self.state = TRANSITIONS.get((self.state, event), self.state)
