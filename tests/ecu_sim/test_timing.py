"""P2, P2* and 0x78, S3 to the nanosecond, the busy unit, and the silence of a reset (domain facts, section 5)."""

import pytest
from ecu_bench import MS, SERVICES, Ecu, S, refused
from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.profile import Access, Routine, ServiceRule, Timing
from ecu_sim.unlock.gate import GateEvent
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope

P2_NS, P2_STAR_NS, S3_NS = 50 * MS, 5 * S, 5 * S
PENDING_22 = "7F 22 78"


def slow(work_ns: int, **changes: object) -> Ecu:
    return Ecu(services={**SERVICES, 0x22: ServiceRule(work_ns=work_ns)}, **changes)


# ---- P2 and P2*


def test_what_takes_no_time_is_answered_at_once() -> None:
    ecu = Ecu()
    assert ecu.ask("22 F1 87").startswith("62")
    assert ecu.server.next_deadline() is None, "nothing is left to do"


@given(st.integers(1, 60 * S))
def test_a_slow_service_says_so_within_p2_and_again_within_p2_star_and_answers_once(work_ns: int) -> None:
    ecu = slow(work_ns)
    assert ecu.ask("22 F1 87") == ""
    answers = ecu.run_for(70 * S)
    *pending, (done_ns, final) = answers
    assert final.startswith("62 F1 87")
    assert done_ns == work_ns
    assert {answer for _, answer in pending} <= {PENDING_22}
    limit_ns = P2_NS
    for time_ns, _ in answers:
        assert time_ns <= limit_ns
        limit_ns = time_ns + P2_STAR_NS


@pytest.mark.parametrize(("work_ns", "least", "most"), [(30 * MS, 0, 0), (51 * MS, 1, 1), (17 * S, 4, 5)])
def test_response_pending_is_neither_forgotten_nor_a_flood(work_ns: int, least: int, most: int) -> None:
    answers = slow(work_ns).ask_and_wait("22 F1 87")
    assert least <= answers.count(PENDING_22) <= most


def test_p2_and_p2_star_of_the_profile_are_announced_and_kept() -> None:
    timing = Timing(p2_ns=25 * MS, p2_star_ns=2 * S)
    ecu = slow(3 * S, timing=timing)
    assert ecu.ask("10 03") == "50 03 00 19 00 C8"
    ecu.ask("22 F1 87")
    times_ns = [time_ns for time_ns, _ in ecu.run_for(10 * S)]
    assert len(times_ns) == 3
    assert times_ns[0] <= 25 * MS
    assert times_ns[1] - times_ns[0] <= 2 * S


def test_a_slow_write_takes_effect_when_it_has_finished() -> None:
    ecu = Ecu()
    ecu.ask("2E 07 01 55")
    ecu.run_for(199 * MS)
    assert ecu.server.memory.data[0x0701] == b"\x09"
    assert [answer for _, answer in ecu.run_for(1 * MS)] == ["6E 07 01"]
    assert ecu.server.memory.data[0x0701] == b"\x55"


def test_a_slow_write_whose_condition_ends_meanwhile_is_refused() -> None:
    ecu = Ecu(services={**SERVICES, 0x2E: ServiceRule(work_ns=200 * MS)})
    ecu.ask("2E 06 05 01")
    ecu.run_for(100 * MS)
    ecu.vehicle.speed_kmh = 5
    assert [answer for _, answer in ecu.run_for(1 * S)] == [refused(0x2E, 0x88)]
    assert ecu.server.memory.data[0x0605] == b"\x00"


@pytest.mark.parametrize(("request_", "nrc"), [("2F 00", 0x11), ("27 03", 0x7F), ("10 55", 0x12)])
def test_what_the_ladder_refuses_is_refused_at_once_even_by_a_slow_unit(request_: str, nrc: int) -> None:
    ecu = Ecu(services=dict.fromkeys(SERVICES, ServiceRule(work_ns=10 * S)))
    assert ecu.ask(request_) == refused(int(request_[:2], 16), nrc)


# ---- busy


@pytest.mark.parametrize("request_", ["22 F1 87", "10 01", "FF 00", "27"])
def test_a_second_request_is_refused_as_busy_and_the_first_still_answered(request_: str) -> None:
    ecu = slow(200 * MS)
    ecu.ask("22 F1 87")
    ecu.run_for(10 * MS)
    assert ecu.ask(request_) == refused(int(request_[:2], 16), 0x21)
    assert [answer[:5] for _, answer in ecu.run_for(1 * S)] == ["7F 22", "62 F1"]
    assert ecu.ask("3E 00") == "7E 00"


def test_a_profile_may_ignore_a_second_request() -> None:
    ecu = slow(200 * MS, busy="ignore")
    ecu.ask("22 F1 87")
    assert ecu.ask("22 F1 90") == ""
    assert [answer[:8] for _, answer in ecu.run_for(1 * S)] == ["7F 22 78", "62 F1 87"]


