"""From a database's URL to an engine that keeps its promises: what is committed is on the disk, a writer is alone, waits end.

SQLite: the `sqlite3` module begins no transaction by itself (`isolation_level` None); `transaction` says `BEGIN IMMEDIATE` for
who writes and `BEGIN` for who reads, so that a reader sees one instant and a writer never fails half-way for want of the lock.
It is no listener to SQLAlchemy's "begin": an engine that has one asks about listeners at each statement, a fifth of its time.
"""

from __future__ import annotations

import os
import select
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError

from portal_sim.sql.faults import cannot_open
from wire.errors import ConfigError
from wire.loopback import is_loopback

MEMORY = "memory:"
"""The URL of the store in memory, which is no database."""
OPTION = "--database"
FORMS = "memory:, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"

WAIT_S = 5
"""How long a statement waits for a lock, a start for its connection, and a request for a free connection."""
ASKS_PER_S = 20
"""How often a start asks again for what another start has locked."""
STATEMENT_LIMIT_S = 10
"""No statement of the portal takes a tenth of this."""
IDLE_LIMIT_S = 15
"""A unit that stands still so long was left by its process: PostgreSQL ends it, so that its locks are free again."""
CONNECTIONS = 13
"""For one process. They work one after the other where they write; more than a few readers no core is there for. Three may be at
hand for who writes, reads or glances (`kept`), and there are ten for anybody.
"""
ONLY_OURS = 0o600

_POOL: dict[str, Any] = {
    "pool_size": CONNECTIONS,
    "max_overflow": 0,
    "pool_timeout": WAIT_S,
    "hide_parameters": True,  # an error's text may reach a log, and among the values are hashes of passwords and tokens
}
_ON_CONNECT = (
    f"PRAGMA busy_timeout = {WAIT_S * 1000}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
)
_SETTINGS = {
    "statement_timeout": f"{STATEMENT_LIMIT_S}s",
    "lock_timeout": f"{WAIT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_LIMIT_S}s",
    "synchronous_commit": "on",
    "timezone": "UTC",
}


def open_engine(text: str) -> Engine:
    """Return an engine on the database at a URL, after it has answered once.

    Raises `ConfigError` for a URL that is none, or leads to no database of ours; `CarrierFault` for one that cannot be had now.
    No message has the password in it.
    """
    url = _read(text)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except DBAPIError as error:
        engine.dispose()
        raise cannot_open(error, place(url)) from None
    return engine


@contextmanager
def opened(text: str) -> Iterator[Engine]:
    """Open an engine as `open_engine` does, for the length of a block."""
    engine = open_engine(text)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def transaction(connection: sa.Connection, *, writes: bool) -> Iterator[None]:
    """Begin a transaction; end it with the block, or undo it where something is raised. Without this SQLite has none."""
    with connection.begin():
        if connection.dialect.name == "sqlite":
            _begin_in_sqlite(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")
        yield


@contextmanager
def writing(engine: Engine) -> Iterator[sa.Connection]:
    """Lend a connection for one transaction that changes things."""
    with engine.connect() as connection, transaction(connection, writes=True):
        yield connection


def readers(engine: Engine) -> Engine:
    """Return the same engine for who looks at things, as they are at one instant."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def glancers(engine: Engine) -> Engine:
    """Return the same engine for who asks one question: no transaction is begun and ended around it."""
    if engine.dialect.name == "sqlite":
        return engine  # it has no transaction that nobody begins
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def place(url: URL) -> str:
    """Return where a database is, for people: no password, no user."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    host = url.host or url.query.get("host") or "localhost"
    return f"{host}{port}/{url.database}"


def file_of(text: str) -> Path | None:
    """Return the file of a database in SQLite, None for one in PostgreSQL. Raises `ConfigError` for a URL that is none."""
    url = _read(text)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def is_here(text: str) -> bool:
    """Whether the database at a URL is on this machine: a file, or a server at a Unix socket or on loopback."""
    url = _read(text)
    host = str(url.host or url.query.get("host") or "")
    return host == "" or host.startswith("/") or is_loopback(host)


def _read(text: str) -> URL:
    if text == MEMORY:
        raise ConfigError("what is in memory is no database", key=OPTION)
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1) if text.startswith("postgres:") else text)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError(f"this is no database URL; known are {FORMS}", key=OPTION) from None
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"a database of the kind {backend!r} is not known; known are {FORMS}", key=OPTION)
    if not url.database or url.database == ":memory:":
        wanted = "a file, as in sqlite:///portal.db" if backend == "sqlite" else "a database, as in .../portal"
        raise ConfigError(f"the URL names no database: write {wanted}", key=OPTION)
    return url.set(drivername="sqlite+pysqlite" if backend == "sqlite" else "postgresql+psycopg")


def _sqlite(url: URL) -> Engine:
    path = Path(str(url.database))
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, ONLY_OURS))  # its WAL gets the same mode
    except OSError as error:
        raise ConfigError(
            f"the database cannot be opened for writing: {error.strerror}; name a file in a folder of yours",
            path=str(path),
        ) from None
    engine = sa.create_engine(url, **_POOL)
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in _ON_CONNECT:
        _patiently(connection, pragma)


def _patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """Execute a pragma. Who turns a new file to WAL while another does is told "locked" at once, whatever the busy timeout."""
    pause = Event()
    for _ in range(WAIT_S * ASKS_PER_S):
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY):
                raise
            pause.wait(1 / ASKS_PER_S)
        else:
            return
    connection.execute(pragma)


def _begin_in_sqlite(connection: sa.Connection, statement: str) -> None:
    raw: Any = connection.connection.dbapi_connection  # SQLAlchemy would wrap as much around it as around a question
    try:
        raw.execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=connection.dialect) from error


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401, PLC0415 - asked for by name below
    except ImportError as error:
        raise ConfigError(
            f"PostgreSQL needs the extra [portal]: pip install 'sgw-bench[portal]' ({error})", key=OPTION
        ) from None
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    engine = sa.create_engine(
        url,
        **_POOL,
        connect_args={"connect_timeout": WAIT_S, "application_name": "sgw-bench portal", "options": settings},
    )
    event.listen(engine, "checkout", _require_alive)
    return engine


def has_ended(connection: Any) -> bool:
    """Whether the server has ended a connection of the driver's that nobody uses. A file ends none.

    To an idle client a server says nothing before it says goodbye, so there is nothing to read on a connection that lives. A ping
    would tell as much and cost a third of a short transaction.
    """
    if isinstance(connection, sqlite3.Connection):
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _require_alive(connection: Any, _record: object, _proxy: object) -> None:
    """Take no connection out of the pool that the server has ended meanwhile."""
    if has_ended(connection):
        raise DisconnectionError
