"""What both sides of an SFD-style unlock must agree on: the request structure, the token's claims, the signed bytes.

The layout is this bench's own (synthetic); no manufacturer's format or key is used. Issued in `portal_sim`, verified in
`ecu_sim.unlock`. Signature: Ed25519 (RFC 8032) over everything before it, behind a domain separator.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.errors import LocalMisuse, RemoteFault

REQUEST_MAGIC = b"SR"
TOKEN_MAGIC = b"ST"
VERSION = 1
VIN_LEN = 17
NONCE_LEN = 16
KEY_ID_LEN = 8
TOKEN_ID_LEN = 16
SIGNATURE_LEN = 64
_SIGNED_DOMAIN = b"sgw-bench/sfd-token/1\0"
_REQUEST = struct.Struct(f">2sBBH{VIN_LEN}s{NONCE_LEN}s")
_CLAIMS = struct.Struct(f">2sBB{KEY_ID_LEN}s{TOKEN_ID_LEN}sH{VIN_LEN}sBH{NONCE_LEN}sQQH")
REQUEST_LEN = _REQUEST.size
TOKEN_LEN = _CLAIMS.size + SIGNATURE_LEN


class TokenFormatError(RemoteFault):
    """The bytes are not a request structure or a token: wrong length, magic, version or field."""


class Generation(IntEnum):
    """Which protection a structure or token is for; a token of one never opens another."""

    SFD = 1
    SFD2 = 2


class Role(IntEnum):
    """Roles, named as in open code of the field. Ordered: a higher role includes the lower ones."""

    AFTER_MARKET = 1
    AFTER_SALES = 2
    DEVELOPMENT = 3


class Scope(IntFlag):
    """What a grant releases; a profile's access rules name these in lower case (`coding`, `output_tests`)."""

    CODING = 1
    ADAPTATION = 2
    BASIC_SETTINGS = 4
    OUTPUT_TESTS = 8
    PARAMETRISATION = 16
    ROUTINES = 32
    SECURITY_ACCESS = 64
    COMMUNICATION = 128
    RESET = 256


ALL_SCOPES = Scope((1 << 9) - 1)


def require_bytes(name: str, value: bytes, size: int) -> None:
    """Raise `LocalMisuse` unless the field has its length: `struct` would pad it, or cut it, without a word."""
    if len(value) != size:
        raise LocalMisuse(f"{name} has {size} bytes, not {len(value)}")


def require_number(name: str, value: int, size: int) -> None:
    """Raise `LocalMisuse` unless an unsigned field of `size` bytes can carry the number."""
    if not 0 <= value < 1 << 8 * size:
        raise LocalMisuse(f"{name} is a number of {size} byte{'s' if size > 1 else ''} without sign, not {value}")


