"""Issues unlocks: an ordered list of conditions, then token or certificate together with its audit record, or nothing."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from portal_sim.broker import checked_proof_request, prove
from portal_sim.change_signing import CHANGE_LIFETIME_S, checked_order, issue_change
from portal_sim.desk import Desk
from portal_sim.keys import SIGNS, BackendKeys, name, serial, sign_certificate, utc
from portal_sim.login import Login
from portal_sim.records import Account
from portal_sim.signed_seed import checked_seed, make_key
from wire.challenge_response import ProofRequest
from wire.diag_cert import DiagnosticClaims, encode_chain, with_claims
from wire.portal_api import (
    AuditRecord,
    CheckState,
    CompanyState,
    KeySet,
    PortalError,
    PortalErrorCode,
    RequestUnlock,
    Unlock,
    UnlockKind,
)
from wire.token import (
    ALL_SCOPES,
    TOKEN_ID_LEN,
    VIN_LEN,
    Generation,
    RequestStructure,
    Role,
    TokenClaims,
    TokenFormatError,
    key_id,
    sign,
)

CLOCK_TOLERANCE_S = 300
"""Unlocks are valid from five minutes ago: vehicles' clocks are not exact."""


class Issuer:
    """The back end's signing desk. `entitlements`: (person, make, role) beyond what a validated company has by itself."""

    def __init__(self, desk: Desk, keys: BackendKeys, login: Login) -> None:
        self._desk = desk
        self.keys = keys
        self._login = login
        self.entitlements: set[tuple[str, str, int]] = set()
        self._key_id = key_id(keys.token_key.public_key())
        self._revoked_serials: set[int] = set()
        self._revoked_tokens: set[bytes] = set()

    def key_set(self) -> KeySet:
        """Return what vehicles need to know."""
        return KeySet(
            token_keys=(self.keys.token_key.public_key().public_bytes_raw(),),
            root_ca=self.keys.root_ca.public_bytes(Encoding.DER),
            revoked_serials=frozenset(self._revoked_serials),
            revoked_tokens=frozenset(self._revoked_tokens),
        )

    def revoke(self, audit_id: str) -> None:
        """Revoke an issued unlock. Raises `PortalError` when there is none of that id."""
        ident = self._desk.store.issued(audit_id)
        if ident is None:
            raise PortalError(PortalErrorCode.INVALID_INPUT, f"There is no issued unlock with the id {audit_id}.")
        kind, _, value = ident.partition(":")
        if kind in (UnlockKind.SFD_TOKEN, UnlockKind.SIGNED_SEED, UnlockKind.SIGNED_CHANGE, UnlockKind.PROOF):
            self._revoked_tokens.add(bytes.fromhex(value))
        else:
            self._revoked_serials.add(int(value, 16))

    def unlock(self, request: RequestUnlock, now_s: int) -> Unlock:
        """Check every condition in order, then issue."""
        account = self._entitled(request, now_s)
        if len(request.vin) != VIN_LEN or not request.vin.isascii() or not request.vin.isalnum():
            raise PortalError(PortalErrorCode.INVALID_INPUT, f"A VIN has {VIN_LEN} letters and digits.")
        if request.kind not in self._desk.options.makes[request.make].kinds:
            raise PortalError(PortalErrorCode.INVALID_INPUT, f"{request.make} is not unlocked by {request.kind}.")
        if request.manual and request.kind is UnlockKind.SIGNED_CHANGE:
            raise PortalError(
                PortalErrorCode.INVALID_INPUT, "Each change is signed online for itself: it cannot be carried by hand."
            )
        if request.manual and request.kind is not UnlockKind.SFD_TOKEN:
            raise PortalError(PortalErrorCode.INVALID_INPUT, "Only tokens can be carried by hand.")
        if not 0 <= request.ecu_address <= 0xFFFF or not 0 < request.scope <= ALL_SCOPES:
            raise PortalError(PortalErrorCode.INVALID_INPUT, "There is no such control unit address or scope.")
        audit_id = self._desk.entropy.token_bytes(8).hex()
        if request.kind is UnlockKind.SIGNED_CHANGE:
            return self._signed_change(audit_id, account, request, now_s)
        if request.kind is UnlockKind.SFD_TOKEN:
            structure = self._checked_structure(request)
            self._second_factor(account, request, now_s)
            payload, ident, expires_s = self._token(request, structure, now_s)
        elif request.kind is UnlockKind.SIGNED_SEED:
            seed = checked_seed(self._desk, account, request)
            self._second_factor(account, request, now_s)
            payload, ident, expires_s = make_key(self.keys, request, seed, now_s)
        elif request.kind is UnlockKind.PROOF:
            asked = checked_proof_request(request.challenge)
            self._second_factor(account, request, now_s)
            payload, ident, expires_s = self._proof(request, asked, now_s)
        else:
            public_key = _checked_key(request.challenge)
            self._second_factor(account, request, now_s)
            payload, ident, expires_s = self._certificate(request, public_key, now_s)
        self._desk.store.issue_with_audit(ident, self._record(audit_id, account, request, ident, now_s))
        return Unlock(payload=payload, audit_id=audit_id, expires_utc_s=expires_s)

    # ---- conditions

    def _entitled(self, request: RequestUnlock, now_s: int) -> Account:
        session, account = self._desk.session_of(request.session, now_s)
        policy = self._desk.options.makes.get(request.make)
        if not session.strong:
            raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "Log in with your authenticator first.")
        self._desk.require_not_locked_out(account.email)
        if account.identity is not CheckState.APPROVED:
            raise PortalError(PortalErrorCode.IDENTITY_NOT_VERIFIED, "Your identity has not been checked yet.")
        if account.disassociated:
            raise PortalError(PortalErrorCode.DISASSOCIATED, "You do not belong to a company any more.")
        company = self._desk.company_of(account)
        if company is None or company.state is not CompanyState.VALIDATED:
            if company is not None and company.state is CompanyState.REVOKED:
                raise PortalError(PortalErrorCode.COMPANY_REVOKED, "Your company's validation was revoked.")
            raise PortalError(PortalErrorCode.COMPANY_NOT_VALIDATED, "Your company has not been validated.")
        granted = (account.email, request.make, request.role) in self.entitlements
        if policy is None or not (granted or request.role in policy.default_roles):
            role = Role(request.role).name if request.role in Role.__members__.values() else request.role
            self._desk.audit("unlock refused", now_s, account, f"not entitled: {request.make} {role}")
            raise PortalError(
                PortalErrorCode.NOT_ENTITLED, f"You are not entitled to the role {role} for {request.make}."
            )
        return account

    def _second_factor(self, account: Account, request: RequestUnlock, now_s: int) -> None:
        """Take the make's own second factor, last: nothing that fails before it burns a code."""
        if self._desk.options.makes[request.make].second_factor_for(request.kind) == "per_unlock":
            if request.code is None:
                raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "This make wants a code for each unlock.")
            self._login.require_code(account, request.code, now_s)

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

    def _signed_change(self, audit_id: str, account: Account, request: RequestUnlock, now_s: int) -> Unlock:
        """Sign one change, with a record that says which: its digest stands in the subject."""
        order = checked_order(request)
        self._second_factor(account, request, now_s)
        issued = issue_change(request, order, self.keys.token_key, self._desk.entropy)
        record = self._record(audit_id, account, request, issued.subject, now_s)
        self._desk.store.issue_with_audit(issued.ident, replace(record, action="change signed"))
        return Unlock(payload=issued.payload, audit_id=audit_id, expires_utc_s=now_s + CHANGE_LIFETIME_S)

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

    def _record(self, audit_id: str, account: Account, request: RequestUnlock, ident: str, now_s: int) -> AuditRecord:
        company = self._desk.company_of(account)
        return AuditRecord(
            audit_id=audit_id,
            utc_s=now_s,
            action="unlock issued",
            person=account.email,
            company=company.legal_name if company else "",
            make=request.make,
            vin=request.vin,
            ecu_address=request.ecu_address,
            role=request.role,
            scope=request.scope,
            subject=ident,
        )


def _checked_key(der: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "This is not a public key.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The public key must be on the curve P-256.")
    return key
