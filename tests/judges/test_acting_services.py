"""Judges of the services that change a unit at run time: udsoncan's client where it has one, scapy for every byte of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import udsoncan
from acting_unit import CommunicationOptions, acting
from ecu_bench import MS, Ecu, S
from uds_judges import judge, read_by_scapy
from udsoncan import Baudrate, DidCodec, DynamicDidDefinition, IOMasks
from udsoncan.client import Client
from udsoncan.connections import BaseConnection
from udsoncan.services import AccessTimingParameter, CommunicationControl, ECUReset

pytestmark = pytest.mark.judge


class Bytes(DidCodec):
    """Data as it is."""

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, *values: Any) -> bytes:
        return bytes(values)

    def decode(self, payload: bytes) -> bytes:
        return payload

    def __len__(self) -> int:
        return self.size


class Straight(BaseConnection):
    """A connection that hands udsoncan's bytes to a unit, and lets the judges read each of them."""

    def __init__(self, ecu: Ecu) -> None:
        super().__init__("unit")
        self.ecu = ecu
        self.waiting: list[bytes] = []

    def open(self) -> Straight:
        return self

    def close(self) -> None:
        pass

    def is_open(self) -> bool:
        return True

    def empty_rxqueue(self) -> None:
        self.waiting.clear()

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        self.waiting = [bytes.fromhex(answer) for answer in self.ecu.ask_and_wait(payload.hex(), 1 * S)]
        judge(payload, self.waiting)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes | None:
        return self.waiting.pop(0) if self.waiting else None


def client_of(ecu: Ecu, standard: int = 2020) -> Client:
    config = dict(udsoncan.configs.default_client_config)
    config.update(
        standard_version=standard,
        data_identifiers={0xF301: Bytes(5), "default": Bytes(1)},
        input_output={
            0x0B01: Bytes(1),
            0x0B02: {"codec": Bytes(1), "mask": {f"bit{n}": 0x80 >> n for n in range(8)}, "mask_size": 1},
        },
    )
    return Client(Straight(ecu), config=config)


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


TALKS = """24 10 03 | 24 0B 01 | 24 99 99 | 2A 02 01 | 2A 01 F0 | 2A 04 | 2C 01 F3 01 F1 90 01 03 | 2C 03 F3 01 | 2C 03
    | 2C 01 | 2F 0B 01 03 40 | 2F 0B 02 03 00 80 | 2F 0B 01 00 | 2F 0B 99 00 | 86 03 02 10 03 22 10 03 | 86 01 04 08 19 02 08
    | 86 08 02 0D | 86 09 02 01 06 FF 19 | 86 07 02 10 03 02 00 00 00 64 0A 40 18 22 10 03 | 86 05 02 | 86 04 02 | 86 45 02
    | 86 40 02 | 86 00 02 | 86 06 02 | 86 05 02 | 87 01 11 | 87 02 03 D0 90 | 87 03 | 87 01 FF | 11 04 | 11 05 | 28 01 01 | 28
    03 11 | 28 04 01 00 0A"""


def test_scapy_reads_rebuilds_and_pairs_every_request_and_answer() -> None:
    nodes = CommunicationOptions(subnets=frozenset((1,)), nodes=frozenset((0x0A,)))
    ecu = acting(communication=nodes, power_down_s=15).extended()
    for talk in TALKS.split("|"):
        request = bytes.fromhex(talk)
        answer = ecu.ask(request)
        assert answer, talk
        judge(request, [bytes.fromhex(answer)])


@pytest.mark.parametrize("edition", [2013, 2020])
def test_scapy_reads_what_a_unit_says_by_itself(edition: int) -> None:
    ecu = acting(edition=edition).extended()
    ecu.ask("2A 02 01 02")
    ecu.ask("86 03 03 10 03 22 10 03")
    ecu.ask("86 05 03")
    ecu.vehicle.speed_kmh = 88
    said = [bytes.fromhex(text) for _, text in ecu.run_for(400 * MS)]
    ecu.ask("3E 00")
    said += [bytes.fromhex(text) for _, text in ecu.run_for(5 * S)]
    for payload in said:
        packet = read_by_scapy(payload)
        if payload[0] == 0x6A:
            asked = read_by_scapy(b"\x2a\x02" + payload[1:2])
            assert packet.answers(asked)
    assert {payload[0] for payload in said} == {0x6A, 0x62, 0xC6}
