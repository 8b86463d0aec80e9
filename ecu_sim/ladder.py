"""The order of refusal (ISO 14229-1 general server response behaviour): an ordered list of small named checks.

Each returns 0 or the NRC that ends it. What a service checks beyond this stands in the service. RoutineControl checks its
sub-function after its identifier, so it is left out of the sub-function rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecu_sim.access import refused_release
from ecu_sim.services import SERVICES
from ecu_sim.services.request import Request
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

__all__ = ["LADDER", "SERVICES", "Request"]

Check = Callable[["UdsServer", Request], int]


def _service_supported(server: UdsServer, request: Request) -> int:
    return 0 if request.sid in server.profile.services else Nrc.serviceNotSupported


def _service_in_session(server: UdsServer, request: Request) -> int:
    rule = server.profile.services[request.sid]
    sessions = rule.access.sessions or SERVICES[request.sid].sessions
    return 0 if not sessions or server.state.session in sessions else Nrc.serviceNotSupportedInActiveSession


def _service_access(server: UdsServer, request: Request) -> int:
    rule = server.profile.services[request.sid]
    return refused_release(server, rule.access, request.now_ns)


def _sub_function_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    if SERVICES[request.sid].sub_functions is None or len(request.payload) >= 2:
        return 0
    return Nrc.incorrectMessageLengthOrInvalidFormat


def _sub_function_supported(server: UdsServer, request: Request) -> int:
    known = SERVICES[request.sid].sub_functions
    if known is None:
        return 0
    chosen = server.profile.services[request.sid].sub_functions
    offered = known(server) & chosen if chosen else known(server)
    return 0 if request.sub_function in offered else Nrc.subFunctionNotSupported


def _sub_function_in_session(server: UdsServer, request: Request) -> int:
    check = SERVICES[request.sid].sub_function_sessions
    if check is None:
        return 0
    sessions = check(server, request.sub_function)
    in_session = not sessions or server.state.session in sessions
    return 0 if in_session else Nrc.subFunctionNotSupportedInActiveSession


LADDER: tuple[tuple[str, Check], ...] = (
    ("service not supported", _service_supported),
    ("service not in this session", _service_in_session),
    ("service not released", _service_access),
    ("sub-function missing", _sub_function_length),
    ("sub-function not supported", _sub_function_supported),
    ("sub-function not in this session", _sub_function_in_session),
)
