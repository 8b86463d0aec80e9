"""What vehicles need to know: public keys and revocations."""

from __future__ import annotations

from dataclasses import dataclass

from wire.portal_api.words import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Public material for vehicles: Ed25519 token keys (raw, 32 bytes each), root CA (DER), revoked certificate serials,
    and ids of tokens and signed seeds.
    """

    token_keys: tuple[bytes, ...]
    root_ca: bytes
    revoked_serials: frozenset[int]
    revoked_tokens: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class GetKeySet(Request[KeySet]):
    """Fetch the public keys and revocations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A certificate revocation list (RFC 5280 section 5) of the back-end CA, DER."""

    der: bytes


@dataclass(frozen=True, slots=True)
class GetRevocationList(Request[RevocationList]):
    """Fetch the revocation list of diagnostic certificates."""
