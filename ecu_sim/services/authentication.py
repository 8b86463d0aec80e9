"""Authentication 0x29: the gate of the ECU decides; an ECU without a certificate gate does not offer the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.refusal import Refusal
from ecu_sim.services.request import Request, ServiceSpec, only
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _has_no_lock(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return server.gate is None


def _work_ns(server: UdsServer, request: Request) -> int:
    return 0 if server.gate is None else server.gate.work_ns(request.sid, request.payload)


def _serve(server: UdsServer, request: Request) -> bytes:
    gate = server.gate
    assert gate is not None
    record = gate.authenticate(request.sub_function, request.payload[2:], request.now_ns)
    if record is None:
        raise Refusal(Nrc.conditionsNotCorrect, "this unit's lock knows no authentication")
    return bytes((0x69, request.sub_function)) + record


SPECS = {
    0x29: ServiceSpec(
        serve=_serve,
        min_len=2,
        sub_functions=only(0x00, 0x01, 0x03, 0x04, 0x08),
        checks={"unit authenticates": _has_no_lock},
        work_ns=_work_ns,
    )
}
