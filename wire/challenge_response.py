"""Authentication with challenge-response (ACR, 0x29 05 to 07): algorithms, what is asked for, and the proofs over it.

The proof is made by who holds the client's key, the back end, as a broker does. What it releases stands in the additional
parameter that the unit asks for, under the same proof. Layout and derivation are our own choice; the algorithm indicators are
the algorithms' own object identifiers.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wire.authentication import EPHEMERAL_LEN, Exchange, Party, sized
from wire.diag_cert import ALGORITHM_INDICATOR_LEN
from wire.errors import RemoteFault
from wire.token import KEY_ID_LEN, TOKEN_ID_LEN, require_bytes, require_number

VERSION = 1
UNIT_KEY_LEN = 32
MIN_SECRET_LEN = 16
"""A shorter secret of a unit family could be searched for (our own choice)."""
_UNIT_KEY_DOMAIN = b"sgw-bench/challenge-response-unit-key/1\0"
_WISH = struct.Struct(f">B{KEY_ID_LEN}s{TOKEN_ID_LEN}sBHH")
WISH_LEN = _WISH.size


class Crypto(StrEnum):
    """Which kind of key the client proves with."""

    ASYMMETRIC = "asymmetric"
    SYMMETRIC = "symmetric"


class WishFormatError(RemoteFault):
    """The bytes are no additional parameter of this format."""


class ProofFormatError(RemoteFault):
    """The bytes are not what a tester asks a back end for a proof with, or not what it gets."""


def _indicator(oid: str) -> bytes:
    """Return a BER object identifier, left aligned, zero padded (0x29 algorithmIndicator)."""
    return bytes.fromhex(oid).ljust(ALGORITHM_INDICATOR_LEN, b"\0")


ED25519 = _indicator("06 03 2B 65 70")
"""1.3.101.112 (RFC 8410)."""
HMAC_SHA256 = _indicator("06 08 2A 86 48 86 F7 0D 02 09")
"""1.2.840.113549.2.9 (RFC 8018 appendix B.1.2)."""
HMAC_SHA512 = _indicator("06 08 2A 86 48 86 F7 0D 02 0B")
"""1.2.840.113549.2.11 (RFC 8018 appendix B.1.2)."""

MACS: Mapping[bytes, Callable[[], hashlib._Hash]] = {HMAC_SHA256: hashlib.sha256, HMAC_SHA512: hashlib.sha512}
ALGORITHMS: Mapping[Crypto, tuple[bytes, ...]] = {
    Crypto.ASYMMETRIC: (ED25519,),
    Crypto.SYMMETRIC: (HMAC_SHA256, HMAC_SHA512),
}
"""What a unit with keys of a kind works with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a proof releases: for a role (`wire.token.Role`) these scopes, for so many minutes; `ident` is unique, in the audit
    log. `key_id`: whose key proves it (`wire.token.key_id`; zero with symmetric keys, where the unit has one).

    Building one with a field of another length raises `LocalMisuse`.
    """

    ident: bytes
    role: int
    scope: int
    duration_min: int
    key_id: bytes = bytes(KEY_ID_LEN)

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_bytes("ident", self.ident, TOKEN_ID_LEN)
        require_bytes("key_id", self.key_id, KEY_ID_LEN)
        require_number("role", self.role, 1)
        require_number("scope", self.scope, 2)
        require_number("duration_min", self.duration_min, 2)

    def encode(self) -> bytes:
        """Return the wire bytes (`WISH_LEN`)."""
        return _WISH.pack(VERSION, self.key_id, self.ident, self.role, self.scope, self.duration_min)

    @classmethod
    def decode(cls, data: bytes) -> Wish:
        """Read wire bytes; raise `WishFormatError`."""
        if len(data) != WISH_LEN or data[0] != VERSION:
            raise WishFormatError(
                f"a wish of version {VERSION} has {WISH_LEN} bytes, these are {data[:WISH_LEN].hex()}"
            )
        _, key_id, ident, role, scope, duration_min = _WISH.unpack(data)
        return cls(ident=ident, role=role, scope=scope, duration_min=duration_min, key_id=key_id)


def encode_needed(server_ephemeral: bytes) -> bytes:
    """Return `neededAdditionalParameter`: the version of the wish that is asked for, and the unit's ephemeral key, if any."""
    return bytes((VERSION,)) + server_ephemeral


def decode_needed(data: bytes) -> bytes:
    """Return the unit's ephemeral key (may be empty); raise `WishFormatError` where another version is asked for."""
    if data[:1] != bytes((VERSION,)) or len(data) not in (1, 1 + EPHEMERAL_LEN):
        raise WishFormatError(f"the unit needs another additional parameter: {data[:8].hex()}")
    return data[1:]


