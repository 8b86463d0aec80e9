"""The witness and revocations: a grant ends with what it rests on, and with nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lying_car import ECLASS, GOLF, OUTLIVED, ByHand, ask, on_bench, open_for_ever, rules, unlocked

from bench.bench import Bench
from bench.monitor.books import Grant
from scenarios.strategy import Goal

MOVE = "31 01 02 03"


def moves(bench: Bench, unit: str) -> bool:
    bench.sleep(seconds=1)
    ask(bench, unit, "10 03")
    return ask(bench, unit, MOVE)[0] == 0x71


def prove(bench: Bench, *, silent: bool = False, **wish: object) -> ByHand:
    """Show a certificate by hand, and prove it."""
    made = ByHand(bench, **wish)
    gate = bench.car.unit("gateway").gate
    gate.work_ns = lambda sid, payload: 0
    answer = ask(bench, "gateway", ("29 83" if silent else "29 03") + made.proof())
    assert answer == (b"" if silent else bytes.fromhex("69 03 12 00 00"))
    return made


def revoke(bench: Bench, made: ByHand) -> None:
    bench.backend.operators.revoke_unlock(made.unlock.audit_id, bench.world.utc_s())
    bench.publish_keys()


def at_work() -> Bench:
    bench = on_bench(ECLASS)
    bench.strategy.reach("logged-in", Goal())
    return bench


@pytest.mark.parametrize("silent", [False, True])
def test_the_revocation_of_another_certificate_is_no_end(*, silent: bool) -> None:
    bench = at_work()
    other = ByHand(bench, vin="W1KZZZ2130A000002")
    prove(bench, silent=silent)
    revoke(bench, other)
    assert moves(bench, "gateway")
    assert moves(bench, "brakes")
    assert rules(bench) == set()


def test_keys_that_are_published_again_end_no_later_grant() -> None:
    """The list holds every revocation that ever was; a car that hears it again loses nothing."""
    bench = at_work()
    revoke(bench, ByHand(bench))
    prove(bench)
    bench.publish_keys()
    assert moves(bench, "brakes")
    assert rules(bench) == set()


@pytest.mark.parametrize("silent", [False, True])
def test_a_gateway_whose_own_certificate_was_revoked_is_caught_when_it_stays_open(*, silent: bool) -> None:
    bench = at_work()
    made = prove(bench, silent=silent)
    open_for_ever(bench, "gateway")
    revoke(bench, made)
    assert moves(bench, "gateway")
    assert rules(bench) == {OUTLIVED}


@pytest.mark.parametrize("silent", [False, True])
def test_an_honest_gateway_whose_own_certificate_was_revoked_is_not_accused(*, silent: bool) -> None:
    bench = at_work()
    revoke(bench, prove(bench, silent=silent))
    assert not moves(bench, "gateway")
    assert rules(bench) == set()


@pytest.mark.parametrize("lies", [False, True])
def test_an_authority_that_is_revoked_takes_its_certificates_with_it(*, lies: bool) -> None:
    bench = at_work()
    prove(bench)
    if lies:
        open_for_ever(bench, "gateway")
    serial = bench.backend.keys.backend_ca.serial_number
    bench.car.take_keys(replace(bench.backend.key_set(), revoked_serials=frozenset((serial,))))
    assert moves(bench, "gateway") is lies
    assert rules(bench) == ({OUTLIVED} if lies else set())


@pytest.mark.parametrize("lies", [False, True])
def test_rights_that_were_added_end_the_grant_with_their_certificate(*, lies: bool) -> None:
    bench = at_work()
    made = prove(bench)
    added = ByHand(bench, challenge=made.public_key)  # for the same key, as its owner gets it
    chain = added.unlock.payload
    assert ask(bench, "gateway", f"29 04 00 01 {len(chain):04x} {chain.hex()}")[:2] == b"\x69\x04"
    if lies:
        open_for_ever(bench, "gateway")
    revoke(bench, added)
    assert moves(bench, "gateway") is lies
    assert rules(bench) == ({OUTLIVED} if lies else set())


def test_a_token_goes_on_after_its_revocation() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    bench.stage.revoke_unlock()
    assert moves(bench, "cluster")
    assert rules(bench) == set()


@pytest.mark.parametrize(
    ("serial", "rests"),
    [(0x7FEEDDCCBBAA9988, True), (0xFFEEDDCCBBAA9988, False), (0x1122, True), (2, False)],
    ids=["in its chain", "another", "its own short one", "short, and in its bytes by chance"],
)
def test_what_a_certificate_rests_on(serial: int, rests: object) -> None:
    chain = bytes.fromhex("A0 03 02 01 02 02 08 7F EE DD CC BB AA 99 88 02 02 11 22")
    grant = Grant(begun_ns=0, since_ns=0, until_utc_s=9, name="certificate:1122", shown=chain)
    assert grant.rests_on(serial) is rests
    assert not Grant(begun_ns=0, since_ns=0, left_ns=9, name="certificate:1122", shown=chain).rests_on(serial)
