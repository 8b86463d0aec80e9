"""DiagnosticSessionControl 0x10, ECUReset 0x11, TesterPresent 0x3E.

0x10: the profile's sessions; `session_rules` say from where and under which conditions one may be entered. 0x11: 01 hard, 02
key off and on, 03 soft; 04 and 05 switch the rapid power shut-down on and off where the unit has one: with it on, the unit goes
down with terminal 15 and stays there for powerDownTime. 0x3E: 00.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ecu_sim.access import level_open, refused_condition, refused_scope
from ecu_sim.profile import FREE, Access
from ecu_sim.services.programming import listen, programming_refused
from ecu_sim.services.request import Request, ServiceSpec, only
from ecu_sim.services.timing import timing_record
from ecu_sim.unit_event import UnitEvent

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

HARD_RESET, KEY_OFF_ON_RESET, SOFT_RESET = 0x01, 0x02, 0x03
ENABLE_RAPID_POWER_SHUT_DOWN, DISABLE_RAPID_POWER_SHUT_DOWN = 0x04, 0x05
TIME_NOT_KNOWN = 0xFF
"""powerDownTime where the unit does not say how long."""
NS_PER_S = 1_000_000_000


def _entered_from(server: UdsServer, session: int) -> frozenset[int]:
    rule = server.profile.session_rules.get(session)
    return frozenset() if rule is None else rule.entered_from


def _access(server: UdsServer, request: Request) -> Access:
    rule = server.profile.session_rules.get(request.sub_function)
    return FREE if rule is None or rule.access is None else rule.access


def _session_locked(server: UdsServer, request: Request) -> int:
    return refused_scope(server, _access(server, request), request.now_ns)


def _session_level_closed(server: UdsServer, request: Request) -> int:
    level = _access(server, request).security
    return level is not None and not level_open(server, level, request.now_ns)


def _session_condition(server: UdsServer, request: Request) -> int:
    return refused_condition(server, _access(server, request), request.now_ns)


def _session_control(server: UdsServer, request: Request) -> bytes:
    server.enter_session(request.sub_function, request.now_ns)
    return bytes((0x50, request.sub_function)) + timing_record(server.timing)


def _resets(server: UdsServer) -> frozenset[int]:
    known = (HARD_RESET, KEY_OFF_ON_RESET, SOFT_RESET)
    if server.profile.power_down_s is None:
        return frozenset(known)
    return frozenset((*known, ENABLE_RAPID_POWER_SHUT_DOWN, DISABLE_RAPID_POWER_SHUT_DOWN))


def _ecu_reset(server: UdsServer, request: Request) -> bytes:
    answer = bytes((0x51, request.sub_function))
    if request.sub_function in (ENABLE_RAPID_POWER_SHUT_DOWN, DISABLE_RAPID_POWER_SHUT_DOWN):
        server.state.rapid_power_down = on = request.sub_function == ENABLE_RAPID_POWER_SHUT_DOWN
        assert server.profile.power_down_s is not None
        return answer + bytes((server.profile.power_down_s,)) if on else answer
    server.after_answer(partial(server.reset, why=f"service 0x11 {request.sub_function:02X}"))
    return answer


def _go_down_with_terminal_15(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    if event is UnitEvent.TERMINAL_15_OFF and server.state.rapid_power_down:
        down_s = server.profile.power_down_s or 0
        server.reset(now_ns, "rapid power shut-down", 0 if down_s == TIME_NOT_KNOWN else down_s * NS_PER_S)


def _tester_present(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001 - one signature for all services
    return b"\x7e\x00"


SPECS = {
    0x10: ServiceSpec(
        serve=_session_control,
        min_len=2,
        exact_len=2,
        sub_functions=lambda server: server.profile.sessions,
        sub_function_sessions=_entered_from,
        checks={
            "session released": _session_locked,
            "session level open": _session_level_closed,
            "programming conditions": programming_refused,
            "session conditions": _session_condition,
        },
        listen=listen,
    ),
    0x11: ServiceSpec(
        serve=_ecu_reset, min_len=2, exact_len=2, sub_functions=_resets, listen=_go_down_with_terminal_15
    ),
    0x3E: ServiceSpec(serve=_tester_present, min_len=2, exact_len=2, sub_functions=only(0)),
}
