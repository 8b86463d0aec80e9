"""An honest car is never accused, whatever a workshop does with it and in whatever order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lying_car import ECLASS, GOLF, ask, change, on_bench, rules, unlocked

from bench.bench import Bench
from bench.vehicle_file import FOLDER
from scenarios.stage import OutcomeKind
from scenarios.strategy import Goal
from vci_driver.outcome import UnlockFailed

UNITS = {GOLF: ["gateway", "cluster", "brakes", "engine"], ECLASS: ["gateway", "cluster", "brakes", "engine"]}
REQUESTS = [
    "10 01",
    "10 03",
    "11 01",
    "14 FF FF FF",
    "19 01 FF",
    "22 F1 90",
    "22 01 74",
    "27 03",
    "28 00 01",
    "29 00",
    "2E F1 99 26 11 23",
    "2E F1 98 00 00 01 E2 40 07",
    "2E 06 00 00 00 00 00 00 00 00 00",
    "31 01 02 03",
    "31 81 02 03",
    "31 01 C0 08",
    "31 01 C0 0A",
    "85 02",
    "84 00 01 00 00 00 00 01 22 F1 90",
    "84 00 01 00 00 00 00 01 31 81 C0 08",
]
changes = st.sampled_from(
    [
        {"bonnet_open": True},
        {"bonnet_open": False},
        {"kilometres_driven": 12},
        {"crash": True},
        {"crash": False},
        {"body_controller_lost": True},
        {"body_controller_lost": False},
        {"terminal_15": False},
        {"terminal_15": True},
        {"sleeping": True},
        {"sleeping": False},
        {"battery": False},
        {"battery": True},
        {"bonnet_open": False, "kilometres_driven": 25, "crash": True},
    ]
)
acts = st.one_of(
    st.tuples(st.just("change"), changes),
    st.tuples(st.just("request"), st.tuples(st.integers(0, 3), st.sampled_from(REQUESTS))),
    st.tuples(st.just("functional"), st.sampled_from(REQUESTS).filter(lambda text: len(bytes.fromhex(text)) < 8)),
    st.tuples(st.just("unlock"), st.integers(0, 2)),
    st.tuples(st.just("seed and key"), st.integers(0, 2)),
    st.tuples(st.just("reset"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([1, 40, 300])),
)


def do(bench: Bench, units: list[str], act: str, what: object) -> None:
    """Do one thing; what the car refuses or does not hear is fine."""
    stage = bench.stage
    match act:
        case "change":
            change(bench, **what)
        case "request":
            stage.request(units[what[0]], bytes.fromhex(what[1]))
        case "functional":
            stage.functional(bytes.fromhex(what))
        case "unlock":
            bench.sleep(seconds=31)
            if stage.login("technician", code=None, password=None).kind is OutcomeKind.POSITIVE:
                stage.unlock(units[what], role="after-sales", scope=None)
        case "seed and key":
            stage.security_access(units[what], 3, key=None)
        case "reset":
            bench.car.reset(units[what])
        case "wait":
            bench.sleep(seconds=what)


@settings(max_examples=25)
@given(vehicle=st.sampled_from([GOLF, ECLASS]), way=st.lists(acts, min_size=1, max_size=25))
def test_no_way_of_working_on_an_honest_car_is_a_violation(vehicle: str, way: list) -> None:
    bench = on_bench(vehicle)
    bench.strategy.reach("validated", Goal())
    for act, what in way:
        do(bench, UNITS[vehicle], act, what)
    assert bench.violations() == []


@pytest.mark.parametrize("request_", ["11 01", "28 00 01", "85 02", "2E F1 99 26 11 23", "22 F1 90", "19 01 FF"])
def test_what_a_certificate_gateway_offers_freely_for_itself_is_no_violation(request_: str) -> None:
    bench = on_bench(ECLASS)
    ask(bench, "gateway", "10 03")
    assert ask(bench, "gateway", request_)[0] != 0x7F
    assert rules(bench) == set()


def test_a_second_certificate_hours_after_the_first_is_no_violation() -> None:
    bench = on_bench(ECLASS)
    unlocked(bench, "gateway")
    bench.sleep(hours=5)
    bench.tester().login()
    bench.tester().unlock("gateway")
    bench.tester().security_access("cluster", 3)
    bench.tester().write_coding("cluster", bytes(8))
    assert rules(bench) == set()


def test_a_token_that_was_carried_by_hand_for_hours_is_no_violation() -> None:
    bench = on_bench(GOLF)
    bench.strategy.reach("logged-in", Goal())
    change(bench, bonnet_open=True)
    core = bench.tester().core
    token = core.sign_request(core.export_request("cluster"))
    bench.sleep(hours=3)
    try:
        core.import_token("cluster", token)
    except UnlockFailed:  # the token's own hours are the back end's matter
        return
    bench.tester().security_access("cluster", 3)
    bench.tester().write_coding("cluster", bytes(8))
    assert rules(bench) == set()


@pytest.mark.parametrize("km", [0, 100, 200])
def test_a_new_cars_open_filter_is_no_violation(tmp_path: Path, km: int) -> None:
    text = (FOLDER / "vag-golf.yaml").read_text().replace("odometer_km: 12345", f"odometer_km: {km}")
    path = tmp_path / "new.yaml"
    path.write_text(text)
    bench = on_bench(str(path))
    ask(bench, "engine", "10 03")
    assert ask(bench, "engine", "11 01") == bytes.fromhex("51 01")
    change(bench, kilometres_driven=201)
    bench.sleep(seconds=2)
    ask(bench, "engine", "10 03")
    assert ask(bench, "engine", "11 01") == bytes.fromhex("7F 11 33")
    assert rules(bench) == set()


def test_an_answer_that_takes_longer_than_its_grant_is_no_violation() -> None:
    """The unit checks when a request arrives: what was asked in the 90th minute may be answered after it."""
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    ask(bench, "cluster", "10 03")
    left_ns = bench.car.unit("cluster").gate.next_deadline() - bench.world.now_ns
    bench.tester().core.link.keep_alive(on=True)
    bench.world.run_for(left_ns - 2_000_000)
    assert ask(bench, "cluster", "31 01 02 03")[0] == 0x71
    assert rules(bench) == set()


def test_wrapped_reading_passes_j533_and_is_no_violation() -> None:
    bench = on_bench(GOLF)
    assert ask(bench, "engine", "84 00 01 00 00 00 00 01 22 F1 90")[0] == 0x7F  # the unit has no such service
    assert bench.car.gateway.log[-1].verdict == "allow"
    assert rules(bench) == set()


def test_a_tester_that_keeps_each_unit_alive_physically_is_no_violation() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    link = bench.tester().core.link
    link.keep_alive(on=True, targets=["cluster", "gateway"])
    bench.tester().security_access("cluster", 3)
    bench.tester().write_coding("cluster", bytes(8))
    bench.sleep(minutes=20)
    assert rules(bench) == set()
