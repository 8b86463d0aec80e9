"""Whether an object of the profile may be touched now: grant, open 0x27 level, conditions; the same rule everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.profile import Access
from ecu_sim.vehicle_state import CONDITIONS
from wire.token import Scope

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


def refused_scope(server: UdsServer, access: Access, now_ns: int) -> int:
    """Return 0, or the lock's NRC (0x33 or 0x34) where no live grant releases what `access` asks for."""
    gate = server.gate
    return gate.refusal_nrc if access.scope and gate is not None and not gate.allows(access.scope, now_ns) else 0


def refused_condition(server: UdsServer, access: Access, now_ns: int) -> int:
    """Return 0, or the NRC of the first condition that does not hold."""
    for name in access.conditions:
        nrc = CONDITIONS[name](server.vehicle, now_ns)
        if nrc:
            return nrc
    return 0


def still_allowed(
    server: UdsServer, accesses: tuple[Access, ...], now_ns: int, *, conditions: bool = False, secured: bool = False
) -> bool:
    """Return whether what was allowed once still is: session, level and grant; where asked for, conditions too.

    `secured`: it was asked for by SecuredDataTransmission, whose signature stood for a grant that is over with the request.
    """
    session = server.state.session
    for access in accesses:
        if access.sessions and session not in access.sessions:
            return False
        if not secured and (access.secured or refused_scope(server, access, now_ns)):
            return False
        if access.security is not None and not level_open(server, access.security, now_ns):
            return False
        if conditions and refused_condition(server, access, now_ns):
            return False
    return True
