"""How many frames one wake-up reads: learnt, because a read that finds nothing costs as much as one that finds a frame.

Between request and answer there is one frame per wake-up, and one read; in a burst a wake-up reads on until nothing is left.
The descriptor stays readable while frames wait, so none is lost by leaving them for the next wake-up.
"""

from __future__ import annotations

READ_BURST = 256
"""Frames read in one go before the world's other work has its turn."""
HOLD_OFF_MAX = 16
"""At most so many wake-ups pass without trying for a second frame: a burst's beginning is read one by one no longer."""
FIRST_QUOTA = 4
GROWTH = 4


class ReadPace:
    """Plans the reads of each wake-up from what earlier ones found."""

    __slots__ = ("_hold_off", "_quota", "_skip")

    def __init__(self) -> None:
        self._quota = FIRST_QUOTA
        self._hold_off = 0
        self._skip = 0

    def plan(self) -> int:
        """Return how many reads to try now, at least one. After more than one tell `learn` what they found."""
        if self._skip:
            self._skip -= 1
            return 1
        return self._quota

    def learn(self, planned: int, found: int) -> None:
        """Learn from a wake-up that tried `planned` reads, all of them if `found` frames are as many."""
        if found >= planned:
            self._quota = min(planned * GROWTH, READ_BURST)
            self._hold_off = 0
        elif found > 1:
            self._hold_off = 0
        else:
            self._quota = FIRST_QUOTA
            self._hold_off = self._skip = min(max(1, 2 * self._hold_off), HOLD_OFF_MAX)
