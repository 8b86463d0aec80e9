"""Revocations, and what vehicles are told: the key set and the certificate revocation list."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from portal_sim.company import managed_company
from portal_sim.desk import Call, Desk, Work
from portal_sim.forms import invalid
from portal_sim.keys import BackendKeys, utc
from wire.portal_api import (
    Done,
    GetKeySet,
    GetRevocationList,
    KeySet,
    PortalError,
    PortalErrorCode,
    RevocationList,
    RevokeUnlock,
    UnlockKind,
)

CRL_LIFETIME_S = 24 * 3600
"""How long a list is good for; a new one is made whenever somebody asks."""


class Revocations:
    """What was issued and is worth nothing any more. `keys`: the back end's own."""

    def __init__(self, desk: Desk, keys: BackendKeys) -> None:
        self._desk = desk
        self._keys = keys

    def revoke(self, request: RevokeUnlock, call: Call) -> Done:
        """Revoke an unlock of the manager's own company."""
        with self._desk.work(call) as work:
            visitor = work.visitor(request.session)
            company = managed_company(work, visitor.account)
            if not visitor.session.strong:
                raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "Log in with your authenticator first.")
            record = work.unit.audit_record(request.audit_id)
            if record is None or record.company_id != company.company_id or work.unit.issued(request.audit_id) is None:
                raise invalid("the unlock", "there is none with this id in your company")
            self.revoke_in(work, request.audit_id)
            work.audit("unlock revoked", visitor.account, request.audit_id)
        return Done("The unlock is revoked.")

    def revoke_in(self, work: Work, audit_id: str) -> None:
        """Revoke an issued unlock. Raises `PortalError` when there is none of that id."""
        ident = work.unit.issued(audit_id)
        if ident is None:
            raise PortalError(PortalErrorCode.INVALID_INPUT, f"There is no issued unlock with the id {audit_id}.")
        work.unit.revoke(ident, work.now_s)

    def key_set(self, _: GetKeySet, call: Call) -> KeySet:
        """Return what vehicles need to know."""
        with self._desk.look(call) as look:
            revoked = look.reading.revoked()
        return KeySet(
            token_keys=(self._keys.token_key.public_key().public_bytes_raw(),),
            root_ca=self._keys.root_ca.public_bytes(Encoding.DER),
            revoked_serials=frozenset(_serial(ident) for ident in revoked if _is_certificate(ident)),
            revoked_tokens=frozenset(
                bytes.fromhex(ident.partition(":")[2]) for ident in revoked if not _is_certificate(ident)
            ),
        )

    def revocation_list(self, _: GetRevocationList, call: Call) -> RevocationList:
        """Return the revocation list of diagnostic certificates (RFC 5280 section 5); its number is the time."""
        with self._desk.look(call) as look:
            revoked = look.reading.revoked()
        entries = [
            x509.RevokedCertificateBuilder(serial_number=_serial(ident), revocation_date=utc(since_s)).build()
            for ident, since_s in revoked.items()
            if _is_certificate(ident)
        ]
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._keys.ca_key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder(
                issuer_name=self._keys.backend_ca.subject,
                last_update=utc(call.now_s),
                next_update=utc(call.now_s + CRL_LIFETIME_S),
                revoked_certificates=entries,
            )
            .add_extension(signer, critical=False)
            .add_extension(x509.CRLNumber(call.now_s), critical=False)
        )
        made = builder.sign(self._keys.ca_key, hashes.SHA256(), ecdsa_deterministic=True)
        return RevocationList(der=made.public_bytes(Encoding.DER))


def _is_certificate(ident: str) -> bool:
    return ident.startswith(f"{UnlockKind.CERTIFICATE}:")


def _serial(ident: str) -> int:
    return int(ident.partition(":")[2], 16)
