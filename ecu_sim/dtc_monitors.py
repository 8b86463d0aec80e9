"""Faults that a unit sees by itself: a trouble code's `monitor` names one, and the code fails while it holds.

The thresholds are our own choice. A unit that is not supplied sees nothing, and what it does not know (on a rest bus: has not
heard lately) it does not test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ecu_sim.vehicle_state import VehicleView

LOW_SUPPLY_MV, HIGH_SUPPLY_MV = 9_000, 16_000

Monitor = Callable[[VehicleView, int], bool | None]
"""Called with the vehicle and the time; returns whether its fault is there, None where the unit cannot tell."""


def _monitor(value: str, fails: Callable[[float], bool]) -> Monitor:
    def monitor(vehicle: VehicleView, now_ns: int) -> bool | None:
        known = vehicle.read(value, now_ns)
        return None if known is None else fails(known)

    return monitor


MONITORS: Mapping[str, Monitor] = {
    "supply-voltage-low": _monitor("supply_mv", lambda known: known < LOW_SUPPLY_MV),
    "supply-voltage-high": _monitor("supply_mv", lambda known: known > HIGH_SUPPLY_MV),
    "body-controller-lost": _monitor("body_controller_lost", bool),
    "crash": _monitor("crash", bool),
}
