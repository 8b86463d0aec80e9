"""The back end's public keys as a file or an answer: what a portal writes and a vehicle reads. JSON, see `wire.plain`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire.errors import ConfigError
from wire.plain import from_plain, to_plain
from wire.portal_api import KeySet

FILE_NAME = "key-set.json"
FOR_ALL = 0o644


def save_key_set(path: Path, keys: KeySet) -> None:
    """Write what vehicles need to know, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(to_plain(keys), indent=1).encode(), mode=FOR_ALL)


def read_key_set(text: str, where: str) -> KeySet:
    """Return the key set that a text holds. Raises `ConfigError` that names `where` it came from and what is wrong."""
    try:
        keys = from_plain(KeySet, json.loads(text))
        x509.load_der_x509_certificate(keys.root_ca)
        for raw in keys.token_keys:
            Ed25519PublicKey.from_public_bytes(raw)
    except ConfigError as error:
        raise ConfigError(f"not a key set: {error.problem}", path=where, key=error.key) from None
    except ValueError as error:
        raise ConfigError(f"not a key set: {error}", path=where) from None
    return keys


def write_whole(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that others may read at any moment: they find the old one or the new one, after a power cut too."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system has folders that can be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
