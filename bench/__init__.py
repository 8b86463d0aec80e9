"""The test bench that a person drives: `from bench import Bench`. Heavy parts load where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bench import Bench, WitnessViolation
    from scenarios.stage import VehicleChange

__all__ = ["Bench", "VehicleChange", "WitnessViolation"]

_HOMES = {"Bench": "bench.bench", "WitnessViolation": "bench.bench", "VehicleChange": "scenarios.stage"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
