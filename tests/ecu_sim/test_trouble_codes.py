"""Services 19, 14 and 85: every report and its refusals, what clearing takes, whose setting is off."""

from dataclasses import replace

import pytest
from dtc_unit import BOOST, BRAKE, CODES, DOOR, OPTIONS, SENSOR, DtcUnit
from ecu_bench import S, refused

from ecu_sim.dtc_memory import TestResult
from ecu_sim.dtc_options import Dtc
from ecu_sim.services.read_dtc import REPORTS
from ecu_sim.vehicle_state import PowerEvent

FRAME_1 = "01 02 10 01 00 30 39 10 02 31 38"  # 12,345 km, 12,600 mV
FRAME_2 = "02 01 F1 86 01"


def unit(edition: int = 2020) -> DtcUnit:
    """A unit in which boost pressure, brake and door fail, and the sensor failed once."""
    return DtcUnit(edition=edition).fails(BOOST, SENSOR, BRAKE, DOOR)


# ---- 19, what a healthy request gets


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("19 01 FF", "59 01 FF 01 00 04"),
        ("19 01 08", "59 01 FF 01 00 02"),
        ("19 01 00", "59 01 FF 01 00 00"),
        ("19 02 08", "59 02 FF 02 99 00 AF 41 02 00 2F"),
        ("19 02 80", "59 02 FF 02 99 00 AF"),
        ("19 02 00", "59 02 FF"),
        ("19 03", "59 03 02 99 00 01 02 99 00 02 01 03 00 01 01 03 00 02 41 02 00 01 41 02 00 02"),
        ("19 04 02 99 00 01", f"59 04 02 99 00 AF {FRAME_1}"),
        ("19 04 02 99 00 02", f"59 04 02 99 00 AF {FRAME_2}"),
        ("19 04 02 99 00 FF", f"59 04 02 99 00 AF {FRAME_1} {FRAME_2}"),
        ("19 04 C1 04 00 FF", "59 04 C1 04 00 50"),
        ("19 05 02", f"59 05 02 02 99 00 AF {FRAME_2[3:]} 02 01 03 00 27 {FRAME_2[3:]} 02 41 02 00 2F {FRAME_2[3:]}"),
        ("19 06 02 99 00 01", "59 06 02 99 00 AF 01 01"),
        ("19 06 02 99 00 FF", "59 06 02 99 00 AF 01 01 02 00 90 7F"),
        ("19 06 02 99 00 FE", "59 06 02 99 00 AF 90 7F"),
        ("19 06 C1 04 00 FE", "59 06 C1 04 00 50"),
        ("19 07 FF 08", "59 07 FF 01 00 02"),
        ("19 07 80 FF", "59 07 FF 01 00 01"),
        ("19 08 A0 08", "59 08 FF 22 11 02 99 00 AF 80 12 41 02 00 2F"),
        ("19 08 02 08", "59 08 FF 22 11 02 99 00 AF"),  # by its class
        ("19 08 FF 00", "59 08 FF"),
        ("19 09 02 99 00", "59 09 FF 22 11 02 99 00 AF"),
        ("19 09 C1 04 00", "59 09 FF 00 00 C1 04 00 50"),
        ("19 0A", "59 0A FF 02 99 00 AF 01 03 00 27 41 02 00 2F C1 04 00 50"),
        ("19 0B", "59 0B FF 02 99 00 AF"),
        ("19 0C", "59 0C FF 02 99 00 AF"),
        ("19 0D", "59 0D FF 41 02 00 2F"),
        ("19 0E", "59 0E FF 41 02 00 2F"),
        ("19 14", "59 14"),
        ("19 15", "59 15 FF 02 99 00 AF"),
        ("19 16 01", "59 16 01 02 99 00 AF 01 01 03 00 27 01 41 02 00 2F 01"),
        ("19 17 FF 10", "59 17 10 FF 81 03 00 2F"),
        ("19 17 10 10", "59 17 10 FF"),
        ("19 17 FF 11", "59 17 11 FF"),
        ("19 18 81 03 00 01 10", f"59 18 10 81 03 00 2F {FRAME_1}"),
        ("19 19 81 03 00 01 10", "59 19 10 81 03 00 2F 01 01"),
        ("19 1A 90", "59 1A FF 90 02 99 00 AF 01 03 00 27 41 02 00 2F"),
        ("19 1A 03", "59 1A FF"),
        ("19 42 33 08 FF", "59 42 33 FF FF 04 22 02 99 00 AF"),
        ("19 42 D0 01 80", "59 42 D0 FF FF 04 80 41 02 00 2F"),
        ("19 42 33 FF 80", "59 42 33 FF FF 04"),
        ("19 55 33", "59 55 33 FF 04 02 99 00 AF"),
        ("19 55 D0", "59 55 D0 FF 04"),
        ("19 56 33 01", "59 56 33 FF 04 01 01 03 00 27"),
        ("19 56 D0 01", "59 56 D0 FF 04 01"),
    ],
)
def test_each_report_of_the_2020_edition(request_: str, answer: str) -> None:
    assert unit().ask(request_) == answer


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("19 0F 08", "59 0F FF 02 99 00 AF 41 02 00 2F 81 03 00 2F"),
        ("19 10 02 99 00 FF", "59 10 02 99 00 AF 01 01 02 00 90 7F"),
        ("19 10 02 99 00 01", "59 10 02 99 00 AF 01 01"),
        ("19 11 08", "59 11 FF 01 00 03"),
        ("19 12 FF", "59 12 FF 01 00 02"),
        ("19 13 08", "59 13 FF 02 99 00 AF"),
    ],
)
def test_the_2013_edition_reports_mirror_and_emissions_too(request_: str, answer: str) -> None:
    assert unit(2013).ask(request_) == answer
    assert unit(2020).ask(request_) == refused(0x19, 0x12)


