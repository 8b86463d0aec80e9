"""`make soak`: a car served on vcan0 for an hour under load; its memory stays flat, nothing drifts, its trace stays bounded.

The load: a tester that holds a session and an unlock with tester present, asks all units all the time, long answers among
them, with changes of the vehicle through the control socket. What is measured is printed each minute, and judged at the end.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, cast

from bench.bench import Bench
from bench.bench_file import load_bench
from bench.live.client import ControlClient
from bench.live.reach import ServedProcess
from benchmarks.carriers import LONG_LEN, LONG_READ, SHORT_READ, write_vehicle
from scenarios.stage import VehicleChange
from vci_driver.link_peer import LinkOptions
from wire.clock import NS_PER_MS, NS_PER_S
from wire.frame import Frame

MINUTE_S = 60.0
SETTLED_S = 300.0
"""Memory is compared from here on: until then caches and the first trace files grow."""
GROWTH_MAX_KIB = 2048
DRIFT_MAX_NS = 20 * NS_PER_MS
PAUSE_NS = 2 * NS_PER_MS
TRACE_FILE_BYTES, TRACE_FILES = 4 * 1024 * 1024, 4
UNLOCKED_MIN = 90


@dataclass(slots=True)
class Seen:
    """What a soak has seen."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    memory_kib: list[tuple[float, int]] = field(default_factory=list)
    presents_ns: list[int] = field(default_factory=list)
    """When tester present went out, in the tester's world time."""


def soak(duration_s: float, folder: Path) -> list[str]:
    """Run; return what is wrong, a line each."""
    seen, traces = Seen(), folder / "traces"
    spec = load_bench("vcan")
    recording = ["--trace", str(traces), "--trace-format", "candump,blf"]
    recording += ["--trace-file-bytes", str(TRACE_FILE_BYTES), "--trace-files", str(TRACE_FILES)]
    served = ServedProcess(spec, recording)
    try:
        with Bench(vehicle=write_vehicle(folder), file=spec, served=served) as bench:
            client = ControlClient(served.control)
            began = monotonic()
            state = _load(bench, client, seen, lambda: monotonic() - began, duration_s)
            minutes_left = bench.tester().unlock_state("cluster").minutes_left or 0
            client.close()
    finally:
        served.close()
    wrong = _judge(seen, state, traces)
    passed_min = int(duration_s // MINUTE_S)
    if duration_s < UNLOCKED_MIN * MINUTE_S and abs(minutes_left - (UNLOCKED_MIN - 1 - passed_min)) > 1:
        wrong.append(f"after {passed_min} min of {UNLOCKED_MIN} the unlock says that {minutes_left} min are left")
    return wrong


def _load(
    bench: Bench, client: ControlClient, seen: Seen, passed: Callable[[], float], duration_s: float
) -> Mapping[str, Any]:
    tester = bench.tester("validated")
    tester.login()
    tester.unlock("cluster")
    link, world = tester.link, bench.world
    link.options = LinkOptions(keep_alive_ns=2 * NS_PER_S, delta_p2_ns=link.options.delta_p2_ns)
    tester.channel.port.bus.tap(lambda now_ns, _bus, frame, _sender: _note_present(seen, now_ns, frame))
    link.keep_alive()
    next_look, turn = MINUTE_S, 0
    state: Mapping[str, Any] = {}
    while passed() < duration_s:
        turn += 1
        try:
            answer = link.request("cluster", LONG_READ if turn % 50 == 0 else SHORT_READ)
            if turn % 50 == 0 and len(answer) != LONG_LEN:
                seen.failures.append(f"{passed():.0f} s: {len(answer)} bytes instead of {LONG_LEN}")
            if turn % 1000 == 0:
                bench.car.change(VehicleChange(speed_kmh=turn // 1000 % 200))
        except Exception as error:  # noqa: BLE001 - counted and told at the end
            seen.failures.append(f"{passed():.0f} s: {type(error).__name__}: {error}")
        seen.requests += 1
        world.run_for(PAUSE_NS)
        if passed() >= next_look:
            state = cast("Mapping[str, Any]", client.line("state"))
            seen.memory_kib.append((passed(), state["memory_kib"]))
            print(_line(passed(), seen, state), flush=True)
            next_look += MINUTE_S
    return cast("Mapping[str, Any]", client.line("state"))


def _note_present(seen: Seen, now_ns: int, frame: Frame) -> None:
    if frame.data[:3] == b"\x02\x3e\x80":
        seen.presents_ns.append(now_ns)


def _line(passed_s: float, seen: Seen, state: Mapping[str, Any]) -> str:
    load = " ".join(f"{bus['name']} {100 * bus['load']:.0f} %" for bus in state["buses"])
    late = f"{state['overruns']} late (worst {state['worst_overrun_ms']} ms)"
    rate = seen.requests / passed_s
    memory = state["memory_kib"] / 1024
    recorded = state["trace"]["frames"]
    return (
        f"{passed_s / 60:3.0f} min  {seen.requests:,} requests ({rate:.0f}/s)  {memory:.1f} MiB  {load}  {late}  "
        f"{recorded:,} frames recorded  {len(seen.failures)} failures"
    )


def _judge(seen: Seen, state: Mapping[str, Any], traces: Path) -> list[str]:
    wrong = seen.failures[:10]
    settled = [kib for at_s, kib in seen.memory_kib if at_s >= SETTLED_S] or [kib for _, kib in seen.memory_kib]
    if settled and max(settled) - settled[0] > GROWTH_MAX_KIB:
        wrong.append(f"memory grew from {settled[0]} to {max(settled)} KiB after it had settled")
    presents = seen.presents_ns
    if len(presents) > 1:
        drift_ns = presents[-1] - presents[0] - (len(presents) - 1) * 2 * NS_PER_S
        print(f"{len(presents)} times tester present: the last is {drift_ns / NS_PER_MS:.2f} ms off 2 s each")
        if abs(drift_ns) > DRIFT_MAX_NS:
            wrong.append(f"tester present drifted by {drift_ns / NS_PER_MS:.1f} ms")
    sizes = {suffix: [path.stat().st_size for path in traces.glob(f"*.{suffix}")] for suffix in ("log", "blf")}
    for suffix, of_format in sizes.items():
        print(f"{len(of_format)} {suffix} files, {sum(of_format) / 2**20:.1f} MiB")
        if sum(of_format) > TRACE_FILE_BYTES * TRACE_FILES or not of_format:
            wrong.append(f"traces are not bounded: {of_format} bytes of {suffix}")
    if settled:
        print(f"memory after {SETTLED_S:.0f} s: {min(settled)} to {max(settled)} KiB")
    wrong += [f"witness: {violation}" for violation in state["violations"]]
    wrong += [f"carrier: {fault}" for fault in state["faults"]]
    return wrong


def main() -> int:
    """Soak for as many seconds as the first argument says."""
    duration_s = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        wrong = soak(duration_s, Path(folder))
        print(json.dumps({"wrong": wrong}, indent=1) if wrong else f"nothing wrong in {duration_s / 60:.0f} min")
        return 1 if wrong else 0
    return 130


if __name__ == "__main__":
    sys.exit(main())
