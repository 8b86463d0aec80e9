"""What each service does, and what it refuses with which code (domain facts, section 5)."""

from itertools import permutations

import pytest
from ecu_bench import SERVICES, Ecu, refused

from ecu_sim.profile import ServiceRule
from ecu_sim.profile_file import load_profile
from wire.token import Scope

VIN = "62 F1 90 " + b"WVWZZZCDZSW000001".hex(" ").upper()
PART = "F1 87 " + b"5H0920700A".hex(" ").upper()


# ---- 10 DiagnosticSessionControl


@pytest.mark.parametrize("session", [1, 2, 3])
def test_each_session_of_the_profile_can_be_entered_from_each(session: int) -> None:
    for before in (1, 2, 3):
        ecu = Ecu()
        ecu.ask(bytes((0x10, before)))
        assert ecu.ask(bytes((0x10, session))) == f"50 {session:02X} 00 32 01 F4"
        assert ecu.session == session


# ---- 22 ReadDataByIdentifier


def test_identifiers_are_answered_in_the_order_of_the_request() -> None:
    assert Ecu().ask("22 F1 90") == VIN
    assert Ecu().ask("22 F1 90 F1 87") == f"{VIN} {PART}"
    assert Ecu().ask("22 F1 87 06 00") == f"62 {PART} 06 00 00 00 00 00"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("22 99 99 F1 87", f"62 {PART}"),
        ("22 F1 87 99 99", f"62 {PART}"),
        ("22 06 02 F1 87", f"62 {PART}"),  # can only be written
        ("22 06 04 F1 87", f"62 {PART}"),  # exists in the extended session only
        ("22 99 99 99 98", "7F 22 31"),
        ("22 06 02", "7F 22 31"),
        ("22 06 04", "7F 22 31"),
    ],
)
def test_unknown_identifiers_are_left_out_while_one_is_known(request_: str, answer: str) -> None:
    assert Ecu().ask(request_) == answer


def test_an_identifier_may_exist_in_one_session_only() -> None:
    assert Ecu().extended().ask("22 06 04") == "62 06 04 08"


@pytest.mark.parametrize("request_", ["22 06 03", "22 F1 87 06 03", "22 06 03 99 99"])
def test_one_closed_identifier_closes_the_whole_request(request_: str) -> None:
    ecu = Ecu().extended()
    assert ecu.ask(request_) == refused(0x22, 0x33)
    ecu.open_level(5)
    assert ecu.ask(request_).startswith("62")


@pytest.mark.parametrize("request_", ["22", "22 F1", "22 F1 90 F1", "22" + " F1 87" * 9])
def test_half_and_too_many_identifiers_are_a_wrong_length(request_: str) -> None:
    assert Ecu().ask(request_) == refused(0x22, 0x13)


def test_as_many_identifiers_as_the_profile_allows_are_read() -> None:
    assert len(bytes.fromhex(Ecu().ask("22" + " F1 87" * 8))) == 1 + 8 * 12
    assert Ecu(max_dids=1).ask("22 F1 87").startswith("62")
    assert Ecu(max_dids=1).ask("22 F1 87 F1 87") == refused(0x22, 0x13)


def test_an_answer_that_is_too_long_is_refused_as_a_whole() -> None:
    assert Ecu(max_answer_bytes=20).ask("22 F1 90") == VIN
    assert Ecu(max_answer_bytes=19).ask("22 F1 90") == refused(0x22, 0x14)
    assert Ecu(max_answer_bytes=20).ask("22 F1 90 F1 87") == refused(0x22, 0x14)


def test_measured_values_follow_the_vehicle() -> None:
    ecu = Ecu()
    assert ecu.ask("22 10 01 10 02 10 03 10 04") == "62 10 01 00 30 39 10 02 31 38 10 03 00 00 10 04 00"
    ecu.vehicle.odometer_km, ecu.vehicle.supply_mv = 70_000, 14_000
    ecu.vehicle.speed_kmh, ecu.vehicle.bonnet_open = 300, True
    assert ecu.ask("22 10 01 10 02 10 03 10 04") == "62 10 01 01 11 70 10 02 36 B0 10 03 01 2C 10 04 01"


