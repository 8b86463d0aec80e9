"""Seed and key of SecurityAccess 0x27, by name. Shared by both sides; all of our own making, no manufacturer's algorithm."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

from wire.errors import LocalMisuse

KeyFunction = Callable[[bytes, bytes, int], bytes]


def _hmac_sha256_8(seed: bytes, secret: bytes, level: int) -> bytes:
    """First 8 bytes of HMAC-SHA256 over level and seed."""
    return hmac.new(secret, bytes((level,)) + seed, hashlib.sha256).digest()[:8]


def _rotate_xor_4(seed: bytes, secret: bytes, level: int) -> bytes:
    """A weak 32-bit scheme of the old kind: rotate, add, exclusive-or. For testers that must cope with such units."""
    value = int.from_bytes(seed[:4], "big")
    mask = int.from_bytes(secret[:4].ljust(4, b"\0"), "big")
    for _ in range(5 + level % 8):
        value = ((value << 1) | (value >> 31)) & 0xFFFF_FFFF
        value = (value + mask) & 0xFFFF_FFFF
    return (value ^ mask).to_bytes(4, "big")


ALGORITHMS: Mapping[str, tuple[KeyFunction, int]] = {
    "hmac-sha256-8": (_hmac_sha256_8, 8),
    "rotate-xor-4": (_rotate_xor_4, 4),
}
"""Name: (function, key length in bytes)."""


def compute_key(algorithm: str, seed: bytes, secret: bytes, level: int) -> bytes:
    """Return the key for `seed` at `level` (the odd request number). Raises `LocalMisuse` for an unknown algorithm."""
    return _algorithm(algorithm)[0](seed, secret, level)


def key_len(algorithm: str) -> int:
    """Return the key's length in bytes. Raises `LocalMisuse` for an unknown algorithm."""
    return _algorithm(algorithm)[1]


def _algorithm(name: str) -> tuple[KeyFunction, int]:
    try:
        return ALGORITHMS[name]
    except KeyError:
        raise LocalMisuse(f"unknown seed/key algorithm {name!r}; there are: {', '.join(ALGORITHMS)}") from None
