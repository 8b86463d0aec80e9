"""RoutineControl 0x31.

Order: length 0x13, identifier 0x31, access 0x33 or 0x34, sub-function 0x12, exact length 0x13, sequence 0x24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.access import require
from ecu_sim.profile import Routine
from ecu_sim.refusal import Refusal
from ecu_sim.services.request import Request, ServiceSpec, exact_length
from ecu_sim.state import RunningRoutine
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

START, STOP, RESULTS = 0x01, 0x02, 0x03
RUNNING, ENDED, STOPPED = b"\x01", b"\x00", b"\x02"


def _serve(server: UdsServer, request: Request) -> bytes:
    payload = request.payload
    if len(payload) < 4:
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "no routine identifier")
    rid = payload[2] << 8 | payload[3]
    echo = bytes((0x71, request.sub_function)) + payload[2:4]
    if server.gate is not None:
        record = server.gate.routine(rid, request.sub_function, payload[4:], request.now_ns)
        if record is not None:
            return echo + record
    routine = server.profile.routines.get(rid)
    if routine is None:
        raise Refusal(Nrc.requestOutOfRange, f"routine {rid:04X}")
    require(server, routine.access, request.now_ns)
    match request.sub_function:
        case 0x01:
            return echo + _start(server, request, routine)
        case 0x02 if routine.stoppable:
            return echo + _stop(server, request, routine)
        case 0x03:
            return echo + _results(server, request, routine)
        case _:
            raise Refusal(Nrc.subFunctionNotSupported, "this routine cannot do that")


def _start(server: UdsServer, request: Request, routine: Routine) -> bytes:
    exact_length(request, 4 + routine.option_len)
    running = server.state.routines.get(routine.rid)
    if running is not None and not running.stopped and request.now_ns < running.until_ns:
        raise Refusal(Nrc.requestSequenceError, "the routine runs already")
    server.state.routines[routine.rid] = RunningRoutine(until_ns=request.now_ns + routine.duration_ns)
    server.note(request.now_ns, "routine", f"{routine.rid:04X} started")
    return RUNNING if routine.duration_ns else routine.result


def _stop(server: UdsServer, request: Request, routine: Routine) -> bytes:
    exact_length(request, 4)
    running = server.state.routines.get(routine.rid)
    if running is None or running.stopped or request.now_ns >= running.until_ns:
        raise Refusal(Nrc.requestSequenceError, "the routine does not run")
    running.stopped = True
    return STOPPED


def _results(server: UdsServer, request: Request, routine: Routine) -> bytes:
    exact_length(request, 4)
    running = server.state.routines.get(routine.rid)
    if running is None:
        raise Refusal(Nrc.requestSequenceError, "the routine was not started")
    if running.stopped:
        return STOPPED
    return RUNNING if request.now_ns < running.until_ns else routine.result


SPECS = {0x31: ServiceSpec(serve=_serve)}
