"""The services, one small file a family; `SERVICES` is the table that the ladder and the server read."""

from __future__ import annotations

from ecu_sim.services import (
    authentication,
    communication,
    data,
    definitions,
    dtc,
    file_transfer,
    io_control,
    link_control,
    memory,
    periodic,
    read_dtc,
    response_on_event,
    routine,
    scaling,
    secured,
    security,
    session,
    timing,
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
    **io_control.SPECS,
    **scaling.SPECS,
    **definitions.SPECS,
    **periodic.SPECS,
    **response_on_event.SPECS,
    **link_control.SPECS,
    **timing.SPECS,
}

LISTENERS = tuple(spec.listen for spec in SERVICES.values() if spec.listen is not None)
"""Who is told of a unit's events."""
