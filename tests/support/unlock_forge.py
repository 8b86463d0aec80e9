"""A back end in a test's hand: good tokens and certificates, and forged ones, through the public formats."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ecu_sim.unlock.trust import TrustStore
from portal_sim.keys import BackendKeys, make_keys, name, p256_key
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.diag_cert import DiagnosticClaims, with_claims
from wire.entropy import SeededEntropy
from wire.portal_api import KeySet
from wire.token import ALL_SCOPES, RequestStructure, Role, TokenClaims, key_id, sign

VIN = "WVWZZZCDZNW000001"
OTHER_VIN = "W1N2539051F000002"
ADDRESS = 0x17
EPOCH_S = VIRTUAL_EPOCH_UTC_S
S = 10**9
MINUTE = 60 * S
HOUR = 60 * MINUTE

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Extra = tuple[tuple[x509.ExtensionType, bool], ...]
"""Further extensions of a certificate, each with whether it is critical."""

KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def key_usage(*uses: str) -> x509.KeyUsage:
    """What a key may be used for (RFC 5280 section 4.2.1.3), and nothing else."""
    return x509.KeyUsage(**{use: use in uses for use in KEY_USES})


SIGNS, CERTIFIES = key_usage("digital_signature"), key_usage("key_cert_sign", "crl_sign")
CLIENTS = (ExtendedKeyUsageOID.CLIENT_AUTH,)
NOBODY_KNOWS = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), b"\x05\x00")


@cache
def keys(seed: int = 1) -> BackendKeys:
    """Another seed is another back end."""
    return make_keys(SeededEntropy(random.Random(seed)), EPOCH_S)


@cache
def owner_key(seed: int = 100) -> ec.EllipticCurvePrivateKey:
    return p256_key(SeededEntropy(random.Random(seed)))


def key_set(back_end: BackendKeys | None = None, **changes: Any) -> KeySet:
    back_end = back_end or keys()
    known = KeySet(
        token_keys=(back_end.token_key.public_key().public_bytes_raw(),),
        root_ca=back_end.root_ca.public_bytes(Encoding.DER),
        revoked_serials=frozenset(),
        revoked_tokens=frozenset(),
    )
    return replace(known, **changes)


def trust(**changes: Any) -> TrustStore:
    return TrustStore(key_set(**changes))


def claims(structure: RequestStructure, **changes: Any) -> TokenClaims:
    """What the back end would sign for `structure`: valid from five minutes before the epoch for a day."""
    good: dict[str, Any] = {
        "key_id": key_id(keys().token_key.public_key()),
        "token_id": bytes(range(16)),
        "ecu_address": structure.ecu_address,
        "vin": structure.vin,
        "role": Role.AFTER_SALES,
        "scope": ALL_SCOPES,
        "nonce": structure.nonce,
        "not_before_utc_s": EPOCH_S - 300,
        "not_after_utc_s": EPOCH_S + 24 * 3600,
    }
    return TokenClaims(**{**good, **changes})


def token(structure: RequestStructure, back_end: BackendKeys | None = None, **changes: Any) -> bytes:
    """A token for `structure`, signed by `back_end`, with some claims changed before the signature."""
    return sign(claims(structure, **changes), (back_end or keys()).token_key).encode()


def flip(data: bytes, bit: int) -> bytes:
    """`data` with one bit turned over; bit 0 is the first byte's highest."""
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def leaf(
    *,
    public_key: Any = None,
    issuer: x509.Name | None = None,
    signing_key: Key | None = None,
    serial: int = 0x1234,
    begin_s: int = EPOCH_S - 300,
    end_s: int = EPOCH_S + 3600,
    ca: bool = False,
    diagnostic: DiagnosticClaims | None = None,
    without_claims: bool = False,
    algorithm: Any = None,
    usage: x509.KeyUsage | None = SIGNS,
    purposes: tuple[x509.ObjectIdentifier, ...] | None = CLIENTS,
    extra: Extra = (),
    **claim_changes: Any,
) -> x509.Certificate:
    """A diagnostic certificate for the tester's key; every argument forges one thing. None: leave the extension out."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer or keys().backend_ca.subject,
        subject_name=name("diagnostic authentication"),
        public_key=public_key or owner_key().public_key(),
        serial_number=serial,
        not_valid_before=dt.datetime.fromtimestamp(begin_s, dt.UTC),
        not_valid_after=dt.datetime.fromtimestamp(end_s, dt.UTC),
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    good = {"vin": VIN, "ecu_address": ADDRESS, "role": Role.AFTER_SALES, "scope": int(ALL_SCOPES)}
    if not without_claims:
        builder = with_claims(builder, diagnostic or DiagnosticClaims(**{**good, **claim_changes}))
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return _signed(builder, signing_key or keys().ca_key, algorithm)


@cache
def ca(
    *,
    subject: x509.Name | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    issuer: x509.Name | None = None,
    signing_key: Any = None,
    is_ca: bool | None = True,
    path_length: int | None = None,
    begin_s: int = EPOCH_S - 86400,
    end_s: int = EPOCH_S + 86400,
    serial: int = 0xCA,
    usage: x509.KeyUsage | None = CERTIFIES,
    extra: Extra = (),
) -> x509.Certificate:
    """A back-end CA certificate of our own making, by default a second good one for the same key."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer or keys().root_ca.subject,
        subject_name=subject or keys().backend_ca.subject,
        public_key=(key or keys().ca_key).public_key(),
        serial_number=serial,
        not_valid_before=dt.datetime.fromtimestamp(begin_s, dt.UTC),
        not_valid_after=dt.datetime.fromtimestamp(end_s, dt.UTC),
    )
    if is_ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True)
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return _signed(builder, signing_key or keys().root_key)


def root(**changes: Any) -> x509.Certificate:
    """The trusted root once more, of the same name and key, with something changed."""
    return ca(**{"subject": keys().root_ca.subject, "key": keys().root_key, **changes})


def _signed(builder: x509.CertificateBuilder, key: Key, algorithm: Any = None) -> x509.Certificate:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    deterministic = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, algorithm or hashes.SHA256(), ecdsa_deterministic=deterministic)


def chain(certificate: x509.Certificate | None = None, backend_ca: x509.Certificate | None = None) -> bytes:
    """The certificate field of 0x29: leaf, then back-end CA."""
    first, second = certificate or leaf(), backend_ca or keys().backend_ca
    return first.public_bytes(Encoding.DER) + second.public_bytes(Encoding.DER)


def sized(data: bytes) -> bytes:
    """A field of 0x29 with its 16-bit length before it."""
    return len(data).to_bytes(2, "big") + data
