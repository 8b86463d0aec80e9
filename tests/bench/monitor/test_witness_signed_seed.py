"""The witness and a gateway of stage 1: each lie is named for what it is, and an honest car is never accused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lying_car import (
    CAME_THROUGH,
    LEVEL_OPENED,
    NO_GRANT,
    NOT_ISSUED,
    OUTLIVED,
    ask,
    change,
    on_bench,
    open_for_ever,
    open_level,
    rules,
    unlocked,
)

from bench import topology
from bench.bench import Bench
from bench.car_facts import watched_car
from bench.monitor.seeds import SeedBook
from ecu_sim.unlock.signed_seed import SignedSeedGate
from scenarios.stage import OutcomeKind, TamperKind
from scenarios.strategy import Goal
from vci_driver.portal_client import UnlockWish
from wire.frame import Frame
from wire.portal_api import UnlockKind
from wire.signed_seed import SeedRequest, seed_id, sign_seed
from wire.token import ALL_SCOPES, Role, Scope

CCLASS = "mb-cclass"
SAYS_OPEN = "says open without a grant"
KEY = " 55" * 64
MOVE = "31 01 02 03"


def taking_any_key(bench: Bench) -> None:
    """From now on the gateway verifies nothing."""
    bench.car.unit("gateway").gate._signer_of = lambda key, signed: next(iter(bench.car.trust.token_keys))


def moves(bench: Bench, unit: str = "gateway") -> bool:
    ask(bench, unit, "10 03")
    return ask(bench, unit, MOVE)[0] == 0x71


# ---- opens without the back end


def test_a_gateway_that_takes_any_key_is_caught() -> None:
    bench = on_bench(CCLASS)
    taking_any_key(bench)
    ask(bench, "gateway", "10 03")
    ask(bench, "gateway", "27 09")
    assert ask(bench, "gateway", "27 0A" + KEY) == bytes.fromhex("67 0A")
    assert rules(bench) == {NOT_ISSUED}


def test_a_gateway_that_takes_a_key_without_a_seed_is_caught() -> None:
    bench = on_bench(CCLASS)
    bench.strategy.reach("unlocked", Goal(ecu="gateway"))
    change(bench, terminal_15=False)
    gate = bench.car.unit("gateway").gate
    gate.take_seed = lambda level, now_ns: bytes(32)
    gate.key = lambda level, seed, key, now_ns: 0
    ask(bench, "gateway", "10 03")
    assert ask(bench, "gateway", "27 0A" + KEY) == bytes.fromhex("67 0A")
    assert rules(bench) == {NOT_ISSUED}


def test_a_gateway_that_takes_a_short_key_is_caught() -> None:
    bench = on_bench(CCLASS)
    bench.strategy.reach("logged-in", Goal())
    gate = bench.car.unit("gateway").gate
    gate.key_len = 8
    taking_any_key(bench)
    bench.portal.tamper(TamperKind.OTHER_ALGORITHM)
    bench.tester().unlock("gateway")
    assert rules(bench) == {NOT_ISSUED}


def test_a_gateway_that_takes_the_key_for_an_earlier_seed_is_caught() -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    taking_any_key(bench)
    change(bench, terminal_15=False)
    change(bench, terminal_15=True)
    ask(bench, "gateway", "10 03")
    ask(bench, "gateway", "27 09")
    assert ask(bench, "gateway", "27 0A" + KEY) == bytes.fromhex("67 0A")
    assert rules(bench) == {NOT_ISSUED}


def test_a_key_for_another_car_is_caught() -> None:
    """The back end signed this seed, but for another VIN: a tester that lies, and a gateway that does not look."""
    bench = on_bench(CCLASS)
    bench.strategy.reach("logged-in", Goal())
    taking_any_key(bench)
    tester = bench.tester().core
    tester.identify()
    tester.vin = "W1KZZZ2050A999999"
    tester.unlock("gateway")
    assert rules(bench) == {NOT_ISSUED}


def test_a_seed_of_zeros_without_a_grant_is_caught() -> None:
    bench = on_bench(CCLASS)
    bench.car.unit("gateway").gate.seed = lambda level, now_ns: bytes(32)
    ask(bench, "gateway", "10 03")
    ask(bench, "gateway", "27 09")
    assert rules(bench) == {SAYS_OPEN}


def test_a_locked_gateway_that_writes_for_itself_is_caught() -> None:
    bench = on_bench(CCLASS)
    open_for_ever(bench, "gateway")
    ask(bench, "gateway", "10 03")
    open_level(bench, "gateway")
    assert ask(bench, "gateway", "2E 06 00 01 02 03 04") == bytes.fromhex("6E 06 00")
    assert rules(bench) == {NO_GRANT}


@pytest.mark.parametrize("request_", ["11 01", "2E F1 99 26 11 23", MOVE, "28 00 01"])
def test_a_locked_gateway_that_lets_blocked_requests_through_is_caught(
    monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    monkeypatch.setattr(SignedSeedGate, "allows", lambda self, scope, now_ns: True)
    bench = on_bench(CCLASS)
    ask(bench, "brakes", "10 03")
    assert ask(bench, "brakes", request_)[0] != 0x7F
    assert rules(bench) == {CAME_THROUGH, NO_GRANT}


def test_another_level_of_the_gateway_that_opens_without_a_grant_is_caught() -> None:
    bench = on_bench(CCLASS)
    bench.car.unit("gateway").gate.allows = lambda scope, now_ns: scope == Scope.SECURITY_ACCESS
    bench.tester().security_access("gateway", 3)
    assert rules(bench) == {LEVEL_OPENED}


# ---- keeps a grant after its end

ENDS: dict[str, Callable[[Bench], object]] = {
    "ignition off": lambda bench: [change(bench, terminal_15=False), change(bench, terminal_15=True)],
    "sleep": lambda bench: [change(bench, sleeping=True), change(bench, sleeping=False)],
    "reset of the gateway": lambda bench: bench.car.reset("gateway"),
    "reset by service": lambda bench: ask(bench, "gateway", "11 01"),
    "battery": lambda bench: [change(bench, battery=False), change(bench, battery=True)],
    "revocation": lambda bench: bench.stage.revoke_unlock(),
}


@pytest.mark.parametrize("unit", ["gateway", "brakes"])
@pytest.mark.parametrize("end", ENDS)
def test_a_grant_that_lives_on_after_its_end_is_caught(end: str, unit: str) -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    open_for_ever(bench, "gateway")
    ENDS[end](bench)
    bench.sleep(seconds=2)
    assert rules(bench) == set()
    assert moves(bench, unit)
    assert rules(bench) == ({OUTLIVED} if unit == "gateway" else {OUTLIVED, CAME_THROUGH})


@pytest.mark.parametrize("end", ENDS)
def test_a_seed_that_says_open_after_the_end_is_caught(end: str) -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    open_for_ever(bench, "gateway")
    bench.car.unit("gateway").gate.grant = lambda now_ns: object()
    ENDS[end](bench)
    bench.sleep(seconds=2)
    ask(bench, "gateway", "10 03")
    assert ask(bench, "gateway", "27 09") == bytes.fromhex("67 09") + bytes(32)
    assert rules(bench) == {OUTLIVED}


@pytest.mark.parametrize("end", ENDS)
def test_an_honest_car_that_ends_its_grant_is_not_accused(end: str) -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    assert moves(bench)
    ENDS[end](bench)
    bench.sleep(seconds=2)
    assert not moves(bench)
    assert rules(bench) == set()


# ---- is fair


def test_days_later_the_grant_still_stands_and_the_witness_does_not_mind() -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    bench.tester().core.link.keep_alive(on=False)
    bench.sleep(hours=50)
    assert moves(bench)
    assert moves(bench, "brakes")
    assert rules(bench) == set()


def test_the_revocation_of_another_unlock_is_no_end() -> None:
    bench = on_bench(CCLASS)
    unlocked(bench, "gateway")
    bench.stage.revoke_unlock()
    bench.tester().unlock("gateway")
    bench.car.witness.revoked(bench.world.now_ns, frozenset(), frozenset((bytes(16),)))
    assert moves(bench)
    assert rules(bench) == set()


def signed(bench: Bench, **changes: object) -> bytes:
    """The key for the gateway's seed, honestly from the portal, as somebody gets it who drives the gateway by hand."""
    ask(bench, "gateway", "10 03")
    seed = ask(bench, "gateway", "27 09")[2:]
    wish = {
        "kind": UnlockKind.SIGNED_SEED,
        "make": "mercedes",
        "vin": bench.car.spec.vin,
        "ecu_address": 0x20,
        "role": Role.AFTER_SALES,
        "scope": int(ALL_SCOPES),
        "challenge": SeedRequest(level=9, seed=seed).encode(),
    }
    return bench.tester().core.portal.request_unlock(UnlockWish(**wish | changes)).payload


