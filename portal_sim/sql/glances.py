"""The connection for who asks one question, with no transaction around it.

It is kept: to take a connection out of the pool, begin and end what is none, and give it back costs more than the question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from portal_sim.sql.engine import glancers, has_ended


class Glances:
    """Hands out connections, one at a time to each thread that asks; the last one stays for who comes next."""

    def __init__(self, engine: Engine) -> None:
        self._engine = glancers(engine)
        self._kept: deque[sa.Connection] = deque()

    @contextmanager
    def connection(self) -> Iterator[sa.Connection]:
        """Lend a connection. One that failed, or that the server has ended meanwhile, is not lent again."""
        connection = self._take() or self._engine.connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._kept:
            connection.close()
        else:
            self._kept.append(connection)

    def close(self) -> None:
        """Give back what is kept."""
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
            return self._kept.pop()
        except IndexError:  # another thread has it
            return None
