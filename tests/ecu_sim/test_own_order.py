"""A profile may refuse in an order of its own: as far as no row needs what another has found."""

import random
from pathlib import Path

import pytest
from ecu_bench import PROFILE, Ecu

from ecu_sim.order import ORDER, may_swap
from ecu_sim.profile import Access, EcuProfile, ServiceRule
from ecu_sim.profile_file import load_profile
from wire.errors import ConfigError
from wire.token import Scope

UNIT = """
title: unit
address: 1
request_id: 0x700
response_id: 0x708
sessions: [1, 3]
services:
  11: {access: {scope: reset}}
  22:
dids: {F190: {text: X}}
order:
"""
LENGTH_BEFORE_LOCK = [
    "service known",
    "service in session",
    "minimum length",
    "sub-function known",
    "sub-function in session",
    "exact length",
    "service released",
    "service level open",
    "service conditions",
]


def loaded(folder: Path, order: str) -> EcuProfile:
    (folder / "unit.yaml").write_text(UNIT + order)
    return load_profile("unit.yaml", folder)


def test_a_unit_may_look_at_the_length_before_the_lock(tmp_path: Path) -> None:
    order = loaded(tmp_path, f"  11: [{', '.join(LENGTH_BEFORE_LOCK)}]").order
    rule = {**PROFILE.services, 0x11: ServiceRule(access=Access(scope=Scope.RESET))}
    by_table, by_own = Ecu(locked=True, services=rule), Ecu(locked=True, services=rule, order=order)
    for request in ("11", "11 01 00"):
        assert by_table.ask(request) == "7F 11 33"
        assert by_own.ask(request) == "7F 11 13"
    assert by_own.ask("11 55") == "7F 11 12"
    assert by_table.ask("11 01") == by_own.ask("11 01") == "7F 11 33"


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("  99: [service known]", "no service 99"),
        ("  11: [service known, exact length]", "name every row once"),
        ("  11: [service known, colour]", "colour"),
        (
            (
                "  22: [service known, service in session, service released, service level open, identifier known,"
                " whole identifiers, object secured, object released, object level open, object conditions, answer fits]"
            ),
            "'identifier known' needs what 'whole identifiers' finds out",
        ),
        (
            f"  11: [service in session, service known, {', '.join(LENGTH_BEFORE_LOCK[2:])}]",
            "'service in session' needs what 'service known' finds out",
        ),
    ],
)
def test_an_order_that_cannot_be_kept_is_told(tmp_path: Path, order: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        loaded(tmp_path, order)
    assert "unit.yaml" in str(error.value)


@pytest.mark.parametrize("sid", sorted(set(PROFILE.services)), ids="{:02X}".format)
def test_whatever_order_is_allowed_nothing_breaks(sid: int) -> None:
    """Turn rows round at random where that is allowed, and ask for anything."""
    chance = random.Random(sid)
    for _ in range(5):
        rows = list(ORDER[sid])
        for _ in range(50):
            at = chance.randrange(len(rows) - 1)
            if may_swap(rows[at], rows[at + 1]):
                rows[at], rows[at + 1] = rows[at + 1], rows[at]
        ecu = Ecu(locked=True, order={sid: tuple(row.check for row in rows)}).extended()
        for size in range(12):
            ecu.ask_and_wait(bytes((sid,)) + chance.randbytes(size))
