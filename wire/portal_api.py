"""The portal's boundary: every operation is a request dataclass that names its reply; one method carries them all.

Adapters: direct (in-process, latency and faults as world events) and HTTP; both pass one contract suite. A refusal is a
`PortalError` with a stable code and a plain sentence. Times are integer UTC seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


# ---- words both sides share


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

    SFD_TOKEN = "sfd-token"  # noqa: S105 - a name, not a secret
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


# ---- account and person


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp(Request[Done]):
    """Make an account; a mail with a confirmation link (valid 3 days) follows."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmEmail(Request[Done]):
    """Follow the link of the confirmation mail."""

    link_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session: the bearer `token`, until `expires_utc_s`. `strong`: a second factor was given."""

    token: str = field(repr=False)
    expires_utc_s: int
    strong: bool
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLogin(Request[Session]):
    """Sign in at the portal's pages by password alone, where no authenticator is enrolled yet (else with `code`)."""

    email: str
    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout(Request[Done]):
    """End a session."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword(Request[Done]):
    """Set a new password; other sessions end."""

    session: str = field(repr=False)
    old_password: str = field(repr=False)
    new_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReset(Request[Done]):
    """Retrieve a password, or come back after a lock-out: a mail with a link (valid 3 days) follows where there is an account.

    The answer is the same where there is none. Asking counts like a wrong try: whoever asks again waits longer.
    """

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmReset(Request[Done]):
    """Follow the link of the reset mail: a new password, a new authenticator at the next login, no lock-out, no old session."""

    link_code: str = field(repr=False)
    new_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalProfile(Request[Done]):
    """Fill in the personal profile. `birth_date`: ISO 8601 date."""

    session: str = field(repr=False)
    first_name: str
    last_name: str
    birth_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDocuments(Request[Done]):
    """Submit an identity check: country (ISO 3166 two letters), document, both sides, the face video."""

    session: str = field(repr=False)
    country: str
    document: DocumentKind
    front: Picture
    back: Picture
    video: FaceVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyProfile(Request[Done]):
    """Fill in the company profile; every field is needed."""

    session: str = field(repr=False)
    legal_name: str
    vat_number: str
    address: str
    street_number: str
    post_code: str
    town: str
    province: str
    nation: str
    phone: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateCompany(Request[Done]):
    """Press *Validate profile*."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStatus:
    """The page with three lines: personal profile, company profile, company profile validation."""

    email_masked: str
    personal_profile: bool
    identity: CheckState
    attempts_left: int
    company: CompanyState
    company_name: str
    manager: bool
    enrolled: bool
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatus(Request[ProfileStatus]):
    """Look at the page (*Update*)."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as the person sees it; `link_code` is the code in its button, where it has one."""

    to: str
    subject: str
    text: str
    sent_utc_s: int
    link_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMail(Request[tuple[Mail, ...]]):
    """Read a mailbox (the bench's own inbox; a real portal has no such operation)."""

    email: str


# ---- other users of the same tester


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteUser(Request[Done]):
    """The workshop manager invites a person, by mail."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptInvitation(Request[Done]):
    """The invited person joins the company, with an account of their own that is signed in. Nobody belongs to two."""

    session: str = field(repr=False)
    link_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisassociateUser(Request[Done]):
    """The manager takes a person out of the company; their sessions end."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSecondFactor(Request[Done]):
    """The manager takes away a person's authenticator; a new one is enrolled at the next login."""

    session: str = field(repr=False)
    email: str


# ---- login on the tester


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStep:
    """What comes after e-mail and password: scan `otpauth_uri` if it is there (first login), then answer with a code."""

    login_id: str = field(repr=False)
    otpauth_uri: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginLogin(Request[LoginStep]):
    """E-mail and password, on the tester with this serial number."""

    email: str
    password: str = field(repr=False)
    tester_serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishLogin(Request[Session]):
    """The authenticator's code; the first one also completes enrolment."""

    login_id: str = field(repr=False)
    code: str = field(repr=False)


# ---- unlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlock:
    """What the back end issued: a token, a certificate chain (`wire.diag_cert.encode_chain`), a key (`wire.signed_seed`), a
    change's signature (`wire.signed_change.ChangeSignature`), or a proof (`wire.challenge_response.encode_proof`). `audit_id`
    names the record.
    """

    payload: bytes = field(repr=False)
    audit_id: str
    expires_utc_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUnlock(Request[Unlock]):
    """Ask for an unlock. `challenge`: the ECU's request structure (SFD token), the tester's own public key as
    SubjectPublicKeyInfo DER (certificate), the gateway's seed (`wire.signed_seed.SeedRequest`), one change
    (`wire.signed_change.ChangeOrder`), or the exchange so far (proof, `wire.challenge_response.ProofRequest`). `code`: where the
    make's policy is one second factor per unlock. `manual`: the token is carried to the car by hand, which may take hours, so it
    may be written longer.
    """

    session: str = field(repr=False)
    kind: UnlockKind
    make: str
    vin: str
    ecu_address: int
    role: int
    scope: int
    challenge: bytes
    code: str | None = field(default=None, repr=False)
    manual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Public material for vehicles: Ed25519 token keys (raw, 32 bytes each), root CA (DER), revoked certificate serials,
    and ids of tokens and signed seeds.
    """

    token_keys: tuple[bytes, ...]
    root_ca: bytes
    revoked_serials: frozenset[int]
    revoked_tokens: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class GetKeySet(Request[KeySet]):
    """Fetch the public keys and revocations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the append-only log: who did what to which vehicle and ECU, when."""

    audit_id: str
    utc_s: int
    action: str
    person: str
    company: str
    make: str
    vin: str
    ecu_address: int | None
    role: int | None
    scope: int | None
    subject: str
