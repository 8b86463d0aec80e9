"""The life of a trouble code: results, cycles, records, ageing, displacement, permanent and mirror memory."""

import pytest
from dtc_bench import FAILED, PREFAILED, PREPASSED, A, B, C, Memory

from ecu_sim.dtc_monitors import MONITORS
from ecu_sim.dtc_options import Debounce, Dtc, ExtendedRecord, RecordKind, SnapshotRecord
from ecu_sim.dtc_status import TRANSITIONS, Happening, StatusBit, next_status
from ecu_sim.vehicle_state import VehicleState
from wire.errors import LocalMisuse

# ---- the status byte


def test_no_happening_moves_one_bit_twice() -> None:
    pairs = [(row.happening, row.bit) for row in TRANSITIONS]
    assert len(pairs) == len(set(pairs))
    assert {row.happening for row in TRANSITIONS} == set(Happening)


@pytest.mark.parametrize("status", [0x00, 0xFF, 0x2F, 0x50])
def test_a_cleared_code_says_only_that_its_test_has_not_run(status: int) -> None:
    assert next_status(status, Happening.CLEARED) == 0x50


def test_a_code_that_fails_once_is_pending_and_confirmed_where_one_cycle_confirms() -> None:
    memory = Memory()
    assert memory.fails().status() == 0x2F
    assert memory.changes[-1] == (A, 0x27, 0x2F)


def test_a_code_that_was_pending_one_cycle_is_confirmed_when_it_fails_in_as_many_as_its_profile_says() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2))
    assert memory.fails(times=5).status() == 0x27, "five times in one cycle are one cycle"
    assert memory.next_cycle().status() == 0x65, "test failed and pending are kept over the cycle"
    assert memory.fails().status() == 0x2F


def test_a_cycle_that_passed_in_between_starts_the_count_again() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2)).fails()
    memory.good_cycles(1)
    assert memory.fails().status() & StatusBit.confirmedDTC == 0
    assert memory.next_cycle().fails().status() & StatusBit.confirmedDTC


def test_a_cycle_in_which_the_test_never_ran_changes_nothing_but_what_counts_the_cycle() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2)).fails().passes()
    assert memory.status() == 0x26
    memory.next_cycle().next_cycle().next_cycle()
    assert memory.status() == 0x64
    assert memory.fails().status() & StatusBit.confirmedDTC, "the cycles that said nothing did not break the row"


def test_pending_goes_when_a_cycle_ends_in_which_the_test_passed_and_never_failed() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2)).fails().next_cycle().passes()
    assert memory.status() == 0x24, "not before its end"
    memory.memory.end_cycle(0)
    assert memory.status() == 0x20
    assert memory.frames() == {}, "who never got further than pending leaves no record"


def test_a_cycle_that_failed_and_then_passed_stays_pending() -> None:
    memory = (
        Memory(Dtc(code=A, status=0x50, confirm_after=3)).fails().passes().next_cycle().fails().passes().next_cycle()
    )
    assert memory.status() & StatusBit.pendingDTC


def test_nothing_counts_while_no_cycle_runs() -> None:
    memory = Memory()
    memory.memory.end_cycle(0)
    assert memory.memory.report(A, FAILED, 0) is False
    assert memory.status() == 0x50
    memory.memory.end_cycle(0)
    memory.memory.begin_cycle(0)
    assert memory.fails().status() == 0x2F


def test_an_end_that_was_missed_is_made_up_for_when_the_next_cycle_begins() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2)).fails().next_cycle().passes()
    memory.memory.begin_cycle(0)
    assert memory.status() == 0x60


def test_a_code_that_is_not_in_the_profile_is_a_mistake_of_the_test() -> None:
    with pytest.raises(LocalMisuse, match="no trouble code 123456 in this unit; there are: 010100, 410200, 810300"):
        Memory().memory.report(0x123456, FAILED, 0)


# ---- fault detection counter


def test_prefailed_results_count_up_to_a_failure_and_prepassed_ones_down_to_a_pass() -> None:
    memory = Memory(Dtc(code=A, status=0x50, debounce=Debounce(step_up=50, step_down=100)))
    for counter, status in ((50, 0x50), (100, 0x50), (127, 0x2F), (127, 0x2F)):
        memory.memory.report(A, PREFAILED, 0)
        assert (memory.memory.fault_counter(A), memory.status()) == (counter, status)
    for counter, status in ((-100, 0x2F), (-128, 0x2E), (-128, 0x2E)):
        memory.memory.report(A, PREPASSED, 0)
        assert (memory.memory.fault_counter(A), memory.status()) == (counter, status)


