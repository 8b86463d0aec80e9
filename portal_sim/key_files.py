"""A back end's private keys on disk, for a portal that comes again with the same ones. Public ones: `wire.key_set`."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from portal_sim.keys import BackendKeys
from wire.errors import ConfigError
from wire.key_set import write_whole

PRIVATE = "backend-keys.pem"
ONLY_OURS = 0o600
MARK = b"-----END"


def save_keys(folder: Path, keys: BackendKeys) -> None:
    """Write the private keys and CA certificates into `folder`, readable by nobody else."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for key in (keys.token_key, keys.root_key, keys.ca_key)
    ]
    parts += [certificate.public_bytes(Encoding.PEM) for certificate in (keys.root_ca, keys.backend_ca)]
    write_whole(folder / PRIVATE, b"".join(parts), mode=ONLY_OURS)


def load_keys(folder: Path) -> BackendKeys | None:
    """Return the keys that `save_keys` wrote, or None where there are none. Raises `ConfigError` for anything else there."""
    path = folder / PRIVATE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from None
    try:
        token, root, ca, root_ca, backend_ca = _blocks(data)
        token_key, root_key, ca_key = (load_pem_private_key(pem, None) for pem in (token, root, ca))
        certificates = [x509.load_pem_x509_certificate(pem) for pem in (root_ca, backend_ca)]
    except ValueError:
        raise ConfigError(
            "these are not a back end's keys: move the file away, and new ones are made", path=str(path)
        ) from None
    if not (
        isinstance(token_key, Ed25519PrivateKey)
        and isinstance(root_key, ec.EllipticCurvePrivateKey)
        and isinstance(ca_key, ec.EllipticCurvePrivateKey)
    ):
        raise ConfigError("these keys are of another kind than a back end's", path=str(path))
    return BackendKeys(token_key, root_key, certificates[0], ca_key, certificates[1])


def _blocks(data: bytes) -> list[bytes]:
    """Return the PEM blocks of a file, each with its end line."""
    blocks, block = [], b""
    for line in data.splitlines(keepends=True):
        block += line
        if line.startswith(MARK):
            blocks.append(block)
            block = b""
    return blocks
