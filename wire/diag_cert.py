"""What both sides of a certificate unlock must agree on: the certificate's own extensions and the bytes that prove ownership.

Chain: root CA -> back-end CA -> diagnostic authentication certificate (X.509, P-256), all made by the bench. The extension
OIDs stand under 2.25 (UUID-based, ITU-T X.667), so they belong to nobody else. On the wire (0x29) a certificate field
carries the leaf's DER followed by the back-end CA's DER.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from wire.authentication import Exchange, Party
from wire.errors import RemoteFault
from wire.token import VIN_LEN, require_number, require_vin

_ARC = "2.25.214160571183374961170937246210347153621"
CLAIMS_OID = x509.ObjectIdentifier(_ARC + ".1")
"""Extension value: claims version 1, see `DiagnosticClaims.encode`."""

ECDSA_SHA256_OID = "1.2.840.10045.4.3.2"
ALGORITHM_INDICATOR_LEN = 16
ALGORITHM_INDICATOR = bytes.fromhex("06082a8648ce3d040302").ljust(ALGORITHM_INDICATOR_LEN, b"\0")
"""ecdsa-with-SHA256 as a BER object identifier, left aligned, zero padded (0x29 algorithmIndicator)."""

CHALLENGE_LEN = 32
COMMUNICATION_CONFIGURATION = 0x00
"""No session key; see `wire.authentication.Configuration`."""
_PROOF_DOMAIN = b"sgw-bench/ownership-proof/1\0"
_SIGNER = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_VERIFIER = ec.ECDSA(hashes.SHA256())
_NOT_X509 = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    CryptographyDeprecationWarning,  # a serial that is not positive, say (RFC 5280 section 4.1.2.2)
)
_CLAIMS_LEN = 1 + VIN_LEN + 2 + 1 + 2


class CertificateFormatError(RemoteFault):
    """The bytes are not a certificate, or its claims are missing or malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticClaims:
    """What a diagnostic certificate releases: for this VIN and this ECU address, in this role (`wire.token.Role`), these
    scopes (`wire.token.Scope` bits). Building them with what the extension cannot carry raises `LocalMisuse`.
    """

    vin: str
    ecu_address: int
    role: int
    scope: int

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_vin(self.vin)
        require_number("ecu_address", self.ecu_address, 2)
        require_number("role", self.role, 1)
        require_number("scope", self.scope, 2)

    def encode(self) -> bytes:
        """Return the extension value: version, VIN, ECU address (2), role, scope (2)."""
        tail = self.ecu_address.to_bytes(2, "big") + bytes((self.role,)) + self.scope.to_bytes(2, "big")
        return b"\x01" + self.vin.encode("ascii") + tail

    @classmethod
    def decode(cls, value: bytes) -> DiagnosticClaims:
        """Read an extension value; raise `CertificateFormatError`."""
        if len(value) != _CLAIMS_LEN or value[0] != 1:
            raise CertificateFormatError(f"claims of version 1 have {_CLAIMS_LEN} bytes, these are {value.hex()}")
        vin, tail = value[1 : 1 + VIN_LEN], value[1 + VIN_LEN :]
        if not vin.isascii():
            raise CertificateFormatError(f"the VIN is not ASCII: {vin.hex()}")
        return cls(
            vin=vin.decode("ascii"),
            ecu_address=int.from_bytes(tail[:2], "big"),
            role=tail[2],
            scope=int.from_bytes(tail[3:], "big"),
        )


def with_claims(builder: x509.CertificateBuilder, claims: DiagnosticClaims) -> x509.CertificateBuilder:
    """Add the claims to a certificate that is being built."""
    return builder.add_extension(x509.UnrecognizedExtension(CLAIMS_OID, claims.encode()), critical=True)


def claims_of(certificate: x509.Certificate) -> DiagnosticClaims:
    """Return the claims of a certificate; raise `CertificateFormatError` where it has none that can be read."""
    try:
        extension = certificate.extensions.get_extension_for_oid(CLAIMS_OID).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise CertificateFormatError(f"no diagnostic claims: {error}") from None
    if not isinstance(extension, x509.UnrecognizedExtension):
        raise CertificateFormatError("the diagnostic claims are not an opaque extension")
    return DiagnosticClaims.decode(extension.value)


