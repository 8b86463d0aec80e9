"""The witness and answers that never come, suppressed or lost: no honest car is accused; what was answered is judged as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lying_car import (
    ECLASS,
    GOLF,
    NO_GRANT,
    NOT_ISSUED,
    OUTLIVED,
    ByHand,
    ask,
    change,
    on_bench,
    open_for_ever,
    rules,
    token_for,
    unlocked,
)

from bench import topology
from bench.bench import Bench
from bench.car_facts import watched_car
from bench.vehicle_file import FOLDER
from ecu_sim.unlock import certificate_checks, sfd
from scenarios.strategy import Goal
from vci_driver.outcome import StepFailed, UnlockFailed
from wire.errors import CarrierFault, RemoteFault
from wire.faults import FaultRule
from wire.portal_api import PortalError

MOVE, STATUS = "31 01 02 03", "22 01 74"
WRITE = "2E F1 99 26 11 23"


def at_work(vehicle: str) -> Bench:
    bench = on_bench(vehicle)
    bench.strategy.reach("logged-in", Goal())
    if vehicle == GOLF:
        change(bench, bonnet_open=True)
    else:
        gate = bench.car.unit("gateway").gate  # one that works longer than P2 says 0x78, and then answers all the same
        gate.options = replace(gate.options, verification_ns=10_000_000)
    return bench


def moves(bench: Bench, unit: str) -> bool:
    bench.sleep(seconds=1)
    ask(bench, unit, "10 03")
    return ask(bench, unit, MOVE)[0] == 0x71


def unheard(bench: Bench, what: str) -> bool:
    return any(f"{what} that got no answer" in spot for spot in bench.findings().blind_spots)


@pytest.fixture
def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cars that check nothing of what they are shown."""
    monkeypatch.setattr(sfd, "TOKEN_CHECKS", ())
    monkeypatch.setattr(certificate_checks, "CERTIFICATE_CHECKS", ())


# ---- what may have opened: honest cars


def test_a_token_that_is_not_to_be_answered_opens_and_nobody_is_accused() -> None:
    bench = at_work(GOLF)
    assert ask(bench, "cluster", "31 81 C0 04" + token_for(bench, "cluster")) == b""
    assert moves(bench, "cluster")
    assert ask(bench, "cluster", STATUS)[3] == 1
    assert unheard(bench, "what cluster did with an unlock")
    assert rules(bench) == set()


def test_a_proof_that_is_not_to_be_answered_opens_and_nobody_is_accused() -> None:
    bench = at_work(ECLASS)
    assert ask(bench, "gateway", "29 83" + ByHand(bench).proof()) == b""
    assert moves(bench, "gateway")
    assert moves(bench, "brakes")
    assert unheard(bench, "what gateway did with an unlock")
    assert rules(bench) == set()


def test_a_silent_tokens_90_minutes_end_for_witness_and_unit_alike() -> None:
    bench = at_work(GOLF)
    ask(bench, "cluster", "31 81 C0 04" + token_for(bench, "cluster"))
    due_ns = bench.car.unit("cluster").gate.next_deadline()
    for at_ns, is_open in ((due_ns - 2_000_000, 1), (due_ns + 1_000_000, 0)):
        bench.world.run_for(at_ns - bench.world.now_ns)
        assert ask(bench, "cluster", STATUS)[3] == is_open
    assert rules(bench) == set()


def test_a_token_whose_answer_was_lost_inside_the_car_opens_and_nobody_is_accused() -> None:
    bench = at_work(GOLF)
    token = token_for(bench, "cluster")
    bench.car.add_fault(FaultRule(kind="drop", bus="body", can_id=0x77E, skip=1))
    bench.stage.request("cluster", bytes.fromhex("31 01 C0 04" + token))
    bench.car.clear_faults()
    assert bench.car.unit("cluster").gate.grant(bench.world.now_ns) is not None
    assert moves(bench, "cluster")
    assert rules(bench) == set()


