"""What every message stands on: the codes of refusal, the request and its reply, and the words both sides share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from wire.errors import RemoteFault

R_co = TypeVar("R_co", covariant=True)


class PortalErrorCode(StrEnum):
    """Stable codes: tests, scenarios and the HTTP service name refusals by these."""

    INVALID_INPUT = "invalid-input"
    LOGIN_FAILED = "login-failed"
    CODE_REJECTED = "code-rejected"
    THROTTLED = "throttled"
    LOCKED_OUT = "locked-out"
    SESSION_INVALID = "session-invalid"
    NOT_ENROLLED = "not-enrolled"
    SECOND_FACTOR_REQUIRED = "second-factor-required"
    EMAIL_TAKEN = "email-taken"
    EMAIL_NOT_CONFIRMED = "email-not-confirmed"
    LINK_INVALID = "link-invalid"
    PROFILE_INCOMPLETE = "profile-incomplete"
    IDENTITY_NOT_VERIFIED = "identity-not-verified"
    IDENTITY_CHECK_IN_PROGRESS = "identity-check-in-progress"
    NO_ATTEMPTS_LEFT = "no-attempts-left"
    COMPANY_INCOMPLETE = "company-incomplete"
    COMPANY_NOT_VALIDATED = "company-not-validated"
    COMPANY_REVOKED = "company-revoked"
    ALREADY_IN_COMPANY = "already-in-company"
    DISASSOCIATED = "disassociated"
    NOT_THE_MANAGER = "not-the-manager"
    NOT_ENTITLED = "not-entitled"
    NOT_LICENSED = "not-licensed"
    KEY_REUSED = "key-reused"
    REQUEST_STRUCTURE_INVALID = "request-structure-invalid"
    UNAVAILABLE = "unavailable"


class PortalError(RemoteFault):
    """The portal refused. `code` is stable, the text is for people, `retry_after_s` says when another try makes sense."""

    def __init__(self, code: PortalErrorCode, sentence: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class Request(Generic[R_co]):
    """Base of all requests; the type argument is the reply."""

    __slots__ = ()


class PortalPort(Protocol):
    """The door to a portal. `call` may take (world) time; raises `PortalError`."""

    def call(self, request: Request[R_co]) -> R_co:
        """Carry out one operation."""


class CheckState(StrEnum):
    """State of a person's identity check."""

    NONE = "none"
    IN_PROGRESS = "in-progress"
    REFUSED = "refused"
    APPROVED = "approved"


class CompanyState(StrEnum):
    """State of a company's validation."""

    NONE = "none"
    COMPLETE = "complete"
    VALIDATED = "validated"
    REVOKED = "revoked"


class DocumentKind(StrEnum):
    """Documents that the identity check takes."""

    PASSPORT = "passport"
    DRIVING_LICENCE = "driving-licence"
    RESIDENCE_PERMIT = "residence-permit"


class UnlockKind(StrEnum):
    """What is asked for: a token for one control unit; a diagnostic certificate, or the key for a seed, for a gateway; a
    signature for one change; a broker's proof over a unit's challenge.
    """

    SFD_TOKEN = "sfd-token"  # noqa: S105 - a name, not a secret  # nosec B105
    CERTIFICATE = "certificate"
    SIGNED_SEED = "signed-seed"
    SIGNED_CHANGE = "signed-change"
    PROOF = "proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a camera delivered, as the reviewer sees it: `sharpness` and `brightness` from 0.0 to 1.0, `name` as legible."""

    name: str = ""
    sharpness: float = 1.0
    brightness: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceVideo:
    """The short video of the face: `motion` from 0.0 (a still) to 1.0 (turned from side to side)."""

    motion: float = 1.0


@dataclass(frozen=True, slots=True)
class Done:
    """It was done; `message` is what a person reads."""

    message: str = ""
