"""What a served car looks like from outside at one moment: plain values, for the live view, scripts and monitoring."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.topology import Unit
from wire.clock import NS_PER_S
from wire.uds import Session

if TYPE_CHECKING:
    from bench.live.server import CarServer

TESTER_GONE_NS = 10 * NS_PER_S
"""Without a request for so long nobody is taken to be at the socket."""
KIB_PER_PAGE = 4


def snapshot(server: CarServer) -> dict[str, object]:
    """Return the state of the car, its buses, its clock and its carriers."""
    car, world = server.car, server.world
    now_ns = world.now_ns
    heard_ns = server.requests.heard_ns
    findings = car.findings()
    state = car.state
    return {
        "bench": server.spec.name,
        "vehicle": car.spec.name,
        "title": car.spec.title,
        "vin": car.spec.vin,
        "up_s": round((now_ns - server.up_since_ns) / NS_PER_S, 1),
        "tester": heard_ns is not None and now_ns - heard_ns < TESTER_GONE_NS,
        "filter": _filter(server),
        "ignition": state.terminal_15,
        "bonnet": "open" if state.bonnet_open else "closed",
        "odometer_km": state.odometer_km,
        "speed_kmh": state.speed_kmh,
        "rest_bus": car.rest_bus_runs,
        "engine_rpm": state.engine_rpm,
        "supply_mv": state.supply_mv,
        "asleep": state.sleeping,
        "units": [_unit(unit, now_ns) for unit in car.units.values()],
        "requests": [
            asdict(line) | {"ago_s": round((now_ns - line.at_ns) / NS_PER_S, 1)} for line in server.requests.lines()
        ],
        "request_count": server.requests.requests,
        "buses": server.loads.take(now_ns, car.buses.values()),
        "overruns": server.overrun_count(),
        "worst_overrun_ms": round(server.worst_overrun_ms(), 1),
        "faults": list(server.faults),
        "fault_count": server.fault_count,
        "violations": list(findings.violations),
        "guests": sum(each.on_frame is not None for each in (server.control.connections if server.control else ())),
        "memory_kib": _memory_kib(),
        "trace": server.trace_state(),
    }


def _filter(server: CarServer) -> str:
    gateway = server.car.gateway
    if gateway.profile.lock == "grant":
        gate = server.car.units["gateway"].gate
        is_open = gate is not None and gate.grant(server.world.now_ns) is not None
        return "open" if is_open else "locked"
    return "armed" if gateway.armed else "disarmed"


def _unit(unit: Unit, now_ns: int) -> dict[str, object]:
    state = unit.server.state
    gate = unit.gate
    granted = gate is not None and gate.grant(now_ns) is not None
    try:
        session = Session(state.session).name
    except ValueError:
        session = f"0x{state.session:02X}"
    return {
        "name": unit.name,
        "lock": None if gate is None else ("open" if granted else "locked"),
        "minutes_left": gate.minutes_left(now_ns) if gate is not None and granted else None,
        "session": session,
        "level": state.open_level,
        "reachable": unit.server.reachable,
        "busy": unit.server.busy,
    }


def _memory_kib() -> int | None:
    """Return the memory that this process holds, where the system tells (Linux)."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * KIB_PER_PAGE
    except (OSError, ValueError, IndexError):
        return None
