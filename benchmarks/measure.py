"""Measuring: short rounds in turns, and their medians. The machine is shared: only what is measured in turns compares."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import perf_counter

ROUND_S = 0.15
ROUNDS = 9
Act = Callable[[], object]


def in_turns(*acts: Act, rounds: int = ROUNDS, round_s: float = ROUND_S) -> list[float]:
    """Return how often each act runs in a second: after a warm-up, the median of rounds that take turns with each other."""
    counts = [_count(act, round_s) for act in acts]
    rates: list[list[float]] = [[] for _ in acts]
    for _ in range(rounds):
        for act, count, of_act in zip(acts, counts, rates, strict=True):
            of_act.append(count / _timed(act, count))
    return [statistics.median(of_act) for of_act in rates]


def seconds(act: Act, *, rounds: int = 3) -> float:
    """Return the median seconds of one `act`."""
    return statistics.median(_timed(act, 1) for _ in range(rounds))


def _count(act: Act, round_s: float) -> int:
    act()
    count, took_s = 1, _timed(act, 1)
    while took_s < round_s / 5:
        count *= 2
        took_s = _timed(act, count)
    return max(1, int(count * round_s / took_s))


def _timed(act: Act, count: int) -> float:
    gc.collect()
    start = perf_counter()
    for _ in range(count):
        act()
    return perf_counter() - start
