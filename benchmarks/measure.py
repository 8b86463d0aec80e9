"""Measuring: short rounds, the median rate. The machine is shared, so only ratios of one run mean something."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

ROUND_S = 0.25
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second: the median of the rounds, and their spread."""

    per_s: float
    low: float
    high: float


def rate(act: Callable[[], object], *, rounds: int = ROUNDS, round_s: float = ROUND_S) -> Rate:
    """Return how often `act` runs in a second: after a warm-up, the median of several rounds."""
    act()
    count, took_s = 1, _timed(act, 1)
    while took_s < round_s / 5:
        count *= 2
        took_s = _timed(act, count)
    count = max(1, int(count * round_s / took_s))
    rates = sorted(count / _timed(act, count) for _ in range(rounds))
    return Rate(statistics.median(rates), rates[0], rates[-1])


def seconds(act: Callable[[], object], *, rounds: int = 3) -> float:
    """Return the median seconds of one `act`."""
    return statistics.median(_timed(act, 1) for _ in range(rounds))


def _timed(act: Callable[[], object], count: int) -> float:
    gc.collect()
    start = perf_counter()
    for _ in range(count):
        act()
    return perf_counter() - start
