"""What ReadDataByPeriodicIdentifier 0x2A sends by itself: rates, the frames that carry it, and the schedule.

A periodic identifier `xx` is the identifier `F2xx`. Its messages go out at whole periods counted from the request, so nothing
drifts. `uudt`: one frame each, byte 0 the periodic identifier, then data, under identifiers of its own (ISO 14229-3 calls it
UUDT); `usdt`: an ISO-TP message `6A xx data` under the response identifier. (Both as scapy and public descriptions of the
service have them; that the first message comes one period after the request is our own choice.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ecu_sim import readable

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

PERIODIC_PAGE = 0xF200
KIND = "periodic"


@dataclass(slots=True)
class Scheduled:
    """A periodic identifier that runs: when its next message is due, its period, and the identifier of its frames."""

    period_ns: int
    due_ns: int
    slot: int


def start(server: UdsServer, pdid: int, mode: int, now_ns: int) -> None:
    """Schedule a periodic identifier, or change its rate. It runs for as long as it may be read."""
    options, schedule = server.profile.periodic, server.state.periodic
    running = schedule.get(pdid)
    slot = running.slot if running is not None else _free_slot(schedule)
    period_ns = options.periods_ns[mode]
    schedule[pdid] = Scheduled(period_ns, now_ns + period_ns, slot)
    server.timers.at((KIND, pdid), now_ns + period_ns, partial(_send, server, pdid))


def _free_slot(schedule: Mapping[int, Scheduled]) -> int:
    taken = {running.slot for running in schedule.values()}
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def stop(server: UdsServer, pdid: int) -> None:
    """Take a periodic identifier from the schedule; one that does not run is stopped already."""
    server.state.periodic.pop(pdid, None)
    server.timers.cancel((KIND, pdid))


def stop_all(server: UdsServer) -> None:
    """Empty the schedule."""
    server.state.periodic.clear()
    server.timers.cancel_all(KIND)


def stop_what_may_not(server: UdsServer, now_ns: int) -> None:
    """Take out whatever may no longer be read: its session, level or grant is over."""
    for pdid in tuple(server.state.periodic):
        if not readable.allowed(server, PERIODIC_PAGE | pdid, now_ns):
            server.note(now_ns, KIND, f"{pdid:02X} ended: it may not be read any more")
            stop(server, pdid)


def _send(server: UdsServer, pdid: int, now_ns: int) -> None:
    running = server.state.periodic[pdid]
    number = PERIODIC_PAGE | pdid
    if not readable.allowed(server, number, now_ns):
        server.note(now_ns, KIND, f"{pdid:02X} ended: it may not be read any more")
        stop(server, pdid)
        return
    late = (now_ns - running.due_ns) // running.period_ns
    running.due_ns += (late + 1) * running.period_ns
    server.timers.at((KIND, pdid), running.due_ns, partial(_send, server, pdid))
    options = server.profile.periodic
    data = readable.value(server, number, now_ns)
    if options.transport == "usdt":
        server.outputs.append(bytes((0x6A, pdid)) + data)
    else:
        can_id = options.can_ids[running.slot % len(options.can_ids)]
        server.frames.append((can_id, bytes((pdid,)) + data))
