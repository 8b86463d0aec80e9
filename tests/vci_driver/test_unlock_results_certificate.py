"""The result codes of a certificate unlock, reached by gateways and back ends that misbehave; no proof is given away."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fake_ecu import MS
from scripted_workshop import EXTENDED, Said, Workshop, text, unit
from udsoncan.exceptions import InvalidResponseException, NegativeResponseException

from vci_driver.car_map import CarMap, EcuEntry, UnlockScheme
from vci_driver.outcome import UnlockFailed, UnlockReport, UnlockResult
from wire.diag_cert import ownership_proven
from wire.errors import RemoteFault, RemoteTimeout
from wire.faults import FaultInjector, FaultRule
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, UnlockKind

VIN = "W1KZZZ2130A000001"
CAR = CarMap(
    make="mercedes",
    gateway="gateway",
    functional_id=0x441,
    ecus=(
        EcuEntry(name="gateway", address=0x0119, request_id=0x710, response_id=0x77A, scheme=UnlockScheme.CERTIFICATE),
        EcuEntry(name="cluster", address=0x17, request_id=0x714, response_id=0x77E, lock_holder="gateway"),
    ),
)
CHALLENGE = bytes(range(32))
SHOW, PROVE = "29 01", "29 03"
VERIFIED, COMPLETE = f"69 01 11 00 20 {CHALLENGE.hex()} 00 00", "69 03 12 00 00"
GOOD: dict[str, Said] = {**EXTENDED, "22 F1 90": text(0xF190, VIN), SHOW: VERIFIED, PROVE: COMPLETE}


def workshop(**said: Said) -> Workshop:
    """A workshop with a well-behaved gateway, but for what `said` says."""
    steps = {"session": "10 03", "vin": "22 F1 90", "show": SHOW, "prove": PROVE}
    made = Workshop(CAR, gateway=unit(GOOD | {steps[name]: what for name, what in said.items()}))
    made.portal.payload = b"a chain of certificates"
    return made.login()


def failure(made: Workshop) -> UnlockReport:
    with pytest.raises(UnlockFailed) as failed:
        made.tester.unlock("cluster")
    report = failed.value.report
    assert report.ecu == "gateway"
    assert report.text.startswith(f"gateway: {report.result.sentence} ({int(report.result)})")
    return report


def proofs(made: Workshop) -> list[str]:
    return [heard for heard in made.heard("gateway") if heard.startswith(PROVE)]


def test_1_the_gateway_is_shown_the_chain_and_given_a_proof_for_car_and_unit_with_the_key_that_was_certified() -> None:
    made = workshop()
    report = made.tester.unlock("cluster")
    assert (report.ecu, report.ok, report.minutes_left, report.audit_id) == ("gateway", True, None, "audit-1")
    (asked,) = made.portal.unlocks()
    assert (asked.kind, asked.vin, asked.ecu_address) == (UnlockKind.CERTIFICATE, VIN, 0x0119)
    shown = next(heard for heard in made.heard("gateway") if heard.startswith(SHOW))
    chain = made.portal.payload
    assert bytes.fromhex(shown) == b"\x29\x01\x00" + len(chain).to_bytes(2, "big") + chain + b"\x00\x00"
    (proof,) = proofs(made)
    said = bytes.fromhex(proof)
    size = int.from_bytes(said[2:4], "big")
    assert said[4 + size :] == b"\x00\x00"
    key = load_der_public_key(asked.challenge)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert ownership_proven(key, said[4 : 4 + size], CHALLENGE, VIN, 0x0119)
    assert not ownership_proven(key, said[4 : 4 + size], CHALLENGE, VIN, 0x17)


def test_each_unlock_has_a_key_of_its_own() -> None:
    made = workshop()
    made.tester.unlock("cluster")
    made.tester.unlock("gateway")
    first, second = made.portal.unlocks()
    assert first.challenge != second.challenge


def test_a_tester_that_hesitates_does_so_between_challenge_and_proof() -> None:
    made = workshop()
    made.tester.unlock("cluster", hesitate_ns=3_000 * MS)
    times = {payload[:2].hex(): time_ns for time_ns, payload in made.table.ecus["gateway"].heard}
    assert times["2903"] - times["2901"] >= 3_000 * MS


@pytest.mark.parametrize("step", ["show", "prove"])
def test_minus_1_a_gateway_that_does_not_know_the_service_has_no_unlock(step: str) -> None:
    assert failure(workshop(**{step: "7F 29 11"})).result is UnlockResult.SERVICE_NOT_FOUND


@pytest.mark.parametrize("said", [{"session": ""}, {"session": "7F 10 22"}, {"vin": ""}, {"vin": "7F 22 31"}])
def test_minus_2_a_gateway_that_says_no_vin_or_does_not_enter_the_session(said: dict[str, str]) -> None:
    made = workshop(**said)
    assert failure(made).result is UnlockResult.READING_STATE_FAILED
    assert made.portal.unlocks() == []


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (PortalErrorCode.SESSION_INVALID, UnlockResult.LOGON_FAILED),
        (PortalErrorCode.SECOND_FACTOR_REQUIRED, UnlockResult.LOGON_FAILED),
        (PortalErrorCode.NOT_ENTITLED, UnlockResult.NO_TOKEN_RECEIVED),
        (PortalErrorCode.UNAVAILABLE, UnlockResult.NO_TOKEN_RECEIVED),
    ],
)
def test_minus_3_and_minus_5_the_portal_says_no_of_the_person_or_of_the_certificate(
    code: PortalErrorCode, result: UnlockResult
) -> None:
    made = workshop()
    made.portal.refuses[RequestUnlock] = PortalError(code, "No.")
    assert failure(made).result is result
    assert SHOW not in {heard[:5] for heard in made.heard("gateway")}


@pytest.mark.parametrize("nrc", range(0x50, 0x5E))
@pytest.mark.parametrize("step", ["show", "prove"])
def test_minus_6_the_gateway_s_own_reason_is_the_cause(step: str, nrc: int) -> None:
    report = failure(workshop(**{step: f"7F 29 {nrc:02X}"}))
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(report.cause, NegativeResponseException)
    assert report.cause.response.code == nrc


@pytest.mark.parametrize("said", ["", "7F 29 78"])
@pytest.mark.parametrize("step", ["show", "prove"])
def test_minus_6_a_gateway_that_falls_silent(step: str, said: str) -> None:
    report = failure(workshop(**{step: said}))
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(report.cause, RemoteTimeout)


@pytest.mark.parametrize("returned", [0x00, 0x01, 0x04, 0x10, 0x12, 0x13])
def test_minus_6_a_return_value_other_than_ownership_verification_necessary_gets_no_proof(returned: int) -> None:
    """ISO 14229-1: 0x13 is verified with nothing to prove, which is the end of another way; 0x11 asks for the proof."""
    made = workshop(show=VERIFIED.replace("69 01 11", f"69 01 {returned:02X}"))
    report = failure(made)
    assert (report.result, type(report.cause)) == (UnlockResult.WRITING_TOKEN_FAILED, RemoteFault)
    assert f"0x{returned:02X}" in report.text
    assert proofs(made) == []


@pytest.mark.parametrize("returned", [0x00, 0x01, 0x10, 0x11, 0x13])
def test_minus_6_a_proof_that_the_gateway_does_not_call_complete_is_not_taken(returned: int) -> None:
    report = failure(workshop(prove=f"69 03 {returned:02X} 00 00"))
    assert (report.result, type(report.cause)) == (UnlockResult.WRITING_TOKEN_FAILED, RemoteFault)


@pytest.mark.parametrize("size", [0, 1, 15])
def test_minus_6_a_short_challenge_is_not_signed(size: int) -> None:
    made = workshop(show=f"69 01 11 {size:04X} {'AA' * size} 00 00")
    report = failure(made)
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert f"challenge of {size} bytes" in report.text
    assert proofs(made) == []


@pytest.mark.parametrize(
    "said", ["69 01", "69 01 11", "69 01 11 00", "69 01 11 FF FF 00", "69 01 11 00 00 00 00 00", "69", "69 09 11 00 00"]
)
def test_minus_6_an_answer_with_wrong_lengths_is_a_failure_with_words(said: str) -> None:
    made = workshop(show=said)
    report = failure(made)
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(report.cause, InvalidResponseException)
    assert proofs(made) == []


@pytest.mark.parametrize("said", ["69 03 12 00 00", "69 00 11 00 20"])
def test_minus_6_an_answer_to_another_task(said: str) -> None:
    assert failure(workshop(show=said)).result is UnlockResult.WRITING_TOKEN_FAILED


@pytest.mark.parametrize("can_id", [0x710, 0x77A])
def test_minus_6_a_chain_or_a_challenge_that_breaks_off_on_the_way(can_id: int) -> None:
    made = workshop()
    made.tester.identify()
    made.portal.payload = bytes(500)
    made.table.bus.faults = faults = FaultInjector(made.world.rng("faults"))
    faults.add(FaultRule(kind="drop", can_id=can_id, skip=4, count=1))
    assert failure(made).result is UnlockResult.WRITING_TOKEN_FAILED


@pytest.mark.parametrize(
    ("chain", "result"),
    [(b"", UnlockResult.NO_TOKEN_RECEIVED), (bytes(0x1_0000), UnlockResult.WRITING_TOKEN_FAILED)],
)
def test_minus_5_a_back_end_that_issues_nothing_and_minus_6_one_that_issues_more_than_the_field_holds(
    chain: bytes, result: UnlockResult
) -> None:
    made = workshop()
    made.portal.payload = chain
    assert failure(made).result is result
    assert SHOW not in {heard[:5] for heard in made.heard("gateway")}


def test_a_failed_unlock_hinders_no_later_one() -> None:
    answers = ["7F 29 58", COMPLETE]
    made = workshop(prove=lambda _: bytes.fromhex(answers.pop(0)))
    assert failure(made).result is UnlockResult.WRITING_TOKEN_FAILED
    assert made.tester.unlock("cluster").ok


@pytest.mark.parametrize(
    ("said", "error"),
    [("69 00 11", RemoteFault), ("7F 29 22", NegativeResponseException), ("69 00", InvalidResponseException)],
)
def test_a_lock_command_that_the_gateway_does_not_carry_out_is_no_success(said: str, error: type[Exception]) -> None:
    made = Workshop(CAR, gateway=unit(GOOD | {"29 00": said}))
    with pytest.raises(error):
        made.tester.relock("cluster")
