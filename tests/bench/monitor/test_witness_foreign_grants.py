"""The witness and grants that were given for something else; what it cannot see, and how it reports what it saw."""

from __future__ import annotations

import pytest
from lying_car import (
    ECLASS,
    GOLF,
    NOT_ISSUED,
    OUTLIVED,
    ask,
    on_bench,
    rules,
    unlocked,
)

from bench.bench import Bench
from ecu_sim.unlock import certificate_checks, sfd
from scenarios.stage import TamperKind
from scenarios.strategy import Goal
from vci_driver.outcome import UnlockFailed
from wire.frame import Frame

# ---- takes a grant that was given for something else


@pytest.fixture
def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cars that check nothing of what they are shown."""
    monkeypatch.setattr(sfd, "TOKEN_CHECKS", ())
    monkeypatch.setattr(certificate_checks, "CERTIFICATE_CHECKS", ())


@pytest.mark.usefixtures("credulous")
def test_a_token_for_another_unit_is_caught() -> None:
    bench = on_bench(GOLF)
    bench.strategy.reach("logged-in", Goal())
    core = bench.tester().core
    token = core.sign_request(core.export_request("brakes"))
    core.import_token("cluster", token)
    assert rules(bench) == {NOT_ISSUED}


@pytest.mark.usefixtures("credulous")
@pytest.mark.parametrize(("vehicle", "holder"), [(GOLF, "cluster"), (ECLASS, "gateway")])
def test_what_names_another_vehicle_is_caught(vehicle: str, holder: str) -> None:
    bench = on_bench(vehicle)
    bench.strategy.reach("logged-in", Goal())
    bench.portal.tamper(TamperKind.OTHER_VIN)
    bench.tester().unlock(holder)
    assert rules(bench) == {NOT_ISSUED}


@pytest.mark.usefixtures("credulous")
def test_a_token_that_is_taken_twice_is_caught() -> None:
    bench = on_bench(GOLF)
    bench.strategy.reach("logged-in", Goal())
    core = bench.tester().core
    token = core.sign_request(core.export_request("cluster"))
    core.import_token("cluster", token)
    assert rules(bench) == set()
    core.import_token("cluster", token)
    assert rules(bench) == {NOT_ISSUED}


def test_a_token_that_nobody_issued_is_caught() -> None:
    bench = on_bench(GOLF)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    assert ask(bench, "cluster", "31 01 C0 04 01 02 03") == bytes.fromhex("71 01 C0 04 24")
    assert rules(bench) == {NOT_ISSUED}


@pytest.mark.usefixtures("credulous")
def test_a_certificate_that_is_taken_after_its_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = on_bench(ECLASS)
    bench.strategy.reach("logged-in", Goal())
    late = bench.portal.call
    monkeypatch.setattr(bench.portal, "call", lambda request: (late(request), bench.sleep(hours=2))[0])
    bench.tester().unlock("gateway")
    assert rules(bench) == {OUTLIVED}


# ---- what it cannot see, and how it reports


def test_a_second_tester_that_rides_on_a_grant_is_a_blind_spot_and_said_so() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    ask(bench, "cluster", "10 03")
    heard: list[bytes] = []
    rider = bench.car.buses["obd"].attach("second tester")
    rider.listen([0x77E], lambda frame: heard.append(frame.data))
    rider.send(Frame(0x714, bytes.fromhex("04 31 01 02 03 55 55 55")))
    bench.sleep(seconds=1)
    assert heard[0][:5] == bytes.fromhex("05 71 01 02 03")  # nothing on CAN says who asked
    assert rules(bench) == set()
    assert any("second tester" in spot for spot in bench.car.witness.blind_spots())


def test_the_blind_spots_are_listed() -> None:
    spots = "\n".join(on_bench(GOLF).car.witness.blind_spots())
    for part in ("who sent a request", "encrypted SecuredDataTransmission", "role, scope"):
        assert part in spots


def test_a_violation_says_when_who_what_and_which_rule() -> None:
    bench = on_bench(GOLF)
    bench.sleep(seconds=12)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    ask(bench, "cluster", "31 01 C0 04 01")
    (line,) = bench.violations()
    assert line.startswith("12.0")
    assert f"cluster: {NOT_ISSUED}: the audit log has none for this VIN and unit" in line


def test_a_bench_that_is_not_to_check_lists_and_does_not_raise() -> None:
    bench = Bench(seed=3, vehicle=GOLF, check_on_close=False)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    with bench:
        ask(bench, "cluster", "31 01 C0 04 01")
    assert len(bench.violations()) == 1


def test_the_bench_does_not_hide_a_tests_own_failure_behind_the_witness() -> None:
    bench = on_bench(GOLF)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    ask(bench, "cluster", "31 01 C0 04 01")
    with pytest.raises(ZeroDivisionError), bench:
        _ = 1 / 0


def test_a_liar_does_not_fill_the_memory() -> None:
    bench = on_bench(GOLF)
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    for _ in range(150):
        ask(bench, "cluster", "31 01 C0 04 01")
    assert len(bench.violations()) == 100


def test_an_honest_refusal_of_a_bad_token_is_no_violation() -> None:
    bench = on_bench(GOLF)
    bench.strategy.reach("logged-in", Goal())
    bench.portal.tamper(TamperKind.OTHER_VIN)
    with pytest.raises(UnlockFailed):
        bench.tester().unlock("cluster")
    assert rules(bench) == set()
