"""Passwords: Argon2id, with the salt handed in so that a virtual bench repeats, and equal work for accounts that do not exist."""

from __future__ import annotations

from argon2.exceptions import VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from portal_sim.options import Argon2Cost

SALT_LEN = 16
HASH_LEN = 32


def hash_password(password: str, salt: bytes, cost: Argon2Cost) -> bytes:
    """Return the encoded Argon2id hash (RFC 9106), which names its own parameters and salt."""
    return hash_secret(
        _bytes(password),
        salt,
        time_cost=cost.time_cost,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=HASH_LEN,
        type=Type.ID,
    )


def password_matches(encoded: bytes, password: str) -> bool:
    """Return whether the password is right; the comparison is in constant time."""
    try:
        return verify_secret(encoded, _bytes(password), Type.ID)
    except VerificationError:
        return False


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")  # JSON can carry half a surrogate pair: it is wrong, and no crash
