"""Whether an object of the profile may be touched now: grant, open 0x27 level, conditions; the same rule everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.profile import Access
from ecu_sim.refusal import Refusal
from ecu_sim.vehicle_state import CONDITIONS
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def refused_access(server: UdsServer, access: Access, now_ns: int) -> int:
    """Return 0, or why `access` is not given: grant (0x33 or 0x34), 0x27 level (0x33), condition (its own NRC)."""
    if access.scope and server.gate is not None and not server.gate.allows(access.scope, now_ns):
        return server.gate.refusal_nrc
    if access.security is not None and server.state.open_level != access.security:
        return Nrc.securityAccessDenied
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