def test_a_key_that_is_not_to_be_answered_opens_without_a_word_and_nobody_is_accused() -> None:
    bench = on_bench(CCLASS)
    bench.strategy.reach("logged-in", Goal())
    assert ask(bench, "gateway", "27 8A" + signed(bench).hex()) == b""
    bench.sleep(seconds=1)
    assert moves(bench)
    assert moves(bench, "brakes")
    assert rules(bench) == set()


def test_a_silent_key_for_another_car_opens_no_book() -> None:
    bench = on_bench(CCLASS)
    bench.strategy.reach("logged-in", Goal())
    taking_any_key(bench)
    assert ask(bench, "gateway", "27 8A" + signed(bench, vin="W1KZZZ2050A999999").hex()) == b""
    bench.sleep(seconds=1)
    assert moves(bench)
    assert rules(bench) == {NO_GRANT}


def test_a_wrong_key_that_is_not_to_be_answered_opens_no_book() -> None:
    bench = on_bench(CCLASS)
    ask(bench, "gateway", "10 03")
    ask(bench, "gateway", "27 09")
    assert ask(bench, "gateway", "27 8A" + KEY)[:2] == b"\x7f\x27"
    open_for_ever(bench, "gateway")
    assert moves(bench)
    assert rules(bench) == {NO_GRANT}