@pytest.mark.parametrize("request_", ["19 1A 01", "19 56 33 01"])
def test_what_came_in_2020_is_unknown_in_2013(request_: str) -> None:
    assert unit(2013).ask(request_) == refused(0x19, 0x12)


@pytest.mark.parametrize("request_", ["19 00", "19 1B", "19 41", "19 43", "19 54", "19 57", "19 7F"])
def test_other_reports_do_not_exist(request_: str) -> None:
    assert unit().ask(request_) == refused(0x19, 0x12)


@pytest.mark.parametrize("edition", [2013, 2020])
def test_every_report_of_an_edition_wants_its_exact_length(edition: int) -> None:
    ecu = unit(edition)
    known = [number for number, report in REPORTS.items() if edition in report.editions]
    assert len(known) == {2013: 27, 2020: 24}[edition]
    for number in known:
        size = 2 + sum(3 if field == "dtc" else 1 for field in REPORTS[number].fields)
        for wrong in {2, size - 1, size + 1} - {1, size}:
            assert ecu.ask(bytes((0x19, number)) + bytes(wrong - 2)) == refused(0x19, 0x13), (number, wrong)


@pytest.mark.parametrize(
    "request_",
    [
        "19 04 12 34 56 01",  # no such code
        "19 04 81 03 00 01",  # in another memory
        "19 04 02 99 00 03",  # no such record
        "19 04 02 99 00 00",
        "19 04 C1 04 00 01",  # not of this code
        "19 05 03",
        "19 05 00",
        "19 06 12 34 56 FF",
        "19 06 02 99 00 03",
        "19 06 02 99 00 00",
        "19 06 02 99 00 F0",
        "19 09 12 34 56",
        "19 09 81 03 00",
        "19 16 03",
        "19 16 FF",  # a wildcard is for one code only
        "19 16 FE",
        "19 17 FF 12",  # no such memory
        "19 18 81 03 00 01 11",  # not in this memory
        "19 18 02 99 00 01 10",
        "19 18 81 03 00 03 10",
        "19 19 81 03 00 03 10",
        "19 19 81 03 00 FF 00",
        "19 1A 00",
        "19 1A F0",
        "19 1A FF",
        "19 42 34 FF FF",
        "19 42 FF FF FF",  # all groups: ISO 27145-3 has it, ISO 14229-1 has not (udsoncan)
        "19 55 34",
        "19 56 33 02",
        "19 56 34 01",
    ],
)
def test_what_the_unit_does_not_know_is_out_of_range(request_: str) -> None:
    assert unit().ask(request_) == refused(0x19, 0x31)