def test_a_silent_token_that_did_not_arrive_may_be_written_again_aloud() -> None:
    bench = at_work(GOLF)
    token = token_for(bench, "cluster")
    bench.car.add_fault(FaultRule(kind="drop", bus="body", can_id=0x714))
    assert ask(bench, "cluster", "31 81 C0 04" + token) == b""
    bench.car.clear_faults()
    assert not moves(bench, "cluster")
    assert ask(bench, "cluster", "31 01 C0 04" + token) == bytes.fromhex("71 01 C0 04 24")
    assert moves(bench, "cluster")
    assert rules(bench) == set()


def test_a_silent_token_that_is_written_until_it_arrives_opens_from_then() -> None:
    bench = at_work(GOLF)
    token = token_for(bench, "cluster")
    bench.car.add_fault(FaultRule(kind="drop", bus="body", can_id=0x714))
    for _ in range(3):
        ask(bench, "cluster", "31 81 C0 04" + token)
        bench.sleep(minutes=1)
    bench.car.clear_faults()
    assert ask(bench, "cluster", "31 81 C0 04" + token) == b""
    assert ask(bench, "cluster", "31 81 C0 04" + token) == bytes.fromhex("7F 31 57"), "used before"
    bench.sleep(minutes=89)
    assert moves(bench, "cluster")
    assert rules(bench) == set()


def test_an_earlier_grant_stays_believed_beside_one_that_nobody_heard_of() -> None:
    """The silent token did not arrive: what opened before goes on, and proves nothing about the token."""
    bench = at_work(GOLF)
    bench.tester().unlock("cluster")
    token = token_for(bench, "cluster")
    bench.car.add_fault(FaultRule(kind="drop", bus="body", can_id=0x714))
    ask(bench, "cluster", "31 81 C0 04" + token)
    bench.car.clear_faults()
    assert moves(bench, "cluster")
    assert ask(bench, "cluster", "31 01 C0 04" + token)[0] == 0x71
    assert rules(bench) == set()


def test_where_the_audit_log_is_not_ours_silent_tokens_and_proofs_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "watched_car", lambda spec, **_: watched_car(spec, audited=False))
    golf, eclass = at_work(GOLF), at_work(ECLASS)
    ask(golf, "cluster", "31 81 C0 04" + token_for(golf, "cluster"))
    ask(eclass, "gateway", "29 83" + ByHand(eclass).proof())
    assert moves(golf, "cluster")
    assert moves(eclass, "brakes")
    assert rules(golf) == rules(eclass) == set()


# ---- what may have opened: liars


@pytest.mark.usefixtures("credulous")
def test_a_silent_token_for_another_unit_is_not_believed() -> None:
    bench = at_work(GOLF)
    assert ask(bench, "cluster", "31 81 C0 04" + token_for(bench, "brakes")) == b""
    assert moves(bench, "cluster")
    assert rules(bench) == {NO_GRANT}


@pytest.mark.usefixtures("credulous")
def test_a_silent_proof_for_another_vehicle_is_not_believed() -> None:
    bench = at_work(ECLASS)
    assert ask(bench, "gateway", "29 83" + ByHand(bench, vin="W1KZZZ2130A000002").proof()) == b""
    assert moves(bench, "gateway")
    assert rules(bench) == {NO_GRANT}


def test_a_silent_token_that_nobody_issued_is_not_believed() -> None:
    bench = at_work(GOLF)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    open_for_ever(bench, "cluster")
    assert ask(bench, "cluster", "31 81 C0 04 01 02 03") == b""
    assert moves(bench, "cluster")
    assert rules(bench) == {NO_GRANT}


def test_a_silent_token_whose_refusal_was_seen_is_not_believed() -> None:
    bench = at_work(GOLF)
    token = token_for(bench, "cluster")
    token_for(bench, "cluster")  # voids the first one's nonce
    assert ask(bench, "cluster", "31 81 C0 04" + token) == bytes.fromhex("7F 31 24")
    assert not unheard(bench, "an unlock")
    open_for_ever(bench, "cluster")
    bench.car.unit("cluster").gate.allows = lambda scope, now_ns: True
    assert moves(bench, "cluster")
    assert rules(bench) == {NO_GRANT}


def test_a_silent_proof_whose_refusal_was_seen_is_not_believed() -> None:
    bench = at_work(ECLASS)
    proof = ByHand(bench).proof()
    assert ask(bench, "gateway", "29 83" + proof[:-12] + "01 00 00 00")[0] == 0x7F
    open_for_ever(bench, "gateway")
    assert moves(bench, "gateway")
    assert rules(bench) == {NO_GRANT}


