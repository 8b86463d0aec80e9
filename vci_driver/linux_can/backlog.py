"""Frames that wait because the interface's transmit queue is full: tried again in order from a timer, within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from vci_driver.linux_can.counters import RawCounters
from wire.clock import NS_PER_MS, NS_PER_S
from wire.frame import Frame
from wire.world import World

RETRY_NS = NS_PER_MS
"""A full transmit queue is tried again so often: at 500 kbit/s it has sent some four frames meanwhile."""
RETRY_LIMIT_NS = NS_PER_S
"""A frame that waited so long is given up: who sent it has given it up too (N_As)."""
BACKLOG_MAX = 1024
"""Frames that may wait: more than a message of 4095 bytes has (586), sent by who waits for nothing."""


class Backlog:
    """Holds frames back. `attempt(frame)` returns False while the queue is full; `on_empty` is told when none waits any more."""

    __slots__ = ("_attempt", "_counters", "_on_empty", "_timer", "_waiting", "_world")

    def __init__(
        self,
        world: World,
        name: str,
        counters: RawCounters,
        *,
        attempt: Callable[[Frame], bool],
        on_empty: Callable[[], None],
    ) -> None:
        self._world = world
        self._counters = counters
        self._attempt = attempt
        self._on_empty = on_empty
        self._waiting: deque[tuple[int, Frame]] = deque()
        self._timer = world.timer(f"{name}/retry", self._on_timer)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, frame: Frame) -> None:
        """Keep a frame until there is room; none overtakes another."""
        if len(self._waiting) >= BACKLOG_MAX:
            self._counters.given_up += 1
            return
        now_ns = self._world.now_ns
        self._waiting.append((now_ns, frame))
        if self._timer.deadline_ns is None:
            self._timer.set(now_ns + RETRY_NS)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._timer.set(None)

    def _on_timer(self, now_ns: int) -> None:
        waiting = self._waiting
        while waiting:
            queued_ns, frame = waiting.popleft()
            if now_ns - queued_ns > RETRY_LIMIT_NS:
                self._counters.given_up += 1
            elif not self._attempt(frame):
                waiting.appendleft((queued_ns, frame))
                self._timer.set(now_ns + RETRY_NS)
                return
        self._on_empty()