@pytest.mark.parametrize("name", ["vag/cluster", "mercedes/engine"])
@pytest.mark.parametrize("session", [1, 2, 3])
def test_f186_tells_the_active_session(name: str, session: int) -> None:
    ecu = Ecu(load_profile(name))
    ecu.ask(bytes((0x10, session)))
    assert ecu.ask("22 F1 86") == f"62 F1 86 {session:02X}"


# ---- 2E WriteDataByIdentifier


def test_what_was_written_is_read_back() -> None:
    ecu = Ecu().extended()
    assert ecu.ask("2E F1 98 01 02 03 04 05 06") == "6E F1 98"
    assert ecu.ask("22 F1 98") == "62 F1 98 01 02 03 04 05 06"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("2E", 0x13),
        ("2E F1", 0x13),
        ("2E F1 99", 0x13),
        ("2E 99 99", 0x13),
        ("2E 99 99 00", 0x31),  # unknown
        ("2E F1 90 00", 0x31),  # read only
        ("2E 10 01 00 00 00", 0x31),  # measured
        ("2E F1 99 26 01", 0x13),
        ("2E F1 99 26 01 01 01", 0x13),
        ("2E 06 01 01", 0x33),  # needs level 3
        ("2E 06 00 01 02 03 04", 0x33),  # needs a grant
    ],
)
def test_a_refused_write_names_the_first_reason_and_writes_nothing(request_: str, nrc: int) -> None:
    ecu = Ecu(locked=True).extended()
    before = dict(ecu.server.memory.data)
    assert ecu.ask(request_) == refused(0x2E, nrc)
    assert ecu.server.memory.data == before


def test_an_identifier_of_another_session_does_not_exist_for_writing() -> None:
    ecu = Ecu()
    assert ecu.ask("2E F1 99 26 01 02") == refused(0x2E, 0x31)
    ecu.ask("10 02")
    assert ecu.ask("2E F1 99 26 01 02") == refused(0x2E, 0x31)


@pytest.mark.parametrize("nrc", [0x33, 0x34])
def test_the_lock_is_named_before_conditions_and_sequence(nrc: int) -> None:
    ecu = Ecu(locked=True, refusal_nrc=nrc).extended()
    ecu.vehicle.speed_kmh = 30
    assert ecu.ask("2E 06 00 01 02 03 04") == refused(0x2E, nrc)


@pytest.mark.parametrize("written", [[], ["2E F1 99 26 01 02"], ["2E F1 98 00 00 00 00 00 01"]])
def test_coding_waits_for_programming_date_and_workshop_code(written: list[str]) -> None:
    ecu = Ecu().extended()
    for request in written:
        assert ecu.ask(request).startswith("6E")
    assert ecu.ask("2E 06 00 01 02 03 04") == refused(0x2E, 0x24)
    assert ecu.ask("22 06 00") == "62 06 00 00 00 00 00"


