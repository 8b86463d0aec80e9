"""A scenario asks for a state and the strategy does what is missing; the first failure is kept and dependants are skipped."""

from __future__ import annotations

import pytest
from recording_stage import RecordingStage

from bench import Bench
from scenarios.stage import Outcome, OutcomeKind, TamperKind
from scenarios.strategy import STATES, Goal, StateUnreachable
from wire.errors import LocalMisuse

SIGNED_UP = ["sign_up"]
CHECKED = [*SIGNED_UP, "personal_profile", "identity_check", "wait_for_review"]
VALIDATED = [*CHECKED, "company_profile", "validate_company"]
LOGGED_IN = [*VALIDATED, "login"]
UNLOCKED = [*LOGGED_IN, "unlock"]
WAYS = {
    "signed-up": SIGNED_UP,
    "identity-checked": CHECKED,
    "validated": VALIDATED,
    "logged-in": LOGGED_IN,
    "unlocked": UNLOCKED,
}
CLUSTER = Goal(ecu="cluster")
REFUSED = Outcome(kind=OutcomeKind.PORTAL_ERROR, text="portal: The pictures are blurred.", portal_code="x")


@pytest.mark.parametrize("state", STATES)
def test_every_act_on_the_way_to_a_state_is_done_once_and_in_order(state: str) -> None:
    stage = RecordingStage()
    stage.strategy.reach(state, CLUSTER)
    assert stage.acts == WAYS[state]


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_was_reached_costs_nothing_to_ask_for_again(state: str) -> None:
    stage = RecordingStage()
    first = stage.strategy.reach(state, CLUSTER)
    assert stage.strategy.reach(state, CLUSTER) is first
    assert stage.acts == WAYS[state]


def test_only_what_is_missing_is_done() -> None:
    stage = RecordingStage()
    stage.strategy.reach("validated", Goal())
    stage.acts.clear()
    stage.strategy.reach("unlocked", CLUSTER)
    assert stage.acts == ["login", "unlock"]


def test_a_second_unit_needs_its_own_unlock_but_no_second_login() -> None:
    stage = RecordingStage()
    stage.strategy.reach("unlocked", CLUSTER)
    stage.strategy.reach("unlocked", Goal(ecu="airbag"))
    assert stage.acts == [*UNLOCKED, "unlock"]
    assert [args for act, args, _ in stage.calls if act == "unlock"] == [("cluster",), ("airbag",)]


def test_another_person_goes_the_whole_way() -> None:
    stage = RecordingStage()
    stage.strategy.reach("logged-in", Goal())
    stage.strategy.reach("logged-in", Goal(person="colleague"))
    assert stage.acts == LOGGED_IN * 2
    assert {args[0] for _, args, _ in stage.calls} == {"technician", "colleague"}


def test_the_role_that_was_asked_for_is_the_one_that_is_unlocked_in() -> None:
    stage = RecordingStage()
    stage.strategy.reach("unlocked", Goal(ecu="cluster", role="development"))
    assert stage.calls[-1][2]["role"] == "development"


@pytest.mark.parametrize("failing", UNLOCKED)
def test_the_first_failure_ends_the_way_is_kept_and_fails_every_dependant_without_another_try(failing: str) -> None:
    stage = RecordingStage(**{failing: REFUSED})
    with pytest.raises(StateUnreachable, match="pictures are blurred") as first:
        stage.strategy.reach("unlocked", CLUSTER)
    assert first.value.outcome is REFUSED
    assert stage.acts == UNLOCKED[: UNLOCKED.index(failing) + 1]

    stage.outcomes.clear()
    stage.acts.clear()
    for _ in range(2):
        with pytest.raises(StateUnreachable) as again:
            stage.strategy.reach("unlocked", CLUSTER)
        assert again.value is first.value
    assert stage.acts == []


def test_a_failure_names_the_state_and_the_act() -> None:
    stage = RecordingStage(wait_for_review=Outcome(kind=OutcomeKind.FAILED, text="identity check denied"))
    with pytest.raises(StateUnreachable, match="'identity-checked' cannot be reached: review: identity check denied"):
        stage.strategy.reach("logged-in", Goal())


def test_a_failure_of_one_person_does_not_hold_up_another() -> None:
    stage = RecordingStage(login=REFUSED)
    with pytest.raises(StateUnreachable):
        stage.strategy.reach("logged-in", Goal())
    stage.outcomes.clear()
    assert stage.strategy.reach("logged-in", Goal(person="colleague")).kind is OutcomeKind.POSITIVE


def test_an_unlock_that_failed_leaves_other_units_reachable() -> None:
    stage = RecordingStage(unlock=Outcome(kind=OutcomeKind.NEGATIVE, text="refused", nrc=0x33))
    with pytest.raises(StateUnreachable):
        stage.strategy.reach("unlocked", CLUSTER)
    stage.outcomes.clear()
    assert stage.strategy.reach("unlocked", Goal(ecu="airbag")).kind is OutcomeKind.POSITIVE


def test_what_is_no_state_and_an_unlock_of_nothing_are_misuse() -> None:
    stage = RecordingStage()
    with pytest.raises(LocalMisuse, match="signed-up, identity-checked, validated, logged-in, unlocked"):
        stage.strategy.reach("unlokced", CLUSTER)
    with pytest.raises(LocalMisuse, match="needs an ecu"):
        stage.strategy.reach("unlocked", Goal())


