"""The vehicle around an ECU: terminals, bonnet, speed, kilometres, supply, sleep. Scenarios set it, preconditions read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol, cast

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
        "engine_rpm",
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
        self.engine_rpm = 0
        self.odometer_km = odometer_km
        self.supply_mv = 12_600
        self.sleeping = False
        self.body_controller_lost = False
        self.crash = False

    @property
    def supplied(self) -> bool:
        """Whether control units run: the battery is there, and no dip is deeper than they bridge."""
        return self.battery and self.supply_mv >= BROWN_OUT_MV

    def read(self, value: str, now_ns: int) -> float:  # noqa: ARG002 - the truth does not age
        """Return a value by its name: see `VehicleView`."""
        return cast("float", getattr(self, value))


class VehicleView(Protocol):
    """The vehicle as one control unit knows it: the truth (`VehicleState`), or what it hears on a rest bus."""

    def read(self, value: str, now_ns: int) -> float | None:
        """Return one of `VehicleState`'s values by its name, or None where the unit does not know it at `now_ns`."""


Condition = Callable[[VehicleView, int], int]
"""Called with the vehicle and the time. Returns 0 where the condition holds, else the NRC that says what is wrong."""


def _holds(value: str, *, truth: bool, nrc: int) -> Condition:
    """Return the condition that a value is zero (False) or is not (True). What the unit does not know is 0x22."""

    def condition(vehicle: VehicleView, now_ns: int) -> int:
        known = vehicle.read(value, now_ns)
        if known is None:
            return Nrc.conditionsNotCorrect
        return 0 if bool(known) is truth else nrc

    return condition


def _coding_voltage(vehicle: VehicleView, now_ns: int) -> int:
    """Coding wants 12 to 14 V (domain facts, section 8)."""
    supply_mv = vehicle.read("supply_mv", now_ns)
    if supply_mv is None:
        return Nrc.conditionsNotCorrect
    if supply_mv < 12_000:
        return Nrc.voltageTooLow
    return Nrc.voltageTooHigh if supply_mv > 14_000 else 0


CONDITIONS: Mapping[str, Condition] = {
    "stationary": _holds("speed_kmh", truth=False, nrc=Nrc.vehicleSpeedTooHigh),
    "ignition": _holds("terminal_15", truth=True, nrc=Nrc.conditionsNotCorrect),
    "coding-voltage": _coding_voltage,
    "engine-off": _holds("engine_rpm", truth=False, nrc=Nrc.engineIsRunning),
    "engine-running": _holds("engine_rpm", truth=True, nrc=Nrc.engineIsNotRunning),
    "bonnet-open": _holds("bonnet_open", truth=True, nrc=Nrc.conditionsNotCorrect),
    "bonnet-closed": _holds("bonnet_open", truth=False, nrc=Nrc.conditionsNotCorrect),
}
"""Preconditions that a profile may name."""


def _measured(value: str, size_bytes: int) -> Callable[[VehicleView, int], bytes]:
    """Return the reader of a measured value. One that the unit does not know is all ones (our own choice)."""
    highest = (1 << 8 * size_bytes) - 1

    def read(vehicle: VehicleView, now_ns: int) -> bytes:
        known = vehicle.read(value, now_ns)
        number = highest if known is None else min(round(known), highest)
        return number.to_bytes(size_bytes, "big")

    return read


SOURCES: Mapping[str, Callable[[VehicleView, int], bytes]] = {
    "odometer": _measured("odometer_km", 3),
    "supply-voltage": _measured("supply_mv", 2),
    "speed": _measured("speed_kmh", 2),
    "engine-speed": _measured("engine_rpm", 2),
    "bonnet": _measured("bonnet_open", 1),
}
"""Where a measured value comes from: kilometres (3 bytes), mV (2), km/h (2), 1/min (2), bonnet open (1)."""