def test_the_mirror_knows_only_what_was_stored() -> None:
    ecu = unit(2013)
    assert ecu.ask("19 10 C1 04 00 FF") == refused(0x19, 0x31)
    assert ecu.ask("19 10 02 99 00 03") == refused(0x19, 0x31)
    ecu.ask("14 FF FF FF")
    assert ecu.ask("19 0F 08") == "59 0F FF 02 99 00 AF 41 02 00 2F 81 03 00 2F", "clearing leaves it"


def test_a_unit_without_stored_faults_answers_each_report_without_a_code() -> None:
    ecu = DtcUnit()
    for request, answer in (
        ("19 03", "59 03"),
        ("19 05 01", "59 05 01"),
        ("19 05 FF", "59 05 FF"),
        ("19 04 02 99 00 FF", "59 04 02 99 00 50"),
        ("19 06 02 99 00 FF", "59 06 02 99 00 50"),
        ("19 0B", "59 0B FF"),
        ("19 0C", "59 0C FF"),
        ("19 0D", "59 0D FF"),
        ("19 0E", "59 0E FF"),
        ("19 15", "59 15 FF"),
        ("19 16 01", "59 16 01"),
    ):
        assert ecu.ask(request) == answer
    none = DtcUnit(dtcs=())
    assert none.ask("19 0A") == "59 0A FF"
    assert none.ask("19 05 01") == refused(0x19, 0x31)
    assert none.ask("14 FF FF FF") == "54"


def test_only_bits_of_the_availability_mask_are_told_and_matched() -> None:
    ecu = DtcUnit(options=replace(OPTIONS, status_availability=0x09, severity_availability=0xE0)).fails(BOOST)
    assert ecu.ask("19 02 FF") == "59 02 09 02 99 00 09"
    assert ecu.ask("19 02 F6") == "59 02 09"
    assert ecu.ask("19 01 80") == "59 01 09 01 00 00"
    assert ecu.ask("19 09 02 99 00") == "59 09 09 20 11 02 99 00 09"
    assert ecu.ask("19 42 33 FF 02") == "59 42 33 09 E0 04"


def test_the_format_identifiers_are_the_profiles() -> None:
    ecu = DtcUnit(options=replace(OPTIONS, format=0x04, obd_format=0x02))
    assert ecu.ask("19 01 FF") == "59 01 FF 04 00 04"
    assert ecu.ask("19 55 33") == "59 55 33 FF 02"


def test_fault_detection_counters_are_told_while_a_code_is_on_its_way_to_fail() -> None:
    ecu = DtcUnit()
    ecu.server.report_trouble(BOOST, TestResult.PREFAILED, 0)
    ecu.server.report_trouble(BRAKE, TestResult.PREPASSED, 0)
    assert ecu.ask("19 14") == "59 14 02 99 00 20"
    ecu.fails(BOOST)
    assert ecu.ask("19 14") == "59 14"


def test_first_and_most_recent_follow_the_order_of_events_and_forget_with_clearing() -> None:
    ecu = DtcUnit().fails(BRAKE, BOOST).passes(BRAKE).fails(BRAKE)
    assert ecu.ask("19 0B") == "59 0B FF 41 02 00 2F"
    assert ecu.ask("19 0D") == "59 0D FF 41 02 00 2F"
    assert ecu.ask("19 0E") == "59 0E FF 02 99 00 AF", "the brake was confirmed before, and not again"
    ecu.ask("14 41 02 00")
    assert ecu.ask("19 0B") == "59 0B FF 02 99 00 AF"


def test_an_answer_that_is_longer_than_the_unit_can_send_is_refused() -> None:
    ecu = DtcUnit(max_answer_bytes=17).fails(BOOST)
    assert ecu.ask("19 04 02 99 00 01") == f"59 04 02 99 00 AF {FRAME_1}"
    assert ecu.ask("19 04 02 99 00 FF") == refused(0x19, 0x14)
    assert ecu.ask("19 84 02 99 00 FF") == "", "an answer that nobody wants is not too long"


