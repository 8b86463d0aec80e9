"""Authentication 0x29: the gate of the ECU decides which sub-functions there are, and what they do; without one, none works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.services.request import Request, ServiceSpec
from wire.uds import AuthenticationTask

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

WITHOUT_A_LOCK = frozenset(
    {
        AuthenticationTask.deAuthenticate,
        AuthenticationTask.verifyCertificateUnidirectional,
        AuthenticationTask.proofOfOwnership,
        AuthenticationTask.transmitCertificate,
        AuthenticationTask.authenticationConfiguration,
    }
)
"""What a unit knows whose profile offers the service but whose lock does not: each is refused for lack of the lock (0x22)."""


def _tasks(server: UdsServer) -> frozenset[int]:
    gate = server.gate
    return gate.tasks if gate is not None and gate.tasks else WITHOUT_A_LOCK


def _has_no_lock(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return server.gate is None or not server.gate.tasks


def _work_ns(server: UdsServer, request: Request) -> int:
    return 0 if server.gate is None else server.gate.work_ns(request.sid, request.payload)


def _serve(server: UdsServer, request: Request) -> bytes:
    assert server.gate is not None
    record = server.gate.authenticate(request.sub_function, request.payload[2:], request.now_ns)
    return bytes((0x69, request.sub_function)) + record


SPECS = {
    0x29: ServiceSpec(
        serve=_serve,
        min_len=2,
        sub_functions=_tasks,
        checks={"unit authenticates": _has_no_lock},
        work_ns=_work_ns,
    )
}