def test_where_the_audit_log_is_not_ours_a_key_is_believed_but_not_one_without_a_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topology, "watched_car", lambda spec, **_: watched_car(spec, audited=False))
    bench = on_bench(CCLASS)
    taking_any_key(bench)
    for way, answer in (("27 0A", "67 0A"), ("27 8A", "")):
        change(bench, terminal_15=False)
        change(bench, terminal_15=True)
        ask(bench, "gateway", "10 03")
        ask(bench, "gateway", "27 09")
        assert ask(bench, "gateway", way + KEY) == bytes.fromhex(answer)
        bench.sleep(seconds=1)
        assert moves(bench)
    assert rules(bench) == set()


def test_it_says_that_it_verifies_no_signature() -> None:
    bench = on_bench(CCLASS)
    assert any("signature" in spot for spot in bench.car.witness.blind_spots())


def test_the_witness_calls_an_unlock_as_the_back_end_does() -> None:
    book, seed = SeedBook(9), bytes(range(32))
    assert not book.seed(b"\x67\x09" + seed)
    assert book.called(b"\x27\x0a" + bytes(64)) == f"signed-seed:{seed_id(seed).hex()}"
    book.used()
    assert book.called(b"\x27\x0a" + bytes(64)) is None, "one key for each seed"


def test_a_car_without_such_a_lock_has_no_such_level() -> None:
    book = SeedBook(None)
    assert not book.is_seed(b"\x27\x09")
    assert not book.is_key(b"\x27\x0a")


REQUESTS = [
    "10 01",
    "10 03",
    "11 01",
    "22 F1 90",
    "27 03",
    "27 09",
    "27 89",
    "27 0A" + KEY,
    "27 8A" + KEY,
    MOVE,
    "29 00",
]
acts = st.one_of(
    st.tuples(st.just("request"), st.tuples(st.sampled_from(["gateway", "brakes"]), st.sampled_from(REQUESTS))),
    st.tuples(st.just("functional"), st.sampled_from(["27 09", "10 03", "11 01", "31 01 02 03"])),
    st.tuples(st.just("end"), st.sampled_from(list(ENDS)[:-1])),
    st.tuples(st.just("unlock"), st.booleans()),
    st.tuples(st.just("key"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 6, 320])),
)


@settings(max_examples=25)
@given(way=st.lists(acts, min_size=1, max_size=20))
def test_no_way_of_working_on_an_honest_car_is_a_violation(way: list) -> None:
    bench = on_bench(CCLASS)
    bench.strategy.reach("validated", Goal())
    gateway = bench.car.unit("gateway")
    for act, what in way:
        match act:
            case "request":
                bench.stage.request(what[0], bytes.fromhex(what[1]))
            case "functional":
                bench.stage.functional(bytes.fromhex(what))
            case "end":
                if what == "reset by service":
                    bench.stage.request("gateway", b"\x11\x01")
                else:
                    ENDS[what](bench)
            case "unlock":
                bench.sleep(seconds=31)
                if bench.stage.login("technician", code=None, password=None).kind is OutcomeKind.POSITIVE:
                    if what:
                        bench.portal.tamper(TamperKind.FLIP_BIT)
                    bench.stage.unlock("brakes", role="after-sales", scope=None)
            case "key":  # who has the back end's own key and goes round it
                seed = bench.stage.request("gateway", bytes.fromhex("27 09")).payload[2:]
                if what and len(seed) == 32 and any(seed):
                    key = sign_seed(
                        bench.backend.keys.token_key, "W1KZZZ2050A999999", 0x20, SeedRequest(level=9, seed=seed)
                    )
                    bench.stage.request("gateway", b"\x27\x0a" + key)
            case "wait":
                bench.sleep(seconds=what)
    assert bench.violations() == []
    assert gateway.gate is not None


def test_a_second_tester_that_answers_the_seed_between_is_no_violation() -> None:
    """A frame of another tester on the same identifier restarts the gateway's reception; nothing opens, nobody is accused."""
    bench = on_bench(CCLASS)
    bench.strategy.reach("logged-in", Goal())
    port = bench.car.buses["obd"].attach("another tester")
    ask(bench, "gateway", "10 03")
    ask(bench, "gateway", "27 09")
    port.send(Frame(0x602, bytes.fromhex("10 42 27 0A 00 00 00 00")))
    bench.sleep(seconds=2)
    bench.tester().unlock("gateway")
    assert moves(bench)
    assert rules(bench) == set()
