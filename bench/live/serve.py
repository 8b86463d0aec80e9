"""`sgw-bench serve`: runs a `CarServer` until a signal, its parent or a call ends it. Logs a line for what is worth knowing."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bench.bench_file import BenchSpec, CarAt
from bench.live.places import control_path, keys_file
from bench.live.recording import Recording
from bench.live.server import CarServer
from bench.live.service import ServiceManager
from wire.errors import ConfigError

READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line says beyond the bench file. `with_parent`: end when standard input does."""

    vehicle: str | None = None
    control: Path | None = None
    keys: str | None = None
    recording: Recording | None = None
    with_parent: bool = False


def serve(spec: BenchSpec, options: ServeOptions, log: Callable[[str], None] | None = None) -> None:
    """Serve the car of a bench file until told to end. Raises `ConfigError`, `CarrierFault`."""
    check_served(spec)
    say = log or _say
    service = ServiceManager()
    server = CarServer(
        spec,
        control=options.control or control_path(spec),
        keys=options.keys or keys_file(spec),
        vehicle=options.vehicle,
        log=say,
        recording=options.recording,
        on_world=service.keep_alive,
    )
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ending(server))
        if options.with_parent:
            server.clock.register(sys.stdin.fileno(), lambda: _parent_said(server))
        car = server.car.spec
        carried = [f"{name} on {carrier.driver}:{carrier.channel}" for name, carrier in spec.buses.items()]
        buses = ", ".join(carried) or "virtual buses"
        say(f"serving {car.title}, {car.vin}; {buses}; control socket {server.control_path}")
        gc.collect()
        gc.freeze()  # what stands now stays: nobody need look through it again while requests come
        print(READY, flush=True)  # noqa: T201 - whoever started us waits for it
        service.tell("READY=1", f"STATUS=serving {car.name}")
        server.run()
        service.tell("STOPPING=1")
        late = f"{server.overrun_count()} deadlines late, the worst by {server.worst_overrun_ms():.1f} ms"
        say(f"ended after {server.requests.requests} requests; {late}")
    finally:
        server.close()


def check_served(spec: BenchSpec) -> None:
    """Raise `ConfigError` for a bench file whose car cannot be served."""
    if spec.car is not CarAt.SERVED:
        raise ConfigError(
            f"the car of bench {spec.name!r} is {spec.car.value!r}: only one that is 'served' can be; "
            "`sgw-bench benches` lists such",
            path=str(spec.path or ""),
            key="car",
        )


def _ending(server: CarServer) -> Callable[[int, FrameType | None], None]:
    return lambda _number, _frame: server.end()


def _parent_said(server: CarServer) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        server.end()


def _say(text: str) -> None:
    try:
        print(f"sgw-bench: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the log of a service
    except OSError:  # who read it is gone, and the car is not
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
