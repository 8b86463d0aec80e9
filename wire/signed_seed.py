"""Seed and key of a lock whose key is the back end's signature over the seed: what is signed, and how it travels.

The layout is this bench's own (synthetic, in place of Mercedes-Benz's stage 1); no manufacturer's algorithm or key is used. The
key is the 64 bytes of an Ed25519 signature (RFC 8032) and nothing else. It says neither role nor scope: both are fixed here.
Asked for in `vci_driver`, signed in `portal_sim`, verified in `ecu_sim.unlock`.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.clock import NS_PER_S
from wire.errors import RemoteFault
from wire.token import (
    ALL_SCOPES,
    SIGNATURE_LEN,
    TOKEN_ID_LEN,
    VIN_LEN,
    Role,
    require_bytes,
    require_number,
    require_vin,
)

SEED_LEN = 32
KEY_LEN = SIGNATURE_LEN
SEED_ID_LEN = TOKEN_ID_LEN
"""As long as a token's id: one list of revocations holds both."""
SEED_LIFETIME_S = 300
"""How long a seed waits for its key, unless a profile says otherwise; a slow back end takes some 20 s (our own choice)."""
SEED_LIFETIME_NS = SEED_LIFETIME_S * NS_PER_S
GRANTED_ROLE = Role.AFTER_SALES
GRANTED_SCOPE = ALL_SCOPES
"""What every key of this scheme opens."""
MAGIC = b"SS"
VERSION = 1
_DOMAIN = b"sgw-bench/signed-seed/1\0"
_REQUEST = struct.Struct(f">2sBB{SEED_LEN}s")
_SIGNED = struct.Struct(f">H{VIN_LEN}sB{SEED_LEN}s")
REQUEST_LEN = _REQUEST.size


class SeedFormatError(RemoteFault):
    """The bytes are not a seed request: wrong length, magic, version, level or seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRequest:
    """What a tester takes to the back end: a gateway's seed and the 0x27 level (the odd request number) that gave it.

    Which vehicle and which unit stands in the request around it. Building one that cannot be carried raises `LocalMisuse`.
    """

    level: int
    seed: bytes

    def __post_init__(self) -> None:
        """Check both fields against their width."""
        require_number("level", self.level, 1)
        require_bytes("seed", self.seed, SEED_LEN)

    def encode(self) -> bytes:
        """Return the wire bytes (`REQUEST_LEN`)."""
        return _REQUEST.pack(MAGIC, VERSION, self.level, self.seed)

    @classmethod
    def decode(cls, data: bytes) -> SeedRequest:
        """Read wire bytes; raise `SeedFormatError` that says what is wrong."""
        if len(data) != REQUEST_LEN:
            raise SeedFormatError(f"a seed request has {REQUEST_LEN} bytes, this has {len(data)}")
        magic, version, level, seed = _REQUEST.unpack(data)
        if magic != MAGIC or version != VERSION:
            raise SeedFormatError(f"not a seed request of version {VERSION}: begins with {data[:3].hex()}")
        if level % 2 == 0 or not any(seed):
            raise SeedFormatError(
                f"an odd level and a seed that is not all zero are signed, not level {level:02X}, seed {seed[:4].hex()}..."
            )
        return cls(level=level, seed=seed)


def signed_bytes(vin: str, ecu_address: int, request: SeedRequest) -> bytes:
    """Return what the back end signs: a domain separator, then the unit, the vehicle, the level and the seed."""
    require_vin(vin)
    require_number("ecu_address", ecu_address, 2)
    return _DOMAIN + _SIGNED.pack(ecu_address, vin.encode("ascii"), request.level, request.seed)


def sign_seed(private_key: Ed25519PrivateKey, vin: str, ecu_address: int, request: SeedRequest) -> bytes:
    """Return the key (`KEY_LEN` bytes) for a seed. Deterministic (RFC 8032 section 5.1.6)."""
    return private_key.sign(signed_bytes(vin, ecu_address, request))


def key_fits(public_key: Ed25519PublicKey, key: bytes, signed: bytes) -> bool:
    """Return whether `key` is the signature over `signed` (see `signed_bytes`) that `public_key` verifies."""
    try:
        public_key.verify(key, signed)
    except InvalidSignature:
        return False
    return True


def seed_id(seed: bytes) -> bytes:
    """Return what names an unlock in the audit log and among the revocations: the head of the seed's SHA-256."""
    return hashlib.sha256(seed).digest()[:SEED_ID_LEN]