def require_vin(vin: str) -> None:
    """Raise `LocalMisuse` unless a VIN field can carry it. Which letters a VIN may have is no matter of this format."""
    if len(vin) != VIN_LEN or not vin.isascii():
        raise LocalMisuse(f"a VIN has {VIN_LEN} ASCII characters, not {vin!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStructure:
    """What a control unit hands out to be taken to the back end. `nonce`: 16 bytes, fresh for each request.

    Building one with a field of another length raises `LocalMisuse`.
    """

    ecu_address: int
    vin: str
    nonce: bytes
    generation: int = Generation.SFD

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_vin(self.vin)
        require_bytes("nonce", self.nonce, NONCE_LEN)
        require_number("ecu_address", self.ecu_address, 2)
        require_number("generation", self.generation, 1)

    def encode(self) -> bytes:
        """Return the wire bytes (`REQUEST_LEN`)."""
        return _REQUEST.pack(
            REQUEST_MAGIC, VERSION, self.generation, self.ecu_address, self.vin.encode("ascii"), self.nonce
        )

    @classmethod
    def decode(cls, data: bytes) -> RequestStructure:
        """Read wire bytes; raise `TokenFormatError` that says what is wrong."""
        if len(data) != _REQUEST.size:
            raise TokenFormatError(f"a request structure has {_REQUEST.size} bytes, this has {len(data)}")
        magic, version, generation, ecu_address, vin, nonce = _REQUEST.unpack(data)
        if magic != REQUEST_MAGIC or version != VERSION:
            raise TokenFormatError(f"not a request structure of version {VERSION}: begins with {data[:3].hex()}")
        return cls(ecu_address=ecu_address, vin=_ascii_vin(vin), nonce=nonce, generation=generation)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """What a token says. `not_before_utc_s` ≤ valid < `not_after_utc_s` is the window in which it may be written; the
    unlock then lasts `duration_min` minutes of awake time. `key_id`: see `key_id`. `token_id`: unique, in the audit log.

    Building them with a field of another length raises `LocalMisuse`.
    """

    key_id: bytes
    token_id: bytes
    ecu_address: int
    vin: str
    role: int
    scope: int
    nonce: bytes
    not_before_utc_s: int
    not_after_utc_s: int
    duration_min: int = 90
    generation: int = Generation.SFD

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_vin(self.vin)
        require_bytes("key_id", self.key_id, KEY_ID_LEN)
        require_bytes("token_id", self.token_id, TOKEN_ID_LEN)
        require_bytes("nonce", self.nonce, NONCE_LEN)
        require_number("ecu_address", self.ecu_address, 2)
        require_number("role", self.role, 1)
        require_number("scope", self.scope, 2)
        require_number("not_before_utc_s", self.not_before_utc_s, 8)
        require_number("not_after_utc_s", self.not_after_utc_s, 8)
        require_number("duration_min", self.duration_min, 2)
        require_number("generation", self.generation, 1)

    def encode(self) -> bytes:
        """Return the canonical bytes, without signature."""
        return _CLAIMS.pack(
            TOKEN_MAGIC,
            VERSION,
            self.generation,
            self.key_id,
            self.token_id,
            self.ecu_address,
            self.vin.encode("ascii"),
            self.role,
            self.scope,
            self.nonce,
            self.not_before_utc_s,
            self.not_after_utc_s,
            self.duration_min,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Claims and the signature over them. Building one with a signature of another length raises `LocalMisuse`."""

    claims: TokenClaims
    signature: bytes

    def __post_init__(self) -> None:
        """Check the signature's length."""
        require_bytes("signature", self.signature, SIGNATURE_LEN)

    def encode(self) -> bytes:
        """Return the wire bytes (`TOKEN_LEN`)."""
        return self.claims.encode() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> Token:
        """Read wire bytes, unverified; raise `TokenFormatError` that says what is wrong."""
        if len(data) != TOKEN_LEN:
            raise TokenFormatError(f"a token has {TOKEN_LEN} bytes, this has {len(data)}")
        fields = _CLAIMS.unpack(data[: _CLAIMS.size])
        magic, version, generation, key_id, token_id, ecu_address, vin, role, scope, nonce, begin, end, minutes = fields
        if magic != TOKEN_MAGIC or version != VERSION:
            raise TokenFormatError(f"not a token of version {VERSION}: begins with {data[:3].hex()}")
        claims = TokenClaims(
            key_id=key_id,
            token_id=token_id,
            ecu_address=ecu_address,
            vin=_ascii_vin(vin),
            role=role,
            scope=scope,
            nonce=nonce,
            not_before_utc_s=begin,
            not_after_utc_s=end,
            duration_min=minutes,
            generation=generation,
        )
        return cls(claims=claims, signature=data[_CLAIMS.size :])

    def signed_by(self, public_key: Ed25519PublicKey) -> bool:
        """Return whether `public_key` verifies the signature."""
        try:
            public_key.verify(self.signature, _SIGNED_DOMAIN + self.claims.encode())
        except InvalidSignature:
            return False
        return True


def sign(claims: TokenClaims, private_key: Ed25519PrivateKey) -> Token:
    """Return the token for `claims`. Deterministic (RFC 8032 section 5.1.6)."""
    return Token(claims=claims, signature=private_key.sign(_SIGNED_DOMAIN + claims.encode()))


def key_id(public_key: Ed25519PublicKey) -> bytes:
    """Return the eight bytes by which a token names its issuer's key: the head of the key's SHA-256."""
    return hashlib.sha256(public_key.public_bytes_raw()).digest()[:KEY_ID_LEN]


def _ascii_vin(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise TokenFormatError(f"the VIN is not ASCII: {raw.hex()}") from None
