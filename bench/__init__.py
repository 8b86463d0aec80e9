"""The test bench that a person drives: `from bench import Bench`. Heavy parts load where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.bench import Bench

__all__ = ["Bench"]


def __getattr__(name: str) -> object:
    if name == "Bench":
        from bench.bench import Bench  # noqa: PLC0415 - lazy: importing a package must be quick

        return Bench
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
