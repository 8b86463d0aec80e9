"""What a gateway lets through: a pure decision on a whole request. Unlisted is blocked.

Rules are prefixes of the request (SID, sub-function, data or routine identifier), the suppress bit taken off. An inner service
that SecuredDataTransmission 0x84 wraps is judged too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from wire.token import Scope
from wire.uds import SUB_FUNCTION_SERVICES, Service

SECURED_HEADER_LEN = 8
"""0x84, administrative parameter 2, calculation 1, signature length 2, counter 2: the inner request follows."""
ENCRYPTED = 0x10
"""Bit 4 of the administrative parameter: nobody on the way can read the inner request."""
MAX_NESTING = 2
"""A wrapped request inside a wrapped request is blocked: nothing needs it."""


class Verdict(Enum):
    """What becomes of a request."""

    ALLOW = "allow"
    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A make's filter for requests behind the gateway while it is locked.

    `allowed`: prefixes that always pass. `scopes`: what a grant must release for a service to pass, by SID. `refusal_nrc`
    None: a blocked request meets silence.
    """

    allowed: tuple[bytes, ...]
    scopes: Mapping[int, Scope]
    refusal_nrc: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and its reason, for the gateway's log."""

    verdict: Verdict
    reason: str


ALLOWED = Decision(Verdict.ALLOW, "on the list")
RELEASED = Decision(Verdict.ALLOW, "released by a grant")
OPEN = Decision(Verdict.ALLOW, "the filter is not armed")


def decide(policy: Policy, payload: bytes, *, armed: bool, released: Callable[[Scope], bool]) -> Decision:
    """Judge a whole request. `released(scope)` tells whether a live grant releases a scope."""
    if not armed:
        return OPEN
    return _judge(policy, payload, released, 0)


def _judge(policy: Policy, payload: bytes, released: Callable[[Scope], bool], depth: int) -> Decision:
    if not payload or depth >= MAX_NESTING:
        return _blocked(policy, "empty or nested")
    normal = payload
    if len(payload) > 1 and payload[0] in SUB_FUNCTION_SERVICES and payload[1] & 0x80:
        normal = bytes((payload[0], payload[1] & 0x7F)) + payload[2:]
    verdict = _listed_or_released(policy, normal, released)
    if verdict is None:
        return _blocked(policy, f"{normal[:4].hex(' ').upper()} is not on the list")
    if payload[0] == Service.SecuredDataTransmission:
        if len(payload) > SECURED_HEADER_LEN and payload[2] & ENCRYPTED:
            return _blocked(policy, "encrypted: its inner service cannot be judged")
        inner = _judge(policy, payload[SECURED_HEADER_LEN:], released, depth + 1)
        return verdict if inner.verdict is Verdict.ALLOW else inner
    return verdict


def _listed_or_released(policy: Policy, payload: bytes, released: Callable[[Scope], bool]) -> Decision | None:
    if payload.startswith(policy.allowed):
        return ALLOWED
    scope = policy.scopes.get(payload[0])
    return RELEASED if scope is not None and released(scope) else None


def _blocked(policy: Policy, reason: str) -> Decision:
    return Decision(Verdict.DROP if policy.refusal_nrc is None else Verdict.REFUSE, reason)
