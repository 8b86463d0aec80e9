"""A request as the ladder and the services see it, and how a service describes itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecu_sim.refusal import Refusal
from wire.uds import SUB_FUNCTION_SERVICES, SUPPRESS_POSITIVE_RESPONSE, Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


class Request:
    """One request. `sub_function` has no suppress bit; it is 0 where the service has none. `now_ns`: arrival, then service."""

    __slots__ = ("functional", "now_ns", "payload", "sid", "sub_function", "suppress")

    def __init__(self, payload: bytes, functional: bool, now_ns: int) -> None:  # noqa: FBT001 - hot path
        self.payload = payload
        self.functional = functional
        self.now_ns = now_ns
        self.sid = sid = payload[0]
        if sid in SUB_FUNCTION_SERVICES and len(payload) > 1:
            self.sub_function = payload[1] & 0x7F
            self.suppress = payload[1] & SUPPRESS_POSITIVE_RESPONSE != 0
        else:
            self.sub_function = 0
            self.suppress = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A service: what serves it, in which sessions it exists (empty: all), which sub-functions it knows.

    `sub_functions` None: it has none that the ladder checks. `sub_function_sessions`: sessions of one (empty: all).
    `conditions`: a profile may tie the whole service to preconditions; elsewhere they belong to identifiers and routines.
    """

    serve: Callable[[UdsServer, Request], bytes]
    sessions: frozenset[int] = frozenset()
    sub_functions: Callable[[UdsServer], frozenset[int]] | None = None
    sub_function_sessions: Callable[[UdsServer, int], frozenset[int]] | None = None
    conditions: bool = False


NOT_DEFAULT = frozenset(range(2, 0x80))
"""Every session but the default one."""


def exact_length(request: Request, size: int) -> None:
    """Refuse a request that is not `size` bytes long."""
    if len(request.payload) != size:
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, f"{len(request.payload)} bytes instead of {size}")


def only(*sub_functions: int) -> Callable[[UdsServer], frozenset[int]]:
    """Return a reader of a fixed set of sub-functions."""
    fixed = frozenset(sub_functions)
    return lambda _: fixed