def test_a_counter_that_does_not_jump_has_to_come_all_the_way_back() -> None:
    memory = Memory(Dtc(code=A, status=0x50, debounce=Debounce(step_up=100, step_down=100, jump=False)))
    memory.passes()
    for counter in (-28, 72, 127):
        memory.memory.report(A, PREFAILED, 0)
        assert memory.memory.fault_counter(A) == counter
    memory.memory.report(A, PREPASSED, 0)
    assert memory.memory.fault_counter(A) == 27


def test_the_counter_starts_again_with_each_cycle_with_a_reset_and_with_clearing() -> None:
    memory = Memory()
    for forget in (memory.next_cycle, memory.memory.restart, lambda: memory.memory.clear([A], 0)):
        memory.memory.report(A, PREFAILED, 0)
        assert memory.memory.fault_counter(A) == 32
        forget()
        assert memory.memory.fault_counter(A) == 0


# ---- warning, ageing, permanent


def test_the_warning_indicator_goes_out_after_cycles_that_passed_and_not_when_one_fails_again() -> None:
    memory = Memory(Dtc(code=A, status=0x50, warning=True, heal_after=3))
    assert memory.fails().status() == 0xAF
    memory.good_cycles(2)
    assert memory.status() & StatusBit.warningIndicatorRequested
    memory.fails().good_cycles(2)
    assert memory.status() & StatusBit.warningIndicatorRequested, "the row began again"
    memory.passes().next_cycle()
    assert memory.status() == 0x68


def test_a_confirmed_code_is_forgotten_after_as_many_good_cycles_counted_from_the_end_of_its_warning() -> None:
    memory = Memory(Dtc(code=A, status=0x50, warning=True, heal_after=2, age_after=3)).fails().good_cycles(2)
    assert (memory.status(), memory.extended(RecordKind.AGEING_COUNTER)) == (0x68, 0)
    for counter in (1, 2):
        memory.passes().next_cycle()
        assert memory.extended(RecordKind.AGEING_COUNTER) == counter
    assert memory.frames()
    memory.passes().next_cycle()
    assert memory.status() == 0x60, "that it failed once is kept until it is cleared"
    assert memory.frames() == {}
    assert memory.extended(RecordKind.AGEING_COUNTER) is None


def test_that_it_failed_goes_with_the_record_where_the_profile_says_so() -> None:
    memory = Memory(Dtc(code=A, status=0x50, age_after=1), ends_with_record=True).fails().good_cycles(1)
    assert memory.status() == 0x40


def test_a_failure_starts_ageing_again_and_a_code_may_never_age() -> None:
    memory = Memory(Dtc(code=A, status=0x50, age_after=3), Dtc(code=B, status=0x50, age_after=0)).fails().fails(B)
    memory.good_cycles(2)
    memory.fails().good_cycles(2)
    assert memory.status() & StatusBit.confirmedDTC
    memory.passes().next_cycle()
    assert not memory.status() & StatusBit.confirmedDTC
    memory.passes(B).next_cycle().good_cycles(300, B)
    assert memory.status(B) & StatusBit.confirmedDTC
    assert memory.extended(RecordKind.AGEING_COUNTER, B) == 255, "a byte's counter stops at its top"


def test_a_permanent_code_is_cleared_by_its_own_passing_alone() -> None:
    memory = Memory(Dtc(code=A, status=0x50, permanent=True, warning=True)).fails()
    memory.memory.clear([A], 0)
    assert memory.status() == 0x50
    assert list(memory.records.permanent) == [A]
    memory.next_cycle().next_cycle()
    assert list(memory.records.permanent) == [A], "no test ran"
    memory.fails().passes().next_cycle()
    assert list(memory.records.permanent) == [A], "it failed in that cycle"
    memory.memory.clear([A], 0)
    memory.passes()
    assert list(memory.records.permanent) == [A], "the cycle is not over"
    memory.next_cycle()
    assert list(memory.records.permanent) == []


def test_a_permanent_code_that_was_not_cleared_stays_until_its_warning_is_out() -> None:
    memory = Memory(Dtc(code=A, status=0x50, permanent=True, warning=True, heal_after=3)).fails().good_cycles(2)
    assert list(memory.records.permanent) == [A]
    memory.passes().next_cycle()
    assert list(memory.records.permanent) == []


# ---- records


