"""What both sides of SFD2 must agree on: what a unit hands out, what the back end signs for one change, what a unit signs.

Each change goes as SecuredDataTransmission 0x84 whose signature field holds claims and an Ed25519 signature (RFC 8032) of the
back end. Signed is everything that makes the change this one: VIN, unit, the unit's nonce, the claims, and the message up to its
signature (so the counter, the request for a signed answer and every inner byte). No time is signed: freshness rests on nonce and
counter, not on a clock. The layout is this bench's own (synthetic); no manufacturer's format or key is used.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.secured import SecuredFormatError, SecuredMessage
from wire.token import (
    KEY_ID_LEN,
    NONCE_LEN,
    REQUEST_LEN,
    SIGNATURE_LEN,
    TOKEN_ID_LEN,
    RequestStructure,
    TokenFormatError,
    require_bytes,
    require_number,
    require_vin,
)

CHANGE_MAGIC = b"SC"
VERSION = 1
CALCULATION_ED25519 = 0x01
"""Our own number in the range that is left to vehicle manufacturers."""
_CHANGE_DOMAIN = b"sgw-bench/sfd2-change/1\0"
_ANSWER_DOMAIN = b"sgw-bench/sfd2-answer/1\0"
_COUNTER = struct.Struct(">H")
_CLAIMS = struct.Struct(f">2sB{KEY_ID_LEN}s{TOKEN_ID_LEN}sBH")
_BOUND_TO = struct.Struct(f">17sH{NONCE_LEN}s")
CHANGE_REQUEST_LEN = REQUEST_LEN + _COUNTER.size
CHANGE_SIGNATURE_LEN = _CLAIMS.size + SIGNATURE_LEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """What a unit hands out before a change: its request structure, and the counter of the last change it took."""

    structure: RequestStructure
    last_counter: int

    def __post_init__(self) -> None:
        """Check the counter's width."""
        require_number("last_counter", self.last_counter, 2)

    def encode(self) -> bytes:
        """Return the wire bytes (`CHANGE_REQUEST_LEN`)."""
        return self.structure.encode() + _COUNTER.pack(self.last_counter)

    @classmethod
    def decode(cls, data: bytes) -> ChangeRequest:
        """Read wire bytes; raise `TokenFormatError` that says what is wrong."""
        if len(data) != CHANGE_REQUEST_LEN:
            raise TokenFormatError(f"a request for a change has {CHANGE_REQUEST_LEN} bytes, this has {len(data)}")
        (counter,) = _COUNTER.unpack(data[REQUEST_LEN:])
        return cls(structure=RequestStructure.decode(data[:REQUEST_LEN]), last_counter=counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """What a tester brings to the back end: what the unit handed out, and the message that is to be signed, still unsigned."""

    request: ChangeRequest
    message: SecuredMessage

    def encode(self) -> bytes:
        """Return the bytes for `wire.portal_api.RequestUnlock.challenge`."""
        return self.request.encode() + self.message.encode()

    @classmethod
    def decode(cls, data: bytes) -> ChangeOrder:
        """Read these bytes; raise `TokenFormatError` that says what is wrong."""
        request = ChangeRequest.decode(data[:CHANGE_REQUEST_LEN])
        try:
            message = SecuredMessage.decode(data[CHANGE_REQUEST_LEN:])
        except SecuredFormatError as error:
            raise TokenFormatError(f"no message to sign: {error}") from None
        return cls(request=request, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when a change belongs: vehicle, unit, and the nonce that the unit gave out for it."""

    vin: str
    ecu_address: int
    nonce: bytes

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_vin(self.vin)
        require_number("ecu_address", self.ecu_address, 2)
        require_bytes("nonce", self.nonce, NONCE_LEN)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return _BOUND_TO.pack(self.vin.encode("ascii"), self.ecu_address, self.nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeClaims:
    """What the back end says of a change: which key signs, the change's id in the audit log, who may do what."""

    key_id: bytes
    change_id: bytes
    role: int
    scope: int

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_bytes("key_id", self.key_id, KEY_ID_LEN)
        require_bytes("change_id", self.change_id, TOKEN_ID_LEN)
        require_number("role", self.role, 1)
        require_number("scope", self.scope, 2)

    def encode(self) -> bytes:
        """Return the canonical bytes, without signature."""
        return _CLAIMS.pack(CHANGE_MAGIC, VERSION, self.key_id, self.change_id, self.role, self.scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSignature:
    """The content of the signature field: claims, and the signature over them and the change."""

    claims: ChangeClaims
    signature: bytes

    def __post_init__(self) -> None:
        """Check the signature's length."""
        require_bytes("signature", self.signature, SIGNATURE_LEN)

    def encode(self) -> bytes:
        """Return the wire bytes (`CHANGE_SIGNATURE_LEN`)."""
        return self.claims.encode() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> ChangeSignature:
        """Read wire bytes, unverified; raise `TokenFormatError` that says what is wrong."""
        if len(data) != CHANGE_SIGNATURE_LEN:
            raise TokenFormatError(f"a change's signature has {CHANGE_SIGNATURE_LEN} bytes, this has {len(data)}")
        magic, version, key_id, change_id, role, scope = _CLAIMS.unpack(data[: _CLAIMS.size])
        if magic != CHANGE_MAGIC or version != VERSION:
            raise TokenFormatError(f"not a change's signature of version {VERSION}: begins with {data[:3].hex()}")
        claims = ChangeClaims(key_id=key_id, change_id=change_id, role=role, scope=scope)
        return cls(claims=claims, signature=data[_CLAIMS.size :])

    def signed_by(self, public_key: Ed25519PublicKey, place: Place, message: SecuredMessage) -> bool:
        """Return whether `public_key` verifies it for this message at this place."""
        try:
            public_key.verify(self.signature, _signed(self.claims, place, message))
        except InvalidSignature:
            return False
        return True


def sign_change(
    claims: ChangeClaims, place: Place, message: SecuredMessage, private_key: Ed25519PrivateKey
) -> ChangeSignature:
    """Return the signature for one change. Deterministic (RFC 8032 section 5.1.6)."""
    return ChangeSignature(claims=claims, signature=private_key.sign(_signed(claims, place, message)))


def _signed(claims: ChangeClaims, place: Place, message: SecuredMessage) -> bytes:
    return _CHANGE_DOMAIN + place.encode() + claims.encode() + message.before_signature(CHANGE_SIGNATURE_LEN)


def change_digest(message: SecuredMessage) -> str:
    """Return what the audit log keeps of a change, in hex: the SHA-256 of its message up to the signature."""
    return hashlib.sha256(message.before_signature(CHANGE_SIGNATURE_LEN)).hexdigest()


def sign_answer(place: Place, answer: SecuredMessage, private_key: Ed25519PrivateKey) -> bytes:
    """Return the unit's own signature over an answer to the change at `place`."""
    return private_key.sign(_ANSWER_DOMAIN + place.encode() + answer.before_signature(SIGNATURE_LEN))


def answer_signed_by(public_key: Ed25519PublicKey, place: Place, answer: SecuredMessage) -> bool:
    """Return whether `public_key` verifies the signature of an answer."""
    try:
        public_key.verify(answer.signature, _ANSWER_DOMAIN + place.encode() + answer.before_signature(SIGNATURE_LEN))
    except InvalidSignature:
        return False
    return True
