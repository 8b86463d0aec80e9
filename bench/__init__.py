"""The test bench that a person drives: `from bench import Bench`. Heavy parts load where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bench import Bench, WitnessViolation
    from scenarios.stage import RestBusChange, VehicleChange
    from vci_driver.flashing import FlashBlock
    from vci_driver.outcome import UnlockFailed
    from wire.errors import BenchError, ConfigError, LocalMisuse, NotOnThisCarrier
    from wire.portal_api import PortalError

__all__ = [
    "Bench",
    "BenchError",
    "ConfigError",
    "FlashBlock",
    "LocalMisuse",
    "NotOnThisCarrier",
    "PortalError",
    "RestBusChange",
    "UnlockFailed",
    "VehicleChange",
    "WitnessViolation",
]

_HOMES = {
    "Bench": "bench.bench",
    "BenchError": "wire.errors",
    "ConfigError": "wire.errors",
    "FlashBlock": "vci_driver.flashing",
    "LocalMisuse": "wire.errors",
    "NotOnThisCarrier": "wire.errors",
    "PortalError": "wire.portal_api",
    "RestBusChange": "scenarios.stage",
    "UnlockFailed": "vci_driver.outcome",
    "VehicleChange": "scenarios.stage",
    "WitnessViolation": "bench.bench",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
