"""Unlocks: asking for one, carrying one by hand, revoking one."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import Done, Request, UnlockKind


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
    may be written longer. `idempotency_key`: who asks again with the same one, because an answer was lost, gets the same unlock
    again and spends no second code.
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
    idempotency_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeUnlock(Request[Done]):
    """The manager revokes an unlock that somebody of the company got: vehicles learn of it by the next key set."""

    session: str = field(repr=False)
    audit_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockFile:
    """An unlock as text to carry by hand (`wire.manual_flow`)."""

    text: str = field(repr=False)
    audit_id: str
    expires_utc_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUnlockByFile(Request[UnlockFile]):
    """Ask for a token with the file that a tester wrote (`wire.manual_flow.REQUEST`); the answer is the file to carry back."""

    session: str = field(repr=False)
    make: str
    role: int
    scope: int
    request_text: str
    code: str | None = field(default=None, repr=False)
    idempotency_key: str = field(default="", repr=False)