def test_a_freeze_frame_holds_what_was_true_when_the_code_failed() -> None:
    ecu = DtcUnit()
    ecu.vehicle.odometer_km, ecu.vehicle.supply_mv = 99, 11_000
    ecu.extended().fails(BRAKE)
    ecu.vehicle.odometer_km = 100
    ecu.ask("10 01")
    assert ecu.ask("19 04 41 02 00 FF") == "59 04 41 02 00 2F 01 02 10 01 00 00 63 10 02 2A F8 02 01 F1 86 03"
    ecu.passes(BRAKE).fails(BRAKE)
    assert ecu.ask("19 04 41 02 00 FF").endswith("01 02 10 01 00 00 63 10 02 2A F8 02 01 F1 86 01")


# ---- 14


@pytest.mark.parametrize(
    ("group", "cleared"),
    [
        ("FF FF FF", {BOOST, SENSOR, BRAKE}),
        ("02 99 00", {BOOST}),
        ("FF FF 33", {BOOST, SENSOR}),
        ("FF FF D0", {BRAKE}),
        ("00 00 00", {BOOST, SENSOR}),
        ("40 00 00", {BRAKE}),
        ("80 00 00", set()),  # the only body code is in another memory
        ("FF FF FF 10", {DOOR}),
        ("81 03 00 10", {DOOR}),
        ("80 00 00 10", {DOOR}),
        ("FF FF FF 11", set()),
    ],
)
def test_a_group_of_one_memory_is_cleared_and_nothing_else(group: str, cleared: set[int]) -> None:
    ecu = unit()
    before = ecu.server.memory.dtcs.statuses()
    assert ecu.ask(f"14 {group}") == "54"
    for code in (BOOST, SENSOR, BRAKE, DOOR):
        state = ecu.server.memory.dtcs.states[code]
        assert (state.status, state.record is None) == ((0x50, True) if code in cleared else (before[code], False))


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("14", 0x13),
        ("14 FF FF", 0x13),
        ("14 FF FF FF 10 00", 0x13),
        ("14 12 34 56", 0x31),
        ("14 81 03 00", 0x31),  # in another memory
        ("14 02 99 00 10", 0x31),
        ("14 FF FF 34", 0x31),
        ("14 FF FF D0 10", 0x31),
        ("14 FF FF FF 12", 0x31),  # no such memory
        ("14 12 34 56 12", 0x31),
    ],
)
def test_a_refused_clearing_clears_nothing(request_: str, nrc: int) -> None:
    ecu = unit()
    before = ecu.server.memory.dtcs.statuses()
    assert ecu.ask(request_) == refused(0x14, nrc)
    assert ecu.server.memory.dtcs.statuses() == before


def test_memory_selection_is_unknown_to_the_2013_edition() -> None:
    assert unit(2013).ask("14 FF FF FF 10") == refused(0x14, 0x13)
    assert unit(2013).ask("14 FF FF FF") == "54"


def test_a_memory_that_cannot_be_written_says_so_last() -> None:
    ecu = DtcUnit(options=replace(OPTIONS, writes_from_mv=9_500)).fails(BOOST)
    ecu.vehicle.supply_mv = 9_499
    assert ecu.ask("14 FF FF FF") == refused(0x14, 0x72)
    assert ecu.ask("14 12 34 56") == refused(0x14, 0x31)
    assert ecu.ask("19 02 08") == "59 02 FF 02 99 00 AF"
    ecu.vehicle.supply_mv = 9_500
    assert ecu.ask("14 FF FF FF") == "54"


def test_a_permanent_code_outlives_clearing_until_its_own_test_has_passed() -> None:
    ecu = unit()
    ecu.ask("14 FF FF FF")
    assert ecu.ask("19 02 08") == "59 02 FF"
    assert ecu.ask("19 15") == "59 15 FF 02 99 00 50"
    ecu.next_cycle().passes(BOOST)
    assert ecu.ask("19 15") == "59 15 FF 02 99 00 00"
    ecu.next_cycle()
    assert ecu.ask("19 15") == "59 15 FF"


# ---- 85


def test_results_count_for_nothing_while_the_setting_is_off_and_count_again_in_the_default_session() -> None:
    ecu = DtcUnit().extended()
    assert ecu.ask("85 02") == "C5 02"
    assert ecu.server.report_trouble(BOOST, TestResult.FAILED, 0) is False
    assert ecu.ask("19 02 01") == "59 02 FF"
    assert ecu.ask("14 FF FF FF") == "54", "clearing is not the setting's business"
    ecu.run_for(6 * S)
    ecu.fails(BOOST)
    assert ecu.ask("19 02 01") == "59 02 FF 02 99 00 AF"


