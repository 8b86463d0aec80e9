"""What the tester finds out without any unlock: the VIN, the installed units, and the global system scan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_ecu import CAR, silent
from scripted_workshop import Workshop, text, unit
from udsoncan.exceptions import NegativeResponseException

from wire.errors import CarrierFault

VIN = "WVWZZZCDZNW000001"
READ_VIN, LIST, PART, NAME, DTCS, STATE = "22 F1 90", "22 2A 26", "22 F1 87", "22 F1 97", "19 01", "22 01 74"
LOCKED, OPEN = "62 01 74 00 00 01 00", "62 01 74 01 02 01 59"
NEVER_TOLD = f"62 F1 90 {'FF' * 17}"
SAYS_VIN, ALL_THREE = {READ_VIN: text(0xF190, VIN)}, {LIST: "62 2A 26 19 01 17"}


# ---- identify


def test_the_gateway_says_the_vin_and_which_units_are_installed() -> None:
    found = Workshop(gateway=unit(SAYS_VIN | {LIST: "62 2A 26 19 17"})).tester.identify()
    assert (found.vin, found.installed) == (VIN, ("gateway", "cluster"))


@pytest.mark.parametrize(
    "gateway", [unit(ALL_THREE | {READ_VIN: refused}) for refused in ("7F 22 31", "", "62 F1 87 41", NEVER_TOLD)]
)
def test_the_next_source_says_the_vin_when_the_first_does_not(gateway: object) -> None:
    workshop = Workshop(gateway=gateway, engine=unit(SAYS_VIN))
    assert workshop.tester.identify().vin == VIN == workshop.tester.vin


def test_when_no_source_says_the_vin_the_first_one_s_reason_is_told() -> None:
    workshop = Workshop(gateway=unit({READ_VIN: "7F 22 31"}), engine=silent)
    with pytest.raises(NegativeResponseException) as refused:
        workshop.tester.identify()
    assert refused.value.response.code == 0x31
    assert workshop.tester.vin is None


def test_a_vin_that_was_read_from_one_car_is_not_kept_for_a_car_that_does_not_say_its_own() -> None:
    vin = [text(0xF190, VIN), "7F 22 22"]
    workshop = Workshop(gateway=unit(ALL_THREE | {READ_VIN: lambda _: bytes.fromhex(vin.pop(0))}), engine=unit({}))
    workshop.tester.identify()
    with pytest.raises(NegativeResponseException):
        workshop.tester.identify()
    assert workshop.tester.vin is None


def test_a_make_without_a_list_of_units_has_all_that_its_map_names() -> None:
    car = replace(CAR, installed_units_did=None, vin_sources=())
    workshop = Workshop(car, gateway=unit(SAYS_VIN))
    assert workshop.tester.identify().installed == ("gateway", "engine", "cluster")
    assert workshop.heard("gateway") == [READ_VIN]


def test_a_gateway_that_does_not_give_its_list_fails_the_identification_with_its_reason() -> None:
    with pytest.raises(NegativeResponseException) as refused:
        Workshop(gateway=unit(SAYS_VIN | {LIST: "7F 22 22"})).tester.identify()
    assert refused.value.response.code == 0x22


# ---- global system scan

WELL = {
    PART: text(0xF187, "5H0920700A "),
    NAME: text(0xF197, "DashBoard"),
    DTCS: "59 01 FF 01 00 03",
    STATE: OPEN,
}


def test_the_scan_tells_of_each_unit_its_address_name_part_number_trouble_codes_and_lock() -> None:
    workshop = Workshop(cluster=unit(WELL), gateway=unit(WELL | {STATE: LOCKED}), engine=unit(WELL))
    gateway, engine, cluster = workshop.tester.scan()
    assert (cluster.name, cluster.address, cluster.reachable) == ("cluster", 0x17, True)
    assert (cluster.part_number, cluster.system_name, cluster.dtcs) == ("5H0920700A", "DashBoard", 3)
    assert (gateway.locked, engine.locked, cluster.locked) == (True, None, False)
    assert "22 01 74" not in workshop.heard("engine")
    assert [step.text for step in workshop.progress] == [f"scanning {name}" for name in CAR.names]


def test_a_silent_unit_is_one_line_of_the_scan_and_costs_one_wait() -> None:
    workshop = Workshop(gateway=unit(WELL), engine=silent, cluster=unit(WELL))
    reports = {report.name: report for report in workshop.tester.scan()}
    assert not reports["engine"].reachable
    assert (reports["engine"].part_number, reports["engine"].dtcs, reports["engine"].locked) == ("", None, None)
    assert workshop.heard("engine") == [PART]
    assert reports["cluster"].dtcs == 3


@pytest.mark.parametrize("wrong", ["7F 22 31", "62 F1 90 41 42 43", "62"])
def test_a_unit_that_does_not_say_its_part_number_properly_is_there_all_the_same(wrong: str) -> None:
    """Refused, another identifier in the answer, an answer that stops short."""
    report = Workshop(gateway=unit(WELL), engine=unit(WELL), cluster=unit(WELL | {PART: wrong})).tester.scan()[2]
    assert (report.reachable, report.part_number, report.system_name, report.dtcs) == (True, "", "DashBoard", 3)


def test_a_unit_that_asks_for_time_and_then_says_nothing_was_heard_and_is_no_silent_unit() -> None:
    report = Workshop(gateway=unit(WELL), engine=unit(WELL), cluster=unit(WELL | {PART: "7F 22 78"})).tester.scan()[2]
    assert (report.reachable, report.part_number, report.dtcs) == (True, "", 3)


@pytest.mark.parametrize("wrong", ["7F 19 11", "", "59 01", "59 02 FF 01 00 03"])
def test_a_unit_that_does_not_count_its_trouble_codes_has_an_unknown_number_and_not_none(wrong: str) -> None:
    report = Workshop(gateway=unit(WELL), engine=unit(WELL), cluster=unit(WELL | {DTCS: wrong})).tester.scan()[2]
    assert (report.reachable, report.part_number, report.dtcs) == (True, "5H0920700A", None)


@pytest.mark.parametrize("wrong", ["7F 22 31", "", "62 01 74 01", "62 01 74 00 00 01 00 00"])
def test_a_lock_whose_state_cannot_be_read_is_unknown_and_neither_open_nor_locked(wrong: str) -> None:
    report = Workshop(gateway=unit(WELL), engine=unit(WELL), cluster=unit(WELL | {STATE: wrong})).tester.scan()[2]
    assert (report.reachable, report.dtcs, report.locked) == (True, 3, None)


def test_an_adapter_that_is_pulled_out_ends_the_scan_and_makes_no_unit_silent() -> None:
    workshop = Workshop(gateway=unit(WELL))
    workshop.table.link.fault = CarrierFault("pulled out")
    with pytest.raises(CarrierFault, match="pulled out"):
        workshop.tester.scan()


def test_an_adapter_that_is_pulled_out_in_the_middle_of_the_last_unit_s_turn_ends_the_scan_too() -> None:
    workshop = Workshop(gateway=unit(WELL), engine=unit(WELL), cluster=unit(WELL))

    def pull(_: bytes) -> bytes:
        workshop.table.link.fault = CarrierFault("pulled out")
        return bytes.fromhex(WELL[NAME])

    workshop.table.ecus["cluster"].script = unit(WELL | {NAME: pull})
    with pytest.raises(CarrierFault, match="pulled out"):
        workshop.tester.scan()
