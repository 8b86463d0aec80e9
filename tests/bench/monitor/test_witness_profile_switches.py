"""Honest cars whose profiles differ from the shipped ones: what a switch allows is no violation, what it does not is one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lying_car import ECLASS, GOLF, OUTLIVED, ask, change, on_bench, open_for_ever, rules, unlocked

from bench.bench import Bench
from bench.vehicle_file import FOLDER

WRITE = "2E F1 99 26 11 23"
RESET_S = 0.5
LEFT_S = 60 * 60


def with_profile(folder: Path, vehicle: str, profile: str, gate: str) -> Bench:
    """A shipped vehicle, one unit's lock with another switch."""
    (folder / "unit.yaml").write_text(f"extends: {profile}\ngate: {gate}\n")
    (folder / "car.yaml").write_text((FOLDER / f"{vehicle}.yaml").read_text().replace(profile, "unit.yaml"))
    return on_bench(str(folder / "car.yaml"))


def thirty_minutes_used(folder: Path) -> Bench:
    """A cluster whose grant outlives a reset, with an hour left of its awake time."""
    bench = with_profile(folder, GOLF, "vag/cluster", "{scheme: sfd, ends_on_reset: false}")
    unlocked(bench, "cluster")
    gate = bench.car.unit("cluster").gate
    assert gate is not None
    due_ns = gate.next_deadline()
    assert due_ns is not None
    bench.world.run_for(due_ns - bench.world.now_ns - LEFT_S * 10**9)
    return bench


def battery(bench: Bench) -> None:
    change(bench, battery=False)
    bench.sleep(hours=5)
    change(bench, battery=True)
    bench.sleep(seconds=RESET_S)


def blink(bench: Bench) -> None:
    bench.car.reset("cluster")
    bench.sleep(seconds=RESET_S)


def hard_reset(bench: Bench) -> None:
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", "11 01") == bytes.fromhex("51 01")
    bench.sleep(seconds=RESET_S)


def battery_in_sleep(bench: Bench) -> None:
    """Supply that comes back wakes the car."""
    change(bench, sleeping=True)
    bench.sleep(hours=1)
    battery(bench)


def woken_without_supply(bench: Bench) -> None:
    change(bench, sleeping=True)
    change(bench, battery=False)
    change(bench, sleeping=False)
    battery(bench)


@pytest.mark.parametrize("stop", [battery, blink, hard_reset, battery_in_sleep, woken_without_supply])
def test_time_in_which_a_unit_does_not_run_is_not_awake_time(tmp_path: Path, stop: object) -> None:
    bench = thirty_minutes_used(tmp_path)
    for _ in range(3):
        stop(bench)
    bench.sleep(seconds=LEFT_S - 5)
    assert ask(bench, "cluster", "22 01 74")[3] == 1
    assert rules(bench) == set()
    bench.sleep(seconds=6)
    assert ask(bench, "cluster", "22 01 74")[3] == 0
    assert rules(bench) == set()


@pytest.mark.parametrize("stop", [battery, blink, hard_reset, battery_in_sleep, woken_without_supply])
def test_a_grant_that_goes_on_afterwards_for_too_long_is_found(tmp_path: Path, stop: object) -> None:
    bench = thirty_minutes_used(tmp_path)
    for _ in range(3):
        stop(bench)
    open_for_ever(bench, "cluster")
    bench.sleep(seconds=LEFT_S + 5)
    assert ask(bench, "cluster", "22 01 74")[3] == 1
    assert rules(bench) == {OUTLIVED}


def without_clock(folder: Path) -> Bench:
    bench = with_profile(folder, ECLASS, "mercedes/gateway", "{scheme: certificate, unset_clock_refuses: false}")
    bench.car.unit("gateway").clock.is_set = False
    return bench


def test_a_gateway_that_knows_no_time_counts_a_certificates_hours_from_the_grant(tmp_path: Path) -> None:
    """Valid from five minutes before its issue for an hour: 65 minutes, whenever it is shown."""
    bench = without_clock(tmp_path)
    unlocked(bench, "gateway")
    bench.sleep(minutes=64)
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", WRITE)[0] == 0x6E
    assert rules(bench) == set()
    bench.sleep(minutes=2)
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", WRITE)[0] == 0x7F
    assert rules(bench) == set()


def test_it_is_found_when_it_counts_for_longer(tmp_path: Path) -> None:
    bench = without_clock(tmp_path)
    unlocked(bench, "gateway")
    open_for_ever(bench, "gateway")
    bench.sleep(minutes=66)
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", WRITE)[0] == 0x6E
    assert OUTLIVED in rules(bench)


def test_the_report_says_that_nobody_can_hold_such_a_gateway_to_the_calendar(tmp_path: Path) -> None:
    assert any("without a set clock" in line for line in without_clock(tmp_path).car.witness.blind_spots())
    for shipped in (ECLASS, GOLF):
        assert not any("without a set clock" in line for line in on_bench(shipped).car.witness.blind_spots())
