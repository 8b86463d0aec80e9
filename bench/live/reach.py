"""How a bench gets at its car: one that is served already, one in a process started for it, or a foreign one.

Benches of one program share the process that was started: each puts its own car there, which costs a few milliseconds where a
process costs half a second. Programs that share a bus (pytest's workers) take turns.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from bench.bench_file import BenchSpec, CarAt
from bench.car import BenchCar, ForeignCar
from bench.live.client import ControlClient, ServerLost
from bench.live.places import control_path, keys_file, turn_file
from bench.live.remote_car import RemoteCar
from bench.live.server import DEFAULT_VEHICLE
from bench.vehicle_file import VehicleSpec, load_vehicle
from wire.clock import stopwatch
from wire.errors import CarrierFault, ConfigError, LocalMisuse, NotOnThisCarrier
from wire.served_places import answers

READY = b"ready\n"
START_PATIENCE_S = 60.0
"""A process starts in half a second here; emulated machines take half a minute."""
END_PATIENCE_S = 5.0
TURN_PATIENCE_S = 600.0
"""Another program may hold the bus for a whole test; a longer wait means that it hangs."""
TURN_LOOK_S = 0.05


class CarNotStarted(CarrierFault):
    """The process that was to serve the car ended, or never got ready: the text holds what it said."""


class BenchInUse(CarrierFault):
    """Another program has had the bench's bus for longer than anybody waits."""


class ServedProcess:
    """A process that serves a bench file's car to this program alone; it ends with it. `more`: further options of `serve`."""

    def __init__(self, spec: BenchSpec, more: Sequence[str] = ()) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sgw-bench-")
        folder = Path(self._folder.name)
        self.control = spec.control or folder / "control.sock"
        self.keys = folder / "key-set.json"
        self._log = (folder / "log").open("w+b")
        command = [sys.executable, "-m", "bench.cli", "serve", "--plain", "--with-parent"]
        command += ["--bench", str(spec.path) if spec.path else spec.name]
        command += ["--control", str(self.control)]
        command += ["--keys", keys_file(spec) if spec.portal.url else str(self.keys)]
        command += more
        self._process = subprocess.Popen(  # noqa: S603 - our own command  # nosec B603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def clear_bench(self) -> None:
        """Take the car off its buses: this process stays for this program's next bench, and others may have their car there."""
        with contextlib.suppress(ServerLost), contextlib.closing(ControlClient(self.control)) as client:
            client.call("clear")

    def _wait_until_ready(self) -> None:
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], START_PATIENCE_S)[0] or out.readline() != READY:
            self._process.kill()
            self._process.wait()
            raise CarNotStarted(f"the car could not be served: {self.said() or 'it said nothing'}")

    def said(self) -> str:
        """Return the last that the process wrote for people."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return lines[-1].removeprefix("sgw-bench: ") if lines else ""

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
        self._folder.cleanup()


_served: dict[tuple[int, str], ServedProcess] = {}
"""The processes that this program started, by its number and the bench file they serve."""
_turns: set[str] = set()
"""The places that this program's benches have."""


def reach_car(
    spec: BenchSpec,
    wanted: VehicleSpec | None,
    *,
    epoch_utc_s: int,
    audited: bool,
    served: ServedProcess | None = None,
) -> BenchCar:
    """Return the car of a bench whose car is not in this process.

    Raises `CarNotStarted`, `ServerLost`, `BenchInUse`, and `NotOnThisCarrier` where another vehicle stands there for good.
    """
    if served is not None:
        return _remote(spec, wanted, ControlClient(served.control), served.keys, lambda: None)
    if spec.car is CarAt.SERVED:
        return _served_car(spec, wanted)
    if spec.control is not None:
        return _remote(spec, wanted, ControlClient(spec.control), None, lambda: None)
    standing = load_vehicle(spec.vehicle or DEFAULT_VEHICLE)
    if wanted is not None and wanted != standing:
        raise NotOnThisCarrier(
            f"the car on this bench is {standing.name!r}, not {wanted.name!r} (vehicle in the bench file)"
        )
    return ForeignCar(standing, where=spec.car.value, epoch_utc_s=epoch_utc_s, audited=audited)


def _served_car(spec: BenchSpec, wanted: VehicleSpec | None) -> BenchCar:
    nobodys = not spec.buses and spec.control is None and not answers(control_path(spec))
    release = (
        _claim(repr(spec), spec.name) if nobodys else _take_turn(spec)
    )  # a virtual bus of our own is nobody else's
    try:
        if not nobodys:
            with contextlib.suppress(ServerLost):
                return _remote(spec, wanted, ControlClient(control_path(spec)), Path(keys_file(spec)), release)
        process = _process_of(spec)

        def leave() -> None:
            try:
                process.clear_bench()
            finally:
                release()

        return _remote(spec, wanted, ControlClient(process.control), process.keys, leave)
    except BaseException:
        release()
        raise


def _remote(
    spec: BenchSpec, wanted: VehicleSpec | None, client: ControlClient, keys: Path | None, release: Callable[[], None]
) -> RemoteCar:
    vehicle = wanted or load_vehicle(spec.vehicle or DEFAULT_VEHICLE)
    try:
        client.call("put", vehicle=str(vehicle.path))
    except ConfigError as error:
        client.close()
        raise NotOnThisCarrier(f"this vehicle does not fit the bench: {error}") from error
    except BaseException:
        client.close()
        raise
    return RemoteCar(vehicle, client, keys, release)


def _process_of(spec: BenchSpec) -> ServedProcess:
    """Return this program's process for a bench file, started where there is none (any more)."""
    key = (os.getpid(), repr(spec))  # a forked program starts its own
    process = _served.get(key)
    if process is None or not process.alive:
        process = _served[key] = ServedProcess(spec)
        atexit.register(process.close)
    return process


def _take_turn(spec: BenchSpec) -> Callable[[], None]:
    """Wait until no other program of this user is at the bus; return what ends our turn."""
    try:
        import fcntl  # noqa: F401, PLC0415 - not on Windows, where nothing is served
    except ImportError:
        return lambda: None
    path = turn_file(spec)
    end_claim = _claim(str(path), spec.name)
    lock: IO[str] = path.open("a+", encoding="ascii")
    try:
        _wait_for_turn(lock, spec.name)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
    except BaseException:
        lock.close()
        end_claim()
        raise

    def release() -> None:
        end_claim()
        lock.close()

    return release


def _claim(place: str, bench: str) -> Callable[[], None]:
    """Have a place for one bench of this program, which would wait for itself for good; return what gives it back."""
    if place in _turns:
        raise LocalMisuse(f"a bench of this program is at the bus of {bench!r} already: close that bench first")
    _turns.add(place)
    return lambda: _turns.discard(place)


def _wait_for_turn(lock: IO[str], bench: str) -> None:
    import fcntl  # noqa: PLC0415 - see `_take_turn`

    waited, pause = stopwatch(), threading.Event()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited() > TURN_PATIENCE_S:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise BenchInUse(
                    f"process {holder} has had the bus of bench {bench!r} for {TURN_PATIENCE_S:g} s"
                ) from None
            pause.wait(TURN_LOOK_S)
        else:
            return
