"""Judges: scapy and udsoncan read every request and answer of the whole library, and udsoncan's client works here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from judge_ledger import LEDGER
from recorded_talk import Recorder
from uds_judges import judge
from udsoncan import AsciiCodec, Request, Response
from udsoncan.client import Client
from udsoncan.exceptions import NegativeResponseException
from udsoncan.services import ControlDTCSetting, DiagnosticSessionControl, ECUReset
from udsoncan.services.Authentication import AuthenticationReturnParameter as Returned

from bench import Bench
from scenarios.library import find
from scenarios.play import play
from scenarios.stage import VehicleChange
from vci_driver.uds_connection import UdsonConnection
from wire.uds import Nrc

pytestmark = pytest.mark.judge("scapy and udsoncan")


# With frames lost on the way a recording at the socket is not what either side read.
SCENARIOS = [scenario for scenario in find([]) if not scenario.name.startswith("wire-")]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scapy_and_udsoncan_read_every_message_of_the_library(scenario: object) -> None:
    with Bench(seed=3, vehicle=scenario.vehicle, check_on_close=False) as bench:
        recorder = Recorder(bench.car)
        play(scenario, bench.stage)
    for request, answers in recorder.talks():
        judge(request, answers)


class Noted(UdsonConnection):
    """Our connection; each call is noted for the ledger."""

    def send(self, data: bytes | Request | Response, timeout: float | None = None) -> None:
        LEDGER.call((data if isinstance(data, bytes) else data.get_payload())[0])
        super().send(data, timeout)


class Open:
    """A car whose cluster is unlocked, and udsoncan's own client for it, not our faster one."""

    def __init__(self, vehicle: str) -> None:
        self.bench = Bench(seed=5, vehicle=vehicle)
        self.recorder = Recorder(self.bench.car)
        self.bench.stage.change_vehicle(VehicleChange(bonnet_open=True))
        tester = self.bench.tester(technician="validated")
        tester.login()
        tester.unlock("cluster")

    def client(self, ecu: str) -> Client:
        tester = self.bench.tester()
        return Client(Noted(tester.link, ecu), config=tester.ecu(ecu).config)

    def close(self) -> None:
        for request, answers in self.recorder.talks():
            judge(request, answers)
        self.bench.close()


def session(client: Client) -> None:
    answer = client.change_session(DiagnosticSessionControl.Session.extendedDiagnosticSession)
    data = answer.service_data
    assert (data.session_echo, data.p2_server_max, data.p2_star_server_max) == (3, 0.05, 5.0)


def reset(client: Client) -> None:
    assert client.ecu_reset(ECUReset.ResetType.hardReset).service_data.reset_type_echo == 1


def trouble_codes(client: Client) -> None:
    count = client.get_number_of_dtc_by_status_mask(0xFF).service_data
    assert count.dtc_count == 1
    for listed in (client.get_dtc_by_status_mask(0x08).service_data, client.get_supported_dtc().service_data):
        assert [(dtc.id, dtc.status.get_byte_as_int()) for dtc in listed.dtcs] == [(0xB10A15, 0x08)]
    assert client.get_dtc_by_status_mask(0x01).service_data.dtcs == []


def clearing(client: Client) -> None:
    client.clear_dtc(0xFFFFFF)
    assert client.get_dtc_by_status_mask(0x08).service_data.dtcs == []


def reading(client: Client) -> None:
    client.set_config("data_identifiers", {0xF190: AsciiCodec(17), 0xF191: AsciiCodec(10), 0x1234: AsciiCodec(1)})
    values = client.read_data_by_identifier([0xF190, 0xF191]).service_data.values
    assert values == {0xF190: "WVWZZZCDZSW000001", 0xF191: "5H0920700A"}
    with pytest.raises(NegativeResponseException) as refused:
        client.read_data_by_identifier(0x1234)
    assert refused.value.response.code == Nrc.requestOutOfRange


def writing(client: Client) -> None:
    session(client)
    assert client.write_data_by_identifier(0xF199, b"\x26\x01\x02").service_data.did_echo == 0xF199
    assert client.read_data_by_identifier_first(0xF199) == b"\x26\x01\x02"


def security(client: Client) -> None:
    session(client)
    assert client.unlock_security_access(3).positive
    with pytest.raises(NegativeResponseException) as refused:
        client.send_key(4, bytes(8))
    assert refused.value.response.code == Nrc.requestSequenceError


def communication(client: Client) -> None:
    session(client)
    assert client.communication_control(3, 1).service_data.control_type_echo == 3
    assert client.communication_control(0, 1).service_data.control_type_echo == 0


def setting(client: Client) -> None:
    session(client)
    kinds = ControlDTCSetting.SettingType
    assert client.control_dtc_setting(kinds.off).service_data.setting_type_echo == 2
    assert client.control_dtc_setting(kinds.on).service_data.setting_type_echo == 1


def routine(client: Client) -> None:
    session(client)
    for answer, control in (
        (client.start_routine(0x0203), 1),
        (client.get_routine_result(0x0203), 3),
        (client.stop_routine(0x0203), 2),
    ):
        data = answer.service_data
        assert (data.control_type_echo, data.routine_id_echo) == (control, 0x0203)


def presence(client: Client) -> None:
    assert client.tester_present().service_data.subfunction_echo == 0
    with client.suppress_positive_response:
        assert client.tester_present() is None


@pytest.mark.parametrize(
    "work",
    [
        session,
        reset,
        clearing,
        trouble_codes,
        reading,
        writing,
        security,
        communication,
        routine,
        presence,
        setting,
    ],
    ids=lambda work: work.__name__,
)
def test_udsoncans_own_client_works_with_our_units(work: Callable[[Client], None]) -> None:
    opened = Open("vag-golf")
    with opened.client("cluster") as client:
        work(client)
    opened.close()


def test_udsoncans_own_client_authenticates_with_our_gateway() -> None:
    opened = Open("mb-eclass")
    shown = [payload for _, payload in opened.recorder.messages if payload[:2] == b"\x29\x01"]
    certificate = shown[0][5 : 5 + int.from_bytes(shown[0][3:5], "big")]
    with opened.client("gateway") as client:
        configuration = client.authentication_configuration().service_data
        assert configuration.return_value == Returned.AuthenticationConfiguration_APCE
        challenge = client.verify_certificate_unidirectional(0, certificate).service_data
        assert challenge.return_value == Returned.CertificateVerified_OwnershipVerificationNecessary
        assert len(challenge.challenge_server) >= 16
        with pytest.raises(NegativeResponseException) as refused:
            client.proof_of_ownership(bytes(64))
        assert refused.value.response.code == Nrc.ownershipVerificationFailed
        ended = client.deauthenticate().service_data
        assert ended.return_value == Returned.DeAuthentication_successful
    opened.close()
