"""What a database's errors mean to people: one sentence at the start, `Conflict` or "unavailable" in the middle of a request.

What is a mistake of ours (a constraint, a statement that is none) is not translated: it shall be seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from portal_sim.store import Conflict
from wire.errors import BenchError, CarrierFault, ConfigError
from wire.portal_api import PortalError, PortalErrorCode

RETRY_S = 1
_DO_AGAIN = ("40001", "40P01")
"""Serialization failure, deadlock (PostgreSQL, appendix A)."""
_TIMED_OUT = ("55P03", "57014", "25P03")
"""Lock not available, query cancelled, idle in transaction (ibid.)."""

_SQLITE = {
    "SQLITE_NOTADB": "the file is no SQLite database: name another one, or move it away",
    "SQLITE_CORRUPT": "the database is damaged: put a copy back",
    "SQLITE_CANTOPEN": "the database cannot be opened: is its folder there, and yours?",
    "SQLITE_READONLY": "the database cannot be written: give this user the right to, or name another file",
    "SQLITE_PERM": "the database cannot be written: give this user the right to, or name another file",
}
_SQLITE_NOW = {
    "SQLITE_FULL": "the disk is full: make room",
    "SQLITE_BUSY": "another process holds the database locked: end it, and start again",
    "SQLITE_LOCKED": "another process holds the database locked: end it, and start again",
    "SQLITE_IOERR": "the disk does not answer as it should: look at the system's log",
}
_POSTGRESQL = {
    "password authentication failed": "PostgreSQL refused user or password: look at the URL",
    "no password supplied": "PostgreSQL wants a password: write it into the URL",
    "does not exist": "PostgreSQL knows no such user or database: make it with createuser or createdb, or look at the URL",
    "no pg_hba.conf entry": "PostgreSQL lets nobody in from here under this name: look at its pg_hba.conf",
    "permission denied": "PostgreSQL does not let this user do this: grant it",
}


def cannot_open(error: DBAPIError, where: str) -> BenchError:
    """Return what to raise when a database at `where` cannot be used from the start on."""
    text = str(error.orig).strip()
    if isinstance(error.orig, sqlite3.Error):
        name = _sqlite_name(error)
        if name in _SQLITE:
            return ConfigError(_SQLITE[name], path=where)
        return CarrierFault(f"{where}: {_SQLITE_NOW.get(name, text)}")
    for sign, sentence in _POSTGRESQL.items():
        if sign in text:
            return ConfigError(sentence, path=where)
    lines = [line for line in text.splitlines() if ": " in line]  # below them libpq asks whether the server runs
    reason = lines[-1].rpartition(": ")[2].strip() if lines else "no answer"
    return CarrierFault(f"no PostgreSQL answers at {where}: start it, or look at the URL ({reason})")


@contextmanager
def told() -> Iterator[None]:
    """Turn a database's errors into `Conflict` or a `PortalError` with what is left to the person to do."""
    try:
        yield
    except NoFreeConnection:
        raise unavailable("The back end is busy.") from None
    except (DataError, UnicodeEncodeError, OverflowError):
        raise PortalError(
            PortalErrorCode.INVALID_INPUT, "There is a character or a number in it that cannot be kept."
        ) from None
    except DBAPIError as error:
        if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
            raise _translated(error) from error
        raise


def _translated(error: DBAPIError) -> Exception:
    state = getattr(error.orig, "sqlstate", None)
    if state in _DO_AGAIN:
        return Conflict()
    if state in _TIMED_OUT or _sqlite_name(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return unavailable("The back end is busy.")
    return unavailable("The back end's database cannot be reached.")


def unavailable(sentence: str) -> PortalError:
    """Return the refusal of a back end that cannot answer now, and when to ask again."""
    return PortalError(PortalErrorCode.UNAVAILABLE, f"{sentence} Try again later.", retry_after_s=RETRY_S)


def _sqlite_name(error: DBAPIError) -> str:
    """Return the primary result code's name, without what an extended one adds (`SQLITE_READONLY_DIRECTORY`)."""
    name = getattr(error.orig, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])
