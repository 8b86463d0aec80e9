"""CommunicationControl 0x28: which frames besides diagnostics the ECU sends and takes.

00 both on, 01 receive only, 02 send only, 03 neither; 04 and 05 the same as 01 and 00 for one node behind this unit, by its
identification number. The communication type names the messages (bit 0 normal, bit 1 network management) and in its high nibble
the network: 0 all, F the one that the request came by, else a number of the profile's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

NORMAL, NETWORK_MANAGEMENT = 0x01, 0x02
RESERVED_BITS = 0x0C
WITH_NODE = frozenset((0x04, 0x05))
OWN_NETWORKS = frozenset((0x0, 0xF))
"""All of the unit's networks, and the one by which the request came."""


def _sub_functions(server: UdsServer) -> frozenset[int]:
    return frozenset(range(6)) if server.profile.communication.nodes else frozenset(range(4))


def _len(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    return 5 if request.sub_function in WITH_NODE else 3


def _no_such_messages(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    kind = request.payload[2]
    return not kind & (NORMAL | NETWORK_MANAGEMENT) or kind & RESERVED_BITS


def _network_unknown(server: UdsServer, request: Request) -> int:
    network = request.payload[2] >> 4
    return network not in OWN_NETWORKS and network not in server.profile.communication.subnets


def _node_unknown(server: UdsServer, request: Request) -> int:
    if request.sub_function not in WITH_NODE:
        return False
    request.found = int.from_bytes(request.payload[3:5], "big")
    return request.found not in server.profile.communication.nodes


def _serve(server: UdsServer, request: Request) -> bytes:
    state, control, kind = server.state, request.sub_function, request.payload[2]
    if control in WITH_NODE:
        state.nodes[request.found] = control
    elif kind >> 4 in OWN_NETWORKS:
        if kind & NORMAL:
            state.communication = control
        if kind & NETWORK_MANAGEMENT:
            state.network_management = control
    elif kind & NORMAL:
        state.subnets[kind >> 4] = control
    return bytes((0x68, control))


SPECS = {
    0x28: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        min_len=2,
        exact_len=_len,
        sub_functions=_sub_functions,
        checks={
            "communication type": _no_such_messages,
            "network known": _network_unknown,
            "node known": _node_unknown,
        },
    )
}
