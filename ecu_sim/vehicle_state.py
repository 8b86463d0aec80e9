"""The vehicle around an ECU: terminals, bonnet, speed, kilometres, supply, sleep. Scenarios set it, preconditions read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from wire.uds import Nrc


class PowerEvent(StrEnum):
    """What happens to an ECU's supply."""

    BATTERY_LOST = "terminal 30 lost"
    BATTERY_BACK = "terminal 30 back"
    TERMINAL_15_OFF = "terminal 15 off"
    TERMINAL_15_ON = "terminal 15 on"
    SLEEP = "sleep"
    WAKE = "wake"


BROWN_OUT_MV = 6_000
"""Below this a control unit restarts; cranking dips to 5.5 V for half a second. (The threshold is our own choice.)"""


class VehicleState:
    """Plain values. `supply_mv` in millivolts; `odometer_km` counts up only."""

    __slots__ = (
        "battery",
        "body_controller_lost",
        "bonnet_open",
        "crash",
        "odometer_km",
        "sleeping",
        "speed_kmh",
        "supply_mv",
        "terminal_15",
    )

    def __init__(self, *, odometer_km: int = 12_345) -> None:
        self.terminal_15 = True
        self.battery = True
        self.bonnet_open = False
        self.speed_kmh = 0
        self.odometer_km = odometer_km
        self.supply_mv = 12_600
        self.sleeping = False
        self.body_controller_lost = False
        self.crash = False

    @property
    def supplied(self) -> bool:
        """Whether control units run: the battery is there, and no dip is deeper than they bridge."""
        return self.battery and self.supply_mv >= BROWN_OUT_MV


Condition = Callable[[VehicleState], int]
"""Returns 0 where the condition holds, else the NRC that says what is wrong."""


def _coding_voltage(vehicle: VehicleState) -> int:
    """Coding wants 12 to 14 V (domain facts, section 8)."""
    if vehicle.supply_mv < 12_000:
        return Nrc.voltageTooLow
    return Nrc.voltageTooHigh if vehicle.supply_mv > 14_000 else 0


CONDITIONS: Mapping[str, Condition] = {
    "stationary": lambda vehicle: Nrc.vehicleSpeedTooHigh if vehicle.speed_kmh else 0,
    "ignition": lambda vehicle: 0 if vehicle.terminal_15 else Nrc.conditionsNotCorrect,
    "coding-voltage": _coding_voltage,
}
"""Preconditions that a profile may name."""

SOURCES: Mapping[str, Callable[[VehicleState], bytes]] = {
    "odometer": lambda vehicle: vehicle.odometer_km.to_bytes(3, "big"),
    "supply-voltage": lambda vehicle: vehicle.supply_mv.to_bytes(2, "big"),
    "speed": lambda vehicle: vehicle.speed_kmh.to_bytes(2, "big"),
    "bonnet": lambda vehicle: bytes((int(vehicle.bonnet_open),)),
}
"""Where a measured value comes from: kilometres (3 bytes), mV (2), km/h (2), bonnet open (1)."""
