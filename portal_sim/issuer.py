"""Issues unlocks: an ordered list of conditions, then token or certificate together with its audit record, or nothing."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from portal_sim.broker import checked_proof_request, prove
from portal_sim.change_signing import CHANGE_LIFETIME_S, checked_order, issue_change
from portal_sim.desk import AUDIT_ID_BYTES, Call, Desk, Work
from portal_sim.entitlement import entitled
from portal_sim.idempotency import Repeated
from portal_sim.keys import SIGNS, BackendKeys, name, serial, sign_certificate, utc
from portal_sim.login import Login
from portal_sim.options import MakePolicy
from portal_sim.records import Account
from portal_sim.signed_seed import checked_seed, make_key
from wire.challenge_response import ProofRequest
from wire.diag_cert import DiagnosticClaims, encode_chain, with_claims
from wire.errors import ConfigError
from wire.manual_flow import REQUEST, TOKEN, decode_text, encode_text
from wire.portal_api import (
    PortalError,
    PortalErrorCode,
    RequestUnlock,
    RequestUnlockByFile,
    Unlock,
    UnlockFile,
    UnlockKind,
)
from wire.token import (
    ALL_SCOPES,
    TOKEN_ID_LEN,
    VIN_LEN,
    Generation,
    RequestStructure,
    TokenClaims,
    TokenFormatError,
    key_id,
    sign,
)

CLOCK_TOLERANCE_S = 300
"""Unlocks are valid from five minutes ago: vehicles' clocks are not exact."""
ISSUED, SIGNED = "unlock issued", "change signed"
"""What the audit log calls an unlock, and a signature for one change."""


