"""Playing a scenario: the first step that does not meet its expectation ends it, and says what was expected and what came."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from recording_stage import RecordingStage

from bench.runner import run, run_one
from scenarios.model import Scenario, load_scenario
from scenarios.play import Played, Status, StepResult, play
from scenarios.stage import Outcome, OutcomeKind
from wire.errors import CarrierFault, ConfigError, LocalMisuse, NotOnThisCarrier

POSITIVE = OutcomeKind.POSITIVE
REFUSED = Outcome(kind=OutcomeKind.NEGATIVE, text="refused with securityAccessDenied", nrc=0x33)
SILENT = Outcome(kind=OutcomeKind.SILENCE, text="no answer in 50 ms")
FAILED = Outcome(kind=OutcomeKind.FAILED, text="not a token: no header", result=-6, facts={"reason": "not a token"})
THROTTLED = Outcome(kind=OutcomeKind.PORTAL_ERROR, text="portal: Wait.", portal_code="throttled")


@pytest.fixture
def scenario(tmp_path: Path) -> Any:
    def load(*steps: str) -> Scenario:
        path = tmp_path / "mine.yaml"
        path.write_text("title: A title\nvehicle: vag-golf\nsteps:\n" + "".join(f"  - {step}\n" for step in steps))
        return load_scenario(path)

    return load


def _one(scenario: Any, expect: str, outcome: Outcome, *, takes_ns: int = 0) -> Played:
    stage = RecordingStage(request=outcome)
    stage.act_takes_ns = takes_ns
    return play(scenario(f'{{request: {{ecu: cluster, bytes: "22 F1 90"}}, expect: {expect}}}'), stage)


ANSWER = Outcome(
    kind=POSITIVE,
    text="answered",
    payload=bytes.fromhex("62 06 00 01 02"),
    result=1,
    facts={"locked": False, "units": ("b", "a"), "message": "The check is in progress.", "dtcs": 3},
)
MET = [
    ("positive", ANSWER),
    ("{locked: false}", ANSWER),
    ("{units: [a, b]}", ANSWER),
    ("{message: check IS in}", ANSWER),
    ("{dtcs: 3, result: 1}", ANSWER),
    ('{answer: "62 06 00 01 02"}', ANSWER),
    ('{answer: "62 06 ?? 01 ??"}', ANSWER),
    ('{answer: "62 .."}', ANSWER),
    ("{within: 10 ms}", ANSWER),
    ("{nrc: securityAccessDenied}", REFUSED),
    ("{nrc: 0x33, within: 10 ms}", REFUSED),
    ("silence", SILENT),
    ("{silence: true}", SILENT),
    ("failed", FAILED),
    ("{result: -6, reason: not a token}", FAILED),
    ("{portal: throttled}", THROTTLED),
]


@pytest.mark.parametrize(("expect", "outcome"), MET, ids=[expect for expect, _ in MET])
def test_an_expectation_that_is_met_passes(scenario: Any, expect: str, outcome: Outcome) -> None:
    played = _one(scenario, expect, outcome, takes_ns=10_000_000)
    assert (played.status, played.reason) == (Status.PASSED, "")


NOT_MET = [
    ("positive", REFUSED, "a positive answer", "negative: refused with securityAccessDenied"),
    ("positive", SILENT, "a positive answer", "silence: no answer in 50 ms"),
    ("{nrc: 0x33}", ANSWER, "a refusal with NRC 0x33 securityAccessDenied", "positive: answered"),
    ("{nrc: 0x31}", REFUSED, "NRC 0x31 requestOutOfRange", "0x33 securityAccessDenied"),
    ("silence", REFUSED, "no answer", "negative: refused"),
    ("{portal: throttled}", ANSWER, "the portal's refusal throttled", "positive: answered"),
    ("{portal: code-rejected}", THROTTLED, "portal error code-rejected", "throttled"),
    ("{result: -3}", FAILED, "result -3", "-6 (not a token: no header)"),
    ("{result: -3}", ANSWER, "a failure with result -3", "positive: answered"),
    ("{locked: true}", ANSWER, "locked true", "false"),
    ("{locked: true}", REFUSED, "a positive answer with locked true", "negative: refused"),
    ("{vin: ABC}", ANSWER, "vin 'ABC'", "this act tells no vin"),
    ("{units: [a]}", ANSWER, "units [a]", "[b, a]"),
    ("{message: denied}", ANSWER, "message 'denied'", "'The check is in progress.'"),
    ('{answer: "62 06 00 01"}', ANSWER, "answer 62060001", "62 06 00 01 02"),
    ('{answer: "62 06 01 .."}', ANSWER, "answer 620601..", "62 06 00 01 02"),
    ("{within: 9 ms}", ANSWER, "at most 9 ms", "took 10 ms"),
]


@pytest.mark.parametrize(
    ("expect", "outcome", "expected", "came"), NOT_MET, ids=[f"{row[0]} / {row[1].kind}" for row in NOT_MET]
)
def test_a_mismatch_says_the_line_what_was_expected_and_what_came(
    scenario: Any, expect: str, outcome: Outcome, expected: str, came: str
) -> None:
    played = _one(scenario, expect, outcome, takes_ns=10_000_000)
    assert played.status is Status.FAILED
    head, _, rest = played.reason.partition(", but ")
    assert head.startswith("line 4, request cluster bytes=22 F1 90: expected ")
    assert expected in head
    assert came in rest


def test_what_stands_after_a_failed_step_is_not_played(scenario: Any) -> None:
    stage = RecordingStage(identify=SILENT)
    seen: list[StepResult] = []
    played = play(scenario("login", "identify", "scan", "logout"), stage, seen.append)
    assert stage.acts == ["login", "identify"]
    assert [result.status for result in played.steps] == [Status.PASSED, Status.FAILED]
    assert tuple(seen) == played.steps


def test_each_step_tells_when_it_began_and_ended(scenario: Any) -> None:
    stage = RecordingStage()
    stage.act_takes_ns = 5
    played = play(scenario("login", "logout"), stage)
    assert [(result.began_ns, result.ended_ns) for result in played.steps] == [(0, 5), (5, 10)]


def test_what_the_carrier_cannot_do_skips_with_the_reason_and_never_passes(scenario: Any) -> None:
    stage = RecordingStage(wait=NotOnThisCarrier("real time cannot jump 91 minutes"))
    played = play(scenario("login", "wait: 91 min", "logout"), stage)
    assert played.status is Status.SKIPPED
    assert "real time cannot jump 91 minutes" in played.reason
    assert stage.acts == ["login", "wait"]


@pytest.mark.parametrize("error", [LocalMisuse("no unlock was issued"), CarrierFault("bus off")])
def test_an_error_of_the_bench_fails_the_step_in_which_it_arose(scenario: Any, error: Exception) -> None:
    played = play(scenario("login", "revoke-unlock", "logout"), RecordingStage(revoke_unlock=error))
    assert played.status is Status.FAILED
    assert played.reason.startswith("line 5, revoke-unlock: expected a positive answer, but ")
    assert str(error) in played.reason
    assert len(played.steps) == 2


def test_an_error_of_the_bench_does_not_meet_an_expected_failure(scenario: Any) -> None:
    played = play(scenario("{identify: , expect: failed}"), RecordingStage(identify=LocalMisuse("wrong")))
    assert played.status is Status.FAILED


def test_a_wrong_file_is_no_failure_of_the_scenario(scenario: Any) -> None:
    with pytest.raises(ConfigError):
        play(scenario("identify"), RecordingStage(identify=ConfigError("unknown key", path="x.yaml")))


def test_the_witness_fails_a_scenario_that_met_every_expectation(scenario: Any) -> None:
    stage = RecordingStage()
    stage.found = ["0 ns: write without a grant", "1 ns: another"]
    played = play(scenario("identify"), stage)
    assert played.status is Status.FAILED
    assert played.reason == "the witness saw: 0 ns: write without a grant"
    assert played.violations == tuple(stage.found)


def test_the_first_failure_stays_the_reason_when_the_witness_saw_something_too(scenario: Any) -> None:
    stage = RecordingStage(identify=SILENT)
    stage.found = ["0 ns: write without a grant"]
    played = play(scenario("identify"), stage)
    assert played.reason.startswith("line 4, identify:")
    assert played.violations == tuple(stage.found)


# ---- on a real bench


def test_a_unit_that_the_vehicle_does_not_have_is_a_mistake_in_the_file(scenario: Any) -> None:
    with pytest.raises(ConfigError, match=r"no unit 'clustre'.*did you mean 'cluster'") as caught:
        run_one(scenario("login", "unlock: clustre"), seed=0)
    assert (caught.value.line, caught.value.key) == (5, "ecu")


def test_a_bus_that_the_vehicle_does_not_have_is_a_mistake_in_the_file(scenario: Any) -> None:
    with pytest.raises(ConfigError, match=r"no bus 'obt'.*did you mean 'obd'") as caught:
        run_one(scenario("fault: {kind: drop, bus: obt}"), seed=0)
    assert (caught.value.line, caught.value.key) == (4, "bus")


def test_a_vehicle_that_there_is_not_is_a_mistake_in_the_file(scenario: Any) -> None:
    wrong = dataclasses.replace(scenario("identify"), vehicle="vag-gofl")
    with pytest.raises(ConfigError, match=r"no vehicle 'vag-gofl'; did you mean 'vag-golf'") as caught:
        run_one(wrong, seed=0)
    assert (caught.value.path, caught.value.key) == (str(wrong.path), "vehicle")


def test_names_are_checked_in_all_files_before_the_first_is_played(scenario: Any) -> None:
    good, wrong = scenario("identify"), scenario("unlock: clustre")
    with pytest.raises(ConfigError, match="clustre"):
        next(run([good, wrong], seed=0))


def test_a_failure_in_a_state_on_the_way_tells_the_step_that_asked_for_it(scenario: Any) -> None:
    run = run_one(scenario("tamper: garbage", "reach: {state: unlocked, ecu: cluster}", "logout"), seed=0)
    assert run.played.status is Status.FAILED
    assert "line 5, reach" in run.played.reason
    assert "state 'unlocked' cannot be reached: unlock:" in run.played.reason
    assert len(run.played.steps) == 2


def test_a_mistake_in_the_bench_fails_the_step_and_not_the_whole_run(
    scenario: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.stage.BenchStage.identify", lambda _: 1 / 0)
    run = run_one(scenario("identify"), seed=0)
    assert run.played.status is Status.FAILED
    assert "a mistake in the bench itself" in run.played.reason
    assert "ZeroDivisionError" in run.played.reason