@pytest.mark.parametrize("order", list(permutations(("F1 99 26 01 02", "F1 98 00 00 00 00 00 01"))))
def test_coding_is_taken_once_both_were_written_in_this_session(order: tuple[str, str]) -> None:
    ecu = Ecu(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.CODING
    for data in order:
        assert ecu.ask(f"2E {data}").startswith("6E")
    assert ecu.ask("2E 06 00 01 02 03 04") == "6E 06 00"
    assert ecu.ask("22 06 00") == "62 06 00 01 02 03 04"


def test_a_refused_write_does_not_count_as_written() -> None:
    ecu = Ecu().extended()
    assert ecu.ask("2E F1 99 26 01") == refused(0x2E, 0x13)
    assert ecu.ask("2E F1 98 00 00 00 00 00 01") == "6E F1 98"
    assert ecu.ask("2E 06 00 01 02 03 04") == refused(0x2E, 0x24)


def test_the_shipped_cluster_is_coded_as_the_facts_tell_it() -> None:
    ecu = Ecu(load_profile("vag/cluster"), locked=True).extended()
    coding = "2E 06 00" + " 01" * 8
    assert ecu.gate is not None
    assert ecu.ask(coding) == refused(0x2E, 0x33)
    ecu.gate.opened = Scope.CODING
    assert ecu.ask(coding) == refused(0x2E, 0x33)  # the level is closed
    ecu.server.state.open_level = 3
    assert ecu.ask(coding) == refused(0x2E, 0x33)  # a level without a grant for SecurityAccess counts for nothing
    ecu.gate.opened = Scope.CODING | Scope.SECURITY_ACCESS
    assert ecu.ask(coding) == refused(0x2E, 0x24)
    assert ecu.ask("2E F1 99 26 11 23") == "6E F1 99"
    assert ecu.ask(coding) == refused(0x2E, 0x24)
    assert ecu.ask("2E F1 98 00 00 00 00 30 39") == "6E F1 98"
    assert ecu.ask(coding) == "6E 06 00"


# ---- preconditions


@pytest.mark.parametrize(
    ("change", "nrc"),
    [
        ({}, 0),
        ({"speed_kmh": 1}, 0x88),
        ({"terminal_15": False}, 0x22),
        ({"supply_mv": 11_999}, 0x93),
        ({"supply_mv": 12_000}, 0),
        ({"supply_mv": 14_000}, 0),
        ({"supply_mv": 14_001}, 0x92),
        ({"supply_mv": 5_500}, 0x93),
        ({"supply_mv": 18_000}, 0x92),
    ],
)
def test_coding_wants_a_standing_car_with_ignition_and_12_to_14_volts(change: dict[str, int], nrc: int) -> None:
    ecu = Ecu().extended()
    for name, value in change.items():
        setattr(ecu.vehicle, name, value)
    assert ecu.ask("2E 06 05 01") == (refused(0x2E, nrc) if nrc else "6E 06 05")


@pytest.mark.parametrize(("speed_kmh", "answer"), [(0, "71 01 02 06 01"), (1, "7F 31 88")])
def test_routines_have_preconditions_too(speed_kmh: int, answer: str) -> None:
    ecu = Ecu()
    ecu.vehicle.speed_kmh = speed_kmh
    assert ecu.ask("31 01 02 06") == answer


# ---- 14 and 19, trouble codes


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("19 01 FF", "59 01 FF 01 00 03"),
        ("19 01 01", "59 01 FF 01 00 02"),
        ("19 01 10", "59 01 FF 01 00 00"),
        ("19 02 FF", "59 02 FF B1 0A 15 08 02 99 00 09 C1 01 00 2F"),
        ("19 02 01", "59 02 FF 02 99 00 09 C1 01 00 2F"),
        ("19 02 00", "59 02 FF"),
        ("19 0A", "59 0A FF B1 0A 15 08 02 99 00 09 C1 01 00 2F"),
    ],
)
def test_trouble_codes_are_counted_listed_and_filtered_by_status(request_: str, answer: str) -> None:
    assert Ecu().ask(request_) == answer


def test_clearing_all_leaves_what_comes_back_by_itself() -> None:
    ecu = Ecu()
    assert ecu.ask("14 FF FF FF") == "54"
    assert ecu.ask("19 02 0F") == "59 02 FF C1 01 00 2F"
    assert ecu.ask("19 0A").count("50") == 2, "cleared: not tested since, and not in this cycle"


def test_one_trouble_code_is_cleared_alone() -> None:
    ecu = Ecu()
    assert ecu.ask("14 02 99 00") == "54"
    assert ecu.ask("19 02 08") == "59 02 FF B1 0A 15 08 C1 01 00 2F"


@pytest.mark.parametrize(
    ("request_", "nrc"), [("14", 0x13), ("14 FF FF", 0x13), ("14 FF FF FF 00 00", 0x13), ("14 12 34 56", 0x31)]
)
def test_a_refused_clear_clears_nothing(request_: str, nrc: int) -> None:
    ecu = Ecu()
    assert ecu.ask(request_) == refused(0x14, nrc)
    assert ecu.ask("19 01 08") == "59 01 FF 01 00 03"