class Issuer:
    """The back end's signing desk."""

    def __init__(self, desk: Desk, keys: BackendKeys, login: Login) -> None:
        self._desk = desk
        self.keys = keys
        self._login = login
        self._key_id = key_id(keys.token_key.public_key())

    def unlock(self, request: RequestUnlock, call: Call) -> Unlock:
        """Check every condition in order, then issue. Who asks again under an idempotency key gets the same."""
        with self._desk.work(call) as work:
            account = entitled(work, request)
            again = Repeated.of(account.email, request)
            kept = None if again is None else again.answer(work)
            return kept or self._new_unlock(work, account, request, again)

    def _new_unlock(self, work: Work, account: Account, request: RequestUnlock, again: Repeated | None) -> Unlock:
        _require_sense(request, work.options.makes[request.make])
        audit_id = self._desk.entropy.token_bytes(AUDIT_ID_BYTES).hex()
        now_s, action, subject = work.now_s, ISSUED, None
        if request.kind is UnlockKind.SIGNED_CHANGE:
            order = checked_order(request)
            self._second_factor(work, account, request)
            change = issue_change(request, order, self.keys.token_key, self._desk.entropy)
            payload, ident, expires_s = change.payload, change.ident, now_s + CHANGE_LIFETIME_S
            action, subject = SIGNED, change.subject
        elif request.kind is UnlockKind.SFD_TOKEN:
            structure = self._checked_structure(request)
            self._second_factor(work, account, request)
            payload, ident, expires_s = self._token(request, structure, now_s)
        elif request.kind is UnlockKind.SIGNED_SEED:
            seed = checked_seed(work, account, request)
            self._second_factor(work, account, request)
            payload, ident, expires_s = make_key(self.keys, request, seed, now_s)
        elif request.kind is UnlockKind.PROOF:
            asked = checked_proof_request(request.challenge)
            self._second_factor(work, account, request)
            payload, ident, expires_s = self._proof(request, asked, now_s)
        else:
            public_key = _checked_key(request.challenge)
            self._second_factor(work, account, request)
            payload, ident, expires_s = self._certificate(request, public_key, now_s)
        unlock = Unlock(payload=payload, audit_id=audit_id, expires_utc_s=expires_s)
        record = replace(
            work.record(action, account, subject=subject or ident, audit_id=audit_id),
            make=request.make,
            vin=request.vin,
            ecu_address=request.ecu_address,
            role=request.role,
            scope=request.scope,
        )
        reply = None if again is None else again.kept(unlock, work)
        work.unit.issue_with_audit(ident, record, reply)
        return unlock

    def unlock_by_file(self, request: RequestUnlockByFile, call: Call) -> UnlockFile:
        """Issue a token for a request that was carried here as text, as text to carry back."""
        with self._desk.look(call) as look:
            look.visitor(request.session)
        try:
            _, challenge = decode_text(REQUEST, request.request_text)
            structure = RequestStructure.decode(challenge)
        except ConfigError as error:
            line = f" (line {error.line})" if error.line is not None else ""
            what = f"Please check the text of the request{line}: {error.problem}."
            raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, what) from None
        except TokenFormatError as error:
            what = f"Please check the request: {error}."
            raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, what) from None
        wish = RequestUnlock(
            session=request.session,
            kind=UnlockKind.SFD_TOKEN,
            make=request.make,
            vin=structure.vin,
            ecu_address=structure.ecu_address,
            role=request.role,
            scope=request.scope,
            challenge=challenge,
            code=request.code,
            manual=True,
            idempotency_key=request.idempotency_key,
        )
        unlock = self.unlock(wish, call)
        headers = {"VIN": structure.vin, "Unit": f"{structure.ecu_address:02X}"}
        text = encode_text(TOKEN, headers, unlock.payload)
        return UnlockFile(text=text, audit_id=unlock.audit_id, expires_utc_s=unlock.expires_utc_s)

    # ---- conditions

    def _second_factor(self, work: Work, account: Account, request: RequestUnlock) -> None:
        """Take the make's own second factor, last: nothing that fails before it burns a code."""
        if work.options.makes[request.make].second_factor_for(request.kind) == "per_unlock":
            if request.code is None:
                raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "This make wants a code for each unlock.")
            self._login.require_code(work, account, request.code)

    def _checked_structure(self, request: RequestUnlock) -> RequestStructure:
        try:
            structure = RequestStructure.decode(request.challenge)
        except TokenFormatError as error:
            raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, f"{error}") from None
        if structure.vin != request.vin or structure.ecu_address != request.ecu_address:
            raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The request is from another vehicle or unit.")
        if structure.generation != Generation.SFD:
            raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The request is of another generation.")
        return structure

    # ---- issue

    def _token(self, request: RequestUnlock, structure: RequestStructure, now_s: int) -> tuple[bytes, str, int]:
        options = self._desk.options
        token_id = self._desk.entropy.token_bytes(TOKEN_ID_LEN)
        expires_s = now_s + (options.manual_token_lifetime_s if request.manual else options.token_lifetime_s)
        claims = TokenClaims(
            key_id=self._key_id,
            token_id=token_id,
            ecu_address=request.ecu_address,
            vin=request.vin,
            role=request.role,
            scope=request.scope,
            nonce=structure.nonce,
            not_before_utc_s=now_s - CLOCK_TOLERANCE_S,
            not_after_utc_s=expires_s,
            duration_min=options.unlock_duration_min,
        )
        return sign(claims, self.keys.token_key).encode(), f"{UnlockKind.SFD_TOKEN}:{token_id.hex()}", expires_s

    def _proof(self, request: RequestUnlock, asked: ProofRequest, now_s: int) -> tuple[bytes, str, int]:
        minutes = self._desk.options.unlock_duration_min
        payload, ident = prove(request, asked, self.keys, self._desk.entropy, minutes)
        return payload, f"{UnlockKind.PROOF}:{ident.hex()}", now_s + minutes * 60

    def _certificate(
        self, request: RequestUnlock, public_key: ec.EllipticCurvePublicKey, now_s: int
    ) -> tuple[bytes, str, int]:
        number = serial(self._desk.entropy)
        expires_s = now_s + self._desk.options.certificate_lifetime_s
        builder = (
            x509.CertificateBuilder(
                issuer_name=self.keys.backend_ca.subject,
                subject_name=name("diagnostic authentication"),
                public_key=public_key,
                serial_number=number,
                not_valid_before=utc(now_s - CLOCK_TOLERANCE_S),
                not_valid_after=utc(expires_s),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(SIGNS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        claims = DiagnosticClaims(
            vin=request.vin, ecu_address=request.ecu_address, role=request.role, scope=request.scope
        )
        leaf = sign_certificate(with_claims(builder, claims), self.keys.ca_key)
        return encode_chain(leaf, self.keys.backend_ca), f"{UnlockKind.CERTIFICATE}:{number:x}", expires_s


def _require_sense(request: RequestUnlock, policy: MakePolicy) -> None:
    """Refuse what no vehicle of this make could take."""
    if len(request.vin) != VIN_LEN or not request.vin.isascii() or not request.vin.isalnum():
        raise _invalid(f"A VIN has {VIN_LEN} letters and digits.")
    if request.kind not in policy.kinds:
        raise _invalid(f"{request.make} is not unlocked by {request.kind}.")
    if request.manual and request.kind is UnlockKind.SIGNED_CHANGE:
        raise _invalid("Each change is signed online for itself: it cannot be carried by hand.")
    if request.manual and request.kind is not UnlockKind.SFD_TOKEN:
        raise _invalid("Only tokens can be carried by hand.")
    if not 0 <= request.ecu_address <= 0xFFFF or not 0 < request.scope <= ALL_SCOPES:
        raise _invalid("There is no such control unit address or scope.")


def _invalid(sentence: str) -> PortalError:
    return PortalError(PortalErrorCode.INVALID_INPUT, sentence)


def _checked_key(der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "This is not a public key.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The public key must be on the curve P-256.")
    return key
