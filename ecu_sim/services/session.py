"""DiagnosticSessionControl 0x10, ECUReset 0x11, TesterPresent 0x3E."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ecu_sim.services.programming import listen, programming_refused
from ecu_sim.services.request import Request, ServiceSpec, only

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

HARD_RESET, KEY_OFF_ON_RESET, SOFT_RESET = 0x01, 0x02, 0x03


def _session_control(server: UdsServer, request: Request) -> bytes:
    server.enter_session(request.sub_function, request.now_ns)
    timing = server.profile.timing
    p2_ms = timing.p2_ns // 1_000_000
    p2_star_10ms = timing.p2_star_ns // 10_000_000
    return bytes((0x50, request.sub_function)) + p2_ms.to_bytes(2, "big") + p2_star_10ms.to_bytes(2, "big")


def _ecu_reset(server: UdsServer, request: Request) -> bytes:
    server.after_answer(partial(server.reset, why=f"service 0x11 {request.sub_function:02X}"))
    return bytes((0x51, request.sub_function))


def _tester_present(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001 - one signature for all services
    return b"\x7e\x00"


SPECS = {
    0x10: ServiceSpec(
        serve=_session_control,
        min_len=2,
        exact_len=2,
        sub_functions=lambda server: server.profile.sessions,
        checks={"programming conditions": programming_refused},
        listen=listen,
    ),
    0x11: ServiceSpec(
        serve=_ecu_reset, min_len=2, exact_len=2, sub_functions=only(HARD_RESET, KEY_OFF_ON_RESET, SOFT_RESET)
    ),
    0x3E: ServiceSpec(serve=_tester_present, min_len=2, exact_len=2, sub_functions=only(0)),
}
