"""Gateway profiles: what the shipped ones say, and that a wrong file names file, line, key and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgw_sim.profile import FOLDER, load_gateway
from wire.errors import ConfigError
from wire.token import Scope
from wire.uds import Nrc

MINIMAL = """\
title: a gateway
lock: grant
refusal: securityAccessDenied
allow:
  - "22"
"""
FULL = MINIMAL + "scopes:\n  2E: coding\nhold: 2 ms\nanswer_window: 3 s\npending_for_target: false\n"


def load(tmp_path: Path, text: str) -> object:
    (tmp_path / "mine.yaml").write_text(text)
    return load_gateway("mine.yaml", tmp_path)


@pytest.mark.parametrize(
    ("name", "lock", "nrc"),
    [
        ("vag-j533", "bonnet", Nrc.securityAccessDenied),
        ("mercedes-eis", "grant", Nrc.authenticationRequired),
        ("mercedes-eis-stage1", "grant", Nrc.securityAccessDenied),
        ("fca-sgw", "grant", None),
    ],
)
def test_shipped_gateways_lock_and_refuse_as_their_makes_do(name: str, lock: str, nrc: int | None) -> None:
    profile = load_gateway(name)
    assert (profile.lock, profile.policy.refusal_nrc) == (lock, nrc)


def test_no_other_gateways_are_shipped_than_those_tested_here() -> None:
    shipped = {"vag-j533", "vag-j533-sfd2", "mercedes-eis", "mercedes-eis-stage1", "fca-sgw"}
    assert {path.stem for path in FOLDER.glob("*.yaml")} == shipped


def test_a_short_profile_takes_the_defaults(tmp_path: Path) -> None:
    profile = load(tmp_path, MINIMAL)
    assert (profile.hold_ns, profile.answer_window_ns, profile.pending_for_target) == (0, 1_000_000_000, True)
    assert (profile.policy.allowed, dict(profile.policy.scopes)) == ((b"\x22",), {})


def test_every_value_can_be_given(tmp_path: Path) -> None:
    profile = load(tmp_path, FULL)
    assert (profile.hold_ns, profile.answer_window_ns, profile.pending_for_target) == (2_000_000, 3_000_000_000, False)
    assert dict(profile.policy.scopes) == {0x2E: Scope.CODING}


WRONG = {
    "misspelt key": ("refusal:", "refusel:", 3, "refusel", "did you mean 'refusal'?"),
    "misspelt lock": ("lock: grant", "lock: bonet", 2, "lock", "did you mean 'bonnet'?"),
    "misspelt refusal": (
        "securityAccessDenied",
        "securityAccesDenied",
        3,
        "refusal",
        "did you mean 'securityAccessDenied'?",
    ),
    "number as a rule": ('"22"', "22", 5, "allow[0]", "in quotes"),
    "rule that is no hex": ('"22"', '"2Z"', 5, "allow[0]", "bytes in hex"),
    "service that is no hex": ("2E: coding", "write: coding", 7, "scopes.write", "a service in hex"),
    "misspelt scope": ("2E: coding", "2E: codeing", 7, "scopes.2E", "did you mean 'coding'?"),
    "no duration": ("hold: 2 ms", "hold: soon", 8, "hold", "soon"),
    "window of no time": ("answer_window: 3 s", "answer_window: 0 s", 9, "answer_window", "at least 1 ms"),
    "no boolean": ("pending_for_target: false", "pending_for_target: maybe", 10, "pending_for_target", "true or false"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_profile_says_file_line_key_and_what_would_be_right(tmp_path: Path, case: str) -> None:
    old, new, line, key, text = WRONG[case]
    assert old in FULL
    with pytest.raises(ConfigError) as error:
        load(tmp_path, FULL.replace(old, new))
    assert (Path(error.value.path).name, error.value.line, error.value.key) == ("mine.yaml", line, key)
    assert text in error.value.problem


@pytest.mark.parametrize("rule", ['""', '" "'])
def test_a_rule_of_no_bytes_would_let_everything_through_and_is_refused(tmp_path: Path, rule: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, MINIMAL.replace('"22"', rule))
    assert (error.value.line, error.value.key) == (5, "allow[0]")


@pytest.mark.parametrize("service", ["1FF", "-1", "0x2E", " 2E"])
def test_a_scope_is_keyed_by_one_service_of_two_hex_digits(tmp_path: Path, service: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, FULL.replace("2E: coding", f'"{service}": coding'))
    assert error.value.line == 7


@pytest.mark.parametrize("key", ["title", "lock", "refusal", "allow"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    text = MINIMAL.replace(f"{key}:", "#")
    text = text.replace('  - "22"\n', "") if key == "allow" else text
    with pytest.raises(ConfigError, match=f"missing key '{key}'"):
        load(tmp_path, text)


def test_an_unknown_gateway_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no gateway profile 'vag-j534'.*vag-j533"):
        load_gateway("vag-j534")
