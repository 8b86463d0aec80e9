"""What people read of an act: UDS answers, the portal's refusals and unlocks that did not come about, as `Outcome`s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from udsoncan.exceptions import NegativeResponseException

from scenarios.stage import Outcome, OutcomeKind, TroubleResult
from vci_driver.outcome import UnlockFailed, UnlockResult
from wire.portal_api import PortalError, ProfileStatus
from wire.uds import NEGATIVE_RESPONSE, nrc_name

Facts = Mapping[str, object]
SHOWN_BYTES = 64


def answered(payload: bytes) -> Outcome:
    """Return the outcome of a UDS answer."""
    if not payload:
        return Outcome(kind=OutcomeKind.SILENCE, text="no answer, as asked for")
    if payload[0] == NEGATIVE_RESPONSE and len(payload) == 3:
        nrc = payload[2]
        return Outcome(kind=OutcomeKind.NEGATIVE, text=f"refused with {nrc_name(nrc)}", payload=payload, nrc=nrc)
    return Outcome(kind=OutcomeKind.POSITIVE, text=f"answered {shown(payload)}", payload=payload)


def trouble_outcome(code: int, result: TroubleResult, *, counted: bool) -> Outcome:
    """Return the outcome of a unit's own test of a trouble code."""
    if counted:
        return Outcome(kind=OutcomeKind.POSITIVE, text=f"test of {code:06X} {result.value}")
    why = "no operation cycle runs, ControlDTCSetting is off, or the unit is not there"
    return Outcome(kind=OutcomeKind.FAILED, text=f"test of {code:06X} does not count: {why}")


def shown(payload: bytes) -> str:
    """Return bytes for people, all of them up to `SHOWN_BYTES`."""
    text = payload[:SHOWN_BYTES].hex(" ").upper()
    return text if len(payload) <= SHOWN_BYTES else f"{text} ... ({len(payload)} bytes)"


def portal_refused(error: PortalError, *, result: int | None = None) -> Outcome:
    """Return the outcome of a portal's refusal."""
    return Outcome(
        kind=OutcomeKind.PORTAL_ERROR,
        text=f"portal: {error.sentence}",
        portal_code=error.code.value,
        result=result,
        facts={"message": error.sentence},
    )


def unfit(reason: str, result: UnlockResult) -> Outcome:
    """Return the outcome of an unlock that could not even be tried."""
    return Outcome(kind=OutcomeKind.FAILED, text=reason, result=int(result), facts={"reason": reason})


def unlock_failed(failed: UnlockFailed) -> Outcome:
    """Return the outcome of an unlock that did not come about: who refused, and the field's result code."""
    cause, result = failed.report.cause, int(failed.result)
    facts: Facts = {"reason": failed.report.text}
    if isinstance(cause, PortalError):
        return replace(portal_refused(cause, result=result), facts=facts)
    if isinstance(cause, NegativeResponseException):
        nrc = cause.response.code or 0
        return Outcome(kind=OutcomeKind.NEGATIVE, text=failed.report.text, nrc=nrc, result=result, facts=facts)
    return Outcome(kind=OutcomeKind.FAILED, text=failed.report.text, result=result, facts=facts)


def status_facts(status: ProfileStatus) -> Facts:
    """Return what the page with the three lines tells."""
    return {
        "personal-profile": status.personal_profile,
        "identity": status.identity.value,
        "attempts-left": status.attempts_left,
        "company": status.company.value,
        "enrolled": status.enrolled,
        "message": " ".join(status.messages),
    }
