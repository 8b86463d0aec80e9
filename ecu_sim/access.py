"""Whether an object of the profile may be touched now: grant, open 0x27 level, conditions; the same rule everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.profile import Access
from ecu_sim.refusal import Refusal
from ecu_sim.vehicle_state import CONDITIONS
from wire.token import Scope
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def level_open(server: UdsServer, level: int, now_ns: int) -> bool:
    """Return whether a 0x27 level is open; one that was opened under a grant (`after_grant`) closes with it."""
    if server.state.open_level != level:
        return False
    gate = server.gate
    if gate is None or server.profile.security_access != "after_grant":
        return True
    return gate.allows(Scope.SECURITY_ACCESS, now_ns)


def refused_release(server: UdsServer, access: Access, now_ns: int) -> int:
    """Return 0, or why `access` is not released: grant (0x33 or 0x34), 0x27 level (0x33)."""
    if access.scope and server.gate is not None and not server.gate.allows(access.scope, now_ns):
        return server.gate.refusal_nrc
    if access.security is not None and not level_open(server, access.security, now_ns):
        return Nrc.securityAccessDenied
    return 0


def refused_access(server: UdsServer, access: Access, now_ns: int) -> int:
    """Return 0, or why `access` is not given: not released, or a condition does not hold (its own NRC)."""
    nrc = refused_release(server, access, now_ns)
    if nrc:
        return nrc
    return refused_condition(server, access)


def refused_condition(server: UdsServer, access: Access) -> int:
    """Return 0, or the NRC of the first condition that does not hold."""
    for name in access.conditions:
        nrc = CONDITIONS[name](server.vehicle)
        if nrc:
            return nrc
    return 0


def require(server: UdsServer, access: Access, now_ns: int, *, wrong_session_nrc: int = Nrc.requestOutOfRange) -> None:
    """Raise `Refusal` where the session does not offer the object (as if it were not there) or access is not given."""
    if access.sessions and server.state.session not in access.sessions:
        raise Refusal(wrong_session_nrc, "not in this session")
    nrc = refused_access(server, access, now_ns)
    if nrc:
        raise Refusal(nrc, "not released")


def require_conditions(server: UdsServer, sid: int) -> None:
    """Raise `Refusal` where a condition of the whole service does not hold; called once the request's length is known good."""
    nrc = refused_condition(server, server.profile.services[sid].access)
    if nrc:
        raise Refusal(nrc, "a condition of the service does not hold")
