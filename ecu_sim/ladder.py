"""Climbs the order of refusal: binds the rows of `ecu_sim.order` to their checks, for one profile.

Rows that ask of service, sub-function, session and (short) length alone have the same answer each time: the server remembers
it, so they cost nothing on the second request. Rows that cannot fail under the profile are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import TYPE_CHECKING

from ecu_sim.access import level_open, refused_condition, refused_scope
from ecu_sim.order import ANSWER_FITS, ARRIVAL, EXACT_LENGTH, GENERAL, ORDER, Row
from ecu_sim.profile import FREE, EcuProfile, ServiceRule
from ecu_sim.services import SERVICES
from ecu_sim.services.request import Check, Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

__all__ = ["OF_OBJECTS", "SERVICES", "Ladder", "Request", "Rung", "ladder_for"]

LENGTHS_TOLD_APART = 8
"""What is remembered of a request's length: up to here exactly. No minimum length, and no fixed one, is longer."""

LADDERS_KEPT = 1024
"""Units that offer a service in the same way share its ladder; a car has some hundred different ones."""
Rung = tuple[Row, Check]


def _service_known(server: UdsServer, request: Request) -> int:
    return request.sid not in server.profile.services


def _service_in_session(server: UdsServer, request: Request) -> int:
    sessions = server.profile.services[request.sid].access.sessions or SERVICES[request.sid].sessions
    return bool(sessions) and server.state.session not in sessions


def _service_released(server: UdsServer, request: Request) -> int:
    return refused_scope(server, server.profile.services[request.sid].access, request.now_ns)


def _service_level(server: UdsServer, request: Request) -> int:
    level = server.profile.services[request.sid].access.security
    return level is not None and not level_open(server, level, request.now_ns)


def _service_conditions(server: UdsServer, request: Request) -> int:
    return refused_condition(server, server.profile.services[request.sid].access, request.now_ns)


def _minimum_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return len(request.payload) < SERVICES[request.sid].min_len


def _sub_function_known(server: UdsServer, request: Request) -> int:
    known = SERVICES[request.sid].sub_functions
    assert known is not None
    chosen = server.profile.services[request.sid].sub_functions
    offered = known(server) & chosen if chosen else known(server)
    return request.sub_function not in offered


def _sub_function_in_session(server: UdsServer, request: Request) -> int:
    sessions_of = SERVICES[request.sid].sub_function_sessions
    sessions = sessions_of(server, request.sub_function) if sessions_of is not None else frozenset()
    return bool(sessions) and server.state.session not in sessions


def _exact_length(server: UdsServer, request: Request) -> int:
    want = SERVICES[request.sid].exact_len
    return len(request.payload) != (want if isinstance(want, int) else want(server, request))


def _object_in_session(server: UdsServer, request: Request) -> int:
    session = server.state.session
    return any(access.sessions and session not in access.sessions for access in request.accesses)