@pytest.mark.parametrize("request_", ["3E 00", "3E 80", "22 F1 90", "10 01"])
def test_requests_to_everybody_do_not_disturb_a_busy_unit(request_: str) -> None:
    ecu = slow(200 * MS)
    ecu.ask("22 F1 87")
    assert ecu.ask(request_, functional=True) == ""
    assert len(ecu.run_for(1 * S)) == 2


# ---- S3


def test_s3_locks_at_its_deadline_and_not_a_nanosecond_before() -> None:
    ecu = Ecu().extended()
    ecu.run_for(S3_NS - 1)
    assert ecu.session == 3
    assert ecu.run_for(1) == []
    assert ecu.session == 1, "without any request"
    assert ecu.server.next_deadline() is None


def test_s3_of_the_profile_is_kept() -> None:
    ecu = Ecu(timing=Timing(s3_ns=700 * MS)).extended()
    ecu.run_for(700 * MS - 1)
    assert ecu.session == 3
    ecu.run_for(1)
    assert ecu.session == 1


def test_s3_does_not_run_in_the_default_session() -> None:
    ecu = Ecu()
    ecu.ask("22 F1 87")
    assert ecu.server.next_deadline() is None
    ecu.extended().ask("10 01")
    assert ecu.server.next_deadline() is None


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("request_", ["3E 80", "3E 00", "22 F1 87", "22 99 99", "FF", "27", "10 55"])
def test_every_request_starts_s3_anew_even_a_refused_one(request_: str, functional: bool) -> None:
    ecu = Ecu().extended()
    ecu.run_for(S3_NS - 1)
    ecu.ask(request_, functional=functional)
    ecu.run_for(S3_NS - 1)
    assert ecu.session == 3
    ecu.run_for(1)
    assert ecu.session == 1


def test_tester_present_every_two_seconds_holds_the_session() -> None:
    ecu = Ecu().extended()
    for _ in range(100):
        ecu.run_for(2 * S)
        ecu.ask("3E 80", functional=True)
    assert ecu.session == 3


def test_s3_stands_still_while_a_request_is_worked_on() -> None:
    ecu = slow(20 * S).extended()
    ecu.run_for(S3_NS - 1)
    ecu.ask("22 F1 87")
    ecu.run_for(20 * S)
    assert ecu.session == 3
    ecu.run_for(S3_NS - 1)
    assert ecu.session == 3, "S3 starts with the final answer"
    ecu.run_for(1)
    assert ecu.session == 1


def test_s3_locks_all_that_the_session_had_opened() -> None:
    ecu = Ecu(locked=True).extended().open_level(3)
    for request in ("28 03 01", "85 02", "31 01 02 03", "2E F1 99 26 01 02", "2E F1 98 01 02 03 04 05 06"):
        assert not ecu.ask(request).startswith("7F"), request
    pending_seed = ecu.seed(5)
    state = ecu.server.state
    assert (state.communication, state.dtc_setting, state.open_level) == (3, False, 3)
    ecu.run_for(S3_NS)
    state = ecu.server.state
    assert (state.communication, state.dtc_setting, state.open_level) == (0, True, None)
    assert ecu.gate is not None
    assert ecu.gate.events[-1] is GateEvent.S3_TIMEOUT, "the lock is told"
    assert ecu.ask("2E 06 01 01") == refused(0x2E, 0x33)
    ecu.extended()
    assert ecu.ask("31 03 02 03") == refused(0x31, 0x24), "the routine is gone"
    assert ecu.ask(ecu.key(pending_seed, 5)) == refused(0x27, 0x24), "the seed is gone"
    assert any(ecu.seed(3)), "a seed of zeros would mean: still open"
    ecu.gate.opened = Scope.CODING
    assert ecu.ask("2E 06 00 01 02 03 04") == refused(0x2E, 0x24), "F199 was written in a session that is over"


def test_written_data_outlives_the_session() -> None:
    ecu = Ecu().extended()
    ecu.ask("2E F1 99 26 01 02")
    ecu.run_for(S3_NS)
    assert ecu.ask("22 F1 99") == "62 F1 99 26 01 02"


# ---- reset


def test_a_reset_is_answered_first_and_then_silent_for_its_time() -> None:
    ecu = Ecu(timing=Timing(reset_ns=500 * MS)).extended()
    assert ecu.ask("11 01") == "51 01"
    ecu.run_for(500 * MS - 1)
    assert ecu.ask("3E 00") == ""
    assert not ecu.server.reachable
    ecu.run_for(1)
    assert ecu.session == 1
    assert ecu.ask("3E 00") == "7E 00"


