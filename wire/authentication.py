"""What both sides of an Authentication 0x29 must agree on beyond the certificate: what a proof covers, and the session key.

A proof covers everything that both have said so far, and who says it: a proof for one sub-function, unit, configuration or
direction is none for another. Session key: X25519 (RFC 7748) between ephemeral keys that the proofs cover, HKDF-SHA256 (RFC
5869); `sessionKeyInfo` is a check value, so that the client sees that both derived the same. All of this is our own choice.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wire.entropy import Entropy
from wire.errors import LocalMisuse, RemoteFault
from wire.token import require_number, require_vin

MIN_CHALLENGE_LEN = 16
"""A shorter challenge could be collected and replayed: who is to prove something over one refuses (our own choice)."""
EPHEMERAL_LEN = 32
SESSION_KEY_LEN = 32
_PROOF_DOMAIN = b"sgw-bench/authentication-proof/1\0"
_KEY_DOMAIN = b"sgw-bench/authentication-session-key/1\0"
_CHECK = b"sgw-bench/authentication-key-check/1\0"


class Configuration(IntEnum):
    """Communication configurations (the standard leaves them to the maker): what is to follow the authentication."""

    PLAIN = 0x00
    SESSION_KEY = 0x01


class Party(IntEnum):
    """Whose proof it is. It is part of what is proven: nobody's proof can be sent back to them as one's own."""

    CLIENT = 1
    SERVER = 2


class SessionKeyError(RemoteFault):
    """No key can be agreed on with what the other side sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One authentication as both sides see it: what is empty has not been said (yet). `task`: the sub-function that names the
    kind of exchange (01 or 02, 06 or 07). `algorithm`, `additional`: challenge-response alone.
    """

    task: int
    configuration: int
    vin: str
    ecu_address: int
    server_challenge: bytes
    client_challenge: bytes = b""
    server_ephemeral: bytes = b""
    client_ephemeral: bytes = b""
    algorithm: bytes = b""
    additional: bytes = b""

    def __post_init__(self) -> None:
        """Check what a field of fixed width has to carry."""
        require_vin(self.vin)
        require_number("ecu_address", self.ecu_address, 2)

    def proof_bytes(self, party: Party) -> bytes:
        """Return what `party` signs. Every field of free length has its length before it: no two exchanges look alike."""
        head = bytes((party, self.task, self.configuration)) + self.vin.encode("ascii")
        said = (
            self.server_challenge,
            self.client_challenge,
            self.server_ephemeral,
            self.client_ephemeral,
            self.algorithm,
            self.additional,
        )
        return _PROOF_DOMAIN + head + self.ecu_address.to_bytes(2, "big") + b"".join(map(sized, said))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """What an authentication left both sides with. `info`: the check value that the answer carries."""

    key: bytes = field(repr=False)
    info: bytes


def sized(part: bytes) -> bytes:
    """Return a field of 0x29: its length in 16 bits, then itself. Raises `LocalMisuse` for one that is too long."""
    if len(part) > 0xFFFF:
        raise LocalMisuse(f"a field of Authentication holds 65535 bytes, not {len(part)}")
    return len(part).to_bytes(2, "big") + part


def new_ephemeral(entropy: Entropy) -> X25519PrivateKey:
    """Return a key for one exchange."""
    return X25519PrivateKey.from_private_bytes(entropy.token_bytes(EPHEMERAL_LEN))


def public_bytes(private_key: X25519PrivateKey) -> bytes:
    """Return the public half as it goes over the wire (`EPHEMERAL_LEN` bytes)."""
    return private_key.public_key().public_bytes_raw()


def agree(private_key: X25519PrivateKey, other: bytes, exchange: Exchange) -> SessionKey:
    """Return the session key of an exchange in which both ephemeral keys were said.

    Raises `SessionKeyError` for a key of another length, or one of low order, with which everybody agrees on zero (RFC 7748
    section 6.1).
    """
    try:
        secret = private_key.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise SessionKeyError(f"no key agreement with {other[:EPHEMERAL_LEN].hex()}: {error}") from None
    talk = exchange.proof_bytes(Party.CLIENT)
    derived = HKDF(
        algorithm=hashes.SHA256(),
        length=2 * SESSION_KEY_LEN,
        salt=hashlib.sha256(talk).digest(),
        info=_KEY_DOMAIN,
    ).derive(secret)
    key, check_key = derived[:SESSION_KEY_LEN], derived[SESSION_KEY_LEN:]
    return SessionKey(key=key, info=hmac.new(check_key, _CHECK, hashlib.sha256).digest())
