"""The library of scenarios that is shipped: each passes with any seed, says what it shows, and together they use every verb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.runner import run_one
from bench.vehicle_file import load_vehicle
from scenarios.library import LIBRARY, find
from scenarios.model import Scenario
from scenarios.play import Status
from scenarios.stage import OutageKind
from scenarios.verbs import VERBS
from wire.errors import ConfigError

SCENARIOS = find([])
BY_VEHICLE = [pytest.param(scenario, id=f"{scenario.vehicle}/{scenario.name}") for scenario in SCENARIOS]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("scenario", BY_VEHICLE)
def test_every_library_scenario_passes_with_any_seed(scenario: Scenario, seed: int) -> None:
    run = run_one(scenario, seed=seed)
    assert run.played.status is Status.PASSED, run.played.reason
    assert len(run.played.steps) == len(scenario.steps)
    assert run.played.violations == ()


@pytest.mark.parametrize("scenario", BY_VEHICLE)
def test_a_library_scenario_is_called_as_its_file_and_says_what_it_shows(scenario: Scenario) -> None:
    assert scenario.path == LIBRARY / f"{scenario.name}.yaml"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", scenario.name)
    assert len(scenario.title.split()) >= 4
    assert scenario.tags
    assert scenario.in_library


def test_the_library_has_two_dozen_scenarios_or_more_for_both_makes() -> None:
    assert len(SCENARIOS) >= 24
    assert {load_vehicle(scenario.vehicle).make for scenario in SCENARIOS} == {"vag", "mercedes"}


def test_no_two_scenarios_claim_to_show_the_same() -> None:
    assert len({scenario.title for scenario in SCENARIOS}) == len(SCENARIOS)


def test_a_scenario_named_after_a_make_plays_on_a_car_of_that_make() -> None:
    for scenario in SCENARIOS:
        make = {"vag": "vag", "mb": "mercedes"}.get(scenario.name.split("-")[0])
        assert make in (None, load_vehicle(scenario.vehicle).make), scenario.name


def test_every_verb_is_used() -> None:
    assert {step.verb for scenario in SCENARIOS for step in scenario.steps} == set(VERBS)


def test_every_way_in_which_the_back_end_can_be_out_is_played() -> None:
    kinds = {step.args["kind"] for scenario in SCENARIOS for step in scenario.steps if step.verb == "outage"}
    assert kinds == set(OutageKind)


@pytest.mark.parametrize(("make", "chain"), [("vag", "vag-chain-happy"), ("mercedes", "mb-chain-happy")])
def test_the_happy_chain_goes_from_sign_up_over_work_to_the_lock_that_closes_by_itself(make: str, chain: str) -> None:
    (scenario,) = find([chain])
    assert load_vehicle(scenario.vehicle).make == make
    verbs = [step.verb for step in scenario.steps]
    way = ["sign-up", "identity-check", "validate-company", "login", "unlock", "write-coding", "wait", "unlock-state"]
    at = 0
    for verb in way:
        at = verbs.index(verb, at)
    assert scenario.steps[at].expect.values["locked"] is True


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tester_present_to_all_goes_out_within_the_long_request_and_does_not_break_it(
    seed: int, tmp_path: Path
) -> None:
    run = run_one(*find(["wire-tester-present-in-between"]), seed=seed, trace_dir=tmp_path)
    (log,) = (path for path in run.traces if path.suffix == ".log")
    on_obd = [line.split()[2] for line in log.read_text().splitlines() if line.split()[1] == "obd"]
    first = next(
        at for at, frame in enumerate(on_obd) if re.match(r"714#10[89A-F]", frame)
    )  # more than 127 bytes: the token
    request = on_obd[first : first + 21]
    assert [frame[4:6] for frame in request if frame.startswith("714#2")] == [f"2{n % 16:X}" for n in range(1, 19)]
    assert any(frame.startswith("700#023E80") for frame in request)


# ---- finding scenarios by what a person writes


def _names(*targets: str) -> list[str]:
    return [scenario.name for scenario in find(targets)]


def test_scenarios_are_found_by_name_in_the_order_asked_for_and_each_once() -> None:
    assert _names("vag-global-scan", "mb-global-scan", "vag-global-scan") == ["vag-global-scan", "mb-global-scan"]


def test_scenarios_are_found_by_a_pattern_of_names() -> None:
    found = _names("mb-certificate-*")
    assert len(found) > 5
    assert all(name.startswith("mb-certificate-") for name in found)


def test_scenarios_are_found_by_tag() -> None:
    assert set(_names("@scan")) == {"vag-global-scan", "mb-global-scan"}


def test_scenarios_are_found_by_file_and_by_folder() -> None:
    by_file = find([str(LIBRARY / "vag-global-scan.yaml")])
    assert [scenario.name for scenario in by_file] == ["vag-global-scan"]
    assert _names(str(LIBRARY)) == _names()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("vag-global-scam", "did you mean 'vag-global-scan'?"),
        ("mb-certifikate-*", "no scenario fits"),
        ("@sfb", "did you mean 'sfd'?"),
        ("../library/vag-global-scan", "no scenario, file or folder"),
        ("", "no scenario, file or folder"),
        ("\0", "no scenario, file or folder"),
    ],
)
def test_what_is_not_there_is_refused_with_a_suggestion(target: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find([target])
    assert says in str(caught.value)