@pytest.mark.parametrize("kind", ["11 01", "11 02", "11 03", "11 81"])
def test_a_reset_forgets_the_session_and_all_that_hangs_on_it_and_keeps_what_was_written(kind: str) -> None:
    ecu = Ecu(locked=True).extended().open_level(3)
    for request in ("28 03 01", "85 02", "31 01 02 03", "2E F1 99 26 01 02", "14 FF FF FF"):
        assert not ecu.ask(request).startswith("7F"), request
    ecu.ask(kind)
    ecu.run_for(1 * S)
    state = ecu.server.state
    assert (state.session, state.open_level, state.communication, state.dtc_setting) == (1, None, 0, True)
    assert ecu.gate is not None
    assert ecu.gate.events[-1] is GateEvent.ECU_RESET
    assert ecu.ask("22 F1 99") == "62 F1 99 26 01 02"
    assert ecu.ask("19 02 08") == "59 02 FF C1 01 00 2F", "the cleared codes stay cleared"
    ecu.extended()
    assert ecu.ask("31 03 02 03") == refused(0x31, 0x24)
    assert ecu.ask("2E 06 01 01") == refused(0x2E, 0x33)


def test_a_refused_reset_resets_nothing() -> None:
    ecu = Ecu().extended()
    assert ecu.ask("11 01 00") == refused(0x11, 0x13)
    assert ecu.ask("11 04") == refused(0x11, 0x12)
    assert ecu.ask("22 F1 87").startswith("62")
    assert ecu.session == 3


def test_a_reset_after_response_pending_waits_for_its_answer() -> None:
    ecu = Ecu(services={**SERVICES, 0x11: ServiceRule(work_ns=100 * MS)})
    assert ecu.ask_and_wait("11 81", 100 * MS) == ["7F 11 78", "51 01"]
    assert not ecu.server.reachable


# ---- supply


def test_without_supply_nothing_is_answered_and_a_piece_of_work_is_lost() -> None:
    ecu = Ecu().extended()
    ecu.ask("2E 07 01 55")
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    assert ecu.run_for(10 * S) == []
    assert ecu.ask("3E 00") == ""
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(500 * MS - 1)
    assert ecu.ask("3E 00") == "", "it starts up"
    ecu.run_for(1)
    assert ecu.session == 1
    assert ecu.ask("22 07 01") == ""
    assert [answer for _, answer in ecu.run_for(1 * S)][-1] == "62 07 01 09"


def test_supply_that_was_not_lost_cannot_come_back() -> None:
    ecu = Ecu().extended()
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    assert ecu.server.reachable
    assert ecu.session == 3


@pytest.mark.parametrize("event", [PowerEvent.TERMINAL_15_OFF, PowerEvent.SLEEP])
def test_terminal_15_and_sleep_end_session_security_and_work(event: PowerEvent) -> None:
    ecu = Ecu(locked=True).extended().open_level(3)
    ecu.ask("28 03 01")
    ecu.ask("2E 07 01 55")
    ecu.server.power(event, ecu.now_ns)
    assert ecu.run_for(10 * S) == []
    state = ecu.server.state
    assert (state.session, state.open_level, state.communication) == (1, None, 0)
    assert ecu.server.memory.data[0x0701] == b"\x09"
    assert ecu.gate is not None
    assert ecu.gate.events[-1] is GateEvent(event.value)


def test_a_sleeping_unit_hears_nothing_until_it_wakes() -> None:
    ecu = Ecu(locked=True)
    ecu.server.power(PowerEvent.SLEEP, 0)
    assert ecu.ask("3E 00") == ""
    ecu.server.power(PowerEvent.WAKE, 0)
    assert ecu.ask("3E 00") == "7E 00"
    assert ecu.gate is not None
    assert ecu.gate.woken == 1


def test_terminal_15_on_changes_nothing() -> None:
    ecu = Ecu().extended()
    ecu.server.power(PowerEvent.TERMINAL_15_ON, ecu.now_ns)
    assert ecu.session == 3


# ---- routines take their time


def test_a_routine_runs_for_its_time_and_then_has_its_result() -> None:
    ecu = Ecu(timing=Timing(s3_ns=60 * S)).extended()
    assert ecu.ask("31 01 02 03") == "71 01 02 03 01"
    ecu.run_for(10 * S - 1)
    assert ecu.ask("31 03 02 03") == "71 03 02 03 01"
    ecu.run_for(1)
    assert ecu.ask("31 03 02 03") == "71 03 02 03 00 42"
    assert ecu.ask("31 02 02 03") == refused(0x31, 0x24), "what has ended cannot be stopped"


def test_a_routine_that_needs_no_session_still_ends_with_the_session() -> None:
    routine = Routine(rid=0x0300, access=Access(), duration_ns=60 * S)
    ecu = Ecu(routines={0x0300: routine}).extended()
    ecu.ask("31 01 03 00")
    ecu.run_for(S3_NS)
    assert ecu.ask("31 03 03 00") == refused(0x31, 0x24)
