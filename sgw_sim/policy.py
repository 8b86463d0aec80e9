"""What a gateway lets through: a pure decision on a whole request. Unlisted is blocked.

Rules are prefixes of the request (SID, sub-function, data or routine identifier), the suppress bit taken off. An inner service
that SecuredDataTransmission 0x84 wraps is judged too, unless the profile leaves a signed one to the unit, which verifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from wire.secured import SECURED_REQUEST, Administrative, SecuredFormatError, SecuredMessage
from wire.token import Scope
from wire.uds import SUB_FUNCTION_SERVICES


class Verdict(Enum):
    """What becomes of a request."""

    ALLOW = "allow"
    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A make's filter for requests behind the gateway while it is locked.

    `allowed`: prefixes that always pass. `scopes`: what a grant must release for a service to pass, by SID. `refusal_nrc`
    None: a blocked request meets silence. `signed_passes`: a 0x84 on the list that is signed and can be read passes whatever is
    inside, because the unit behind verifies the signature and the gateway could not do better.
    """

    allowed: tuple[bytes, ...]
    scopes: Mapping[int, Scope]
    refusal_nrc: int | None
    signed_passes: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and its reason, for the gateway's log."""

    verdict: Verdict
    reason: str


ALLOWED = Decision(Verdict.ALLOW, "on the list")
RELEASED = Decision(Verdict.ALLOW, "released by a grant")
SIGNED = Decision(Verdict.ALLOW, "signed: the unit verifies it")
OPEN = Decision(Verdict.ALLOW, "the filter is not armed")


def decide(policy: Policy, payload: bytes, *, armed: bool, released: Callable[[Scope], bool]) -> Decision:
    """Judge a whole request. `released(scope)` tells whether a live grant releases a scope."""
    if not armed:
        return OPEN
    verdict = _listed_or_released(policy, payload, released)
    if verdict is None:
        return _blocked(policy, f"{payload[:4].hex(' ').upper()} is not on the list")
    return verdict if payload[0] != SECURED_REQUEST else _judge_inside(policy, payload, verdict, released)


def _judge_inside(policy: Policy, payload: bytes, verdict: Decision, released: Callable[[Scope], bool]) -> Decision:
    """Judge what a listed 0x84 carries. A wrapped request inside a wrapped request is blocked: nothing needs it."""
    try:
        message = SecuredMessage.decode(payload)
    except SecuredFormatError as error:
        return _blocked(policy, f"its inner service cannot be judged: {error}")
    if not message.readable:
        return _blocked(policy, "its inner service cannot be judged: encrypted")
    if message.inner[0] == SECURED_REQUEST:
        return _blocked(policy, "nested")
    if policy.signed_passes and message.administrative & Administrative.SIGNED and message.signature:
        return SIGNED
    if _listed_or_released(policy, message.inner, released) is None:
        return _blocked(policy, f"inside: {message.inner[:4].hex(' ').upper()} is not on the list")
    return verdict


def _listed_or_released(policy: Policy, payload: bytes, released: Callable[[Scope], bool]) -> Decision | None:
    if not payload:
        return None
    if len(payload) > 1 and payload[0] in SUB_FUNCTION_SERVICES and payload[1] & 0x80:
        payload = bytes((payload[0], payload[1] & 0x7F)) + payload[2:]
    if payload.startswith(policy.allowed):
        return ALLOWED
    scope = policy.scopes.get(payload[0])
    return RELEASED if scope is not None and released(scope) else None


def _blocked(policy: Policy, reason: str) -> Decision:
    return Decision(Verdict.DROP if policy.refusal_nrc is None else Verdict.REFUSE, reason)
