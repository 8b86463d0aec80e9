"""Unlocks that went wrong on the way, or at a back end that errs: made on purpose, so that vehicles can prove that they refuse.

The tamperer holds the simulated back end's own keys; what it changes in a token's or certificate's content is signed again,
unless the signature itself is what is spoiled.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NoReturn, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.tampering_change import CHANGE_TAMPERING, OTHER_VIN, spoil_change
from bench.tampering_seed import SEED_TAMPERING, spoil_key
from portal_sim.keys import BackendKeys, sign_certificate, utc
from scenarios.stage import TamperKind
from wire.diag_cert import CLAIMS_OID, DiagnosticClaims, claims_of, decode_chain, encode_chain, with_claims
from wire.errors import LocalMisuse
from wire.portal_api import RequestUnlock, Unlock, UnlockKind
from wire.token import Generation, Token, TokenClaims, key_id, sign

HOUR_S = 3600
SIGNATURE_LEN = 64
"""Of Ed25519, and of HMAC-SHA512."""
_STRANGER_SCALAR = 0x5EC7
_STRANGER_KEY = ec.derive_private_key(_STRANGER_SCALAR, ec.SECP256R1())
_STRANGER_TOKEN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")


class HasKeys(Protocol):
    """A back end whose private keys are at hand."""

    @property
    def keys(self) -> BackendKeys:
        """The private keys. Raises `NotOnThisCarrier` where nobody here knows them."""


class Tamperer:
    """Spoils unlocks. Remembers what passed, for replays."""

    def __init__(self, backend: HasKeys) -> None:
        self._portal = backend
        self._passed: list[bytes] = []

    def apply(self, kind: TamperKind | None, request: RequestUnlock, unlock: Unlock, utc_s: int) -> Unlock:
        """Return the unlock as it arrives. Raises `LocalMisuse` where a kind makes no sense for the scheme."""
        payload = unlock.payload
        if kind is not None:
            payload = self._spoil(kind, request, payload, utc_s)
        else:
            self._passed.append(payload)
        return replace(unlock, payload=payload)

    def _spoil(self, kind: TamperKind, request: RequestUnlock, payload: bytes, utc_s: int) -> bytes:
        if kind is TamperKind.TRUNCATE:
            return payload[:-1]
        if kind is TamperKind.GARBAGE:
            return b"not an unlock".ljust(len(payload), b"\0")
        if kind is TamperKind.REPLAY:
            if not self._passed:
                raise LocalMisuse(
                    f"tamper {kind.value}: no unlock was issued yet that could be replayed: unlock once before"
                )
            return self._passed[-1]
        signer = self._portal.keys.token_key
        if request.kind is UnlockKind.SIGNED_SEED:
            return spoil_key(kind, signer, request) or self._impossible(kind, SEED_TAMPERING)
        if request.kind is UnlockKind.SIGNED_CHANGE:
            return spoil_change(kind, signer, request, payload) or self._impossible(kind, CHANGE_TAMPERING)
        table = TOKEN_TAMPERING if request.kind is UnlockKind.SFD_TOKEN else CERTIFICATE_TAMPERING
        act = table.get(kind)
        return act(self, payload, utc_s) if act else self._impossible(kind, table)

    def _impossible(self, kind: TamperKind, table: Iterable[TamperKind]) -> NoReturn:
        possible = ", ".join([K.TRUNCATE, K.GARBAGE, K.REPLAY, *table])
        raise LocalMisuse(f"tamper {kind.value}: cannot happen to this vehicle's kind of unlock; what can: {possible}")

    # ---- tokens

    def _token(self, payload: bytes, change: Callable[[TokenClaims], TokenClaims]) -> bytes:
        return sign(change(Token.decode(payload).claims), self._portal.keys.token_key).encode()

    def _token_flipped(self, payload: bytes, _: int) -> bytes:
        return payload[:-1] + bytes((payload[-1] ^ 0x01,))

    def _token_other_vin(self, payload: bytes, _: int) -> bytes:
        return self._token(payload, lambda claims: replace(claims, vin=OTHER_VIN))

    def _token_other_ecu(self, payload: bytes, _: int) -> bytes:
        return self._token(payload, lambda claims: replace(claims, ecu_address=claims.ecu_address ^ 0x7F))

    def _token_expired(self, payload: bytes, utc_s: int) -> bytes:
        return self._token(
            payload,
            lambda claims: replace(claims, not_before_utc_s=utc_s - 2 * HOUR_S, not_after_utc_s=utc_s - HOUR_S),
        )

    def _token_not_yet(self, payload: bytes, utc_s: int) -> bytes:
        return self._token(
            payload,
            lambda claims: replace(claims, not_before_utc_s=utc_s + HOUR_S, not_after_utc_s=utc_s + 2 * HOUR_S),
        )

    def _token_stale(self, payload: bytes, _: int) -> bytes:
        old = Token.decode(self._passed[-1]).claims.nonce if self._passed else bytes(16)
        return self._token(payload, lambda claims: replace(claims, nonce=old))

    def _token_role(self, payload: bytes, _: int) -> bytes:
        return self._token(payload, lambda claims: replace(claims, role=0))

    def _token_scope(self, payload: bytes, _: int) -> bytes:
        return self._token(payload, lambda claims: replace(claims, scope=0))

    def _token_generation(self, payload: bytes, _: int) -> bytes:
        return self._token(payload, lambda claims: replace(claims, generation=Generation.SFD2))

    def _token_issuer(self, payload: bytes, _: int) -> bytes:
        claims = replace(Token.decode(payload).claims, key_id=key_id(_STRANGER_TOKEN_KEY.public_key()))
        return sign(claims, _STRANGER_TOKEN_KEY).encode()

    def _token_algorithm(self, payload: bytes, _: int) -> bytes:
        """Algorithm confusion: a keyed hash under the public key, as long as a signature, where a signature belongs."""
        public_key = self._portal.keys.token_key.public_key().public_bytes_raw()
        return payload[:-SIGNATURE_LEN] + hmac.digest(public_key, payload[:-SIGNATURE_LEN], "sha512")

    # ---- certificates

    def _rebuilt(
        self,
        payload: bytes,
        *,
        claims: Callable[[DiagnosticClaims], DiagnosticClaims] = lambda claims: claims,
        begin_utc_s: int | None = None,
        end_utc_s: int | None = None,
        key: ec.EllipticCurvePublicKey | None = None,
    ) -> bytes:
        leaf, backend_ca = decode_chain(payload)
        assert backend_ca is not None
        builder = _like(
            leaf,
            public_key=key,
            begin=None if begin_utc_s is None else utc(begin_utc_s),
            end=None if end_utc_s is None else utc(end_utc_s),
        )
        made = sign_certificate(with_claims(builder, claims(claims_of(leaf))), self._portal.keys.ca_key)
        return encode_chain(made, backend_ca)

    def _cert_flipped(self, payload: bytes, _: int) -> bytes:
        """Flip the last bit of the leaf's signature; the back-end CA stays whole."""
        leaf, backend_ca = decode_chain(payload)
        assert backend_ca is not None
        at = payload.index(leaf.signature) + len(leaf.signature) - 1
        return payload[:at] + bytes((payload[at] ^ 0x01,)) + payload[at + 1 :]

    def _cert_other_vin(self, payload: bytes, _: int) -> bytes:
        return self._rebuilt(payload, claims=lambda claims: replace(claims, vin=OTHER_VIN))

    def _cert_other_ecu(self, payload: bytes, _: int) -> bytes:
        return self._rebuilt(payload, claims=lambda claims: replace(claims, ecu_address=claims.ecu_address ^ 0x7F))

    def _cert_expired(self, payload: bytes, utc_s: int) -> bytes:
        return self._rebuilt(payload, begin_utc_s=utc_s - 2 * HOUR_S, end_utc_s=utc_s - HOUR_S)

    def _cert_not_yet(self, payload: bytes, utc_s: int) -> bytes:
        return self._rebuilt(payload, begin_utc_s=utc_s + HOUR_S, end_utc_s=utc_s + 2 * HOUR_S)

    def _cert_role(self, payload: bytes, _: int) -> bytes:
        return self._rebuilt(payload, claims=lambda claims: replace(claims, role=0))

    def _cert_scope(self, payload: bytes, _: int) -> bytes:
        return self._rebuilt(payload, claims=lambda claims: replace(claims, scope=0))

    def _cert_foreign_key(self, payload: bytes, _: int) -> bytes:
        return self._rebuilt(payload, key=_STRANGER_KEY.public_key())

    def _cert_issuer(self, payload: bytes, utc_s: int) -> bytes:
        """A chain of the same names under a root that the vehicle does not know."""
        leaf, backend_ca = decode_chain(payload)
        assert backend_ca is not None
        builder = _like(
            backend_ca, public_key=_STRANGER_KEY.public_key(), begin=utc(utc_s - HOUR_S), end=utc(utc_s + HOUR_S)
        )
        false_ca = sign_certificate(builder, _STRANGER_KEY)
        made = sign_certificate(with_claims(_like(leaf), claims_of(leaf)), _STRANGER_KEY)
        return encode_chain(made, false_ca)

    def _cert_algorithm(self, payload: bytes, _: int) -> bytes:
        """The same certificate, signed over another hash."""
        leaf, backend_ca = decode_chain(payload)
        assert backend_ca is not None
        signed = with_claims(_like(leaf), claims_of(leaf)).sign(
            self._portal.keys.ca_key, hashes.SHA512(), ecdsa_deterministic=True
        )
        return encode_chain(signed, backend_ca)


