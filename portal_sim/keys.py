"""The back end's own keys: an Ed25519 key for tokens, a P-256 root CA and back-end CA. Made by the bench, used nowhere else.

Built from bytes of an `Entropy`, so that a virtual bench repeats to the byte.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from wire.entropy import Entropy
from wire.portal_api import KeySet

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the curve's group (FIPS 186-4 D.1.2.3)."""
SERIAL_BYTES = 16
CA_YEARS = 10
_DAY_S = 24 * 3600


def _key_usage(*, signs: bool = False, certifies: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


SIGNS, CERTIFIES = _key_usage(signs=True), _key_usage(certifies=True)
"""Key usage (RFC 5280 section 4.2.1.3) of a diagnostic certificate, which proves ownership, and of a CA, which signs
certificates and their revocation list: that and no more.
"""


@dataclass(frozen=True, slots=True)
class BackendKeys:
    """Private keys and CA certificates of one back end."""

    token_key: Ed25519PrivateKey
    root_key: ec.EllipticCurvePrivateKey
    root_ca: x509.Certificate
    ca_key: ec.EllipticCurvePrivateKey
    backend_ca: x509.Certificate


def utc(utc_s: int) -> dt.datetime:
    """Return an aware UTC time."""
    return dt.datetime.fromtimestamp(utc_s, dt.UTC)


def p256_key(entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """Return a key from 48 random bytes, reduced into the group (bias below 2**-128, FIPS 186-4 B.4.1)."""
    scalar = int.from_bytes(entropy.token_bytes(48), "big") % (P256_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def serial(entropy: Entropy) -> int:
    """Return a positive certificate serial of at most 128 bits."""
    return int.from_bytes(entropy.token_bytes(SERIAL_BYTES), "big") >> 1 | 1


def name(common_name: str) -> x509.Name:
    """Return a subject or issuer."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sgw-bench"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def sign_certificate(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Return the certificate, signed deterministically (RFC 6979)."""
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def make_keys(entropy: Entropy, utc_s: int) -> BackendKeys:
    """Return new keys with CA certificates valid from a day before `utc_s`."""
    token_key = Ed25519PrivateKey.from_private_bytes(entropy.token_bytes(32))
    root_key, ca_key = p256_key(entropy), p256_key(entropy)
    root_name, ca_name = name("sgw-bench root CA"), name("sgw-bench back-end CA")
    begin, end = utc(utc_s - _DAY_S), utc(utc_s + CA_YEARS * 365 * _DAY_S)

    def ca(subject: x509.Name, key: ec.EllipticCurvePrivateKey, length: int) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(
                issuer_name=root_name,
                subject_name=subject,
                public_key=key.public_key(),
                serial_number=serial(entropy),
                not_valid_before=begin,
                not_valid_after=end,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(CERTIFIES, critical=True)
        )
        return sign_certificate(builder, root_key)

    return BackendKeys(token_key, root_key, ca(root_name, root_key, 1), ca_key, ca(ca_name, ca_key, 0))


def key_set_of(keys: BackendKeys) -> KeySet:
    """Return the public half of a back end that has revoked nothing."""
    return KeySet(
        token_keys=(keys.token_key.public_key().public_bytes_raw(),),
        root_ca=keys.root_ca.public_bytes(Encoding.DER),
        revoked_serials=frozenset(),
        revoked_tokens=frozenset(),
    )
