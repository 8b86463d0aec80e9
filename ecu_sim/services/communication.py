"""CommunicationControl 0x28: which frames besides diagnostics the ECU sends and takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, only

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

NORMAL_MESSAGES = 0x01
"""Bit of the communication type (bit 1: network management, of which there is none here). General knowledge."""


def _names_messages(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return not request.payload[2] & 0x03


def _serve(server: UdsServer, request: Request) -> bytes:
    if request.payload[2] & NORMAL_MESSAGES:
        server.state.communication = request.sub_function
    return bytes((0x68, request.sub_function))


SPECS = {
    0x28: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        min_len=2,
        exact_len=3,
        sub_functions=only(0, 1, 2, 3),
        checks={"communication type": _names_messages},
    )
}
