"""What is sealed opens with its key, about the same thing, unchanged; and the key itself is found, made and refused in words."""

import base64
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.sealing import FILE, VARIABLE, NotSealedHere, Sealing, portal_key
from wire.entropy import SeededEntropy
from wire.errors import ConfigError

KEY = bytes(range(32))


def sealing(key: bytes = KEY, seed: int = 0) -> Sealing:
    return Sealing(key, SeededEntropy(random.Random(seed)))


@given(plain=st.binary(max_size=200), about=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: bytes, about: str) -> None:
    about = about.encode(errors="replace").decode()
    assert sealing().unseal(sealing().seal(plain, about), about) == plain


def test_it_opens_with_no_other_key_about_nothing_else_and_not_when_changed() -> None:
    sealed = sealing().seal(b"secret", "totp:tessa@x.example")
    with pytest.raises(NotSealedHere, match=r"totp:tessa@x\.example"):
        sealing(bytes(32)).unseal(sealed, "totp:tessa@x.example")
    with pytest.raises(NotSealedHere):
        sealing().unseal(sealed, "totp:mila@x.example")
    for at in range(len(sealed)):
        with pytest.raises(NotSealedHere):
            sealing().unseal(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], "totp:tessa@x.example")
    for size in range(len(sealed)):
        with pytest.raises(NotSealedHere):
            sealing().unseal(sealed[:size], "totp:tessa@x.example")


def test_the_same_is_sealed_differently_each_time() -> None:
    one = sealing()
    assert one.seal(b"secret", "a") != one.seal(b"secret", "a")


def test_it_is_aes_gcm_under_a_derived_key() -> None:
    """As the library alone opens it: nonce, ciphertext and tag, HKDF-SHA256 with our label."""
    sealed = sealing().seal(b"secret", "a")
    key = HKDF(hashes.SHA256(), 32, salt=None, info=b"sgw-bench portal seal").derive(KEY)
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"a") == b"secret"
    assert sealing().derived("audit") not in (KEY, key)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ConfigError, match="32 bytes, not 31"):
        sealing(KEY[:-1])


# ---- the key


def found(folder: Path, **environment: str) -> bytes:
    return portal_key(folder, environment, SeededEntropy(random.Random(1)))


def test_a_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = found(folder)
    assert len(key) == 32
    assert found(folder) == key
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600


def test_the_environment_comes_first_and_no_file_is_made(tmp_path: Path) -> None:
    assert found(tmp_path, **{VARIABLE: base64.b64encode(KEY).decode()}) == KEY
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    for environment, place in (({VARIABLE: text}, VARIABLE), ({}, FILE)):
        with pytest.raises(ConfigError, match=f"no portal key.*{place}|{place}.*no portal key") as refused:
            found(tmp_path, **environment)
        assert not text or text not in str(refused.value)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        found(tmp_path)
