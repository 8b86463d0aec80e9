"""In virtual time nothing comes from outside: no clock, no random bytes, not by our own hand and not through a library."""

from __future__ import annotations

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from outside_guard import Guard, ReachedOutside, guarded

from bench import Bench
from bench.runner import run_one
from scenarios.library import find
from scenarios.model import Scenario
from scenarios.play import Status
from wire.clock import RealClock
from wire.entropy import LiveEntropy

SCENARIOS = find([])


@pytest.fixture(scope="module", autouse=True)
def _everything_is_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What loads lazily must be loaded before the guard looks for names that our modules imported."""
    for scenario in find(["@happy"]):
        run_one(scenario, seed=0, trace_dir=tmp_path_factory.mktemp("traces"))


@pytest.fixture
def guard() -> Iterator[Guard]:
    with guarded() as put:
        yield put


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_a_scenario_reaches_for_nothing_outside_its_world(scenario: Scenario, guard: Guard) -> None:
    run = run_one(scenario, seed=1)
    assert run.played.status is Status.PASSED, run.played.reason
    assert guard.reached == set()


def test_traces_of_all_formats_reach_for_nothing_either(guard: Guard, tmp_path: Path) -> None:
    run = run_one(find(["vag-global-scan"])[0], seed=1, trace_dir=tmp_path)
    assert len(run.traces) == 4
    assert guard.reached == set()


@pytest.mark.parametrize("vehicle", ["vag-golf", "mb-eclass"])
def test_the_python_interface_reaches_for_nothing_outside_its_world(vehicle: str, guard: Guard) -> None:
    with Bench(seed=1, vehicle=vehicle) as bench:
        tester = bench.tester(technician="logged-in")
        tester.identify()
        tester.scan()
        tester.unlock("gateway" if vehicle == "mb-eclass" else "cluster")
        tester.logout()
        bench.sleep(minutes=91)
    assert guard.reached == set()


@pytest.mark.parametrize("reach", [lambda: LiveEntropy().token_bytes(4), RealClock], ids=["entropy", "clock"])
def test_the_guard_sees_what_live_mode_takes_from_outside(reach: Callable[[], object], guard: Guard) -> None:
    with pytest.raises(ReachedOutside):
        reach()
    assert guard.reached


def test_the_guard_lets_everyone_else_be_and_goes_away_again() -> None:
    with guarded() as put:
        assert secrets.token_bytes(4)
        assert time.monotonic_ns() > 0
        assert isinstance(dt.datetime.now(dt.UTC), dt.datetime)
    assert put.reached == set()
    assert LiveEntropy().token_bytes(4)
