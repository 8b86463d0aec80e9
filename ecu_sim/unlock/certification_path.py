"""Path validation for root, one back-end CA and a leaf (RFC 5280 section 6.1): each question apart, yes or no, no NRCs.

The root is what the ECU trusts: of its content, name and key count (section 6.1.1 d), and the path length (RFC 5937), no more.
Stricter than section 6: an extension that says what a key is for may not be missing, since our back end never leaves it out.
Dates, revocation and our own claims are the gate's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from wire.diag_cert import CLAIMS_OID, DiagnosticClaims

CA_EXTENSIONS = frozenset((x509.BasicConstraints.oid, x509.KeyUsage.oid))
LEAF_EXTENSIONS = CA_EXTENSIONS | {x509.ExtendedKeyUsage.oid, CLAIMS_OID}
"""What is worked through. Any other extension that is critical refuses the certificate (RFC 5280 section 4.2)."""

T = TypeVar("T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A chain as presented, decoded; the gate's checks read it."""

    leaf: x509.Certificate
    backend_ca: x509.Certificate | None
    claims: DiagnosticClaims

    def serials(self) -> frozenset[int]:
        """Return the serials whose revocation ends what rests on this chain."""
        return frozenset(certificate.serial_number for certificate in self._chain())

    def end_utc_s(self) -> int:
        """Return the last second in which the whole chain is valid (RFC 5280 section 4.1.2.5: the end is included)."""
        return min(int(certificate.not_valid_after_utc.timestamp()) for certificate in self._chain())

    def valid_s(self) -> int:
        """Return for how many seconds the shortest certificate of the chain is valid, from its begin to its end."""
        return min(
            int((certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds())
            for certificate in self._chain()
        )

    def _chain(self) -> list[x509.Certificate]:
        return [certificate for certificate in (self.leaf, self.backend_ca) if certificate is not None]


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether the certificate names `issuer` and carries its signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_ca(certificate: x509.Certificate) -> bool:
    """Return whether the certificate says that it is a CA's (section 6.1.4 k)."""
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def allows_below(root: x509.Certificate, ca: x509.Certificate) -> bool:
    """Return whether the root's path length has room for this CA; a CA of the root's own name costs none (section 6.1.4 l).

    The CA's own path length counts CAs below it, and there is none: a leaf that is a CA is refused as such.
    """
    constraints = _extension(root, x509.BasicConstraints)
    if constraints is None or constraints.path_length is None:
        return True
    return constraints.path_length >= (0 if ca.subject == ca.issuer else 1)


def may_sign_certificates(certificate: x509.Certificate) -> bool:
    """Return whether the key usage says `keyCertSign` (section 6.1.4 n; a CA has to say it, section 4.2.1.3)."""
    usage = _extension(certificate, x509.KeyUsage)
    return usage is not None and usage.key_cert_sign


def may_sign(certificate: x509.Certificate) -> bool:
    """Return whether the key usage says `digitalSignature`: the proof of ownership is one (section 4.2.1.3)."""
    usage = _extension(certificate, x509.KeyUsage)
    return usage is not None and usage.digital_signature


def is_for_clients(certificate: x509.Certificate) -> bool:
    """Return whether the extended key usage names `clientAuth`; any purpose is none in particular (section 4.2.1.12)."""
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    return purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH in purposes


def demands_only(certificate: x509.Certificate, known: frozenset[x509.ObjectIdentifier]) -> bool:
    """Return whether every critical extension is among those that are worked through (sections 6.1.4 o and 6.1.5 f)."""
    return all(extension.oid in known for extension in certificate.extensions if extension.critical)


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