def test_what_has_ended_since_is_done_again_and_nothing_else() -> None:
    stage = RecordingStage()
    stage.strategy.reach("unlocked", CLUSTER)
    stage.acts.clear()
    stage.open.clear()
    stage.strategy.reach("unlocked", CLUSTER)
    stage.logged_in = "colleague"
    stage.strategy.reach("logged-in", Goal())
    assert stage.acts == ["unlock", "login"]


def test_a_login_that_fails_the_second_time_is_kept_as_the_first_would_be() -> None:
    stage = RecordingStage()
    stage.strategy.reach("logged-in", Goal())
    stage.logged_in = None
    stage.outcomes["login"] = REFUSED
    stage.acts.clear()
    for _ in range(2):
        with pytest.raises(StateUnreachable, match="login"):
            stage.strategy.reach("logged-in", Goal())
    assert stage.acts == ["login"]


# ---- on a real bench


BOTH = pytest.mark.parametrize(("vehicle", "holder"), [("vag-golf", "cluster"), ("mb-eclass", "gateway")])


def _locked(bench: Bench, holder: str) -> object:
    return bench.stage.unlock_state(holder).facts["locked"]


@BOTH
@pytest.mark.parametrize("end", ["time", "relock", "reset"])
def test_a_grant_that_has_ended_is_fetched_again(vehicle: str, holder: str, end: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        bench.strategy.reach("unlocked", Goal(ecu=holder))
        match end:
            case "time":
                bench.sleep(hours=25)
            case "relock":
                bench.stage.relock(holder)
            case _:
                bench.stage.reset_ecu(holder)
                bench.sleep(seconds=1)  # it starts
        assert _locked(bench, holder) is True
        bench.strategy.reach("unlocked", Goal(ecu=holder))
        assert _locked(bench, holder) is False


@BOTH
def test_a_grant_that_stands_is_left_alone_and_asking_for_it_sends_nothing(vehicle: str, holder: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        bench.strategy.reach("unlocked", Goal(ecu=holder))
        before = (bench.trace.digest(), bench.world.now_ns)
        bench.strategy.reach("unlocked", Goal(ecu=holder))
        assert (bench.trace.digest(), bench.world.now_ns) == before


def test_after_a_logout_and_after_a_session_that_ran_out_logged_in_logs_in_again() -> None:
    with Bench(vehicle="vag-golf") as bench:
        tester = bench.tester("logged-in")
        for end in (tester.logout, lambda: bench.sleep(hours=48)):
            assert tester.person == "technician"
            end()
            assert tester.person is None
            bench.stage.keep_session(on=False)
            bench.strategy.reach("logged-in", Goal())
        assert tester.person == "technician"


def test_unlocked_for_one_person_is_not_what_another_opened() -> None:
    with Bench(vehicle="vag-golf") as bench:
        for person in ("technician", "colleague", "technician"):
            bench.strategy.reach("unlocked", Goal(ecu="cluster", person=person))
            assert bench.tester().person == person
            email = bench.person(person).email
            assert bench.backend.audit_log()[-1].person == email
        assert len([record for record in bench.backend.audit_log() if record.ecu_address]) == 3


def test_what_was_done_by_hand_is_not_done_again() -> None:
    with Bench(vehicle="vag-golf") as bench:
        stage = bench.stage
        stage.sign_up("technician")
        bench.strategy.reach("validated", Goal())
        stage.login("technician", code=None, password=None)
        stage.unlock("cluster", role="after-sales", scope=None)
        before = (bench.trace.digest(), bench.world.now_ns)
        bench.strategy.reach("unlocked", CLUSTER)
        assert (bench.trace.digest(), bench.world.now_ns) == before


def test_an_unlock_by_hand_of_one_scope_is_not_all_that_the_role_may() -> None:
    with Bench(vehicle="vag-golf") as bench:
        stage = bench.stage
        bench.strategy.reach("logged-in", Goal())
        stage.unlock("cluster", role="after-sales", scope=("coding",))
        before = bench.trace.digest()
        bench.strategy.reach("unlocked", CLUSTER)
        assert bench.trace.digest() != before


@pytest.mark.parametrize("vehicle", ["vag-golf", "mb-eclass"])
def test_a_technician_on_a_bench_is_validated_then_logged_in(vehicle: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        bench.tester(technician="validated")
        facts = bench.stage.status("technician").facts
        assert (facts["identity"], facts["company"], facts["enrolled"]) == ("approved", "validated", False)
        bench.tester(technician="logged-in")
        assert bench.stage.status("technician").facts["enrolled"] is True


@pytest.mark.parametrize(("vehicle", "holder"), [("vag-golf", "cluster"), ("mb-eclass", "gateway")])
def test_a_lock_on_a_bench_is_open_once_unlocked_is_reached(vehicle: str, holder: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        assert bench.stage.unlock_state(holder).facts["locked"] is True
        bench.strategy.reach("unlocked", Goal(ecu=holder))
        assert bench.stage.unlock_state(holder).facts["locked"] is False


def test_a_spoiled_token_makes_unlocked_unreachable_and_the_units_refusal_is_kept() -> None:
    with Bench(vehicle="vag-golf") as bench:
        bench.stage.tamper(TamperKind.FLIP_BIT)
        for _ in range(2):
            with pytest.raises(StateUnreachable) as failed:
                bench.strategy.reach("unlocked", CLUSTER)
            assert failed.value.outcome.kind is OutcomeKind.NEGATIVE
        assert bench.stage.unlock_state("cluster").facts["locked"] is True
