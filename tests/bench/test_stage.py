"""What an act on the bench's stage ends in: what the other side does is an outcome, a mistake in the call raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bench import Bench, VehicleChange
from bench.outcomes import answered, shown, unlock_failed
from bench.stage import BenchStage
from scenarios.stage import OutageKind, Outcome, OutcomeKind, RestBusChange, TamperKind, TransportChange, TroubleResult
from vci_driver.outcome import UnlockFailed, UnlockReport, UnlockResult
from wire.errors import LocalMisuse, RemoteTimeout, WorldStopped
from wire.faults import FaultRule
from wire.token import RequestStructure

MS, HOUR_NS = 1_000_000, 3_600_000_000_000
READ_VIN = bytes.fromhex("22 F1 90")
Act = Callable[[BenchStage], Outcome]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench(seed=3, vehicle="vag-golf") as made:
        yield made


@pytest.fixture
def stage(bench: Bench) -> BenchStage:
    return bench.stage


@pytest.fixture
def logged_in(bench: Bench) -> BenchStage:
    bench.tester("logged-in")
    return bench.stage


def silence(bench: Bench, *names: str) -> None:
    """Take units off their bus."""
    for name in names:
        bench.car.unit(name).ports[0].switch_off()


# ---- people: what the portal refuses

NO_ACCOUNT: dict[str, Act] = {
    "personal profile": lambda s: s.personal_profile("stranger"),
    "identity check": lambda s: s.identity_check("stranger", front=None, back=None, video=None),
    "review": lambda s: s.wait_for_review("stranger"),
    "company profile": lambda s: s.company_profile("stranger"),
    "validation": lambda s: s.validate_company("stranger"),
    "invitation": lambda s: s.invite("stranger", "technician"),
    "disassociation": lambda s: s.disassociate("stranger", "technician"),
    "second factor": lambda s: s.reset_second_factor("stranger", "technician"),
    "status": lambda s: s.status("stranger"),
    "login": lambda s: s.login("stranger", code=None, password=None),
    "race": lambda s: s.race_login("stranger"),
}


@pytest.mark.parametrize("act", NO_ACCOUNT.values(), ids=NO_ACCOUNT)
def test_who_has_no_account_is_refused_by_the_portal_whatever_they_try(stage: BenchStage, act: Act) -> None:
    outcome = act(stage)
    assert (outcome.kind, outcome.portal_code) == (OutcomeKind.PORTAL_ERROR, "login-failed")
    assert outcome.text.startswith("portal: ")
    assert outcome.facts["message"]


@pytest.mark.parametrize("act", [lambda s: s.sign_up("technician"), *NO_ACCOUNT.values(), lambda s: s.logout()])
def test_a_back_end_that_is_away_is_an_outcome_of_every_act_at_the_portal(logged_in: BenchStage, act: Act) -> None:
    logged_in.outage(OutageKind.AWAY, duration_ns=HOUR_NS)
    outcome = act(logged_in)
    assert (outcome.kind, outcome.portal_code) == (OutcomeKind.PORTAL_ERROR, "unavailable")


def test_a_review_that_does_not_approve_is_a_failure_with_the_state_as_fact(stage: BenchStage) -> None:
    stage.sign_up("technician")
    outcome = stage.wait_for_review("technician")
    assert (outcome.kind, outcome.facts["identity"]) == (OutcomeKind.FAILED, "none")


def test_a_password_that_is_wrong_or_empty_is_the_one_that_is_sent(logged_in: BenchStage) -> None:
    for password in ("wrong", ""):
        outcome = logged_in.login("technician", code=None, password=password)
        assert outcome.kind is OutcomeKind.PORTAL_ERROR, password


def test_a_code_is_called_reused_before_any_was_accepted(bench: Bench) -> None:
    bench.tester("validated")
    outcome = bench.stage.login("technician", code="reused", password=None)
    assert (outcome.kind, outcome.portal_code) == (OutcomeKind.PORTAL_ERROR, "code-rejected")


def test_of_two_testers_with_one_code_one_is_let_in(logged_in: BenchStage) -> None:
    outcome = logged_in.race_login("technician")
    assert (outcome.kind, outcome.facts["winners"]) == (OutcomeKind.POSITIVE, 1)


# ---- the tester: silence, refusal, a lost adapter

GOLF_ACTS: dict[str, Act] = {
    "identify": lambda s: s.identify(),
    "lock state": lambda s: s.unlock_state("cluster"),
    "relock": lambda s: s.relock("cluster"),
    "request": lambda s: s.request("cluster", READ_VIN),
    "functional": lambda s: s.functional(b"\x3e\x00"),
    "security access": lambda s: s.security_access("cluster", 3, key=None),
    "key": lambda s: s.security_access("cluster", 3, key=b"12345678"),
    "coding": lambda s: s.write_coding("cluster", bytes(8)),
}


@pytest.mark.parametrize("act", GOLF_ACTS.values(), ids=GOLF_ACTS)
def test_a_unit_that_says_nothing_is_silence(bench: Bench, act: Act) -> None:
    bench.tester()
    silence(bench, *bench.ecu_names())
    bench.car.buses["obd"].attach("somebody who acknowledges")
    outcome = act(bench.stage)
    assert outcome.kind is OutcomeKind.SILENCE
    assert outcome.facts["pending"] == 0


@pytest.mark.parametrize("act", [*GOLF_ACTS.values(), lambda s: s.scan(), lambda s: s.export_request("cluster")])
def test_an_adapter_that_was_pulled_out_is_a_failure_until_it_is_back(bench: Bench, act: Act) -> None:
    stage = bench.stage
    stage.unplug(can_id=None, frames=1)
    outcome = act(stage)
    assert outcome.kind is OutcomeKind.FAILED
    assert "pulled out" in outcome.text
    stage.plug_in()
    assert stage.request("cluster", READ_VIN).kind is OutcomeKind.POSITIVE


def test_a_scan_tells_silent_units_from_those_that_answer(bench: Bench) -> None:
    bench.tester()
    silence(bench, "airbag")
    outcome = bench.stage.scan()
    assert outcome.kind is OutcomeKind.POSITIVE
    assert outcome.facts["silent"] == ("airbag",)
    assert len(outcome.facts["units"]) == 8
    assert outcome.facts["pending"] == 0


def test_the_state_of_a_lock_that_there_is_not_is_misuse(stage: BenchStage) -> None:
    with pytest.raises(LocalMisuse, match="'engine' has no lock"):
        stage.unlock_state("engine")


def test_locking_what_has_no_lock_ends_as_unlocking_it_does(stage: BenchStage) -> None:
    unlocked, locked = stage.unlock("engine", role="after-sales", scope=None), stage.relock("engine")
    assert unlocked.kind is OutcomeKind.FAILED
    assert "'engine' has no lock" in unlocked.text
    assert locked == unlocked


@pytest.mark.parametrize(
    ("vehicle", "kind", "says"),
    [
        ("vag-golf", TamperKind.FOREIGN_KEY, "foreign-key.*what can: .*flip-bit"),
        ("mb-eclass", TamperKind.STALE_CHALLENGE, "stale-challenge.*what can: .*foreign-key"),
        ("mb-eclass", TamperKind.REPLAY, "unlock once before"),
        ("vag-golf", TamperKind.REPLAY, "unlock once before"),
    ],
)
def test_a_tampering_that_cannot_happen_is_a_mistake_in_the_scenario(vehicle: str, kind: TamperKind, says: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        bench.tester("logged-in")
        bench.stage.tamper(kind)
        with pytest.raises(LocalMisuse, match=says):
            bench.stage.unlock("cluster", role="after-sales", scope=None)


def test_what_is_done_from_outside_is_noted_in_the_trace_when_it_is_done(bench: Bench, stage: BenchStage) -> None:
    bench.sleep(seconds=1)
    acts: dict[str, Callable[[], Outcome]] = {
        "fault": lambda: stage.add_fault(FaultRule(kind="drop", bus="obd")),
        "clear-faults": stage.clear_faults,
        "transport": lambda: stage.transport("gateway", TransportChange(stmin=0x7F)),
        "ecu-clock": lambda: stage.set_ecu_clock("cluster", offset_s=-90, is_set=True),
        "reset-ecu": lambda: stage.reset_ecu("cluster"),
        "trouble-code": lambda: stage.trouble_code("engine", 0x029900, TroubleResult.PREFAILS, times=2),
        "tamper": lambda: stage.tamper(TamperKind.TRUNCATE),
        "outage": lambda: stage.outage(OutageKind.SLOW, duration_ns=HOUR_NS),
        "unplug": lambda: stage.unplug(can_id=None, frames=1),
        "plug-in": stage.plug_in,
        "vehicle": lambda: stage.change_vehicle(VehicleChange(bonnet_open=True)),
        "rest-bus": lambda: stage.rest_bus(RestBusChange(on=True)),
    }
    for act in acts.values():
        act()
    assert [(when, source) for when, source, _ in bench.trace.notes] == [(1_000_000_000, name) for name in acts]
    said = b"\n".join(content for _, _, content in bench.trace.notes)
    for word in (
        b"029900 prefails times=2",
        b"drop",
        b"stmin=127",
        b"offset_s=-90",
        b"cluster",
        b"truncate",
        b"slow",
        b"now",
        b"bonnet_open=True",
    ):
        assert word in said


def test_a_test_of_a_trouble_code_says_whether_it_counted(stage: BenchStage) -> None:
    failed = stage.trouble_code("engine", 0x029900, TroubleResult.FAILS)
    assert (failed.kind, failed.text) == (OutcomeKind.POSITIVE, "test of 029900 fails")
    stage.change_vehicle(VehicleChange(terminal_15=False))
    lost = stage.trouble_code("engine", 0x029900, TroubleResult.FAILS)
    assert lost.kind is OutcomeKind.FAILED
    assert lost.text.startswith("test of 029900 does not count: no operation cycle runs")


def test_a_key_that_is_given_is_the_one_that_is_sent(logged_in: BenchStage) -> None:
    logged_in.change_vehicle(VehicleChange(bonnet_open=True))
    logged_in.unlock("cluster", role="after-sales", scope=None)
    wrong = logged_in.security_access("cluster", 3, key=bytes(8))
    assert (wrong.kind, wrong.nrc) == (OutcomeKind.NEGATIVE, 0x35)
    right = logged_in.security_access("cluster", 3, key=None)
    assert (right.kind, right.text) == (OutcomeKind.POSITIVE, "level 03 of cluster is open")


@pytest.mark.parametrize(
    ("payload", "kind", "answers"),
    [
        ("3E 00", OutcomeKind.POSITIVE, 9),
        ("3E 80", OutcomeKind.SILENCE, None),
        ("22 12 34", OutcomeKind.SILENCE, None),
        ("19", OutcomeKind.NEGATIVE, 0),
    ],
)
def test_a_functional_request_is_positive_when_anyone_says_yes_and_a_refusal_when_all_who_speak_refuse(
    stage: BenchStage, payload: str, kind: OutcomeKind, answers: int | None
) -> None:
    """Who does not know the identifier does not say so to all (ISO 14229-1); who misses a length, does (0x13)."""
    outcome = stage.functional(bytes.fromhex(payload))
    assert outcome.kind is kind
    assert len(outcome.facts.get("answers", ())) == (answers or 0)
    assert outcome.nrc == (0x13 if kind is OutcomeKind.NEGATIVE else None)


def test_the_0x78s_of_an_act_are_counted_in_its_facts_and_not_those_of_an_earlier_one() -> None:
    """A gateway that checks a chain of certificates asks for time meanwhile."""
    with Bench(seed=3, vehicle="mb-eclass") as bench:
        bench.tester("logged-in")
        unlocked = bench.stage.unlock("cluster", role="after-sales", scope=None)
        assert unlocked.facts["pending"] >= 1
        assert bench.stage.request("cluster", READ_VIN).facts["pending"] == 0


# ---- unlock and the manual flow


def test_who_is_not_logged_in_gets_the_field_s_code_whichever_way_they_go(stage: BenchStage) -> None:
    online = stage.unlock("cluster", role="after-sales", scope=None)
    assert stage.export_request("cluster").kind is OutcomeKind.POSITIVE
    by_hand = stage.import_token("cluster", None)
    for outcome in (online, by_hand):
        assert (outcome.kind, outcome.result) == (OutcomeKind.FAILED, UnlockResult.LOGON_FAILED)
        assert "log in" in outcome.facts["reason"]


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_session_that_ran_out_at_the_portal_is_a_log_on_that_failed(bench: Bench, by_hand: bool) -> None:
    bench.tester("logged-in")
    stage = bench.stage
    stage.export_request("cluster")
    stage.keep_session(on=False)
    bench.sleep(hours=48)
    way = stage.import_token("cluster", None) if by_hand else stage.unlock("cluster", role="after-sales", scope=None)
    assert (way.kind, way.portal_code) == (OutcomeKind.PORTAL_ERROR, "session-invalid")
    assert way.result == UnlockResult.LOGON_FAILED


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_back_end_that_is_away_issues_no_token(logged_in: BenchStage, by_hand: bool) -> None:
    logged_in.export_request("cluster")
    logged_in.outage(OutageKind.AWAY, duration_ns=HOUR_NS)
    if by_hand:
        outcome = logged_in.import_token("cluster", None)
    else:
        outcome = logged_in.unlock("cluster", role="after-sales", scope=None)
    assert (outcome.kind, outcome.result) == (OutcomeKind.PORTAL_ERROR, UnlockResult.NO_TOKEN_RECEIVED)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_forged_token_is_the_unit_s_refusal_and_the_writing_that_failed(logged_in: BenchStage, by_hand: bool) -> None:
    logged_in.export_request("cluster")
    logged_in.tamper(TamperKind.FLIP_BIT)
    if by_hand:
        outcome = logged_in.import_token("cluster", None)
    else:
        outcome = logged_in.unlock("cluster", role="after-sales", scope=None)
    assert (outcome.kind, outcome.result) == (OutcomeKind.NEGATIVE, UnlockResult.WRITING_TOKEN_FAILED)
    assert outcome.nrc is not None


def test_a_request_that_the_unit_does_not_hand_out_is_an_outcome_and_not_a_crash(bench: Bench) -> None:
    bench.tester().identify()
    silence(bench, "cluster")
    outcome = bench.stage.export_request("cluster")
    assert (outcome.kind, outcome.result) == (OutcomeKind.FAILED, UnlockResult.READING_STATE_FAILED)


def test_a_structure_that_is_none_is_the_unit_s_fault_and_is_not_taken_to_the_portal(
    logged_in: BenchStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RequestStructure, "encode", lambda _: b"nothing of the kind")
    assert logged_in.export_request("cluster").kind is OutcomeKind.POSITIVE
    outcome = logged_in.import_token("cluster", None)
    assert (outcome.kind, outcome.result) == (OutcomeKind.FAILED, UnlockResult.READING_REQUEST_FAILED)


def test_a_token_for_a_request_that_was_never_exported_is_a_mistake_in_the_scenario(logged_in: BenchStage) -> None:
    with pytest.raises(LocalMisuse, match="no request of 'cluster' was exported"):
        logged_in.import_token("cluster", None)


def test_a_text_that_is_no_token_is_not_written(logged_in: BenchStage) -> None:
    outcome = logged_in.import_token("cluster", "Dear colleague")
    assert (outcome.kind, outcome.result) == (OutcomeKind.FAILED, UnlockResult.WRITING_TOKEN_FAILED)
    assert "not a token" in outcome.facts["reason"]


def test_an_unlock_that_ends_in_silence_keeps_its_reason() -> None:
    report = UnlockReport(ecu="cluster", result=UnlockResult.READING_STATE_FAILED, cause=RemoteTimeout("nothing came"))
    outcome = unlock_failed(UnlockFailed(report))
    assert (outcome.kind, outcome.result, outcome.nrc) == (OutcomeKind.FAILED, -2, None)
    assert "nothing came" in outcome.facts["reason"]


# ---- mistakes in the call, and the vehicle


def test_mistakes_in_a_scenario_raise_and_say_what_there_is(stage: BenchStage) -> None:
    for act, says in (
        (lambda: stage.request("clustre", READ_VIN), "did you mean 'cluster'"),
        (lambda: stage.request("cluster", b""), "empty request"),
        (lambda: stage.functional(bytes(9)), "one frame"),
        (lambda: stage.bus_of("clustre"), "there are: gateway"),
        (lambda: stage.add_fault(FaultRule(kind="drop", bus="attic")), "there are: obd"),
        (lambda: stage.outage(OutageKind.SLOW, duration_ns=0), "lasts some time"),
        (stage.revoke_unlock, "no unlock was issued"),
        (lambda: stage.entitle("technician", role="boss"), "after-sales"),
        (lambda: stage.transport("clustre", TransportChange(stmin=0)), "there are: gateway"),
    ):
        with pytest.raises(LocalMisuse, match=says):
            act()


def test_a_world_that_stopped_is_no_outcome(bench: Bench) -> None:
    bench.tester()

    def breaks() -> None:
        raise ZeroDivisionError

    bench.world.call_at(bench.world.now_ns + MS, breaks)
    for act in (*GOLF_ACTS.values(), lambda s: s.unlock("cluster", role="after-sales", scope=None), BenchStage.scan):
        with pytest.raises(WorldStopped):
            act(bench.stage)


def test_the_bus_of_a_unit_is_told_by_name(stage: BenchStage) -> None:
    assert [stage.bus_of(name) for name in ("obd", "gateway", "cluster", "engine")] == [
        "obd",
        "obd",
        "body",
        "powertrain",
    ]


@pytest.mark.parametrize(
    ("payload", "kind", "nrc"),
    [
        (b"", OutcomeKind.SILENCE, None),
        (b"\x7f\x22\x31", OutcomeKind.NEGATIVE, 0x31),
        (b"\x7f\x22\xfe", OutcomeKind.NEGATIVE, 0xFE),
        (b"\x62\xf1\x90abc", OutcomeKind.POSITIVE, None),
    ],
)
def test_an_answer_s_bytes_say_what_kind_of_outcome_it_is(payload: bytes, kind: OutcomeKind, nrc: int | None) -> None:
    outcome = answered(payload)
    assert (outcome.kind, outcome.nrc, outcome.payload) == (kind, nrc, payload)


def test_a_scan_says_how_many_units_were_silent() -> None:
    stage = Bench(vehicle="vag-golf").stage
    stage.change_vehicle(VehicleChange(supply_mv=0))
    assert stage.scan().text == "9 units (9 silent), 0 trouble codes, 0 with a closed lock"


def test_an_answer_is_shown_whole_up_to_64_bytes() -> None:
    stage = Bench(vehicle="vag-golf").stage
    assert stage.request("cluster", bytes.fromhex("22 F1 90")).text.endswith("30 30 30 30 30 31")
    assert shown(bytes(65)).endswith("00 ... (65 bytes)")


def test_a_status_is_not_held_against_the_car_while_a_fault_corrupts_frames() -> None:
    bench = Bench(seed=2, vehicle="vag-golf")
    bench.stage.add_fault(FaultRule(kind="corrupt", probability=0.3))
    bench.stage.scan()
    assert bench.violations() == []
    assert "what a status says while a fault corrupts frames" in bench.car.witness.blind_spots()
