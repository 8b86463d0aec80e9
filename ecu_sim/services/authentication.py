"""Authentication 0x29: the gate of the ECU decides; an ECU without a certificate gate does not offer the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.refusal import Refusal
from ecu_sim.services.request import Request, ServiceSpec, only
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _serve(server: UdsServer, request: Request) -> bytes:
    gate = server.gate
    record = None if gate is None else gate.authenticate(request.sub_function, request.payload[2:], request.now_ns)
    if record is None:
        raise Refusal(Nrc.conditionsNotCorrect, "this unit's lock knows no authentication")
    return bytes((0x69, request.sub_function)) + record


SPECS = {0x29: ServiceSpec(serve=_serve, sub_functions=only(0x00, 0x01, 0x03, 0x04, 0x08))}