def encode_chain(leaf: x509.Certificate, backend_ca: x509.Certificate) -> bytes:
    """Return the certificate field of 0x29: leaf DER, then back-end CA DER."""
    return leaf.public_bytes(Encoding.DER) + backend_ca.public_bytes(Encoding.DER)


def decode_chain(field: bytes) -> tuple[x509.Certificate, x509.Certificate | None]:
    """Return (leaf, back-end CA or None when only a leaf was sent); raise `CertificateFormatError`."""
    certificates: list[x509.Certificate] = []
    rest = field
    while rest and len(certificates) < 2:  # a chain is two: a longer field is malformed, not worked through
        size = _der_len(rest)
        certificates.append(_load(rest[:size]))
        rest = rest[size:]
    if rest or not certificates:
        raise CertificateFormatError(f"a certificate field holds one or two certificates; {len(rest)} bytes are left")
    return certificates[0], certificates[1] if len(certificates) == 2 else None


def _load(der: bytes) -> x509.Certificate:
    """Return the certificate with every part read once: the library reads lazily and raises wherever a bad part is touched."""
    try:
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):
            certificate = x509.load_der_x509_certificate(der)
        _ = certificate.issuer, certificate.subject, certificate.extensions, certificate.signature_algorithm_oid
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        certificate.public_key()
    except UnsupportedAlgorithm:
        return certificate  # well-formed, but of a kind that nobody here verifies: the type check says so
    except _NOT_X509 as error:
        raise CertificateFormatError(f"not an X.509 certificate: {error}") from None
    if not der.endswith(b"\0" + certificate.signature):  # the library lets a signature say that it ends within an octet
        raise CertificateFormatError("not an X.509 certificate: its signature is no whole number of octets")
    return certificate


def prove_ownership(private_key: ec.EllipticCurvePrivateKey, challenge: bytes, vin: str, ecu_address: int) -> bytes:
    """Return the DER signature over the server's challenge, bound to vehicle and ECU (deterministic, RFC 6979).

    This is the proof of a unidirectional exchange without a session key; any other takes `prove_exchange`.
    """
    return private_key.sign(_proof_bytes(challenge, vin, ecu_address), _SIGNER)


def ownership_proven(
    public_key: ec.EllipticCurvePublicKey, proof: bytes, challenge: bytes, vin: str, ecu_address: int
) -> bool:
    """Return whether `proof` is the key's signature over this challenge, vehicle and ECU."""
    return _signed(public_key, proof, _proof_bytes(challenge, vin, ecu_address))


def chain_digest(chain: bytes) -> bytes:
    """Return what an exchange's proofs cover of the client's certificate field (`Exchange.additional`): whose exchange it is."""
    return hashlib.sha256(chain).digest()


def prove_exchange(private_key: ec.EllipticCurvePrivateKey, exchange: Exchange, party: Party) -> bytes:
    """Return `party`'s DER signature over a bidirectional exchange, or one with a session key (deterministic, RFC 6979)."""
    return private_key.sign(exchange.proof_bytes(party), _SIGNER)


def exchange_proven(public_key: ec.EllipticCurvePublicKey, proof: bytes, exchange: Exchange, party: Party) -> bool:
    """Return whether `proof` is the key's own, for this exchange and direction."""
    return _signed(public_key, proof, exchange.proof_bytes(party))


def _signed(public_key: ec.EllipticCurvePublicKey, proof: bytes, data: bytes) -> bool:
    try:
        public_key.verify(proof, data, _VERIFIER)
    except InvalidSignature:
        return False
    return True


def _proof_bytes(challenge: bytes, vin: str, ecu_address: int) -> bytes:
    return _PROOF_DOMAIN + vin.encode("ascii") + ecu_address.to_bytes(2, "big") + challenge


def _der_len(data: bytes) -> int:
    """Return the length of the DER object at the head of `data`, header included."""
    if len(data) < 2 or data[0] != 0x30:
        raise CertificateFormatError(f"not DER: begins with {data[:2].hex()}")
    first = data[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if not 1 <= count <= 3 or len(data) < 2 + count:
        raise CertificateFormatError(f"not DER: length byte {first:#04x}")
    size = 2 + count + int.from_bytes(data[2 : 2 + count], "big")
    if size > len(data):
        raise CertificateFormatError(f"truncated DER: {size} bytes announced, {len(data)} there")
    return size
