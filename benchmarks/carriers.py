"""`make benchmark-vcan`: the served car on a real carrier, beside plain `AF_CAN` sockets that exchange the same frames.

Needs vcan0 (see tools/with-vcan). Rounds of the rows take turns; a row's figure is the median of its rounds. The car's gateway is
the shipped J533 without the millisecond that it takes to judge a request: that one is simulated, and would hide the rest.
"""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.synchronize
import os
import platform
import socket
import statistics
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.bench import Bench
from bench.bench_file import BenchSpec, CarAt, load_bench
from bench.live.client import ControlClient
from bench.live.reach import ServedProcess
from sgw_sim.profile import FOLDER as PROFILES
from wire.can_bus import CanBus
from wire.frame import Frame
from wire.world import World

INTERFACE = "vcan0"
FRAME = struct.Struct("=IB3x8s")
FILTER = struct.Struct("=II")
CAN_RAW_FILTER, SOL_CAN_RAW, SO_TIMESTAMPNS = 1, 101, 35
REQUEST, RESPONSE = 0x714, 0x77E
LONG_LEN = 4095
ROUNDS = 9
SHORT_READ, LONG_READ = bytes((0x22, 0xF1, 0x86)), bytes((0x22, 0x20, 0x00))
FLOW_CONTROL = b"\x30\x00\x00"
CONSECUTIVE_FRAMES = -(-(LONG_LEN - 6) // 7)
IDLE_UNITS, IDLE_S = 100, 20.0
POSITIVE = 0x62
END = 0x7FF

VEHICLE = """
title: A car with a long answer
make: vag
vin: WVWZZZAAZTW000042
odometer_km: 150
gateway: {profile: gateway.yaml, ecu: vag/gateway}
functional_ids: [0x700]
buses: [obd, body]
ecus:
  cluster: {profile: long.yaml, bus: body}
tester: {padding: 0x55}
"""
UNIT = f"""
extends: vag/cluster
title: 17 cluster
address: 0x17
request_id: 0x714
response_id: 0x77E
dids:
  "2000": {{name: a long record, hex: "{"5A" * (LONG_LEN - 3)}"}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `limit` is the most that `measured` may be."""

    what: str
    measured: str
    value: float
    limit: float
    unit: str

    @property
    def reached(self) -> bool:
        """Whether the figure is at its target."""
        return self.value <= self.limit


# ---- the peer: plain sockets, two processes


def _socket(can_id: int) -> socket.socket:
    """Return a plain socket that hears one identifier."""
    made = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    made.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, FILTER.pack(can_id, 0x7FF))
    made.bind((INTERFACE,))
    return made


def _packed(can_id: int, data: bytes) -> bytes:
    return FRAME.pack(can_id, 8, data.ljust(8, b"\x55"))


def _plain_server(ready: multiprocessing.synchronize.Event, request_id: int, response_id: int) -> None:
    """Answer a single-frame request by a single frame, and one for the long record by first and consecutive frames."""
    here = _socket(request_id)
    short = _packed(response_id, b"\x04\x62\xf1\x86\x01")
    first = _packed(response_id, b"\x1f\xff\x62\x20\x00\x5a\x5a\x5a")
    rest = [
        _packed(response_id, bytes((0x20 | number + 1 & 0xF,)) + b"\x5a" * 7) for number in range(CONSECUTIVE_FRAMES)
    ]
    ready.set()
    while True:
        data = here.recv(16)[8:]
        if data[0] == END & 0xFF:
            return
        if data[2] == 0x20:
            here.send(first)
            here.recv(16)
            for frame in rest:
                here.send(frame)
        else:
            here.send(short)


@contextmanager
def _plain_peer() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield (short exchange, long exchange) between plain sockets; on identifiers of their own, for they share the bus."""
    request_id, response_id = 0x6F0, 0x6F1
    ready = multiprocessing.get_context("fork").Event()
    server = multiprocessing.get_context("fork").Process(target=_plain_server, args=(ready, request_id, response_id))
    server.start()
    ready.wait(30)
    here = _socket(response_id)
    exchanges = plain_exchanges(here, request_id)
    try:
        yield exchanges
    finally:
        here.send(_packed(request_id, bytes((END & 0xFF,))))
        server.join()
        here.close()


def plain_exchanges(here: socket.socket, request_id: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a plain tester's exchanges: a single-frame request, and a read of the long record."""
    short_request = _packed(request_id, b"\x03" + SHORT_READ)
    long_request, go_on = _packed(request_id, b"\x03" + LONG_READ), _packed(request_id, FLOW_CONTROL)

    def short() -> None:
        here.send(short_request)
        while here.recv(16)[9] != POSITIVE:  # not while it asks for patience
            pass

    def long() -> None:
        here.send(long_request)
        while here.recv(16)[10] != POSITIVE:
            pass
        here.send(go_on)
        for _ in range(CONSECUTIVE_FRAMES):
            here.recv(16)

    return short, long


