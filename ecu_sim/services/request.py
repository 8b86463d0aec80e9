"""A request as the ladder and the services see it, and how a service describes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecu_sim.unit_event import UnitEvent
from wire.uds import SUB_FUNCTION_SERVICES, SUPPRESS_POSITIVE_RESPONSE

if TYPE_CHECKING:
    from ecu_sim.profile import Access
    from ecu_sim.server import UdsServer


class Request:
    """One request. `sub_function` has no suppress bit; it is 0 where the service has none. `now_ns`: arrival, then service.

    `secured`: it came within SecuredDataTransmission 0x84. A check leaves here what it found: `found` for the service,
    `accesses` (those that are not free) for the rows that are asked of every object.
    """

    __slots__ = ("accesses", "found", "functional", "now_ns", "payload", "secured", "sid", "sub_function", "suppress")

    def __init__(self, payload: bytes, functional: bool, now_ns: int, *, secured: bool = False) -> None:  # noqa: FBT001 - hot path
        self.payload = payload
        self.functional = functional
        self.now_ns = now_ns
        self.secured = secured
        self.found: Any = None
        self.accesses: tuple[Access, ...] = ()
        self.sid = sid = payload[0]
        if sid in SUB_FUNCTION_SERVICES and len(payload) > 1:
            self.sub_function = payload[1] & 0x7F
            self.suppress = payload[1] & SUPPRESS_POSITIVE_RESPONSE != 0
        else:
            self.sub_function = 0
            self.suppress = False


Check = Callable[["UdsServer", Request], int]
"""Returns 0 where the question is answered well; else the NRC, or anything true where the row of the table has the NRC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A service: what serves it, in which sessions it exists (empty: all), which sub-functions it knows.

    `sub_functions` None: it has none that the ladder checks. `sub_function_sessions`: sessions of one (empty: all).
    `min_len`, `exact_len`: of the whole request. `checks`: its own rows of `ecu_sim.order.ORDER`, by their names.
    `work_ns`: how long a request is worked on; `begin`: what is so from the first moment of that work. `listen`: told of every
    event of the unit. A profile may tie the whole service to preconditions where its ladder has the row "service conditions";
    elsewhere they belong to identifiers and routines.
    """

    serve: Callable[[UdsServer, Request], bytes]
    sessions: frozenset[int] = frozenset()
    sub_functions: Callable[[UdsServer], frozenset[int]] | None = None
    sub_function_sessions: Callable[[UdsServer, int], frozenset[int]] | None = None
    min_len: int = 1
    exact_len: int | Callable[[UdsServer, Request], int] = 0
    checks: Mapping[str, Check] = field(default_factory=dict)
    work_ns: Callable[[UdsServer, Request], int] | None = None
    begin: Callable[[UdsServer, Request], None] | None = None
    listen: Callable[[UdsServer, UnitEvent, int], None] | None = None


NOT_DEFAULT = frozenset(range(2, 0x80))
"""Every session but the default one."""


def only(*sub_functions: int) -> Callable[[UdsServer], frozenset[int]]:
    """Return a reader of a fixed set of sub-functions."""
    fixed = frozenset(sub_functions)
    return lambda _: fixed
