"""Tables that were found by measuring: what to set so that a wanted value is measured."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def value_at(table: Sequence[tuple[float, float]], wanted: float) -> float:
    """Return what stands beside `wanted` in a table that rises in its first column, or lies between the neighbours' values."""
    at = bisect_left(table, (wanted,))
    if at == 0 or at == len(table):
        return table[0 if at == 0 else -1][1]
    (low, first), (high, second) = table[at - 1], table[at]
    return first + (second - first) * (wanted - low) / (high - low)
