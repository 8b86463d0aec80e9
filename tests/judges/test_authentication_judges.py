"""Judges: udsoncan and scapy read, and rebuild, every request and answer of all nine sub-functions of Authentication 0x29."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from authenticating_unit import CLIENT_CHALLENGE, EPHEMERAL, AcrUnit, ApceUnit
from own_client import Straight, client_of
from scapy.contrib.automotive.uds import UDS, UDS_AUTHPR
from uds_judges import judge
from udsoncan.services import Authentication
from udsoncan.services.Authentication import AuthenticationReturnParameter as Returned
from unlock_forge import chain, leaf, owner_key

from wire.authentication import Party, public_bytes
from wire.challenge_response import Crypto
from wire.diag_cert import prove_exchange

pytestmark = pytest.mark.judge("scapy and udsoncan")
Task = Authentication.AuthenticationTask


def ask(unit: ApceUnit | AcrUnit, **request: object) -> Authentication.ResponseData:
    """Let udsoncan's client ask and read the answer; scapy reads both."""
    with client_of(lambda payload: [unit.ask(payload)]) as client:
        data = client.authentication(**request).service_data
        assert isinstance(client.conn, Straight)
        asked, (answer,) = client.conn.talks[-1]
    assert data.authentication_task_echo == asked[1]
    assert UDS(answer)[UDS_AUTHPR].returnValue == data.return_value
    return data


def apce(task: int, configuration: int) -> None:
    unit = ApceUnit()
    assert ask(unit, authentication_task=Task.authenticationConfiguration).return_value == 2
    shown = ask(
        unit,
        authentication_task=task,
        communication_configuration=configuration,
        certificate_client=chain(),
        challenge_client=CLIENT_CHALLENGE,
    )
    assert shown.return_value == Returned.CertificateVerified_OwnershipVerificationNecessary
    assert len(shown.ephemeral_public_key_server) == 32 * configuration
    exchange = unit.verified(task, configuration).closed_with(EPHEMERAL if configuration else None)
    if (task, configuration) == (1, 0):
        proof = unit.proof(exchange.server_challenge)
    else:
        proof = prove_exchange(owner_key(), exchange, Party.CLIENT)
    proven = ask(
        unit,
        authentication_task=Task.proofOfOwnership,
        proof_of_ownership_client=proof,
        ephemeral_public_key_client=exchange.client_ephemeral,
    )
    assert proven.return_value == Returned.OwnershipVerified_AuthenticationComplete
    assert len(proven.session_key_info) == 32 * configuration
    enhanced = ask(
        unit,
        authentication_task=Task.transmitCertificate,
        certificate_evaluation_id=1,
        certificate_data=chain(leaf(serial=2)),
    )
    assert enhanced.return_value == Returned.CertificateVerified
    ended = ask(unit, authentication_task=Task.deAuthenticate)
    assert ended.return_value == Returned.DeAuthentication_successful


def acr(task: int, configuration: int, crypto: Crypto) -> None:
    unit = AcrUnit(crypto)
    offered = ask(unit, authentication_task=Task.authenticationConfiguration).return_value
    assert offered == {Crypto.ASYMMETRIC: 3, Crypto.SYMMETRIC: 4}[crypto]
    asked = ask(
        unit,
        authentication_task=Task.requestChallengeForAuthentication,
        communication_configuration=configuration,
        algorithm_indicator=unit.algorithm,
    )
    assert asked.return_value == Returned.RequestAccepted
    assert (asked.algorithm_indicator, len(asked.challenge_server)) == (unit.algorithm, 32)
    assert len(asked.needed_additional_parameter) == 1 + 32 * configuration
    ephemeral = public_bytes(EPHEMERAL) if configuration else b""
    exchange = unit.closed(unit.challenged(configuration), task, ephemeral=ephemeral)
    proven = ask(
        unit,
        authentication_task=task,
        algorithm_indicator=unit.algorithm,
        proof_of_ownership_client=unit.proof(exchange),
        challenge_client=exchange.client_challenge,
        additional_parameter=exchange.additional,
    )
    assert proven.return_value == Returned.OwnershipVerified_AuthenticationComplete
    assert proven.algorithm_indicator == unit.algorithm
    assert len(proven.session_key_info) == 32 * configuration
    assert bool(proven.proof_of_ownership_server) == (task == Task.verifyProofOfOwnershipBidirectional)
    assert ask(unit, authentication_task=Task.deAuthenticate).return_value == Returned.DeAuthentication_successful


TALKS: dict[str, Callable[[int], None]] = {
    "01": lambda configuration: apce(1, configuration),
    "02": lambda configuration: apce(2, configuration),
    "06 asymmetric": lambda configuration: acr(6, configuration, Crypto.ASYMMETRIC),
    "07 asymmetric": lambda configuration: acr(7, configuration, Crypto.ASYMMETRIC),
    "06 symmetric": lambda configuration: acr(6, configuration, Crypto.SYMMETRIC),
    "07 symmetric": lambda configuration: acr(7, configuration, Crypto.SYMMETRIC),
}


@pytest.mark.parametrize("configuration", [0, 1], ids=["plain", "session key"])
@pytest.mark.parametrize("talk", list(TALKS))
def test_both_judges_read_the_whole_talk(talk: str, configuration: int) -> None:
    TALKS[talk](configuration)


def test_every_code_from_0x50_to_0x5d_is_one_that_udsoncan_knows_for_the_service() -> None:
    known = {int(code) for code in Authentication.supported_negative_response}
    assert set(range(0x50, 0x5E)) <= known


def test_both_judges_read_every_refusal_of_authentication() -> None:
    """Of a tester that shows no certificate, proves nothing, or asks for what the unit does not offer."""
    for unit, requests in (
        (
            ApceUnit(),
            ("29 03 00 01 00 00 00", "29 01 00 00 01 00 00 00", "29 04 00 01 00 01 00", "29 05 00" + "00" * 16),
        ),
        (
            AcrUnit(),
            ("29 05 00" + "00" * 16, "29 06" + "00" * 16 + "00 01 00 00 01 00 00 01 00", "29 01 00 00 01 00 00 00"),
        ),
    ):
        for request in map(bytes.fromhex, requests):
            answer = unit.ask(request)
            assert answer[:2] == b"\x7f\x29"
            judge(request, [answer])
