"""A back end's private keys on disk: they come back as they were, for their owner's eyes only; nothing else passes for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from portal_sim.key_files import PRIVATE, load_keys, save_keys
from portal_sim.keys import BackendKeys, key_set_of, make_keys
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.errors import ConfigError
from wire.world import World


@pytest.fixture
def keys() -> BackendKeys:
    return make_keys(SeededEntropy(World().rng("keys")), VIRTUAL_EPOCH_UTC_S)


def test_keys_come_back_as_they_were(tmp_path: Path, keys: BackendKeys) -> None:
    assert load_keys(tmp_path / "own") is None
    save_keys(tmp_path / "own", keys)
    found = load_keys(tmp_path / "own")
    assert found is not None
    assert key_set_of(found) == key_set_of(keys)
    assert found.ca_key.private_numbers() == keys.ca_key.private_numbers()
    assert found.backend_ca == keys.backend_ca


def test_nobody_else_may_read_them_and_no_part_is_left_beside(tmp_path: Path, keys: BackendKeys) -> None:
    save_keys(tmp_path, keys)
    save_keys(tmp_path, keys)
    assert [path.name for path in tmp_path.iterdir()] == [PRIVATE]
    assert (tmp_path / PRIVATE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pem: b"",
        lambda pem: b"\xff" * 100,
        lambda pem: pem[: len(pem) // 2],
        lambda pem: pem.replace(b"PRIVATE KEY", b"PUBLIC KEY"),
        lambda pem: pem + pem,
        lambda pem: b"\n".join(pem.split(b"\n")[3:]),
    ],
    ids=["empty", "garbage", "half", "public", "twice", "headless"],
)
def test_what_are_no_keys_is_named_with_its_file_and_what_to_do(
    tmp_path: Path, keys: BackendKeys, spoil: Callable[[bytes], bytes]
) -> None:
    save_keys(tmp_path, keys)
    path = tmp_path / PRIVATE
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ConfigError, match="move the file away, and new ones are made") as wrong:
        load_keys(tmp_path)
    assert wrong.value.path == str(path)
    assert "BEGIN" not in str(wrong.value)


def test_keys_of_another_kind_and_a_file_that_cannot_be_read_are_named(tmp_path: Path, keys: BackendKeys) -> None:
    save_keys(tmp_path, keys)
    path = tmp_path / PRIVATE
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    blocks = path.read_bytes().split(b"-----BEGIN")
    path.write_bytes(pem + pem + pem + b"".join(b"-----BEGIN" + block for block in blocks[4:]))
    with pytest.raises(ConfigError, match="of another kind"):
        load_keys(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_keys(tmp_path)
