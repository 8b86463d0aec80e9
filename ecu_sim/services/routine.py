"""RoutineControl 0x31: the profile's routines, and those of the unit's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.profile import FREE, Routine
from ecu_sim.services.flash_routines import ACTS, not_allowed
from ecu_sim.services.request import Request, ServiceSpec
from ecu_sim.state import RunningRoutine

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

START, STOP, RESULTS = 0x01, 0x02, 0x03
RUNNING, ENDED, STOPPED = b"\x01", b"\x00", b"\x02"


def _rid(request: Request) -> int:
    return request.payload[2] << 8 | request.payload[3]


def _unknown(server: UdsServer, request: Request) -> int:
    """Find the routine: the lock's own ones are served, and judged, by the lock."""
    rid = _rid(request)
    if server.gate is not None and rid in server.gate.rids:
        return False
    routine = request.found = server.profile.routines.get(rid)
    if routine is None:
        return True
    if routine.access is not FREE:
        request.accesses = (routine.access,)
    return False


def _cannot_do_that(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    routine, task = request.found, request.sub_function
    if routine is None:
        return task != START
    if routine.act is not None:
        return task != START
    return task not in (START, RESULTS) and not (task == STOP and routine.stoppable)


def _wrong_option(server: UdsServer, request: Request) -> int:
    routine = request.found
    if routine is None:
        return False
    if routine.act is not None:
        return len(request.payload) != 4 + ACTS[routine.act].option_len(server, request)
    return len(request.payload) != 4 + (routine.option_len if request.sub_function == START else 0)


def _option_unknown(server: UdsServer, request: Request) -> int:
    routine = request.found
    return routine is not None and routine.act is not None and ACTS[routine.act].unknown(server, request)


def _not_now(server: UdsServer, request: Request) -> int:
    routine = request.found
    return routine is not None and routine.act is not None and not_allowed(server, request, ACTS[routine.act])


def _out_of_sequence(server: UdsServer, request: Request) -> int:
    routine = request.found
    if routine is None:
        return False
    if routine.act is not None:
        return ACTS[routine.act].out_of_sequence(server, request)
    running = server.state.routines.get(routine.rid)
    if request.sub_function == RESULTS:
        return running is None
    runs = running is not None and not running.stopped and request.now_ns < running.until_ns
    return runs == (request.sub_function == START)


def _work_ns(server: UdsServer, request: Request) -> int:
    routine = request.found
    if routine is not None:
        return int(routine.work_ns) + (ACTS[routine.act].work_ns(server, request) if routine.act else 0)
    return 0 if server.gate is None else server.gate.work_ns(request.sid, request.payload)


def _work_begins(server: UdsServer, request: Request) -> None:
    routine = request.found
    if routine is not None and routine.act is not None:
        ACTS[routine.act].begin(server, request)


def _fails(server: UdsServer, request: Request) -> int:
    routine = request.found
    return routine is not None and routine.act is not None and ACTS[routine.act].fails(server, request)


def _serve(server: UdsServer, request: Request) -> bytes:
    payload = request.payload
    echo = bytes((0x71, request.sub_function)) + payload[2:4]
    routine: Routine | None = request.found
    if routine is None:
        assert server.gate is not None
        return echo + server.gate.routine(_rid(request), payload[4:], request.now_ns)
    if routine.act is not None:
        return echo + ACTS[routine.act].run(server, request)
    match request.sub_function:
        case 0x01:
            return echo + _start(server, request, routine)
        case 0x02:
            server.state.routines[routine.rid].stopped = True
            return echo + STOPPED
        case _:
            return echo + _results(server, request, routine)


def _start(server: UdsServer, request: Request, routine: Routine) -> bytes:
    server.state.routines[routine.rid] = RunningRoutine(until_ns=request.now_ns + routine.duration_ns)
    server.note(request.now_ns, "routine", f"{routine.rid:04X} started")
    return RUNNING if routine.duration_ns else routine.result


def _results(server: UdsServer, request: Request, routine: Routine) -> bytes:
    running = server.state.routines[routine.rid]
    if running.stopped:
        return STOPPED
    return RUNNING if request.now_ns < running.until_ns else routine.result


SPECS = {
    0x31: ServiceSpec(
        serve=_serve,
        min_len=4,
        checks={
            "routine known": _unknown,
            "routine's sub-function": _cannot_do_that,
            "option length": _wrong_option,
            "option known": _option_unknown,
            "programming allowed": _not_now,
            "routine's sequence": _out_of_sequence,
            "cells programmable": _fails,
        },
        work_ns=_work_ns,
        begin=_work_begins,
    )
}
