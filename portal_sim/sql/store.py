"""The store in a database. One unit of work is one transaction; units come one after the other.

Nearly every unit writes to the audit log, and the log is a chain: who writes must know its end. So units take turns from their
beginning, instead of meeting at the log when they are half done: each sees all that the ones before it did, none has to be done
again for a deadlock; and passwords are hashed outside of units. On SQLite the turn is the file's own lock (BEGIN IMMEDIATE),
behind one of this process, which is fair and wakes at once; on PostgreSQL it is the row that says where the log ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from portal_sim.audit_chain import AuditChain
from portal_sim.sealing import NotSealedHere, Sealing
from portal_sim.sql import schema
from portal_sim.sql import tables as t
from portal_sim.sql.dialect import statements
from portal_sim.sql.engine import WAIT_S, glancers, open_engine, place, readers
from portal_sim.sql.faults import cannot_open, told, unavailable
from portal_sim.sql.kept import Kept
from portal_sim.sql.reading import SqlReading
from portal_sim.sql.unit import SqlUnit
from wire.errors import ConfigError

CHAIN_PURPOSE = "audit chain"
_SEAL, _SEALED = "key", b"sgw-bench portal"
_TURN = sa.select(t.audit_head.c.position, t.audit_head.c.digest).with_for_update()


class SqlStore:
    """See `portal_sim.store.Store`. `engine`: as `open_engine` makes it, of the newest schema.

    Raises `ConfigError` where the database was made under another key.
    """

    def __init__(self, engine: Engine, sealing: Sealing) -> None:
        self._engine = engine
        self._writers, self._readers = Kept(engine), Kept(readers(engine))
        self._glancers = Kept(glancers(engine))
        self._sealing = sealing
        self._chain = AuditChain(sealing.derived(CHAIN_PURPOSE))
        self._statements = statements(engine.dialect.name)
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
        for kept in (self._writers, self._readers, self._glancers):
            kept.close()
        self._engine.dispose()

    @contextmanager
    def unit(self) -> Iterator[SqlUnit]:
        """See `Store`. Raises `PortalError` where the database is not to be reached."""
        with self._turn, told(), self._writers.transaction(writes=True) as connection:
            head = self._take_turn(connection)
            yield SqlUnit(connection, self._sealing, self._statements, self._chain, head)

    @contextmanager
    def reading(self) -> Iterator[SqlReading]:
        """See `Store`. Raises `PortalError` where the database is not to be reached."""
        with told(), self._readers.transaction(writes=False) as connection:
            yield SqlReading(connection, self._sealing)

    @contextmanager
    def glance(self) -> Iterator[SqlReading]:
        """See `Store`. Raises `PortalError` where the database is not to be reached."""
        with told(), self._glancers.connection() as connection:
            yield SqlReading(connection, self._sealing)

    def _take_turn(self, connection: sa.Connection) -> tuple[int, bytes] | None:
        if connection.dialect.name == "sqlite":
            return None  # BEGIN IMMEDIATE has taken it
        position, digest = connection.execute(_TURN).one()
        return position, digest

    def _require_key(self) -> None:
        """Require the key that this database's first start had; note it at the first start."""
        try:
            with self._writers.transaction(writes=True) as connection:
                self._take_turn(connection)
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
