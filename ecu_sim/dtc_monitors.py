"""Faults that a unit sees by itself: a trouble code's `monitor` names one, and the code fails while it holds.

The thresholds are our own choice; a unit that is not supplied sees nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ecu_sim.vehicle_state import VehicleState

LOW_SUPPLY_MV, HIGH_SUPPLY_MV = 9_000, 16_000

MONITORS: Mapping[str, Callable[[VehicleState], bool]] = {
    "supply-voltage-low": lambda vehicle: vehicle.supply_mv < LOW_SUPPLY_MV,
    "supply-voltage-high": lambda vehicle: vehicle.supply_mv > HIGH_SUPPLY_MV,
    "body-controller-lost": lambda vehicle: vehicle.body_controller_lost,
    "crash": lambda vehicle: vehicle.crash,
}
