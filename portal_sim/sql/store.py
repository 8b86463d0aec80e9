"""The store in a database. One unit of work is one transaction; units come one after the other.

Nearly every unit writes to the audit log, and the log is a chain: who writes must know its end. So a unit begins by locking
the end, instead of meeting others there when it is half done. It sees all that the units before it did, none meets another,
none has to be done again for a deadlock; and passwords are hashed outside of units. On SQLite that lock is the file's own
(BEGIN IMMEDIATE), behind a lock of this process, which is fair and wakes at once; on PostgreSQL it is the row of `audit_head`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from portal_sim.audit_chain import AuditChain
from portal_sim.sealing import NotSealedHere, Sealing
from portal_sim.sql import schema
from portal_sim.sql import tables as t
from portal_sim.sql.engine import WAIT_S, open_engine, place, readers, writers
from portal_sim.sql.faults import cannot_open, told, unavailable
from portal_sim.sql.reading import SqlReading
from portal_sim.sql.unit import SqlUnit, locked_head
from portal_sim.sql.upsert import upserts
from wire.errors import ConfigError

CHAIN_PURPOSE = "audit chain"
_SEAL, _SEALED = "key", b"sgw-bench portal"


class SqlStore:
    """See `portal_sim.store.Store`. `engine`: as `open_engine` makes it, of the newest schema.

    Raises `ConfigError` where the database was made under another key.
    """

    def __init__(self, engine: Engine, sealing: Sealing) -> None:
        self._engine = engine
        self._writers, self._readers = writers(engine), readers(engine)
        self._sealing = sealing
        self._chain = AuditChain(sealing.derived(CHAIN_PURPOSE))
        self._upserts = upserts(engine.dialect.name)
        self._turn = _Turn() if engine.dialect.name == "sqlite" else nullcontext()
        self._require_key()

    @classmethod
    def at(cls, url: str, sealing: Sealing) -> SqlStore:
        """Open the store at a URL; a new database is set up. Raises `ConfigError` or `CarrierFault`, in one sentence."""
        engine = open_engine(url)
        try:
            schema.check(engine)
            return cls(engine, sealing)
        except BaseException:
            engine.dispose()
            raise

    @property
    def chain(self) -> AuditChain:
        """The audit log's chain under this store's key."""
        return self._chain

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def unit(self) -> Iterator[SqlUnit]:
        """See `Store`. Raises `PortalError` where the database is not to be reached."""
        with self._turn, told():
            connection, head = _begun(self._writers, locked_head)
            with connection:
                yield SqlUnit(connection, self._sealing, self._upserts, self._chain, head)
                connection.commit()

    @contextmanager
    def reading(self) -> Iterator[SqlReading]:
        """See `Store`. Raises `PortalError` where the database is not to be reached."""
        with told():
            connection, _ = _begun(self._readers, lambda _: (0, b""))
            with connection:
                yield SqlReading(connection, self._sealing)

    def _require_key(self) -> None:
        """Require the key that this database's first start had; note it at the first start."""
        try:
            with self._writers.begin() as connection:
                locked_head(connection)
                sealed = connection.execute(sa.select(t.seals.c.sealed).where(t.seals.c.name == _SEAL)).scalar()
                if sealed is None:
                    new = self._sealing.seal(_SEALED, _SEAL)
                    connection.execute(sa.insert(t.seals).values(name=_SEAL, sealed=new))
                else:
                    self._sealing.unseal(sealed, _SEAL)
        except NotSealedHere:
            raise ConfigError(
                "this database was made under another key: start with that one", path=place(self._engine.url)
            ) from None
        except DBAPIError as error:
            raise cannot_open(error, place(self._engine.url)) from None


class _Turn:
    """One writer of this process at a time. SQLite's own lock is asked again and again, with growing pauses, and is not fair."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=WAIT_S):
            raise unavailable("The back end is busy.")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _begun(
    engine: Engine, first: Callable[[sa.Connection], tuple[int, bytes]]
) -> tuple[sa.Connection, tuple[int, bytes]]:
    """Return a connection whose transaction has begun, and what is looked at first in it.

    A connection that was lost while nobody used it shows only now: then nothing has happened yet, and another one is taken.
    """
    for last in (False, True):
        connection = engine.connect()
        try:
            connection.begin()
            return connection, first(connection)
        except DBAPIError as error:
            connection.close()
            if last or not error.connection_invalidated:
                raise
        except BaseException:
            connection.close()
            raise
    raise AssertionError
