"""Judges of trouble codes: udsoncan's client decodes every answer to what was set, scapy dissects and rebuilds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dtc_unit import BOOST, BRAKE, DOOR, OBD, SAFETY, SENSOR, SUPPLY, DtcUnit
from own_client import asking, client_of
from udsoncan import DidCodec, Dtc
from udsoncan.client import Client
from udsoncan.exceptions import InvalidResponseException, NegativeResponseException

from ecu_sim.dtc_memory import TestResult

pytestmark = pytest.mark.judge("scapy and udsoncan")
ALL = 0xFF


class Whole(DidCodec):
    """Data of a fixed size, as a number."""

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, value: int) -> bytes:  # pragma: no cover - nothing is written
        return value.to_bytes(self.size, "big")

    def decode(self, data: bytes) -> int:
        return int.from_bytes(data, "big")

    def __len__(self) -> int:
        return self.size


@contextmanager
def talking(edition: int = 2020) -> Iterator[Client]:
    """Let udsoncan talk to a unit in which boost pressure, brake and door fail and the sensor is about to; scapy reads along."""
    unit = DtcUnit(edition=edition).fails(BOOST, BRAKE, DOOR)
    unit.server.report_trouble(SENSOR, TestResult.PREFAILED, 0)
    with client_of(
        asking(unit),
        data_identifiers={0x1001: Whole(3), 0x1002: Whole(2), 0xF186: Whole(1)},
        extended_data_size=dict.fromkeys((BOOST, BRAKE, DOOR, SENSOR, SUPPLY), 1),
        standard_version=edition,
        tolerate_zero_padding=False,
    ) as client:
        yield client


def codes(answer: Any) -> dict[int, int]:
    data = answer.service_data
    assert data.dtc_count == len(data.dtcs)
    return {dtc.id: dtc.status.get_byte_as_int() for dtc in data.dtcs}


def test_lists_and_counts_are_what_was_set() -> None:
    with talking() as client:
        stored = {BOOST: 0xAF, BRAKE: 0x2F}
        everything = stored | {SENSOR: 0x50, SUPPLY: 0x50}
        assert codes(client.get_dtc_by_status_mask(0x08)) == stored
        assert codes(client.get_dtc_by_status_mask(ALL)) == codes(client.get_supported_dtc()) == everything
        for mask, count in ((0x08, 2), (ALL, 4), (0x00, 0)):
            data = client.get_number_of_dtc_by_status_mask(mask).service_data
            assert (data.dtc_count, data.dtc_format, data.status_availability.get_byte_as_int()) == (count, 1, 0xFF)
        for ask, code in (
            (client.get_first_test_failed_dtc, BOOST),
            (client.get_first_confirmed_dtc, BOOST),
            (client.get_most_recent_test_failed_dtc, BRAKE),
            (client.get_most_recent_confirmed_dtc, BRAKE),
        ):
            assert codes(ask()) == {code: stored[code]}
        assert codes(client.get_dtc_with_permanent_status()) == {BOOST: 0xAF}
        door = client.get_user_defined_memory_dtc_by_status_mask(0x08, 0x10)
        assert (codes(door), door.service_data.memory_selection_echo) == ({DOOR: 0x2F}, 0x10)


def test_each_bit_of_the_status_byte_has_the_name_that_udsoncan_gives_it() -> None:
    with talking() as client:
        status = client.get_dtc_by_status_mask(0x80).service_data.dtcs[0].status
        assert (status.test_failed, status.test_failed_this_operation_cycle, status.pending, status.confirmed) == (
            1,
        ) * 4
        assert (status.test_failed_since_last_clear, status.warning_indicator_requested) == (True, True)
        client.clear_dtc(BOOST)
        status = client.get_supported_dtc().service_data.dtcs[0].status
        assert status.test_not_completed_since_last_clear
        assert status.test_not_completed_this_operation_cycle


def test_severity_and_functional_unit_are_what_was_set() -> None:
    with talking() as client:
        answer = client.get_dtc_by_status_severity_mask(0x08, 0xE0)
        assert codes(answer) == {BOOST: 0xAF, BRAKE: 0x2F}
        boost, brake = answer.service_data.dtcs
        assert (boost.severity.maintenance_only, boost.functional_unit) == (True, 0x11)
        assert (brake.severity.check_immediately, brake.functional_unit) == (True, 0x12)
        assert (
            client.get_number_of_dtc_by_status_severity_mask(
                0x08, Dtc.Severity(check_immediately=True)
            ).service_data.dtc_count
            == 1
        )
        one = client.get_dtc_severity(BRAKE).service_data.dtcs
        assert [(dtc.id, dtc.functional_unit) for dtc in one] == [(BRAKE, 0x12)]


def frames(answer: Any) -> list[tuple[int, int, int]]:
    return [(one.record_number, one.did, one.data) for dtc in answer.service_data.dtcs for one in dtc.snapshots]


FIRST = [(1, 0x1001, 12_345), (1, 0x1002, 12_600)]
LAST = [(2, 0xF186, 1)]


def test_freeze_frames_hold_what_the_vehicle_was() -> None:
    with talking() as client:
        assert frames(client.get_dtc_snapshot_by_dtc_number(BOOST, 1)) == FIRST
        assert frames(client.get_dtc_snapshot_by_dtc_number(BOOST)) == FIRST + LAST
        assert frames(client.get_dtc_snapshot_by_dtc_number(SUPPLY)) == []
        assert frames(client.get_dtc_snapshot_by_record_number(2)) == LAST * 2
        assert frames(client.get_dtc_snapshot_by_record_number()) == (FIRST + LAST) * 2
        assert frames(client.get_user_defined_dtc_snapshot_by_dtc_number(DOOR, 0x10)) == FIRST + LAST
        identified = client.get_dtc_snapshot_identification().service_data.dtcs
        assert {dtc.id: dtc.snapshots for dtc in identified} == {BOOST: [1, 2], BRAKE: [1, 2]}


def extended(answer: Any) -> dict[int, dict[int, bytes]]:
    return {dtc.id: {one.record_number: one.raw_data for one in dtc.extended_data} for dtc in answer.service_data.dtcs}


def test_extended_data_are_the_counters() -> None:
    with talking() as client:
        every = {0x01: b"\x01", 0x02: b"\x00", 0x90: b"\x7f"}
        assert extended(client.get_dtc_extended_data_by_dtc_number(BOOST)) == {BOOST: every}
        assert extended(client.get_dtc_extended_data_by_dtc_number(BOOST, 0xFE)) == {BOOST: {0x90: b"\x7f"}}
        assert extended(client.get_dtc_extended_data_by_record_number(1)) == {BOOST: {1: b"\x01"}, BRAKE: {1: b"\x01"}}
        assert extended(client.get_user_defined_dtc_extended_data_by_dtc_number(DOOR, 0x10)) == {DOOR: every}
        counters = client.get_dtc_fault_counter().service_data.dtcs
        assert [(dtc.id, dtc.fault_counter) for dtc in counters] == [(SENSOR, 0x20)]


def test_reports_of_obd() -> None:
    with talking() as client:
        answer = client.get_wwh_obd_dtc_by_status_mask(
            OBD, 0x08, Dtc.Severity(maintenance_only=True), Dtc.DtcClass(class1=True)
        )
        data = answer.service_data
        assert codes(answer) == {BOOST: 0xAF}
        assert (data.functional_group_id, data.dtc_format, data.dtcs[0].severity.maintenance_only) == (OBD, 4, True)
        assert codes(client.get_wwh_obd_dtc_with_permanent_status(SAFETY)) == {}
        with pytest.raises(InvalidResponseException, match="multiple of 5"):
            client.get_wwh_obd_dtc_with_permanent_status(
                OBD
            )  # udsoncan alone wants a severity byte here: see `_list_obd_permanent`


def test_mirror_and_emissions_of_the_2013_edition() -> None:
    with talking(2013) as client:
        stored = {BOOST: 0xAF, BRAKE: 0x2F, DOOR: 0x2F}
        client.clear_dtc()
        assert codes(client.get_mirrormemory_dtc_by_status_mask(0x08)) == stored
        assert client.get_mirrormemory_number_of_dtc_by_status_mask(0x80).service_data.dtc_count == 1
        mirrored = extended(client.get_mirrormemory_dtc_extended_data_by_dtc_number(BOOST))
        assert mirrored == {BOOST: {0x01: b"\x01", 0x02: b"\x00", 0x90: b"\x7f"}}
        assert codes(client.get_emission_dtc_by_status_mask(ALL)) == {BOOST: 0x50, SENSOR: 0x50}
        assert client.get_number_of_emission_dtc_by_status_mask(ALL).service_data.dtc_count == 2


def test_clearing_and_the_setting_with_udsoncan() -> None:
    with talking() as client:
        client.clear_dtc(0xFFFFFF, memory_selection=0x10)
        assert codes(client.get_user_defined_memory_dtc_by_status_mask(0x2F, 0x10)) == {}
        assert codes(client.get_dtc_by_status_mask(0x08)) == {BOOST: 0xAF, BRAKE: 0x2F}
        client.clear_dtc(0xFFFF33)
        assert codes(client.get_dtc_by_status_mask(0x08)) == {BRAKE: 0x2F}
        for group, memory in ((0x123456, None), (0xFFFFFF, 0x12)):
            with pytest.raises(NegativeResponseException) as refused:
                client.clear_dtc(group, memory_selection=memory)
            assert refused.value.response.code == 0x31
        client.change_session(3)
        assert client.control_dtc_setting(2).service_data.setting_type_echo == 2
        assert client.control_dtc_setting(0x40).service_data.setting_type_echo == 0x40
        assert client.control_dtc_setting(1).service_data.setting_type_echo == 1