@pytest.mark.parametrize("request_", ["10 01", "85 01", "11 01"])
def test_the_setting_comes_back_with_the_default_session_by_request_and_with_a_reset(request_: str) -> None:
    ecu = DtcUnit().extended()
    ecu.ask("85 02")
    ecu.ask(request_)
    ecu.run_for(1 * S)
    ecu.fails(BOOST)


def test_a_list_of_groups_switches_these_alone_where_the_unit_takes_one() -> None:
    ecu = DtcUnit(options=replace(OPTIONS, setting_option="groups")).extended()
    assert ecu.ask("85 02 FF FF 33 81 03 00") == "C5 02"
    assert ecu.server.dtcs.frozen == {BOOST, SENSOR, DOOR}
    assert ecu.ask("85 01 02 99 00") == "C5 01"
    assert ecu.server.dtcs.frozen == {SENSOR, DOOR}
    assert ecu.ask("85 02") == "C5 02"
    assert ecu.server.dtcs.frozen == {dtc.code for dtc in CODES}


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("85 02 FF", 0x13),
        ("85 02 FF FF FF FF", 0x13),
        ("85 02 12 34 56", 0x31),
        ("85 02 FF FF FF 12 34 56", 0x31),
        ("85 40 FF FF FF", 0x13),
        ("85 42", 0x12),
        ("85 00", 0x12),
    ],
)
def test_a_list_of_groups_that_is_not_one_switches_nothing(request_: str, nrc: int) -> None:
    ecu = DtcUnit(options=replace(OPTIONS, setting_option="groups")).extended()
    assert ecu.ask(request_) == refused(0x85, nrc)
    assert ecu.server.dtcs.frozen == frozenset()


def test_a_makers_own_setting_type_switches_its_groups() -> None:
    ecu = DtcUnit().extended()
    assert ecu.ask("85 40") == "C5 40"
    assert ecu.server.dtcs.frozen == {BRAKE}
    assert ecu.ask("85 41") == "C5 41"
    assert ecu.server.dtcs.frozen == frozenset()
    assert ecu.ask("85 02 FF FF FF") == refused(0x85, 0x13), "this unit takes no option record"


# ---- operation cycles and supply


def test_terminal_15_makes_operation_cycles() -> None:
    ecu = DtcUnit().fails(SENSOR)
    assert ecu.ask("19 02 04") == "59 02 FF 01 03 00 27"
    ecu.terminal_15(on=False)
    assert ecu.server.report_trouble(SENSOR, TestResult.FAILED, 0) is False
    ecu.terminal_15(on=True)
    assert ecu.ask("19 02 04") == "59 02 FF 01 03 00 65"
    ecu.fails(SENSOR)
    assert ecu.ask("19 02 08") == "59 02 FF 01 03 00 2F"


def test_a_unit_that_is_built_without_terminal_15_waits_for_its_first_cycle() -> None:
    ecu = DtcUnit()
    ecu.vehicle.terminal_15 = False
    off = type(ecu.server)(ecu.profile, entropy=ecu.server.entropy, vehicle=ecu.vehicle)
    assert off.report_trouble(BOOST, TestResult.FAILED, 0) is False
    off.power(PowerEvent.TERMINAL_15_ON, 0)
    assert off.report_trouble(BOOST, TestResult.FAILED, 0)


def test_supply_may_make_operation_cycles_instead() -> None:
    ecu = DtcUnit(options=replace(OPTIONS, operation_cycle="supply")).fails(SENSOR)
    ecu.next_cycle()
    assert ecu.ask("19 02 04") == "59 02 FF 01 03 00 27"
    ecu.ask("11 01")
    assert ecu.server.report_trouble(SENSOR, TestResult.FAILED, ecu.now_ns) is False, "it restarts"
    ecu.run_for(1 * S)
    assert ecu.ask("19 02 04") == "59 02 FF 01 03 00 65"
    ecu.fails(SENSOR)
    ecu.server.power(PowerEvent.SLEEP, ecu.now_ns)
    ecu.server.power(PowerEvent.WAKE, ecu.now_ns)
    assert ecu.ask("19 02 08") == "59 02 FF 01 03 00 6D"


