"""The lock of an ECU profile that is opened by Authentication 0x29: every option, and what is wrong told with its place."""

from pathlib import Path

import pytest

from ecu_sim.profile_file import load_profile
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseOptions
from ecu_sim.unlock.exchanges import GateFault
from wire.challenge_response import Crypto
from wire.errors import ConfigError

BASE = """title: unit
address: 0x17
request_id: 0x714
response_id: 0x77E
sessions: [1, 3]
services: {10: , 29: }
gate: {"""


def gate(tmp_path: Path, text: str) -> object:
    (tmp_path / "unit.yaml").write_text(BASE + text + "}\n")
    return load_profile("unit.yaml", tmp_path).gate


def test_a_certificate_lock_in_both_directions(tmp_path: Path) -> None:
    options = gate(tmp_path, "scheme: certificate, mutual: required, session_key: allowed, known_scopes: 33")
    assert options == CertificateOptions(mutual="required", session_key="allowed", known_scopes=33)


def test_a_challenge_response_lock_with_a_shared_key(tmp_path: Path) -> None:
    text = "scheme: challenge-response, crypto: symmetric, secret: '00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF'"
    options = gate(
        tmp_path, text + ", mutual: allowed, challenge_len: 16, challenge_lifetime: 5 s, max_duration_min: 5"
    )
    assert options == ChallengeResponseOptions(
        crypto=Crypto.SYMMETRIC,
        secret=bytes.fromhex("00112233445566778899AABBCCDDEEFF"),
        mutual="allowed",
        challenge_len=16,
        challenge_lifetime_ns=5_000_000_000,
        max_duration_min=5,
    )
    assert "secret" not in repr(options)


def test_a_lock_that_fails(tmp_path: Path) -> None:
    options = gate(tmp_path, "scheme: challenge-response, fails: [challenge, session-key]")
    assert isinstance(options, ChallengeResponseOptions)
    assert options.fails == {GateFault.CHALLENGE, GateFault.SESSION_KEY}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scheme: challenge", "challenge-response"),
        ("scheme: certificate, mutual: sometimes", "mutual"),
        ("scheme: certificate, session_key: true", "session_key"),
        ("scheme: certificate, fails: [everything]", "de-authentication"),
        ("scheme: certificate, fails: challenge", "fails"),
        ("scheme: certificate, challenge_len: 15", "challenge_len"),
        ("scheme: certificate, challenge_len: 256", "challenge_len"),
        ("scheme: certificate, challenge_lifetime: 0 s", "never be opened"),
        ("scheme: certificate, crypto: symmetric", "crypto"),
        ("scheme: challenge-response, crypto: quantum", "asymmetric"),
        ("scheme: challenge-response, crypto: symmetric", "needs a secret"),
        ("scheme: challenge-response, crypto: symmetric, secret: 00 11", "at least 16 bytes, got 2"),
        ("scheme: challenge-response, secret: 00 11", "has no secret"),
        ("scheme: challenge-response, max_duration_min: 0", "never be opened"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        gate(tmp_path, text)
    assert error.value.line == 7
