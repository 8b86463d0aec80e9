"""Judges of the services that change a unit at run time: udsoncan's client, both readers of what a unit says unasked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from acting_unit import CommunicationOptions, acting
from ecu_bench import MS, Ecu, S
from own_client import Bytes, asking
from own_client import client_of as any_client_of
from uds_judges import read_answer
from udsoncan import Baudrate, DynamicDidDefinition, IOMasks
from udsoncan.client import Client
from udsoncan.services import AccessTimingParameter, CommunicationControl, ECUReset

pytestmark = pytest.mark.judge("scapy and udsoncan")


def client_of(ecu: Ecu, standard: int = 2020) -> Client:
    return any_client_of(
        asking(ecu),
        standard_version=standard,
        data_identifiers={0xF301: Bytes(5), "default": Bytes(1)},
        input_output={
            0x0B01: Bytes(1),
            0x0B02: {"codec": Bytes(1), "mask": {f"bit{n}": 0x80 >> n for n in range(8)}, "mask_size": 1},
        },
    )


def outputs(client: Client) -> None:
    for option, value in ((3, 0x40), (2, 0x40), (1, 0x00), (0, 0x10)):
        values = [0x40] if option == 3 else None
        data = client.io_control(0x0B01, control_param=option, values=values).service_data
        assert (data.did_echo, data.control_param_echo, data.decoded_data) == (0x0B01, option, bytes((value,)))
    held = client.io_control(0x0B02, control_param=3, values=[0x00], masks=IOMasks(bit0=True, bit7=True))
    assert held.service_data.decoded_data == b"\x24"


def definitions(client: Client) -> None:
    pieces = DynamicDidDefinition(source_did=0xF190, position=1, memorysize=3)
    pieces.add(source_did=0x1002, position=1, memorysize=2)
    assert client.dynamically_define_did(0xF301, pieces).service_data.did_echo == 0xF301
    assert client.read_data_by_identifier_first(0xF301) == b"WVW\x31\x38"
    assert client.clear_dynamically_defined_did(0xF301).service_data.did_echo == 0xF301
    assert client.clear_all_dynamically_defined_did().positive


def link(client: Client) -> None:
    assert client.link_control(1, Baudrate(250_000)).service_data.control_type_echo == 1
    specific = Baudrate(833_000, baudtype=Baudrate.Type.Specific)
    assert client.link_control(2, specific).service_data.control_type_echo == 2
    assert client.link_control(3).service_data.control_type_echo == 3


def communication(client: Client) -> None:
    control = CommunicationControl.ControlType.enableRxAndDisableTxWithEnhancedAddressInformation
    assert client.communication_control(control, 1, node_id=0x0A).service_data.control_type_echo == 4
    assert client.communication_control(3, 0x11).service_data.control_type_echo == 3


def power_down(client: Client) -> None:
    data = client.ecu_reset(ECUReset.ResetType.enableRapidPowerShutDown).service_data
    assert (data.reset_type_echo, data.powerdown_time) == (4, 15)
    assert client.ecu_reset(ECUReset.ResetType.disableRapidPowerShutDown).service_data.reset_type_echo == 5


@pytest.mark.parametrize(
    "work", [outputs, definitions, link, communication, power_down], ids=lambda work: work.__name__
)
def test_udsoncans_own_client_works_with_every_service_that_it_has(work: Callable[[Client], None]) -> None:
    nodes = CommunicationOptions(subnets=frozenset((1,)), nodes=frozenset((0x0A,)))
    with client_of(acting(communication=nodes, power_down_s=15).extended()) as client:
        work(client)


def test_udsoncans_own_client_reads_and_sets_timing_of_the_2013_edition() -> None:
    kinds = AccessTimingParameter.AccessType
    with client_of(acting(edition=2013).extended(), 2013) as client:
        active = client.access_timing_parameter(kinds.readCurrentlyActiveTimingParameters).service_data
        assert active.timing_param_record == bytes.fromhex("00 32 01 F4")
        record = bytes.fromhex("00 C8 03 E8")
        client.access_timing_parameter(kinds.setTimingParametersToGivenValues, record)
        limits = client.access_timing_parameter(kinds.readExtendedTimingParameterSet).service_data
        assert limits.timing_param_record == bytes.fromhex("00 14 00 0A")
        client.access_timing_parameter(kinds.setTimingParametersToDefaultValues)


@pytest.mark.parametrize("edition", [2013, 2020])
def test_both_judges_read_what_a_unit_says_by_itself(edition: int) -> None:
    ecu = acting(edition=edition).extended()
    ecu.ask("2A 02 01 02")
    ecu.ask("86 03 03 10 03 22 10 03")
    ecu.ask("86 05 03")
    ecu.vehicle.speed_kmh = 88
    said = [bytes.fromhex(text) for _, text in ecu.run_for(400 * MS)]
    ecu.ask("3E 00")
    said += [bytes.fromhex(text) for _, text in ecu.run_for(5 * S)]
    for payload in said:
        request = b"\x2a\x02" + payload[1:2] if payload[0] == 0x6A else None
        read_answer(payload, request)
    assert {payload[0] for payload in said} == {0x6A, 0x62, 0xC6}