KEPT = ("19 02 2F", "19 04 02 99 00 FF", "19 06 02 99 00 01", "19 15", "19 0B", "19 0E")


def test_faults_and_freeze_frames_survive_the_loss_of_supply() -> None:
    ecu = unit()
    before = [ecu.ask(request) for request in KEPT]
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(1 * S)
    assert [ecu.ask(request) for request in KEPT] == before
    again = DtcUnit(memory=ecu.server.memory)
    assert [again.ask(request) for request in KEPT] == before


def test_a_code_with_a_monitor_sets_itself_and_comes_back_while_its_fault_is_there() -> None:
    ecu = DtcUnit()
    ecu.supply(8_500)
    assert ecu.ask("19 02 01") == "59 02 FF C1 04 00 2F"
    assert ecu.ask("14 FF FF FF") == "54"
    assert ecu.ask("19 02 01") == "59 02 FF C1 04 00 2F", "it fails again at once"
    ecu.supply(12_600)
    assert ecu.ask("19 02 08") == "59 02 FF C1 04 00 2E"
    ecu.ask("14 FF FF FF")
    assert ecu.ask("19 02 2F") == "59 02 FF"


def test_a_monitor_looks_again_when_it_may() -> None:
    ecu = DtcUnit().extended()
    ecu.ask("85 02")
    ecu.supply(8_500)
    assert ecu.ask("19 02 01") == "59 02 FF"
    ecu.ask("85 01")
    assert ecu.ask("19 02 01") == "59 02 FF C1 04 00 2F"
    ecu.terminal_15(on=False)
    ecu.vehicle.supply_mv = 12_600
    ecu.terminal_15(on=True)
    assert ecu.ask("19 02 08") == "59 02 FF C1 04 00 2C"


def test_a_monitor_looks_again_when_the_session_ends_and_after_a_restart() -> None:
    ecu = DtcUnit().extended()
    ecu.ask("85 02")
    ecu.supply(8_500)
    ecu.run_for(6 * S)
    assert ecu.ask("19 02 01") == "59 02 FF C1 04 00 2F", "S3 has run out"
    ecu.vehicle.supply_mv = 12_600
    ecu.ask("11 01")
    ecu.run_for(1 * S)
    assert ecu.ask("19 02 08") == "59 02 FF C1 04 00 2E"


def test_a_code_that_was_forgotten_is_not_the_first_that_was_confirmed() -> None:
    young = tuple(replace(dtc, age_after=1, warning=False) for dtc in CODES)
    ecu = DtcUnit(dtcs=young).fails(BRAKE, BOOST)
    assert ecu.ask("19 0C") == "59 0C FF 41 02 00 2F"
    ecu.next_cycle().passes(BRAKE).fails(BOOST).next_cycle()
    assert ecu.ask("19 0C") == "59 0C FF 02 99 00 6D"
    assert ecu.ask("19 0B") == "59 0B FF 41 02 00 60", "that it was the first to fail stays true until it is cleared"


def test_a_unit_that_does_not_run_sees_and_reports_nothing() -> None:
    ecu = DtcUnit()
    ecu.server.power(PowerEvent.BATTERY_LOST, 0)
    ecu.supply(5_000)
    assert ecu.server.report_trouble(BOOST, TestResult.FAILED, 0) is False
    ecu.server.power(PowerEvent.BATTERY_BACK, 0)
    ecu.vehicle.supply_mv = 12_600
    ecu.run_for(1 * S)
    assert ecu.ask("19 02 2F") == "59 02 FF"


@pytest.mark.parametrize("number", sorted(set(REPORTS) - {0x0F, 0x10, 0x11, 0x12, 0x13}))
def test_a_fault_that_was_there_from_the_start_is_read_by_every_report_without_a_frame(number: int) -> None:
    ecu = DtcUnit(dtcs=(Dtc(code=BOOST, status=0x08, functional_group=0x33, readiness_group=1),))
    values = {"dtc": BOOST.to_bytes(3, "big"), "memory": b"\x10", "group": b"\x33", "readiness": b"\x01"}
    payload = bytes((0x19, number)) + b"".join(values.get(field, b"\x01") for field in REPORTS[number].fields)
    answer = ecu.ask(payload)
    expected = "7F 19 31" if number in (0x18, 0x19) else f"59 {number:02X}"
    assert answer.startswith(expected)
