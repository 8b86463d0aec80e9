"""What the witness holds to be protected, written from the domain's facts and not from the simulator's profiles.

Prefixes of requests (SID, sub-function, identifier), the suppress bit taken off. First match counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.monitor.signed_changes import SECURED, inside, is_signed

VAG_FREE_ROUTINES = (b"\x31\x01\xc0\x08", b"\x31\x01\xc0\x04", b"\x31\x01\xc0\x0a")
"""The unlock's own routines: request structure, token, lock."""

VAG_STATUS = b"\x22\x01\x74"
"""Reads whether a unit is open: the one reading that can tell a lie about a grant."""

VAG_UNIT_PROTECTED = (0x2E, 0x2F, 0x31, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3D)
"""Services that write, actuate, transfer or parametrise in a control unit with SFD: open only under its own grant."""
FREE_WRITES = (b"\x2e\xf1\x98", b"\x2e\xf1\x99")
"""Workshop code and programming date are written before coding and are not protected themselves."""

CERTIFICATE_GATEWAY_PROTECTED = (0x27, 0x2E, 0x2F, 0x31, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3D)
"""Services of a certificate gateway itself that write, actuate or open a level: closed until it has granted."""

BEHIND_GATEWAY_BLOCKED = (0x11, 0x27, 0x28, 0x29, 0x2E, 0x2F, 0x31, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3D, 0x84, 0x85)
"""Services that no locked gateway lets through, of either make."""

WATCHED: Mapping[str, frozenset[int]] = {
    "vag": frozenset((*BEHIND_GATEWAY_BLOCKED, *VAG_UNIT_PROTECTED, 0x22, 0x10)),
    "mercedes": frozenset((*BEHIND_GATEWAY_BLOCKED, 0x10)),
}


WITH_SUB_FUNCTION = frozenset({0x10, 0x11, 0x19, 0x27, 0x28, 0x29, 0x31, 0x3E, 0x85})


def normal(request: bytes) -> bytes:
    """Return the request without the suppress bit of its sub-function."""
    if len(request) > 1 and request[1] & 0x80 and request[0] in WITH_SUB_FUNCTION:
        return bytes((request[0], request[1] & 0x7F)) + request[2:]
    return request


def vag_unit_protected(request: bytes) -> bool:
    """Return whether an SFD unit must not answer this positively without a grant."""
    if request[0] not in VAG_UNIT_PROTECTED:
        return False
    return not request.startswith(VAG_FREE_ROUTINES) and not request.startswith(FREE_WRITES)


def signed_changes_only(request: bytes) -> bool:
    """Return whether a unit with SFD2 must not answer this positively but inside a signed change: no write is free there."""
    return request[0] in VAG_UNIT_PROTECTED and not request.startswith(VAG_FREE_ROUTINES)


def certificate_gateway_protected(request: bytes) -> bool:
    """Return whether a certificate gateway must not answer this for itself without a grant."""
    return request[0] in CERTIFICATE_GATEWAY_PROTECTED and not request.startswith(FREE_WRITES)


def blocked_behind(make: str, request: bytes, *, signed_passes: bool = False) -> bool:
    """Return whether a locked gateway of this make must not let this through. `signed_passes`: it leaves a signed change to the
    unit, which verifies it.
    """
    if make == "vag":
        if request.startswith(VAG_FREE_ROUTINES):
            return False
        inner = normal(inside(request)) if request[0] == SECURED else b""
        if inner and inner[0] != SECURED:
            if signed_passes and is_signed(request):
                return False
            return blocked_behind(make, inner)  # this make judges it by its inner service
    return request[0] in BEHIND_GATEWAY_BLOCKED
