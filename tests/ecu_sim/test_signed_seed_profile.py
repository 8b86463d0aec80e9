"""Profiles whose lock is a 0x27 level: the shipped stage-1 units, and what is wrong with a file, told by file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecu_sim.profile_file import FOLDER, load_profile
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from wire.errors import ConfigError
from wire.seed_key import ALGORITHMS
from wire.uds import Nrc

UNITS = ("airbag", "brakes", "climate", "cluster", "engine", "gateway", "gearbox", "headunit")
PROFILE = """title: gateway
address: 0x20
request_id: 0x602
response_id: 0x482
sessions: [1, 3]
services:
  10:
  27:
dids: {}
security:
  "03": {algorithm: hmac-sha256-8, secret: "00 11"}
gate:
  scheme: signed-seed
"""


def load(tmp_path: Path, text: str) -> SignedSeedOptions:
    path = tmp_path / "unit.yaml"
    path.write_text(text)
    gate = load_profile(str(path)).gate
    assert isinstance(gate, SignedSeedOptions)
    return gate


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    return error.value


def test_the_shipped_units_are_those_of_the_car() -> None:
    assert {path.stem for path in (FOLDER / "mercedes-205").glob("*.yaml")} == set(UNITS)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_of_stage_1_differs_from_its_base_in_parts_and_secrets_and_stands_where_that_stands(name: str) -> None:
    unit, base = load_profile(f"mercedes-205/{name}"), load_profile(f"mercedes/{name}")
    assert (unit.request_id, unit.response_id, unit.address) == (base.request_id, base.response_id, base.address)
    assert unit.dids[0xF197].value != base.dids[0xF197].value
    assert unit.security[3].secret != base.security[3].secret
    assert set(unit.security) == ({3, 0x11} if unit.flash else {3})
    assert not {level.secret for level in unit.security.values()} & {level.secret for level in base.security.values()}
    assert all(level.algorithm in ALGORITHMS for level in unit.security.values())


def test_the_shipped_gateway_locks_at_level_09_and_knows_no_authentication() -> None:
    gateway = load_profile("mercedes-205/gateway")
    assert gateway.gate == SignedSeedOptions()
    assert gateway.security_access == "after_grant"
    assert gateway.locked_nrc == Nrc.securityAccessDenied
    assert 0x29 not in gateway.services


def test_every_value_can_be_set(tmp_path: Path) -> None:
    lines = (
        "  level: 0x61\n  seed_lifetime: 20 s\n  attempts: 5\n  delay: 30 s\n"
        "  verification: 5 ms\n  ends_on_terminal_15: false\n"
    )
    assert load(tmp_path, PROFILE + lines) == SignedSeedOptions(
        level=0x61,
        seed_lifetime_ns=20_000_000_000,
        attempts=5,
        delay_ns=30_000_000_000,
        verification_ns=5_000_000,
        ends_on_terminal_15=False,
    )


@pytest.mark.parametrize(
    ("line", "key", "why"),
    [
        ("  level: 0x0A\n", "gate.level", "odd request number, not 0A"),
        ("  level: 0x7F\n", "gate.level", "from 1 to 125"),
        ("  level: 0x03\n", "gate.level", "level 03 stands under 'security' too"),
        ("  attempts: 0\n", "gate.attempts", "from 1 to 255"),
        ("  seed_lifetime: 0 s\n", "gate.seed_lifetime", "can never be opened"),
        ("  refusal_nrc: securityAccessDenied\n", "gate.refusal_nrc", "locked_nrc"),
        ("  nonce_lifetime: 1 h\n", "gate.nonce_lifetime", "unknown key"),
    ],
)
def test_what_is_wrong_with_the_lock_is_told_with_line_and_key(tmp_path: Path, line: str, key: str, why: str) -> None:
    error = refused(tmp_path, PROFILE + line)
    assert why in str(error)
    assert (error.line, error.key) == (14, key)


def test_a_lock_whose_own_level_has_an_algorithm_already_is_refused_where_it_is_not_said(tmp_path: Path) -> None:
    error = refused(tmp_path, PROFILE.replace('"03"', '"09"'))
    assert "level 09 stands under 'security' too" in str(error)


def test_a_lock_that_nobody_could_ask_for_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, PROFILE.replace("  27:\n", ""))
    assert "opened by service 27" in str(error)
    assert error.key == "gate"


def test_a_unit_without_other_levels_may_have_such_a_lock(tmp_path: Path) -> None:
    head, _, tail = PROFILE.partition("security:\n")
    assert load(tmp_path, head + tail.partition("\n")[2]) == SignedSeedOptions()