@pytest.mark.usefixtures("credulous")
def test_a_token_that_was_taken_silently_shown_by_use_and_taken_again_is_caught() -> None:
    bench = at_work(GOLF)
    token = token_for(bench, "cluster")
    ask(bench, "cluster", "31 81 C0 04" + token)
    assert moves(bench, "cluster")
    assert ask(bench, "cluster", "31 01 C0 04" + token)[0] == 0x71
    assert rules(bench) == {NOT_ISSUED}


def test_a_grant_by_a_silent_token_that_goes_on_for_too_long_is_caught() -> None:
    bench = at_work(GOLF)
    ask(bench, "cluster", "31 81 C0 04" + token_for(bench, "cluster"))
    open_for_ever(bench, "cluster")
    bench.sleep(minutes=91)
    assert moves(bench, "cluster")
    assert rules(bench) == {OUTLIVED}


# ---- what may have ended

ENDS: dict[str, tuple[str, str, str]] = {
    "the lock command": (GOLF, "cluster", "31 81 C0 0A"),
    "a reset": (GOLF, "cluster", "11 81"),
    "a de-authentication": (ECLASS, "gateway", "29 80"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_silent_end_in_an_honest_car_accuses_nobody_and_is_named(end: str) -> None:
    vehicle, holder, request = ENDS[end]
    bench = on_bench(vehicle)
    unlocked(bench, holder)
    ask(bench, holder, "10 03")
    assert ask(bench, holder, request) == b""
    assert not moves(bench, holder)
    assert unheard(bench, f"what {holder} did with {end}")
    assert rules(bench) == set()


@pytest.mark.parametrize("end", ENDS)
def test_a_silent_end_that_did_not_arrive_accuses_nobody(end: str) -> None:
    vehicle, holder, request = ENDS[end]
    bench = on_bench(vehicle)
    unlocked(bench, holder)
    ask(bench, holder, "10 03")
    bench.car.add_fault(FaultRule(kind="drop", bus="obd", can_id=0x714 if vehicle == GOLF else 0x602))
    ask(bench, holder, request)
    bench.car.clear_faults()
    assert moves(bench, holder)
    assert rules(bench) == set()


@pytest.mark.parametrize("end", ENDS)
def test_a_silent_end_whose_refusal_was_seen_is_no_end_and_is_not_named(end: str) -> None:
    vehicle, holder, request = ENDS[end]
    bench = on_bench(vehicle)
    unlocked(bench, holder)
    ask(bench, holder, "10 03")
    assert ask(bench, holder, request + " 00")[0] == 0x7F
    assert moves(bench, holder)
    assert not unheard(bench, end)
    assert rules(bench) == set()


def test_an_end_that_was_asked_of_all_units_silently_accuses_nobody_and_is_named() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    bench.tester().core.link.send_functional(bytes.fromhex("31 81 C0 0A"))
    assert not moves(bench, "cluster")
    assert unheard(bench, "what cluster did with the lock command")
    assert not unheard(bench, "what brakes did with the lock command"), "it had no grant to end"
    assert rules(bench) == set()


def test_a_unit_that_says_shut_after_a_silent_end_and_serves_all_the_same_is_caught() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    assert ask(bench, "cluster", "31 81 C0 0A") == b""
    assert ask(bench, "cluster", STATUS)[3] == 0
    open_for_ever(bench, "cluster")
    assert moves(bench, "cluster")
    assert rules(bench) == {OUTLIVED}


def test_a_word_that_a_fault_may_have_changed_shuts_no_book() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    bench.car.add_fault(FaultRule(kind="corrupt", count=0))
    gate = bench.car.unit("cluster").gate
    said, gate.read_did = gate.read_did, lambda did, now_ns: bytes(4)  # as a fault would leave it
    ask(bench, "cluster", STATUS)
    gate.read_did = said
    assert moves(bench, "cluster")
    assert rules(bench) == set()


def test_a_gateway_whose_seed_says_shut_after_a_silent_reset_and_serves_all_the_same_is_caught() -> None:
    bench = on_bench("mb-cclass")
    unlocked(bench, "gateway")
    ask(bench, "gateway", "10 03")
    assert ask(bench, "gateway", "11 81") == b""
    bench.sleep(seconds=1)
    ask(bench, "gateway", "10 03")
    assert any(ask(bench, "gateway", "27 09")[2:])
    open_for_ever(bench, "gateway")
    assert moves(bench, "gateway")
    assert rules(bench) == {OUTLIVED}


@pytest.mark.parametrize("way", ["11 81", "functional"])
def test_time_in_which_a_unit_is_down_for_a_silent_reset_is_not_awake_time(tmp_path: Path, way: str) -> None:
    (tmp_path / "unit.yaml").write_text("extends: vag/cluster\ngate: {scheme: sfd, ends_on_reset: false}\n")
    (tmp_path / "car.yaml").write_text((FOLDER / "vag-golf.yaml").read_text().replace("vag/cluster", "unit.yaml"))
    bench = on_bench(str(tmp_path / "car.yaml"))
    unlocked(bench, "cluster")
    for _ in range(3):
        ask(bench, "cluster", "10 03")
        if way == "functional":
            bench.tester().core.link.send_functional(bytes.fromhex("11 81"))
        else:
            assert ask(bench, "cluster", way) == b""
        bench.sleep(seconds=1)
    left_ns = bench.car.unit("cluster").gate.next_deadline() - bench.world.now_ns
    bench.world.run_for(left_ns - 5_000_000)
    assert ask(bench, "cluster", STATUS)[3] == 1
    assert rules(bench) == set()


# ---- whatever else is done silently

SILENT = ["31 81 C0 0A", "31 81 C0 08", "11 81", "29 80", "10 83", "27 83", "31 81 02 03", "28 80 01", "85 82"]
ALOUD = ["10 03", MOVE, STATUS, WRITE, "31 01 C0 0A", "11 01", "29 00"]
LOSSES: list[Callable[[Bench], object]] = [
    lambda bench: bench.car.add_fault(FaultRule(kind="drop", probability=0.3)),
    lambda bench: bench.car.clear_faults(),
    lambda bench: [change(bench, sleeping=True), change(bench, sleeping=False)],
    lambda bench: [change(bench, battery=False), change(bench, battery=True)],
]
acts = st.one_of(
    st.tuples(st.just("request"), st.tuples(st.integers(0, 1), st.sampled_from(SILENT + ALOUD))),
    st.tuples(st.just("functional"), st.sampled_from(SILENT)),
    st.tuples(st.just("unlock"), st.booleans()),
    st.tuples(st.just("loss"), st.integers(0, len(LOSSES) - 1)),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 3000])),
)


