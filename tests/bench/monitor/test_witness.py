"""The witness against cars that lie: each lie is named for what it is, fails the bench, and an honest car is never accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lying_car import (
    BEHIND,
    CAME_THROUGH,
    ECLASS,
    GOLF,
    LEVEL_OPENED,
    NO_GRANT,
    OUTLIVED,
    ask,
    change,
    on_bench,
    open_for_ever,
    open_level,
    rules,
    unlocked,
)

from bench.bench import Bench
from ecu_sim.unlock.certificate import CertificateGate
from sgw_sim.arming import FilterArming, Observation
from wire.frame import Frame
from wire.token import Scope

# ---- opens without a token


@pytest.mark.parametrize("request_", ["2E 06 00" + 8 * " 00", "31 01 02 03"])
def test_a_unit_that_writes_or_moves_without_a_token_is_caught(request_: str) -> None:
    bench = on_bench(GOLF)
    change(bench, bonnet_open=True)
    open_for_ever(bench, "cluster")
    for preparation in ("10 03", "2E F1 99 26 11 23", "2E F1 98 00 00 01 E2 40 07"):
        ask(bench, "cluster", preparation)
    open_level(bench, "cluster")
    assert rules(bench) == set()
    assert ask(bench, "cluster", request_)[0] == int(request_[:2], 16) + 0x40
    assert rules(bench) == {NO_GRANT}


def test_a_certificate_gateway_that_writes_without_a_certificate_is_caught() -> None:
    bench = on_bench(ECLASS)
    open_for_ever(bench, "gateway")
    ask(bench, "gateway", "10 03")
    open_level(bench, "gateway")
    ask(bench, "gateway", "2E 06 00 01 02 03 04")
    assert rules(bench) == {NO_GRANT}


def test_a_status_that_says_open_without_a_token_is_caught() -> None:
    bench = on_bench(GOLF)
    bench.car.unit("cluster").gate.read_did = lambda did, now_ns: b"\x01\x02\x01\x59" if did == 0x0174 else None
    assert ask(bench, "cluster", "22 01 74") == bytes.fromhex("62 01 74 01 02 01 59")
    assert rules(bench) == {"says open without a grant"}


# ---- keeps a grant after its end


@pytest.mark.parametrize("unit", ["cluster", "brakes"])
def test_a_token_that_opens_for_longer_than_90_minutes_is_caught(unit: str) -> None:
    bench = on_bench(GOLF)
    unlocked(bench, unit)
    open_for_ever(bench, unit)
    bench.sleep(minutes=89)
    ask(bench, unit, "10 03")
    ask(bench, unit, "31 01 02 03")
    assert rules(bench) == set()
    bench.sleep(minutes=2)
    ask(bench, unit, "10 03")
    assert ask(bench, unit, "31 01 02 03")[0] == 0x71
    assert rules(bench) == {OUTLIVED}


def test_90_minutes_are_awake_minutes() -> None:
    bench = on_bench(GOLF)
    unlocked(bench, "cluster")
    open_for_ever(bench, "cluster")
    change(bench, sleeping=True)
    bench.sleep(hours=5)
    change(bench, sleeping=False)
    bench.sleep(minutes=80)
    ask(bench, "cluster", "10 03")
    ask(bench, "cluster", "31 01 02 03")
    assert rules(bench) == set()
    bench.sleep(minutes=11)
    ask(bench, "cluster", "10 03")
    ask(bench, "cluster", "31 01 02 03")
    assert rules(bench) == {OUTLIVED}


ENDS: dict[str, tuple[str, Callable[[Bench], object]]] = {
    "lock command": (GOLF, lambda bench: ask(bench, "cluster", "31 01 C0 0A")),
    "reset of the unit": (GOLF, lambda bench: bench.car.reset("cluster")),
    "reset by service": (GOLF, lambda bench: ask(bench, "cluster", "11 01")),
    "battery": (GOLF, lambda bench: [change(bench, battery=False), change(bench, battery=True)]),
    "certificate's end": (ECLASS, lambda bench: bench.sleep(minutes=61)),
    "de-authentication": (ECLASS, lambda bench: ask(bench, "gateway", "29 00")),
    "reset of the gateway": (ECLASS, lambda bench: bench.car.reset("gateway")),
    "reset of the gateway by service": (ECLASS, lambda bench: ask(bench, "gateway", "11 01")),
    "sleep": (ECLASS, lambda bench: [change(bench, sleeping=True), change(bench, sleeping=False)]),
    "revocation": (ECLASS, lambda bench: bench.stage.revoke_unlock()),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_grant_that_lives_on_after_its_end_is_caught(end: str) -> None:
    vehicle, act = ENDS[end]
    holder = "cluster" if vehicle == GOLF else "gateway"
    bench = on_bench(vehicle)
    unlocked(bench, holder)
    open_for_ever(bench, holder)
    act(bench)
    bench.sleep(seconds=2)
    assert rules(bench) == set()
    ask(bench, holder, "10 03")
    assert ask(bench, holder, "31 01 02 03")[0] == 0x71
    assert rules(bench) == {OUTLIVED}


@pytest.mark.parametrize("end", ENDS)
def test_an_honest_car_that_ends_its_grant_is_not_accused(end: str) -> None:
    vehicle, act = ENDS[end]
    holder = "cluster" if vehicle == GOLF else "gateway"
    bench = on_bench(vehicle)
    unlocked(bench, holder)
    act(bench)
    bench.sleep(seconds=2)
    ask(bench, holder, "10 03")
    assert ask(bench, holder, "31 01 02 03")[0] == 0x7F
    assert rules(bench) == set()


# ---- answers behind the filter while blocked


@pytest.mark.parametrize("request_", ["11 01", "28 00 01", "85 02", "2E F1 99 26 11 23"])
def test_a_filter_that_lets_blocked_requests_through_is_caught(request_: str) -> None:
    bench = on_bench(GOLF)
    ask(bench, "engine", "10 03")
    bench.car.gateway.arming = FilterArming(Observation(bonnet_open=False, odometer_km=0))
    assert ask(bench, "engine", request_)[0] != 0x7F
    assert rules(bench) == {CAME_THROUGH, BEHIND}


def test_a_filter_that_stays_open_after_20_km_is_caught() -> None:
    bench = on_bench(GOLF)
    change(bench, bonnet_open=True)
    change(bench, bonnet_open=False)
    bench.car.gateway.observe = lambda observation: None
    change(bench, kilometres_driven=19)
    ask(bench, "engine", "11 01")
    assert rules(bench) == set()
    change(bench, kilometres_driven=1)
    bench.sleep(seconds=2)
    ask(bench, "engine", "11 01")
    assert rules(bench) == {CAME_THROUGH, BEHIND}


@pytest.mark.parametrize("request_", ["11 01", "2E F1 99 26 11 23", "31 01 02 03", "28 00 01"])
def test_a_certificate_gateway_that_lets_blocked_requests_through_is_caught(
    monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    monkeypatch.setattr(CertificateGate, "allows", lambda self, scope, now_ns: True)
    bench = on_bench(ECLASS)
    ask(bench, "brakes", "10 03")
    assert ask(bench, "brakes", request_)[0] != 0x7F
    assert rules(bench) == {CAME_THROUGH, NO_GRANT}


@pytest.mark.parametrize("vehicle", [GOLF, ECLASS])
def test_a_blocked_functional_request_that_comes_out_inside_is_caught(
    monkeypatch: pytest.MonkeyPatch, vehicle: str
) -> None:
    monkeypatch.setattr(CertificateGate, "allows", lambda self, scope, now_ns: True)
    bench = on_bench(vehicle)
    bench.car.gateway.arming = FilterArming(Observation(bonnet_open=False, odometer_km=0))
    bench.tester().core.link.send_functional(b"\x11\x81")
    assert rules(bench) == {CAME_THROUGH}
    assert {violation.unit for violation in bench.car.witness.violations} == {"all units"}


# ---- opens a security level without a grant


@pytest.mark.parametrize("vehicle", [GOLF, ECLASS])
def test_security_access_without_a_grant_is_caught(vehicle: str) -> None:
    bench = on_bench(vehicle)
    unit = "cluster" if vehicle == GOLF else "gateway"
    change(bench, bonnet_open=True)
    gate = bench.car.unit(unit).gate
    gate.allows = lambda scope, now_ns: scope == Scope.SECURITY_ACCESS
    bench.tester().security_access(unit, 3)
    assert rules(bench) == {LEVEL_OPENED}


# ---- the same lies, said in a way that is easily missed


def cluster_that_lies() -> Bench:
    bench = on_bench(GOLF)
    change(bench, bonnet_open=True)
    open_for_ever(bench, "cluster")
    ask(bench, "cluster", "10 03")
    return bench


def test_a_lie_in_answer_to_a_functional_request_is_caught() -> None:
    bench = cluster_that_lies()
    bench.tester().core.link.send_functional(bytes.fromhex("31 01 02 03"))
    assert rules(bench) == {NO_GRANT}


def test_tester_present_between_request_and_answer_hides_no_lie() -> None:
    bench = cluster_that_lies()
    port = bench.car.buses["obd"].attach("tester of few words")
    port.send(Frame(0x714, bytes.fromhex("04 31 01 02 03 55 55 55")))
    port.send(Frame(0x714, bytes.fromhex("02 3E 80")))
    bench.sleep(seconds=1)
    assert rules(bench) == {NO_GRANT}


def slow_down(bench: Bench) -> None:
    """Let the pointer test take three seconds before its answer."""
    server = bench.car.unit("cluster").server
    slow = replace(server.profile.routines[0x0203], work_ns=3_000_000_000)
    server.profile = replace(server.profile, routines={0x0203: slow})


def test_0x78_before_the_answer_hides_no_lie() -> None:
    bench = cluster_that_lies()
    slow_down(bench)
    assert ask(bench, "cluster", "31 01 02 03")[0] == 0x71
    assert rules(bench) == {NO_GRANT}


def test_a_suppressed_sub_function_hides_no_lie_where_it_is_answered_all_the_same() -> None:
    """After 0x78 the positive answer comes although it was to be suppressed."""
    bench = cluster_that_lies()
    slow_down(bench)
    port = bench.car.buses["obd"].attach("tester of few words")
    port.send(Frame(0x714, bytes.fromhex("04 31 81 02 03 55 55 55")))
    bench.sleep(seconds=5)
    assert rules(bench) == {NO_GRANT}
