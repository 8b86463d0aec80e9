"""`sgw-bench portal` as a process of its own, as a person starts it, and what it said."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from command_line import COMMAND, environment

PATIENCE_S = 90
"""For a busy machine."""


class PortalProcess:
    """Lines that it printed are read by threads, so that it never waits for a reader."""

    def __init__(self, data: Path, *words: str, **variables: str) -> None:
        self._child = subprocess.Popen(
            [*COMMAND, "portal", "--port", "0", "--data", str(data), *words],
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: dict[str, str] = {}
        self.out: list[str] = []
        self.err: list[str] = []
        self._started = threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(self._child.stdout, self.out), daemon=True),
            threading.Thread(target=self._read, args=(self._child.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Iterator[str], lines: list[str]) -> None:
        for line in pipe:
            lines.append(line.rstrip())
            name, _, value = line.strip().partition("  ")
            self.said[name.strip() if value else line.rpartition(" ")[0].strip()] = line.split()[-1]
            if lines is self.out and line.startswith("mail"):
                self._started.set()
        if lines is self.out:
            self._started.set()  # it ended

    @property
    def url(self) -> str:
        """Where it serves; waits for it."""
        assert self._started.wait(PATIENCE_S), self.err
        assert "portal at" in self.said, self.err
        return self.said["portal at"]

    @property
    def control_token(self) -> str:
        return self.said["control token"].partition("=")[2]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._child.pid, number)

    def wait(self) -> int:
        """Return the exit status, once it has ended."""
        status = self._child.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return status

    def end(self) -> None:
        """End it for good, whatever it does."""
        if self._child.poll() is None:
            self._child.kill()
        self.wait()
        for pipe in (self._child.stdout, self._child.stderr):
            pipe.close()


@contextlib.contextmanager
def portal_process(data: Path, *words: str, **variables: str) -> Iterator[PortalProcess]:
    """Run one while a block runs."""
    process = PortalProcess(data, *words, **variables)
    try:
        yield process
    finally:
        process.end()