def _like(
    certificate: x509.Certificate,
    *,
    public_key: ec.EllipticCurvePublicKey | None = None,
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
) -> x509.CertificateBuilder:
    """Return a builder of the same certificate, claims left out: so that what is spoiled is the only thing that is wrong."""
    key = public_key or certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    builder = x509.CertificateBuilder(
        issuer_name=certificate.issuer,
        subject_name=certificate.subject,
        public_key=key,
        serial_number=certificate.serial_number,
        not_valid_before=begin or certificate.not_valid_before_utc,
        not_valid_after=end or certificate.not_valid_after_utc,
    )
    for extension in certificate.extensions:
        if extension.oid != CLAIMS_OID:
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder


Act = Callable[[Tamperer, bytes, int], bytes]
K, T = TamperKind, Tamperer
TOKEN_TAMPERING: dict[TamperKind, Act] = {
    K.FLIP_BIT: T._token_flipped,
    K.OTHER_VIN: T._token_other_vin,
    K.OTHER_ECU: T._token_other_ecu,
    K.EXPIRED: T._token_expired,
    K.NOT_YET_VALID: T._token_not_yet,
    K.STALE_CHALLENGE: T._token_stale,
    K.WRONG_ROLE: T._token_role,
    K.WRONG_SCOPE: T._token_scope,
    K.WRONG_GENERATION: T._token_generation,
    K.OTHER_ISSUER: T._token_issuer,
    K.OTHER_ALGORITHM: T._token_algorithm,
}
CERTIFICATE_TAMPERING: dict[TamperKind, Act] = {
    K.FLIP_BIT: T._cert_flipped,
    K.OTHER_VIN: T._cert_other_vin,
    K.OTHER_ECU: T._cert_other_ecu,
    K.EXPIRED: T._cert_expired,
    K.NOT_YET_VALID: T._cert_not_yet,
    K.WRONG_ROLE: T._cert_role,
    K.WRONG_SCOPE: T._cert_scope,
    K.FOREIGN_KEY: T._cert_foreign_key,
    K.OTHER_ISSUER: T._cert_issuer,
    K.OTHER_ALGORITHM: T._cert_algorithm,
}