def test_the_first_frame_keeps_what_was_read_at_the_first_failure_and_the_last_one_follows() -> None:
    memory = Memory().fails()
    memory.odometer = 200
    memory.fails()
    assert memory.frames()[2] == ((0x1001, b"\x00\x64"),), "a failure that goes on is one occurrence"
    memory.passes().fails()
    assert memory.frames() == {1: ((0x1001, b"\x00\x64"), (0x1002, b"\x77")), 2: ((0x1001, b"\x00\xc8"),)}
    assert memory.extended(RecordKind.OCCURRENCE_COUNTER) == 2


def test_the_occurrence_counter_stops_at_its_top() -> None:
    memory = Memory()
    for _ in range(300):
        memory.fails().passes()
    assert memory.extended(RecordKind.OCCURRENCE_COUNTER) == 255


def test_each_kind_of_extended_data_says_what_its_name_says() -> None:
    memory = Memory(Dtc(code=A, status=0x50, priority=7, age_after=40)).fails().next_cycle().fails()
    assert [value for _, value in memory.memory.extended_data(memory.memory.dtcs[A])] == [1, 0, 0, 2, 127, 7]
    memory.good_cycles(2)
    assert [value for _, value in memory.memory.extended_data(memory.memory.dtcs[A])] == [1, 2, 2, 0, 0, 7]
    memory.passes()
    assert memory.extended(RecordKind.FAULT_DETECTION_COUNTER) == 0x80


def test_a_code_may_have_frames_and_extended_data_of_its_own() -> None:
    own = Dtc(
        code=A,
        status=0x50,
        snapshots=(SnapshotRecord(number=9, dids=(0x1002,)),),
        extended=(ExtendedRecord(number=0x91, kind=RecordKind.PRIORITY),),
    )
    memory = Memory(own).fails()
    assert memory.frames() == {9: ((0x1002, b"\x77"),)}
    assert memory.memory.extended_data(own) == ((0x91, 128),)


def test_a_record_may_begin_when_the_code_is_confirmed() -> None:
    memory = Memory(Dtc(code=A, status=0x50, confirm_after=2), store_at="confirmed").fails()
    assert memory.frames() == {}
    memory.odometer = 300
    memory.next_cycle().fails()
    assert memory.status() == 0x2F
    assert memory.frames()[1][0] == (0x1001, b"\x01\x2c")


def test_a_unit_may_leave_the_factory_with_stored_pending_and_permanent_codes() -> None:
    memory = Memory(
        Dtc(code=A, status=0x08, permanent=True), Dtc(code=B, status=0x04, confirm_after=2), Dtc(code=C, status=0x20)
    )
    assert memory.extended(RecordKind.OCCURRENCE_COUNTER) == 1
    assert memory.extended(RecordKind.OCCURRENCE_COUNTER, B) == 1
    assert memory.extended(RecordKind.OCCURRENCE_COUNTER, C) is None
    assert list(memory.records.permanent) == [A]
    assert memory.fails(B).status(B) & StatusBit.confirmedDTC, "it was pending for one cycle already"


def test_all_is_kept_without_supply_but_the_fault_detection_counter() -> None:
    memory = Memory().fails()
    memory.memory.report(B, PREFAILED, 0)
    again = Memory(records=memory.records)
    assert (again.status(), again.frames()) == (0x2F, memory.frames())
    assert again.memory.fault_counter(B) == 0


# ---- displacement


def full(**options: object) -> Memory:
    """Two places for three codes."""
    return Memory(
        Dtc(code=A, status=0x50, priority=2),
        Dtc(code=B, status=0x50, priority=2),
        Dtc(code=C, status=0x50),
        entries=2,
        **options,
    )


def test_where_nobody_is_displaced_the_late_code_gets_no_record_and_is_not_confirmed() -> None:
    memory = full(displacement="none").fails(A).fails(B).fails(C)
    assert memory.status(C) == 0x27
    assert memory.frames(C) == {}
    assert memory.records.overflowed == {None}
    memory.memory.clear([A], 0)
    assert memory.records.overflowed == set()
    assert memory.fails(C).status(C) == 0x2F, "there is room now"


def test_the_oldest_is_displaced_and_is_confirmed_no_more() -> None:
    memory = full(displacement="oldest").fails(A).fails(B).fails(A).fails(C)
    assert (memory.status(A), memory.status(B), memory.status(C)) == (0x2F, 0x27, 0x2F), "A failed later than B"
    assert memory.frames(B) == {}


def test_a_less_important_code_displaces_nobody_and_is_displaced_first() -> None:
    memory = full().fails(A).fails(B).fails(C)
    assert (memory.status(A), memory.status(B), memory.status(C)) == (0x2F, 0x2F, 0x27)
    memory = full().fails(C).fails(A).fails(B)
    assert (memory.status(A), memory.status(B), memory.status(C)) == (0x2F, 0x2F, 0x27)


