"""The services, one small file a family; `SERVICES` is the table that the ladder and the server read."""

from __future__ import annotations

from ecu_sim.services import (
    authentication,
    communication,
    data,
    dtc,
    file_transfer,
    memory,
    read_dtc,
    routine,
    secured,
    security,
    session,
    transfer,
)
from ecu_sim.services.request import ServiceSpec

SERVICES: dict[int, ServiceSpec] = {
    **session.SPECS,
    **dtc.SPECS,
    **read_dtc.SPECS,
    **data.SPECS,
    **security.SPECS,
    **communication.SPECS,
    **authentication.SPECS,
    **routine.SPECS,
    **memory.SPECS,
    **transfer.SPECS,
    **file_transfer.SPECS,
    **secured.SPECS,
}

LISTENERS = tuple(spec.listen for spec in SERVICES.values() if spec.listen is not None)
"""Who is told of a unit's events."""
