"""Keys for a gateway's seed that went wrong: signed for something else, by somebody else, or made with another algorithm."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scenarios.stage import TamperKind
from wire.portal_api import RequestUnlock
from wire.seed_key import compute_key
from wire.signed_seed import SeedRequest, sign_seed

OTHER_VIN = "W1KZZZ2050A999999"
_STRANGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")

Act = Callable[[Ed25519PrivateKey, RequestUnlock], bytes]


def spoil_key(kind: TamperKind, signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes | None:
    """Return a spoiled key, or None where this cannot go wrong with a key."""
    act = SEED_TAMPERING.get(kind)
    return None if act is None else act(signer, request)


def _flipped(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    key = _for(signer, request)
    return key[:-1] + bytes((key[-1] ^ 0x01,))


def _other_vin(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    return _for(signer, replace(request, vin=OTHER_VIN))


def _other_ecu(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    return _for(signer, replace(request, ecu_address=request.ecu_address ^ 0x7F))


def _other_seed(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    seed = SeedRequest.decode(request.challenge)
    other = replace(seed, seed=hashlib.sha256(seed.seed).digest())
    return _for(signer, replace(request, challenge=other.encode()))


def _other_issuer(_: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    return _for(_STRANGER_KEY, request)


def _other_algorithm(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    """The short keyed hash of the older levels, under the public key: what a tester without a back end could make."""
    seed = SeedRequest.decode(request.challenge)
    return compute_key("hmac-sha256-8", seed.seed, signer.public_key().public_bytes_raw(), seed.level)


def _for(signer: Ed25519PrivateKey, request: RequestUnlock) -> bytes:
    return sign_seed(signer, request.vin, request.ecu_address, SeedRequest.decode(request.challenge))


SEED_TAMPERING: dict[TamperKind, Act] = {
    TamperKind.FLIP_BIT: _flipped,
    TamperKind.OTHER_VIN: _other_vin,
    TamperKind.OTHER_ECU: _other_ecu,
    TamperKind.STALE_CHALLENGE: _other_seed,
    TamperKind.OTHER_ISSUER: _other_issuer,
    TamperKind.OTHER_ALGORITHM: _other_algorithm,
}
