"""ReadDataByPeriodicIdentifier 0x2A: values that come by themselves until they are stopped, or until nobody may read them.

Modes: 01 slow, 02 medium, 03 fast, 04 stop (all, or those that are named). The answer is `6A` alone; values follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import periodic, readable
from ecu_sim.periodic import PERIODIC_PAGE
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unit_event import UnitEvent
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

STOP = 0x04


def _wrong_length(server: UdsServer, request: Request) -> int:
    size = len(request.payload)
    return not (2 if size > 1 and request.payload[1] == STOP else 3) <= size <= 2 + server.profile.periodic.at_once


def _unknown_mode(server: UdsServer, request: Request) -> int:
    mode = request.payload[1]
    return mode != STOP and mode not in server.profile.periodic.periods_ns


def _none_known(server: UdsServer, request: Request) -> int:
    """Find what there is in this session, once each; unknown ones are left out while one is known."""
    request.found = found = []
    for pdid in dict.fromkeys(request.payload[2:]):
        thing = readable.find(server, PERIODIC_PAGE | pdid)
        wanted = None if thing is None else readable.accesses(server, thing, request.now_ns)
        if wanted is None or not readable.in_session(server, wanted):
            continue
        found.append(pdid)
        request.accesses += wanted
    if request.payload[1] == STOP:
        request.accesses = ()  # whoever may not read any more may still stop
        return len(request.payload) > 2 and not found
    return not found


def _longer_than_a_frame(server: UdsServer, request: Request) -> int:
    options = server.profile.periodic
    if request.payload[1] == STOP:
        return False
    sizes = (len(readable.value(server, PERIODIC_PAGE | pdid, request.now_ns)) for pdid in request.found)
    if options.transport == "uudt":
        return any(size > options.room for size in sizes)
    return any(2 + size > server.profile.max_answer_bytes for size in sizes)


def _schedule_full(server: UdsServer, request: Request) -> int:
    if request.payload[1] == STOP:
        return False
    return len(set(request.found) | set(server.state.periodic)) > server.profile.periodic.scheduled


def _serve(server: UdsServer, request: Request) -> bytes:
    mode = request.payload[1]
    if mode == STOP and len(request.payload) == 2:
        periodic.stop_all(server)
    for pdid in request.found:
        if mode == STOP:
            periodic.stop(server, pdid)
        else:
            periodic.start(server, pdid, mode, request.now_ns)
    return b"\x6a"


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:  # noqa: ARG001 - whatever happened, what may not be read ends
    if not server.state.periodic:
        return
    if server.state.session == Session.defaultSession:
        periodic.stop_all(server)
    else:
        periodic.stop_what_may_not(server, now_ns)


SPECS = {
    0x2A: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        checks={
            "periodic length": _wrong_length,
            "transmission mode": _unknown_mode,
            "periodic identifier known": _none_known,
            "message fits its frame": _longer_than_a_frame,
            "schedule has room": _schedule_full,
        },
        listen=_listen,
    )
}