def test_a_list_of_trouble_codes_that_is_too_long_is_refused() -> None:
    assert Ecu(max_answer_bytes=14).ask("19 0A") == refused(0x19, 0x14)


# ---- 28 and 85


@pytest.mark.parametrize("control", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_communication_is_controlled_for_the_messages_that_are_named(control: int, kind: int) -> None:
    ecu = Ecu().extended()
    assert ecu.ask(f"28 {control:02X} {kind:02X}") == f"68 {control:02X}"
    state = ecu.server.state
    assert (state.communication, state.network_management) == (control if kind & 1 else 0, control if kind & 2 else 0)
    ecu.ask("10 01")
    assert (state.communication, state.network_management) == (0, 0), "as in the default session"


def test_communication_of_no_kind_is_out_of_range() -> None:
    ecu = Ecu().extended()
    assert ecu.ask("28 03 00") == refused(0x28, 0x31)
    assert ecu.server.state.communication == 0


def test_trouble_code_setting_is_switched_off_and_on_and_comes_back_with_the_default_session() -> None:
    ecu = Ecu().extended()
    for request, answer, setting in (("85 02", "C5 02", False), ("85 01", "C5 01", True), ("85 02", "C5 02", False)):
        assert ecu.ask(request) == answer
        assert ecu.server.state.dtc_setting is setting
    ecu.ask("10 03")
    assert ecu.server.state.dtc_setting is False, "another non-default session undoes nothing"
    ecu.ask("10 01")
    assert ecu.server.state.dtc_setting is True


# ---- 31 RoutineControl


def test_a_routine_is_started_once_asked_stopped_and_started_again() -> None:
    ecu = Ecu().extended()
    assert ecu.ask("31 01 02 03") == "71 01 02 03 01"
    assert ecu.ask("31 01 02 03") == refused(0x31, 0x24), "it runs already"
    assert ecu.ask("31 02 02 03") == "71 02 02 03 02"
    assert ecu.ask("31 02 02 03") == refused(0x31, 0x24), "it was stopped"
    assert ecu.ask("31 03 02 03") == "71 03 02 03 02"
    assert ecu.ask("31 01 02 03") == "71 01 02 03 01"


def test_a_routine_without_duration_has_its_result_at_once() -> None:
    ecu = Ecu()
    assert ecu.ask("31 01 02 04 AA BB") == "71 01 02 04 00"
    assert ecu.ask("31 03 02 04") == "71 03 02 04 00"


def test_a_routine_of_another_session_does_not_exist() -> None:
    assert Ecu().ask("31 01 02 03") == refused(0x31, 0x31)


@pytest.mark.parametrize("nrc", [0x33, 0x34])
def test_a_locked_routine_wants_its_own_scope(nrc: int) -> None:
    ecu = Ecu(locked=True, refusal_nrc=nrc)
    assert ecu.gate is not None
    assert ecu.ask("31 01 02 05") == refused(0x31, nrc)
    ecu.gate.opened = Scope.CODING | Scope.OUTPUT_TESTS
    assert ecu.ask("31 01 02 05") == refused(0x31, nrc)
    ecu.gate.opened = Scope.ROUTINES
    assert ecu.ask("31 01 02 05") == "71 01 02 05 00"


# ---- 29 without a lock that knows it


@pytest.mark.parametrize(
    ("request_", "nrc"), [("29", 0x13), ("29 08", 0x22), ("29 05", 0x12), ("29 02", 0x12), ("29 09", 0x12)]
)
def test_authentication_needs_a_lock_that_knows_it(request_: str, nrc: int) -> None:
    ecu = Ecu(services={**SERVICES, 0x29: ServiceRule()}, locked=True)
    assert ecu.ask(request_) == refused(0x29, nrc)


def test_a_unit_says_nothing_it_was_not_asked() -> None:
    assert Ecu().run_for(10**12) == []
