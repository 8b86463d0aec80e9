"""The folder where a portal keeps what must outlive it: keys, database, mail, media. One portal at a time works in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from wire.errors import CarrierFault, ConfigError

LOCK = "portal.lock"
ONLY_OURS = 0o700


class DataFolder:
    """Takes a folder, makes it where there is none, and holds it until `close`.

    Raises `ConfigError` for one that cannot be written, `CarrierFault` where another portal has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=ONLY_OURS, parents=True, exist_ok=True)
            self._lock: IO[str] = (path / LOCK).open("a+", encoding="ascii")
        except OSError as error:
            why = "it is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
            raise ConfigError(
                f"the portal's data cannot be kept here: {why}; choose another --data", path=str(path)
            ) from None
        try:
            self._take()
        except BaseException:
            self._lock.close()
            raise

    def _take(self) -> None:
        try:
            import fcntl  # noqa: PLC0415 - not on Windows, where two portals on one folder are the person's own to avoid
        except ImportError:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            who = self._lock.read(20).strip() or "?"
            raise CarrierFault(
                f"{self.path}: another portal (process {who}) works with this data; end it, or choose another --data"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def close(self) -> None:
        """Let another portal have it."""
        with contextlib.suppress(OSError):
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
