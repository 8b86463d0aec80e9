"""One functional request: who answered, who asked for more time, who is still sending; and when that is all.

A small state machine without clock or bus: the link tells it what happened, its timer tells it that time is up.
"""

from __future__ import annotations

from typing import Protocol

from vci_driver.link_peer import POSITIVE
from wire.uds import NEGATIVE_RESPONSE

PENDING = 0x78


class Alarm(Protocol):
    """What is needed of a timer (`wire.world.Timer`)."""

    def set(self, deadline_ns: int | None) -> None:
        """Ask to be called at `deadline_ns`, or not at all."""


class FunctionalExchange:
    """Collects the answers to one request to all units.

    `window_ns`: how long after the request an answer may begin. `answers`: (unit, final answer) in order of completion;
    `broken`: units whose answer began, or was promised by 0x78, and never came whole.
    """

    def __init__(self, payload: bytes, *, timer: Alarm, window_ns: int, max_pending: int) -> None:
        self.answers: list[tuple[str, bytes]] = []
        self.broken_units: list[str] = []
        self.sent = False
        self.finished = False
        self.failure: Exception | None = None
        self.payload = payload
        self._sid = payload[0]
        self._positive = POSITIVE[payload[0]]
        self._timer = timer
        self._window_ns = window_ns
        self._window_end_ns: int | None = None
        self._max_pending = max_pending
        self._receiving: dict[str, None] = {}
        self._promised: dict[str, int] = {}
        self._pending_count: dict[str, int] = {}

    def on_sent(self, now_ns: int) -> None:
        """The request went out: the window opens."""
        self.sent = True
        self._window_end_ns = now_ns + self._window_ns
        self._timer.set(self._window_end_ns)

    def begun(self, unit: str, head: bytes) -> None:
        """A unit began a long answer; the transport watches over its end."""
        if head and head[0] == self._positive and not self._too_late(unit):
            self._promised.pop(unit, None)
            self._receiving[unit] = None

    def received(self, unit: str, payload: bytes, now_ns: int, p2_star_ns: int) -> bool:
        """Take an answer; return whether it was one to this request, and in time."""
        negative = len(payload) == 3 and payload[0] == NEGATIVE_RESPONSE and payload[1] == self._sid
        if not negative and (not payload or payload[0] != self._positive):
            return False
        if self._too_late(unit):
            return False
        self._receiving.pop(unit, None)
        self._promised.pop(unit, None)
        if negative and payload[2] == PENDING:
            count = self._pending_count[unit] = self._pending_count.get(unit, 0) + 1
            if count > self._max_pending:
                self.broken_units.append(unit)
            else:
                self._promised[unit] = now_ns + p2_star_ns
        else:
            self.answers.append((unit, payload))
        self._look(now_ns)
        return True

    def broken(self, unit: str) -> None:
        """A long answer broke off."""
        if unit in self._receiving:
            del self._receiving[unit]
            self.broken_units.append(unit)
            if self._window_end_ns is None and not self._promised and not self._receiving:
                self._finish()

    def fail(self, error: Exception) -> None:
        """The request itself failed."""
        self.failure = error
        self._finish()

    def on_timer(self, now_ns: int) -> None:
        """Time is up for the window, or for a promise."""
        self._look(now_ns)

    def close(self) -> None:
        """Stop waiting."""
        self._timer.set(None)

    def _too_late(self, unit: str) -> bool:
        """Return whether the window is over, and the unit neither asked for time nor began within it."""
        over = self.sent and self._window_end_ns is None
        return over and unit not in self._receiving and unit not in self._promised

    def _look(self, now_ns: int) -> None:
        if self._window_end_ns is not None and now_ns >= self._window_end_ns:
            self._window_end_ns = None
        for unit, deadline_ns in tuple(self._promised.items()):
            if now_ns >= deadline_ns:
                del self._promised[unit]
                self.broken_units.append(unit)
        deadlines = [*self._promised.values(), *(() if self._window_end_ns is None else (self._window_end_ns,))]
        if deadlines:
            self._timer.set(min(deadlines))
        elif not self._receiving and self.sent:
            self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._timer.set(None)
