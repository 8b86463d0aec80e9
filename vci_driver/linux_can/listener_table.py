"""Who is told of which identifier, and which identifiers a socket is to let pass for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wire.frame import Frame

Listeners = tuple[Callable[[Frame], None], ...]


class ListenerTable:
    """Listeners by identifier, listeners to all, and `other_sender`, told of others' frames with an identifier of ours."""

    __slots__ = ("_all", "_by_id", "_other_sender", "own_ids")

    def __init__(self, other_sender: Callable[[Frame], None]) -> None:
        self._other_sender = other_sender
        self._by_id: dict[int, Listeners] = {}
        self._all: Listeners = ()
        self.own_ids: set[int] = set()

    def add(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Add a listener to these identifiers (None: all)."""
        if can_ids is None:
            self._all = (*self._all, listener)
            return
        for can_id in can_ids:
            self._by_id[can_id] = (*self._by_id.get(can_id, ()), listener)

    def wanted(self) -> set[int] | None:
        """Return the identifiers that somebody wants to hear of (None: all)."""
        return None if self._all else {*self._by_id, *self.own_ids}

    def build(self) -> tuple[dict[int, Listeners], Listeners]:
        """Return whom to tell of each identifier, and whom of those that are not named: one look-up for each frame."""
        table = {can_id: (*named, *self._all) for can_id, named in self._by_id.items()}
        for can_id in self.own_ids:
            table[can_id] = (self._other_sender, *table.get(can_id, self._all))
        return table, self._all