def test_of_equals_who_fails_no_more_is_displaced_before_who_still_fails() -> None:
    memory = Memory(entries=2).fails(A).fails(B).passes(B).fails(C)
    assert (memory.status(A), memory.status(B)) == (0x2F, 0x26)


def test_each_memory_has_its_own_places() -> None:
    memory = Memory(
        Dtc(code=A, status=0x50),
        Dtc(code=B, status=0x50, memory=0x10),
        Dtc(code=C, status=0x50),
        entries=1,
        displacement="none",
    )
    memory.fails(A).fails(B).fails(C)
    assert [memory.status(code) for code in (A, B, C)] == [0x2F, 0x2F, 0x27]


# ---- clearing, the mirror, ControlDTCSetting


def test_clearing_takes_status_frames_and_counters_and_leaves_the_mirror() -> None:
    memory = Memory().fails(A).fails(B)
    mirrored = dict(memory.records.mirror)
    memory.memory.clear([A], 0)
    assert (memory.status(A), memory.status(B)) == (0x50, 0x2F)
    assert memory.frames(A) == {}
    assert memory.frames(B)
    assert memory.records.mirror == mirrored
    assert memory.records.mirror[A].status == 0x2F
    memory.next_cycle().passes(A)
    assert memory.records.mirror[A].status == 0x2F, "nothing new is known of its record"
    memory.next_cycle().fails(A)
    assert memory.records.mirror[A].status == 0x2F
    assert dict(memory.records.mirror[A].extended)[1] == 1


def test_a_fault_that_stays_is_not_cleared() -> None:
    memory = Memory(Dtc(code=A, status=0x2F, stays=True))
    memory.memory.clear([A], 0)
    assert memory.status() == 0x2F


def test_the_mirror_follows_what_its_code_does_and_has_its_own_limit() -> None:
    memory = Memory(mirror_entries=2).fails(A).passes(A).fails(B)
    assert {code: entry.status for code, entry in memory.records.mirror.items()} == {A: 0x2E, B: 0x2F}
    memory.fails(C)
    assert set(memory.records.mirror) == {B, C}, "the first that came makes way"


@pytest.mark.parametrize("memory", [Memory(mirror_entries=0), Memory(Dtc(code=A, status=0x50, mirrored=False))])
def test_a_unit_may_have_no_mirror_and_a_code_may_stay_out_of_it(memory: Memory) -> None:
    assert memory.fails().records.mirror == {}


def test_results_do_not_count_while_the_setting_is_off_but_clearing_and_cycles_do() -> None:
    memory = Memory().fails(B)
    memory.memory.switch([A, B], on=False)
    assert memory.memory.report(A, FAILED, 0) is False
    assert memory.status(A) == 0x50
    assert memory.memory.report(C, FAILED, 0), "C is none of them"
    memory.memory.clear([B], 0)
    assert memory.status(B) == 0x50
    memory.next_cycle()
    assert memory.status(C) == 0x6D
    memory.memory.switch([A], on=True)
    assert memory.fails(A).status(A) == 0x2F
    memory.memory.restart()
    assert memory.fails(B).status(B) == 0x2F


# ---- monitors


class Deaf:
    """A vehicle of which a unit knows nothing."""

    def read(self, value: str, now_ns: int) -> None:
        return None


@pytest.mark.parametrize(
    ("monitor", "change"),
    [
        ("supply-voltage-low", {"supply_mv": 8_999}),
        ("supply-voltage-high", {"supply_mv": 16_001}),
        ("body-controller-lost", {"body_controller_lost": True}),
        ("crash", {"crash": True}),
    ],
)
def test_a_monitor_fails_while_its_fault_is_there(monitor: str, change: dict[str, object]) -> None:
    memory, vehicle = Memory(Dtc(code=A, status=0x50, monitor=monitor), Dtc(code=B, status=0x50)), VehicleState()
    memory.memory.observe(vehicle, 0)
    assert memory.status() == 0x00, "its test has run"
    for name, value in change.items():
        setattr(vehicle, name, value)
    memory.memory.observe(vehicle, 0)
    assert (memory.status(A), memory.status(B)) == (0x2F, 0x50)
    assert set(MONITORS) >= {monitor}


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_unit_that_cannot_tell_does_not_test(monitor: str) -> None:
    memory = Memory(Dtc(code=A, status=0x50, monitor=monitor))
    memory.memory.observe(Deaf(), 0)
    assert memory.status() == 0x50
