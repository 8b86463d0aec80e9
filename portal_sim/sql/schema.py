"""Which version of the schema a database has, and the way to the newest one.

A new, empty database is set up by itself. An old one is changed only by command: whoever starts the portal may want a copy first.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from portal_sim.sql.engine import place, writing
from portal_sim.sql.faults import cannot_open
from wire.errors import ConfigError

UPGRADE = "sgw-bench portal database upgrade"
_LOCK = 0x5367_7742  # "SgwB", for pg_advisory_xact_lock: two who start at once set up one after the other


class MigrationNeeded(ConfigError):
    """The database is of an older version."""


def check(engine: Engine) -> None:
    """Set up a database that is empty; raise `ConfigError` for one that this version cannot work with."""
    try:
        with writing(engine) as connection:
            _lock(connection)
            before = _version(connection)
            if before is None and not sa.inspect(connection).get_table_names():
                _migrate(connection)
            else:
                _require_newest(before, place(engine.url))
    except DBAPIError as error:
        raise cannot_open(error, place(engine.url)) from None


def upgrade(engine: Engine, version: str = "head") -> tuple[str | None, str]:
    """Bring a database to a version, keeping what is in it; return the versions before and after. All of it or nothing."""
    try:
        with writing(engine) as connection:
            _lock(connection)
            before = _version(connection)
            if before is not None and before not in versions():
                raise _newer(place(engine.url))
            _migrate(connection, version)
            return before, _version(connection) or ""
    except DBAPIError as error:
        raise cannot_open(error, place(engine.url)) from None


def version_of(engine: Engine) -> str | None:
    """Return a database's version, or None where it has none."""
    with engine.connect() as connection:
        return _version(connection)


@cache
def versions() -> tuple[str, ...]:
    """Return all versions, oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    return tuple(script.revision for script in reversed(list(scripts.walk_revisions())))


def _require_newest(version: str | None, where: str) -> None:
    if version is None:
        raise ConfigError("this database is somebody else's: there are tables in it, and none of ours", path=where)
    if version not in versions():
        raise _newer(where)
    if version != versions()[-1]:
        raise MigrationNeeded(
            f"migration needed: make a copy, then run `{UPGRADE}`, with the same --data or --database", path=where
        )


def _newer(where: str) -> ConfigError:
    return ConfigError("this database was made by a newer sgw-bench: install that one", path=where)


def _version(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _migrate(connection: sa.Connection, version: str = "head") -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
