"""CommunicationControl 0x28: which frames besides diagnostics the ECU sends and takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.access import require_conditions
from ecu_sim.refusal import Refusal
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, exact_length, only
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _serve(server: UdsServer, request: Request) -> bytes:
    exact_length(request, 3)
    if not request.payload[2] & 0x03:
        raise Refusal(Nrc.requestOutOfRange, "communication type names no kind of message")
    require_conditions(server, request.sid)
    server.state.communication = request.sub_function
    return bytes((0x68, request.sub_function))


SPECS = {0x28: ServiceSpec(serve=_serve, conditions=True, sessions=NOT_DEFAULT, sub_functions=only(0, 1, 2, 3))}
