"""What an ECU trusts: the back end's public keys and its revocations. Replaced as a whole when a new key set arrives."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire.portal_api import KeySet
from wire.token import key_id


class TrustStore:
    """Token keys by key id, the root CA, revoked certificate serials and token ids."""

    def __init__(self, keys: KeySet) -> None:
        self.token_keys: Mapping[bytes, Ed25519PublicKey] = {}
        self.revoked_serials: frozenset[int] = frozenset()
        self.revoked_tokens: frozenset[bytes] = frozenset()
        self.update(keys)

    def update(self, keys: KeySet) -> None:
        """Take a newer key set, whole or not at all. Raises `ValueError` when the root or a token key cannot be read."""
        root_ca = x509.load_der_x509_certificate(keys.root_ca)
        public_keys = [Ed25519PublicKey.from_public_bytes(raw) for raw in keys.token_keys]
        self.root_ca = root_ca
        self.token_keys = {key_id(key): key for key in public_keys}
        self.revoked_serials = keys.revoked_serials
        self.revoked_tokens = keys.revoked_tokens
