"""Secrets at rest: AES-256-GCM under the portal's key, each bound to what it is about, so that no sealed value can be moved.

The key comes from the environment or from a file that the bench makes, readable by nobody else. Other keys, such as the audit
chain's, are derived from it (HKDF-SHA256, RFC 5869).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wire.entropy import Entropy
from wire.errors import ConfigError
from wire.key_set import write_whole

KEY_LEN = 32
NONCE_LEN = 12
VARIABLE = "SGW_BENCH_PORTAL_KEY"
"""The environment's variable with the key: 32 bytes in base64."""
FILE = "portal.key"
ONLY_OURS = 0o600


class NotSealedHere(ConfigError):
    """A sealed value does not open: it was sealed under another key or about something else, or was changed."""


class Sealing:
    """Seals and unseals under one key."""

    def __init__(self, key: bytes, entropy: Entropy) -> None:
        if len(key) != KEY_LEN:
            raise ConfigError(f"the portal's key has {KEY_LEN} bytes, not {len(key)}")
        self._key = key
        self._cipher = AESGCM(self.derived("seal"))
        self._entropy = entropy

    def seal(self, plain: bytes, about: str) -> bytes:
        """Return `plain` sealed: nonce (12 bytes), ciphertext, tag (16 bytes). `about` must be said again to open it."""
        nonce = self._entropy.token_bytes(NONCE_LEN)
        return nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """Return what was sealed. Raises `NotSealedHere`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_LEN], sealed[NONCE_LEN:], about.encode())
        except (InvalidTag, ValueError):
            raise NotSealedHere(f"what is kept about {about} does not open with this key") from None

    def derived(self, purpose: str) -> bytes:
        """Return another key of 32 bytes for another purpose."""
        return HKDF(hashes.SHA256(), KEY_LEN, salt=None, info=f"sgw-bench portal {purpose}".encode()).derive(self._key)


def portal_key(folder: Path, environment: Mapping[str, str], entropy: Entropy) -> bytes:
    """Return the key: from the environment, else from the file in `folder`, which is made where there is none.

    Raises `ConfigError` for a key that is none, and says where it stands, never what it is.
    """
    text = environment.get(VARIABLE)
    if text is not None:
        return _key(text, f"the environment's {VARIABLE}")
    path = folder / FILE
    try:
        return _key(path.read_text(encoding="ascii"), str(path))
    except FileNotFoundError:
        key = entropy.token_bytes(KEY_LEN)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, base64.b64encode(key) + b"\n", mode=ONLY_OURS)
        return key
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the portal's key cannot be read: {error}", path=str(path)) from None


def _key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_LEN:
        raise ConfigError(
            f"no portal key: {KEY_LEN} bytes in base64 are expected, as `openssl rand -base64 32` makes", key=where
        )
    return key
