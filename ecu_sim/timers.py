"""What a unit does by itself later: each deed has a key and a time. No thread, no clock: the server asks what is due."""

from __future__ import annotations

from collections.abc import Callable, Hashable

Deed = Callable[[int], None]
DEEDS_AT_ONE_INSTANT = 1000
"""A deed that sets itself for the same instant again and again would hold the world there."""


class Timers:
    """Deeds by key. `next_ns`: when the earliest is due, None without any."""

    __slots__ = ("_due", "next_ns")

    def __init__(self) -> None:
        self._due: dict[Hashable, tuple[int, Deed]] = {}
        self.next_ns: int | None = None

    def at(self, key: Hashable, due_ns: int, deed: Deed) -> None:
        """Do `deed(now_ns)` at `due_ns`, instead of what `key` stood for before."""
        self._due.pop(key, None)
        self._due[key] = (due_ns, deed)
        self._find_next()

    def cancel(self, key: Hashable) -> None:
        """Forget a deed, if there is one."""
        if self._due.pop(key, None) is not None:
            self._find_next()

    def cancel_all(self, kind: str) -> None:
        """Forget every deed whose key is a tuple that begins with `kind`."""
        for key in [key for key in self._due if isinstance(key, tuple) and key[0] == kind]:
            del self._due[key]
        self._find_next()

    def clear(self) -> None:
        """Forget everything."""
        self._due.clear()
        self.next_ns = None

    def run(self, now_ns: int) -> None:
        """Do what is due, the earliest first; what was set first goes first at one instant."""
        for _ in range(DEEDS_AT_ONE_INSTANT):
            if self.next_ns is None or self.next_ns > now_ns:
                return
            key = min(self._due, key=lambda key: self._due[key][0])
            _, deed = self._due.pop(key)
            self._find_next()
            deed(now_ns)
        raise AssertionError(f"more than {DEEDS_AT_ONE_INSTANT} deeds at {now_ns} ns: {list(self._due)[:3]}")

    def _find_next(self) -> None:
        self.next_ns = min((due_ns for due_ns, _ in self._due.values()), default=None)
