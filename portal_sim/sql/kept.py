"""Connections that are kept at hand: to take one out of the pool and give it back costs as much as a question."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from portal_sim.sql.engine import has_ended, transaction


class Kept:
    """An engine's connections; of those that nobody uses one stays at hand, the others go back to the pool."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._at_hand: deque[sa.Connection] = deque()

    @contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """Lend a connection. One that failed, or that the server has ended meanwhile, is not lent again."""
        connection = self._take() or self._engine.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._at_hand:
            connection.close()
        else:
            self._at_hand.append(connection)

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[sa.Connection]:
        """Lend a connection for one transaction, which is undone where something is raised."""
        with self.connection() as connection, transaction(connection, writes=writes):
            yield connection

    def close(self) -> None:
        """Give back what is at hand."""
        while (connection := self._pop()) is not None:
            connection.close()

    def _take(self) -> sa.Connection | None:
        connection = self._pop()
        if connection is not None and has_ended(connection.connection.dbapi_connection):
            connection.invalidate()
            connection.close()
            return None
        return connection

    def _pop(self) -> sa.Connection | None:
        try:
            return self._at_hand.pop()
        except IndexError:  # none, or another thread has it
            return None
