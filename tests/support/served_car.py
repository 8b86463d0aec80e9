"""A served car for tests: in a thread of this process, which is quick to have and counts as covered; on virtual buses in real
time, so that it needs no CAN and meets no other test.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.bench_file import BenchSpec, load_bench
from bench.live.client import ControlClient
from bench.live.server import CarServer
from wire.clock import stopwatch

PATIENCE_S = 10.0
"""How long a test waits at most for what must come; what is there ends the wait at once."""
LOOK_S = 0.005
PACED = """\
title: A served car of this test's own
vehicle: {vehicle}
car: {{at: served, paced: true}}
tester: {{driver: python_can, channel: obd, options: {{interface: sgwbench}}, delta_p2: 5 s}}
"""


def eventually(holds: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Return whether something holds before the end of all patience."""
    waited, pause = stopwatch(), threading.Event()
    while not holds():
        if waited() > patience_s:
            return False
        pause.wait(LOOK_S)
    return True


def paced_file(folder: Path, vehicle: str = "vag-golf", more: str = "") -> Path:
    """Write a bench file whose car is served on virtual buses."""
    path = folder / "own.yaml"
    path.write_text(PACED.format(vehicle=vehicle) + more, encoding="utf-8")
    return path


class Served:
    """A running server, what it logged, and ways to talk to it."""

    def __init__(
        self, server: CarServer, said: list[str], failures: list[BaseException], closed: Callable[[], bool]
    ) -> None:
        self.closed = closed
        self.server = server
        self.said = said
        self._failures = failures
        self.control = server.control_path

    def client(self) -> ControlClient:
        assert not self._failures, f"the served car ended: {self._failures[0].__cause__!r}"
        return ControlClient(self.control)

    def ask(self, line: str) -> object:
        """Send one line on a connection of its own."""
        with contextlib.closing(self.client()) as client:
            return client.line(line)

    def call(self, call: str, /, **args: object) -> object:
        with contextlib.closing(self.client()) as client:
            return client.call(call, **args)

    def raw(self) -> socket.socket:
        """Return a bare connection."""
        bare = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bare.connect(str(self.control))  # waits where the queue is full
        bare.settimeout(PATIENCE_S)
        return bare


@contextlib.contextmanager
def served(spec: BenchSpec, *, keys: str | None = None, vehicle: str | None = None) -> Iterator[Served]:
    """Serve a bench's car in a thread while the block runs, at its own control socket if its file names one; an error of the
    server's is the block's.
    """
    said: list[str] = []
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="sgw-bench-test-") as folder:
        control = spec.control or Path(folder) / "car.sock"
        server = CarServer(spec, control=control, keys=keys, vehicle=vehicle, log=said.append)

        def run() -> None:
            try:
                server.run()
            except Exception as error:  # noqa: BLE001 - told to whoever waits for this thread
                failures.append(error)
            finally:
                server.close()

        thread = threading.Thread(target=run, name="served car")
        made = Served(server, said, failures, lambda: not thread.is_alive())
        thread.start()
        try:
            yield made
        finally:
            server.end()
            thread.join(PATIENCE_S)
            alive = thread.is_alive()
    assert not alive
    if failures:
        raise failures[0]


@contextlib.contextmanager
def served_here(vehicle: str = "vag-golf", *, keys: str | None = None) -> Iterator[Served]:
    """Serve a shipped vehicle on virtual buses that take their bit time."""
    with served(load_bench("paced"), keys=keys, vehicle=vehicle) as here:
        yield here


def lines_of(bare: socket.socket) -> Iterator[dict]:
    """Yield the answers that come on a bare connection, until it ends."""
    have = b""
    while True:
        while b"\n" in have:
            line, _, have = have.partition(b"\n")
            yield json.loads(line)
        try:
            more = bare.recv(65_536)
        except ConnectionError:
            return
        if not more:
            return
        have += more