def split_additional(data: bytes) -> tuple[Wish, bytes]:
    """Return (wish, the client's ephemeral key, any length) of an additional parameter; raise `WishFormatError`."""
    return Wish.decode(data[:WISH_LEN]), data[WISH_LEN:]


def unit_key(secret: bytes, vin: str, ecu_address: int) -> bytes:
    """Return the symmetric key of one unit: HKDF-SHA256 of its family's secret over VIN and address."""
    info = _UNIT_KEY_DOMAIN + vin.encode("ascii") + ecu_address.to_bytes(2, "big")
    return HKDF(algorithm=hashes.SHA256(), length=UNIT_KEY_LEN, salt=None, info=info).derive(secret)


def sign_exchange(key: Ed25519PrivateKey, exchange: Exchange, party: Party) -> bytes:
    """Return a proof with an asymmetric key (64 bytes, deterministic)."""
    return key.sign(exchange.proof_bytes(party))


def signature_holds(key: Ed25519PublicKey, proof: bytes, exchange: Exchange, party: Party) -> bool:
    """Return whether `proof` is the key's own, for this exchange and direction."""
    try:
        key.verify(proof, exchange.proof_bytes(party))
    except InvalidSignature:
        return False
    return True


def mac_exchange(key: bytes, exchange: Exchange, party: Party) -> bytes:
    """Return a proof with a symmetric key, by the exchange's algorithm (`MACS`)."""
    return hmac.new(key, exchange.proof_bytes(party), MACS[exchange.algorithm]).digest()


def mac_holds(key: bytes, proof: bytes, exchange: Exchange, party: Party) -> bool:
    """Return whether `proof` was made with `key`, for this exchange and direction."""
    return hmac.compare_digest(mac_exchange(key, exchange, party), proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRequest:
    """What a tester takes to the back end: the exchange so far, as far as vehicle and unit do not say it."""

    task: int
    configuration: int
    algorithm: bytes
    server_challenge: bytes
    server_ephemeral: bytes = b""
    client_challenge: bytes = b""
    client_ephemeral: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes: task, configuration, algorithm, then each field with its length before it."""
        require_bytes("algorithm", self.algorithm, ALGORITHM_INDICATOR_LEN)
        said = (self.server_challenge, self.server_ephemeral, self.client_challenge, self.client_ephemeral)
        return bytes((self.task, self.configuration)) + self.algorithm + b"".join(map(sized, said))

    @classmethod
    def decode(cls, data: bytes) -> ProofRequest:
        """Read the bytes; raise `ProofFormatError`."""
        head = 2 + ALGORITHM_INDICATOR_LEN
        if len(data) < head:
            raise ProofFormatError(f"a request for a proof has {head} bytes or more, this has {len(data)}")
        parts = _unsized(data[head:], 4)
        return cls(
            task=data[0],
            configuration=data[1],
            algorithm=data[2:head],
            server_challenge=parts[0],
            server_ephemeral=parts[1],
            client_challenge=parts[2],
            client_ephemeral=parts[3],
        )

    def exchange(self, vin: str, ecu_address: int, wish: Wish) -> Exchange:
        """Return what is proven."""
        return Exchange(
            task=self.task,
            configuration=self.configuration,
            vin=vin,
            ecu_address=ecu_address,
            server_challenge=self.server_challenge,
            client_challenge=self.client_challenge,
            server_ephemeral=self.server_ephemeral,
            client_ephemeral=self.client_ephemeral,
            algorithm=self.algorithm,
            additional=wish.encode() + self.client_ephemeral,
        )


def encode_proof(proof: bytes, additional: bytes) -> bytes:
    """Return what the back end gives back: the proof, and the additional parameter that it covers."""
    return sized(proof) + sized(additional)


def decode_proof(data: bytes) -> tuple[bytes, bytes]:
    """Return (proof, additional parameter); raise `ProofFormatError`."""
    proof, additional = _unsized(data, 2)
    return proof, additional


def _unsized(data: bytes, count: int) -> list[bytes]:
    """Return `count` fields that have their length before them."""
    parts, rest = [], data
    for _ in range(count):
        end = 2 + int.from_bytes(rest[:2], "big")
        if len(rest) < max(2, end):
            raise ProofFormatError(f"a field is cut off: {rest[:8].hex()}")
        parts.append(rest[2:end])
        rest = rest[end:]
    if rest:
        raise ProofFormatError(f"{len(rest)} bytes are left over")
    return parts
