"""What of the vehicle can feed a signal, and in which unit: the names that SgwSource in a DBC may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSource:
    """A value of `VehicleState`, divided by `divisor` before it becomes the signal's physical value."""

    value: str
    divisor: float = 1


SIGNAL_SOURCES: Mapping[str, SignalSource] = {
    "terminal_15": SignalSource(value="terminal_15"),
    "terminal_s": SignalSource(value="terminal_15"),
    "terminal_x": SignalSource(value="terminal_15"),
    "speed_kmh": SignalSource(value="speed_kmh"),
    "engine_rpm": SignalSource(value="engine_rpm"),
    "bonnet_open": SignalSource(value="bonnet_open"),
    "odometer_km": SignalSource(value="odometer_km"),
    "supply_mv": SignalSource(value="supply_mv"),
    "supply_v": SignalSource(value="supply_mv", divisor=1000),
}
"""Terminals S and X follow 15: the simulated key has two positions (our own choice). A unit that listens takes the value of
the same name; `terminal_s`, `terminal_x` and `supply_v` are told, and nobody here asks for them.
"""
