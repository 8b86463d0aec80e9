"""Passwords: Argon2id, with the salt handed in so that a virtual bench repeats, and equal work for accounts that do not exist."""

from __future__ import annotations

import os
from functools import cache

from argon2.exceptions import VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from portal_sim.options import Argon2Cost

SALT_LEN = 16
HASH_LEN = 32
HASHES_LEAST, HASHES_MOST = 2, 16
MAX_PASSWORD_CHARS = 128
"""ASVS 4.0.3, 2.1.2: long enough for any sentence, and no work for nothing."""


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


def hashes_at_once() -> int:
    """Return how many passwords are worth hashing at a time: one a core. More push each other's 19 MiB out of the caches.

    With one core two are, since one of them may be waiting for the disk; beyond `HASHES_MOST` they would take too much memory.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(max(cores, HASHES_LEAST), HASHES_MOST)


def is_common(password: str) -> bool:
    """Return whether this is one of the passwords that everybody who guesses tries first (the 30 000 that zxcvbn knows)."""
    return password.lower() in _common()


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - large: only where a password is chosen

    return frozenset(FREQUENCY_LISTS["passwords"])


def _bytes(password: str) -> bytes:
    return password.encode(errors="surrogatepass")  # JSON can carry half a surrogate pair: it is wrong, and no crash
