"""ReadScalingDataByIdentifier 0x24: how to understand the data of one identifier. Whoever may read it may ask this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import readable
from ecu_sim.services.request import Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _unknown(server: UdsServer, request: Request) -> int:
    number = request.payload[1] << 8 | request.payload[2]
    thing = readable.find(server, number)
    wanted = None if thing is None else readable.accesses(server, thing, request.now_ns)
    request.found = server.profile.scaling.get(number)
    if wanted is None or request.found is None:
        return True
    request.accesses = wanted
    return False


def _serve(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001 - one signature for all services
    scaling: bytes = request.found
    return b"\x64" + request.payload[1:3] + scaling


SPECS = {0x24: ServiceSpec(serve=_serve, exact_len=3, checks={"scaling known": _unknown})}