def _object_secured(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return not request.secured and any(access.secured for access in request.accesses)


def _object_released(server: UdsServer, request: Request) -> int:
    for access in request.accesses:
        nrc = refused_scope(server, access, request.now_ns)
        if nrc:
            return nrc
    return 0


def _object_level(server: UdsServer, request: Request) -> int:
    now_ns = request.now_ns
    levels = (access.security for access in request.accesses)
    return any(level is not None and not level_open(server, level, now_ns) for level in levels)


def _object_conditions(server: UdsServer, request: Request) -> int:
    for access in request.accesses:
        nrc = refused_condition(server, access, request.now_ns)
        if nrc:
            return nrc
    return 0


SHARED: Mapping[str, Check] = {
    "service known": _service_known,
    "service in session": _service_in_session,
    "service released": _service_released,
    "service level open": _service_level,
    "service conditions": _service_conditions,
    "minimum length": _minimum_length,
    "sub-function known": _sub_function_known,
    "sub-function in session": _sub_function_in_session,
    "exact length": _exact_length,
    "object in session": _object_in_session,
    "object secured": _object_secured,
    "object released": _object_released,
    "object level open": _object_level,
    "object conditions": _object_conditions,
}
OF_OBJECTS = Row(check="objects", nrc=None, source="")
"""Stands for the rows that are asked of objects, which tell by themselves what they refuse."""
REMEMBERED = frozenset(
    ("service known", "service in session", "minimum length", "sub-function known", "sub-function in session")
)
"""Checks that ask of service, sub-function, session and length alone. A fixed length is remembered too."""


def _never_served(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    raise AssertionError("no request gets past an unknown service")


@dataclass(frozen=True, slots=True)
class Ladder:
    """One service's rungs under one profile: `remembered` first, then those `on_arrival`, and those when the `work_is_done`:
    what has to be asked again, then what is asked late. `late` has the latter alone, for a service that takes no time.
    Above them, what serves the request then, and what it takes: `work_ns` of the service, or `object_work_ns` of its object, with
    `begin` when that starts.
    """

    remembered: tuple[Rung, ...]
    on_arrival: tuple[Rung, ...] = ()
    work_is_done: tuple[Rung, ...] = ()
    late: tuple[Rung, ...] = ()
    serve: Callable[[UdsServer, Request], bytes] = _never_served
    work_ns: int = 0
    object_work_ns: Callable[[UdsServer, Request], int] | None = None
    begin: Callable[[UdsServer, Request], None] | None = None


def ladder_for(profile: EcuProfile, sid: int) -> Ladder:
    """Return the ladder of a service; of an unknown one, what every request is asked first."""
    return _ladder(sid, profile.services.get(sid), profile.order.get(sid))


@lru_cache(maxsize=LADDERS_KEPT)
def _ladder(sid: int, rule: ServiceRule | None, order: tuple[str, ...] | None) -> Ladder:
    spec = SERVICES.get(sid)
    if rule is None or spec is None:
        return Ladder(tuple((row, SHARED[row.check]) for row in ARRIVAL[:1]))
    rungs = [(row, _check(spec, row)) for row in _rows(sid, order) if row is not ANSWER_FITS and _may_fail(row, rule)]
    split = next((at for at, (row, _) in enumerate(rungs) if not _is_remembered(row, spec)), len(rungs))
    late_at = next((at for at, (row, _) in enumerate(rungs) if row.late), len(rungs))
    if rule.work_ns:  # so slow a unit has not looked into the request before
        late_at = next((at for at, (row, _) in enumerate(rungs) if row not in GENERAL), len(rungs))
        split = min(split, late_at)
    again = [rung for rung in rungs[:late_at] if rung[0].again]
    return Ladder(
        remembered=tuple(rungs[:split]),
        on_arrival=_joined(rungs[split:late_at]),
        work_is_done=_joined([*again, *rungs[late_at:]]),
        late=_joined(rungs[late_at:]),
        serve=spec.serve,
        work_ns=rule.work_ns,
        object_work_ns=spec.work_ns,
        begin=None if rule.work_ns else spec.begin,  # so slow a unit has not looked into the request yet
    )


def _joined(rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    """Put one rung in place of each run of those that are asked of objects: most requests name none that is not free."""
    joined: list[Rung] = []
    for of_objects, group in groupby(rungs, key=lambda rung: rung[0].of_objects):
        run = tuple(group)
        joined += [(OF_OBJECTS, partial(_asked_of_objects, run))] if of_objects else run
    return tuple(joined)


def _asked_of_objects(rungs: tuple[Rung, ...], server: UdsServer, request: Request) -> int:
    return server.refused_by(rungs, request) if request.accesses else 0


def _rows(sid: int, wanted: tuple[str, ...] | None) -> Sequence[Row]:
    """Return the rows of a service in the order that the profile wants."""
    rows = ORDER[sid]
    if wanted is None:
        return rows
    by_name = {row.check: row for row in rows}
    return [by_name[name] for name in wanted]


def _check(spec: ServiceSpec, row: Row) -> Check:
    return SHARED[row.check] if row.check in SHARED else spec.checks[row.check]


def _may_fail(row: Row, rule: ServiceRule) -> bool:
    """Return whether this row can fail at all: a service that is free is not asked for release and conditions."""
    return rule.access != FREE or row.check not in ("service released", "service level open", "service conditions")


def _is_remembered(row: Row, spec: ServiceSpec) -> bool:
    if row is EXACT_LENGTH:
        return isinstance(spec.exact_len, int)
    return row.check in REMEMBERED
