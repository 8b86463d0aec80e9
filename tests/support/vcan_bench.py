"""Benches on real interfaces for tests: their bench files, their served cars, and plain sockets beside them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from command_line import COMMAND, environment
from served_car import PATIENCE_S

from bench.bench_file import load_bench
from bench.live import reach
from bench.live.client import ControlClient
from bench.live.reach import ServedProcess
from vci_driver.linux_can.frames import pack, unpack
from wire.frame import Frame

BENCH = """\
title: A bench of this test's own
vehicle: {vehicle}
car: served
longest_wait: {longest_wait}
buses:
  obd: {{driver: socketcan, channel: {car}}}
{buses}tester: {{driver: socketcan, channel: {tester}, delta_p2: {delta_p2}{more}}}
"""
SOCKET_FOLDER = Path("/dev/shm")  # noqa: S108 - the one place in every guest where Unix sockets have paths
CHAIN = """\
title: From the login to the coding
vehicle: vag-golf
steps:
  - reach: validated
  - vehicle: {bonnet: open}
  - write-coding: {ecu: cluster, data: "01 02 03 04 05 06 07 08"}
    expect: {nrc: 0x33}
  - login
  - unlock: cluster
  - security-access: {ecu: cluster, level: 3}
  - write-coding: {ecu: cluster, data: "01 02 03 04 05 06 07 08"}
  - unlock-state: cluster
    expect: {locked: false}
"""


def bench_file(
    folder: Path,
    car: str = "vcan0",
    tester: str | None = None,
    *,
    vehicle: str = "vag-golf",
    longest_wait: str = "6 s",
    delta_p2: str = "5 s",
    buses: str = "",
    more: str = "",
) -> Path:
    """Write a bench file; `buses`: further ones, a line each; `more`: further keys of the tester."""
    path = folder / "own.yaml"
    text = BENCH.format(
        vehicle=vehicle,
        longest_wait=longest_wait,
        car=car,
        tester=tester or car,
        buses="".join(f"  {line}\n" for line in buses.splitlines()),
        delta_p2=delta_p2,
        more=more and f", {more}",
    )
    path.write_text(text, encoding="utf-8")
    return path


def process_of(path: Path) -> ServedProcess:
    """Return this program's process that serves the car of a bench file."""
    key = repr(load_bench(str(path)))
    return next(process for (_, spec), process in reach._served.items() if spec == key)


def end_processes() -> None:
    """End the processes that this program started."""
    for process in reach._served.values():
        process.close()
    reach._served.clear()


def log_of(process: ServedProcess) -> str:
    """Return all that a serving process has written for people."""
    return (Path(process._folder.name) / "log").read_text()


def kill(process: ServedProcess) -> None:
    """End a process as the kernel does when memory runs out."""
    os.kill(process.pid, signal.SIGKILL)
    process._process.wait(PATIENCE_S)


def state_of(control: Path) -> dict:
    """Return what a served car says of itself."""
    with contextlib.closing(ControlClient(control)) as client:
        state = client.line("state")
    assert isinstance(state, dict)
    return state


class Serving:
    """A running `sgw-bench serve`."""

    def __init__(self, process: subprocess.Popen[str], control: Path, log: Path) -> None:
        self.process = process
        self.control = control
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    def state(self) -> dict:
        return state_of(self.control)

    def end(self) -> str:
        """End it as a person does; return its log."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE_S) == 0, self.log()
        return self.log()


@contextlib.contextmanager
def serving(folder: Path, bench: str, *more: str) -> Iterator[Serving]:
    """Run `sgw-bench serve` as a person's shell does, ready; killed at the end if it still runs."""
    control, log = folder / "car.sock", folder / "serve.log"
    command = [*COMMAND, "serve", "--plain", "--bench", bench, "--control", str(control), *more]
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=said,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", log.read_text()
        yield Serving(process, control, log)
    finally:
        process.kill()
        process.communicate()


class Stranger:
    """Another program's plain socket: hears everything, sends anything."""

    def __init__(self, interface: str, can_ids: Sequence[int] = ()) -> None:
        self.socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        if can_ids:
            rules = b"".join(can_id.to_bytes(4, "little") + (0xC000_07FF).to_bytes(4, "little") for can_id in can_ids)
            self.socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, rules)
        self.socket.bind((interface,))
        self.socket.settimeout(PATIENCE_S)

    def send(self, frame: Frame) -> None:
        self.socket.send(pack(frame))

    def hear(self) -> Frame:
        return unpack(self.socket.recv(72))

    def close(self) -> None:
        self.socket.close()