def unlock_by_hand(bench: Bench, *, silent: bool) -> None:
    """As far as the car lets."""
    bench.sleep(seconds=31)
    bench.stage.login("technician", code=None, password=None)
    try:
        if bench.car.spec.make == "vag":
            unit, request = "cluster", ("31 81 C0 04" if silent else "31 01 C0 04") + token_for(bench, "cluster")
        else:
            unit, request = "gateway", ("29 83" if silent else "29 03") + ByHand(bench).proof()
    except (AssertionError, StepFailed, UnlockFailed, PortalError, CarrierFault, RemoteFault):
        return  # asleep, locked out, or its frames were lost
    bench.stage.request(unit, bytes.fromhex(request))


@settings(max_examples=25)
@given(vehicle=st.sampled_from([GOLF, ECLASS]), way=st.lists(acts, min_size=1, max_size=20))
def test_no_silent_way_of_working_on_an_honest_car_is_a_violation(vehicle: str, way: list) -> None:
    bench = at_work(vehicle)
    units = ("cluster", "gateway")
    for act, what in way:
        match act:
            case "request":
                bench.stage.request(units[what[0]], bytes.fromhex(what[1]))
            case "functional":
                bench.stage.functional(bytes.fromhex(what))
            case "unlock":
                unlock_by_hand(bench, silent=what)
            case "loss":
                LOSSES[what](bench)
            case "wait":
                bench.sleep(seconds=what)
    assert bench.violations() == []