# ---- measuring


def _in_turns(*acts: tuple[Callable[[], object], int]) -> list[float]:
    """Return the median seconds of each act over rounds that take turns; each act runs so many times a round."""
    for act, _ in acts:
        act()
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(ROUNDS):
        for (act, count), of_act in zip(acts, taken, strict=True):
            began = perf_counter()
            for _ in range(count):
                act()
            of_act.append((perf_counter() - began) / count)
    return [statistics.median(of_act) for of_act in taken]


def _our_tester(spec: BenchSpec, vehicle: Path) -> Iterator[Row]:
    """Our tester and the served car, in turns with plain sockets."""
    with _plain_peer() as (plain_short, plain_long), Bench(vehicle=vehicle, file=spec) as bench:
        request = bench.tester().link.request
        assert len(request("cluster", LONG_READ)) == LONG_LEN
        plain_s, ours_s = _in_turns((plain_short, 300), (lambda: request("cluster", SHORT_READ), 300))
        yield _ratio("single frame, our tester", ours_s, plain_s, 4)
        plain_s, ours_s = _in_turns((plain_long, 5), (lambda: request("cluster", LONG_READ), 5))
        yield _ratio(f"{LONG_LEN} bytes, our tester", ours_s, plain_s, 2)
        taken = sorted(_timed(lambda: request("cluster", SHORT_READ)) for _ in range(3000))
        p99_ms = taken[len(taken) * 99 // 100] * 1e3
        measured = f"{p99_ms:.2f} ms (median {statistics.median(taken) * 1e3:.2f} ms)"
        yield Row(what="p99 of 3000 requests", measured=measured, value=p99_ms, limit=2, unit="ms")


@contextmanager
def _served(spec: BenchSpec, vehicle: Path) -> Iterator[int]:
    """Serve a vehicle with nobody at its socket; yield the number of the process."""
    process = ServedProcess(spec)
    try:
        client = ControlClient(process.control)
        client.call("put", vehicle=str(vehicle))
        yield process.pid
        client.close()
    finally:
        process.close()


def _plain_tester(spec: BenchSpec, vehicle: Path) -> Iterator[Row]:
    """A plain socket as the served car's tester, in turns with plain sockets on both sides."""
    with _plain_peer() as (plain_short, plain_long), _served(spec, vehicle):
        here = _socket(RESPONSE)
        served_short, served_long = plain_exchanges(here, REQUEST)
        plain_s, served_s = _in_turns((plain_short, 300), (served_short, 300))
        yield _ratio("single frame, a plain socket as tester", served_s, plain_s, 4)
        plain_s, served_s = _in_turns((plain_long, 5), (served_long, 5))
        yield _ratio(f"{LONG_LEN} bytes, a plain socket as tester", served_s, plain_s, 2)
        here.close()


def _timed(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def _ratio(what: str, ours_s: float, plain_s: float, limit: float) -> Row:
    ratio = ours_s / plain_s
    figures = f"{ratio:.2f} x ({_us(ours_s)} against {_us(plain_s)})"
    return Row(what=what, measured=figures, value=ratio, limit=limit, unit="x")


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"


def _separation(spec: BenchSpec, vehicle: Path) -> Row:
    """STmin 1 ms: how far the gaps between consecutive frames lie from it, by the kernel's own stamps."""
    with _served(spec, vehicle):
        here = _socket(RESPONSE)
        here.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        here.send(_packed(REQUEST, b"\x03" + LONG_READ))
        here.recv(16)
        here.send(_packed(REQUEST, b"\x30\x00\x01"))
        stamps = []
        for _ in range(CONSECUTIVE_FRAMES):
            _, ancillary, _, _ = here.recvmsg(16, 64)
            seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
            stamps.append(seconds * 1_000_000_000 + nanoseconds)
        here.close()
    gaps = sorted((after - before) / 1e6 for before, after in itertools.pairwise(stamps))
    median = statistics.median(gaps)
    shortest, p95 = gaps[0], gaps[len(gaps) * 95 // 100]
    return Row(
        what="STmin 1 ms: median gap, distance from 1 ms",
        measured=f"{abs(median - 1):.3f} ms (median {median:.3f}, shortest {shortest:.3f}, p95 {p95:.3f} ms)",
        value=abs(median - 1),
        limit=0.2,
        unit="ms",
    )


def _idle(folder: Path, spec: BenchSpec) -> Row:
    """100 idle units: how much of a core the serving process takes, and how many threads it has."""
    units = "\n".join(f"  unit{number}: {{profile: unit{number}.yaml, bus: body}}" for number in range(IDLE_UNITS))
    head = VEHICLE[: VEHICLE.index("  cluster:")]
    (folder / "many.yaml").write_text(f"{head}{units}\ntester: {{padding: 0x55}}\n", encoding="utf-8")
    for number in range(IDLE_UNITS):
        (folder / f"unit{number}.yaml").write_text(
            f"extends: vag/cluster\ntitle: unit {number}\naddress: {0x100 + number:#x}\n"
            f"request_id: {0x97FC_0100 + number:#x}\nresponse_id: {0x97FE_0100 + number:#x}\n",
            encoding="utf-8",
        )
    with _served(spec, folder / "many.yaml") as pid:
        before, began = _cpu_s(pid), perf_counter()
        multiprocessing.Event().wait(IDLE_S)
        share = 100 * (_cpu_s(pid) - before) / (perf_counter() - began)
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return Row(
        what=f"{IDLE_UNITS} idle units served: share of a core",
        measured=f"{share:.3f} % ({threads} thread{'s' if threads > 1 else ''})",
        value=share if threads == 1 else 100.0,
        limit=0.5,
        unit="%",
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def paced_row(folder: Path) -> Row:
    """A long answer over a virtual bus with bit time under the real clock: how much longer than its wire time it takes."""
    spec = BenchSpec(name="paced", title="paced", virtual_time=False, car=CarAt.HERE, paced=True)
    with Bench(vehicle=write_vehicle(folder), file=spec) as bench:
        link = bench.tester().link
        taken = statistics.median(_timed(lambda: link.request("cluster", LONG_READ)) for _ in range(7))
    wire_s = _wire_time_s()
    return Row(
        what=f"{LONG_LEN} bytes on a paced bus, in wire times",
        measured=f"{taken / wire_s:.3f} x ({taken * 1e3:.1f} ms, on the wire {wire_s * 1e3:.1f} ms)",
        value=taken / wire_s,
        limit=1.1,
        unit="x",
    )


def _wire_time_s() -> float:
    """Return how long the frames of a long read take on the tester's bus, at 500 kbit/s with the bits that may be stuffed."""
    bus = CanBus(World(), "obd")
    frame_ns = bus.frame_time_ns(Frame(REQUEST, bytes(8)))
    return (3 + CONSECUTIVE_FRAMES) * frame_ns / 1e9


def write_vehicle(folder: Path) -> Path:
    """Write the vehicle with the long answer; return its file."""
    (folder / "long.yaml").write_text(UNIT, encoding="utf-8")
    shipped = (PROFILES / "vag-j533.yaml").read_text(encoding="utf-8")
    (folder / "gateway.yaml").write_text(shipped.replace("hold: 1 ms", "hold: 0 ms"), encoding="utf-8")
    path = folder / "car.yaml"
    path.write_text(VEHICLE, encoding="utf-8")
    return path


def rows() -> Iterator[Row]:
    """Measure, a row at a time."""
    spec = load_bench("vcan")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vehicle = write_vehicle(folder)
        yield from _our_tester(spec, vehicle)
        yield from _plain_tester(spec, vehicle)
        yield _separation(spec, vehicle)
        yield _idle(folder, spec)
        yield paced_row(folder)


def main() -> int:
    """Measure and print; return 1 where a figure is not reached."""
    if INTERFACE not in {name for _, name in socket.if_nameindex()}:
        print(
            f"there is no {INTERFACE}: tools/with-vcan {Path(sys.executable).name} -m benchmarks.carriers",
            file=sys.stderr,
        )
        return 2
    table = Table(
        title=f"Python {platform.python_version()}, {platform.release()}, {os.cpu_count()} cores, {INTERFACE}"
    )
    for heading in ("", "measured", "at most", ""):
        table.add_column(heading)
    missed = 0
    for row in rows():
        missed += not row.reached
        verdict = "reached" if row.reached else "[bold red]not reached[/]"
        table.add_row(row.what, row.measured, f"{row.limit:g} {row.unit}", verdict)
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
