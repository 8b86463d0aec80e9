"""The tester with a unit that has SFD2: signs, wraps, unwraps, and says at which step it ended when a side misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fake_ecu import CAR, silent
from scripted_workshop import EXTENDED, Said, Workshop, text, unit
from udsoncan.exceptions import NegativeResponseException

from vci_driver.car_map import UnlockScheme
from vci_driver.outcome import UnlockFailed, UnlockResult
from vci_driver.signed_changes import ChangeTerms, is_change
from vci_driver.uds_connection import EcuTimeout
from wire.errors import RemoteTimeout
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, UnlockKind
from wire.secured import SECURED_ANSWER, Administrative, SecuredMessage
from wire.signed_change import CHANGE_SIGNATURE_LEN, ChangeOrder, ChangeRequest, Place, sign_answer
from wire.token import Generation, RequestStructure, Scope

VIN = "WVWZZZCDZNW000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SFD2_CAR = replace(
    CAR,
    ecus=tuple(replace(ecu, scheme=UnlockScheme.SFD2) if ecu.name == "cluster" else ecu for ecu in CAR.ecus),
)
REQUEST = ChangeRequest(
    structure=RequestStructure(ecu_address=0x17, vin=VIN, nonce=bytes(16), generation=Generation.SFD2),
    last_counter=7,
)
PLACE = Place(vin=VIN, ecu_address=0x17, nonce=bytes(16))
SIGNATURE = bytes(CHANGE_SIGNATURE_LEN)
GATEWAY: dict[str, Said] = {"22 F1 90": text(0xF190, VIN), "22 2A 26": "62 2A 26 19 01 17"}


def served(answer: Callable[[SecuredMessage], bytes]) -> Callable[[bytes], bytes]:
    """What the cluster does with a secured request: `answer` is given the message, and returns the inner answer."""

    def act(payload: bytes) -> bytes:
        asked = SecuredMessage.decode(payload)
        return secured(asked, answer(asked)).encode()

    return act


def secured(asked: SecuredMessage, inner: bytes, **changes: object) -> SecuredMessage:
    fields = {"administrative": 0, "counter": asked.counter, "inner": inner, "sid": SECURED_ANSWER}
    return SecuredMessage(**{**fields, **changes})


def writes(asked: SecuredMessage) -> bytes:
    return bytes((asked.inner[0] + 0x40,)) + asked.inner[1 : 4 if asked.inner[0] == 0x31 else 3]


def workshop(change: Said = "", **said: Said) -> Workshop:
    """A workshop with a good cluster that has SFD2, but for what `said` says of one step."""
    steps = {
        "session": "10 03",
        "active": "22 F1 86",
        "structure": "31 01 C0 08",
        "state": "22 01 74",
        "key": "22 01 75",
    }
    cluster: dict[str, Said] = {
        **EXTENDED,
        "22 F1 86": "62 F1 86 03",
        "31 01 C0 08": f"71 01 C0 08 24 {REQUEST.encode().hex()}",
        "31 01 C0 0A": "71 01 C0 0A 24",
        "22 01 74": "62 01 74 00 00 02 00",
        "22 01 75": f"62 01 75 {KEY.public_key().public_bytes_raw().hex()}",
        "84": change or served(writes),
    }
    cluster.update({steps[name]: what for name, what in said.items()})
    made = Workshop(SFD2_CAR, gateway=unit(GATEWAY), cluster=unit(cluster)).login()
    made.portal.payload = SIGNATURE
    return made


def orders(made: Workshop) -> list[ChangeOrder]:
    return [ChangeOrder.decode(request.challenge) for request in made.portal.unlocks()]


# ---- what goes well


def test_a_coding_is_three_signed_changes_each_for_the_next_counter() -> None:
    made = workshop()
    made.tester.write_coding("cluster", b"\x01\x02")
    assert [order.message.inner[:3].hex() for order in orders(made)] == ["2ef199", "2ef198", "2e0600"]
    assert {order.message.counter for order in orders(made)} == {8}, "as the scripted unit says each time"
    for request in made.portal.unlocks():
        assert (request.kind, request.scope, request.vin) == (UnlockKind.SIGNED_CHANGE, Scope.CODING, VIN)
        assert (request.code, request.manual) == (None, False)
    sent = [SecuredMessage.decode(bytes.fromhex(line)) for line in made.heard("cluster") if line.startswith("84")]
    assert [message.inner for message in sent] == [order.message.inner for order in orders(made)]
    assert {message.signature for message in sent} == {SIGNATURE}


def test_the_session_is_entered_once_or_what_was_written_would_be_forgotten() -> None:
    made = workshop()
    made.tester.write_coding("cluster", b"\x01\x02")
    assert "10 03" not in made.heard("cluster"), "the unit says that it is in the extended session already"
    made = workshop(active="62 F1 86 01")
    made.tester.secured("cluster").write_data_by_identifier(0x0600, b"\x01")
    assert made.heard("cluster").count("10 03") == 1


def test_what_changes_nothing_goes_as_it_is() -> None:
    made = workshop()
    client = made.tester.secured("cluster")
    client.read_data_by_identifier(0x0174)
    client.change_session(3)
    client.write_data_by_identifier(0x0600, b"\x01")
    client.read_data_by_identifier(0x0174)
    heads = [line[:5] for line in made.heard("cluster")]
    assert heads == ["22 01", "10 03", "22 F1", "31 01", "84 00", "22 01"]


def test_which_requests_are_changes() -> None:
    changes = ("2E 06 00 01", "2F 06 00 03", "31 01 02 03", "31 03 02 03", "31")
    plain = ("22 F1 90", "10 03", "31 01 C0 08", "31 01 C0 04 00", "31 01 C0 0A", "3E 80", "84 00 21 01 00 00 00 01 2E")
    assert all(is_change(bytes.fromhex(request)) for request in changes)
    assert not any(is_change(bytes.fromhex(request)) for request in plain)


def test_0x78_is_waited_through() -> None:
    def slow(payload: bytes) -> bytes:
        made.table.ecus["cluster"].say(served(writes)(payload), 4000)
        return bytes.fromhex("7F 84 78")

    made = workshop(slow)
    made.tester.secured("cluster").write_data_by_identifier(0x0600, b"\x01")
    assert made.tester.link.counters.pending == 1
    signer = made.tester.change_signer
    assert signer.send(signer.signed("cluster", bytes.fromhex("2E 06 00 01"), ChangeTerms())) == b"\x6e\x06\x00"


def test_a_refusal_of_the_inner_service_is_udsoncans_own() -> None:
    made = workshop(served(lambda asked: bytes((0x7F, asked.inner[0], 0x93))))
    with pytest.raises(NegativeResponseException) as refused:
        made.tester.write_coding("cluster", b"\x01\x02")
    assert refused.value.response.code == 0x93
    assert refused.value.response.service.request_id() == 0x2E


def test_a_suppressed_answer_is_not_waited_for() -> None:
    made = workshop(lambda payload: None)  # type: ignore[arg-type, return-value]
    signer = made.tester.change_signer
    assert signer.send(signer.signed("cluster", bytes.fromhex("31 81 02 03"), ChangeTerms())) == b""
    client = made.tester.secured("cluster")
    with client.suppress_positive_response:
        assert client.start_routine(0x0203) is None
    assert [line[:2] for line in made.heard("cluster")].count("84") == 2


def test_the_tester_says_that_the_unit_takes_signed_changes_only() -> None:
    made = workshop()
    state = made.tester.unlock_state("cluster")
    assert state.locked
    assert state.signed_changes_only
    made.tester.relock("cluster")
    assert "31 01 C0 0A" in made.heard("cluster")
    (report,) = [line for line in made.tester.scan() if line.name == "cluster"]
    assert report.locked is True


def test_a_make_that_wants_a_code_for_each_change_gets_one() -> None:
    made = workshop()
    codes = iter(("111111", "222222", "333333"))

    class Phone:
        def needs_new_step(self, now_ns: int) -> bool:
            return False

        def fresh_code(self, world: object) -> str:
            return next(codes)

    made.tester.link.car = replace(SFD2_CAR, second_factor_per_change=True)
    made.login(Phone())
    made.tester.write_coding("cluster", b"\x01\x02")
    assert [request.code for request in made.portal.unlocks()] == ["111111", "222222", "333333"]


# ---- signed answers


def test_a_signed_answer_is_verified_with_the_units_own_key() -> None:
    def act(payload: bytes) -> bytes:
        asked = SecuredMessage.decode(payload)
        assert asked.administrative & Administrative.SIGNATURE_ON_ANSWER
        answer = secured(asked, writes(asked), administrative=Administrative.SIGNED)
        return replace(answer, signature=sign_answer(PLACE, answer, KEY)).encode()

    made = workshop(act)
    signer = made.tester.change_signer
    change = signer.signed("cluster", bytes.fromhex("2E 06 00 01"), ChangeTerms(signed_answer=True))
    assert signer.send(change) == b"\x6e\x06\x00"


@pytest.mark.parametrize("key", ["62 01 75 " + 32 * "11", "62 01 75 00", "7F 22 31"])
@pytest.mark.parametrize("signature", [b"", bytes(64)])
def test_an_answer_that_is_not_signed_as_was_asked_for_is_not_believed(signature: bytes, key: str) -> None:
    made = workshop(
        lambda payload: secured(SecuredMessage.decode(payload), b"\x6e\x06\x00", signature=signature).encode(), key=key
    )
    signer = made.tester.change_signer
    change = signer.signed("cluster", bytes.fromhex("2E 06 00 01"), ChangeTerms(signed_answer=True))
    with pytest.raises(UnlockFailed) as failed:
        signer.send(change)
    assert failed.value.result is UnlockResult.WRITING_TOKEN_FAILED


# ---- each step that fails has its result


def failure(made: Workshop) -> UnlockFailed:
    with pytest.raises(UnlockFailed) as failed:
        made.tester.secured("cluster").write_data_by_identifier(0x0600, b"\x01")
    assert failed.value.report.ecu == "cluster"
    assert failed.value.__cause__ is failed.value.report.cause
    return failed.value


@pytest.mark.parametrize(
    ("step", "said", "result"),
    [
        ("active", "", UnlockResult.READING_STATE_FAILED),
        ("session", "7F 10 22", UnlockResult.READING_STATE_FAILED),
        ("structure", "7F 31 31", UnlockResult.SERVICE_NOT_FOUND),
        ("structure", "7F 31 22", UnlockResult.READING_REQUEST_FAILED),
        ("structure", "", UnlockResult.READING_REQUEST_FAILED),
        ("structure", "71 01 C0 08 24 00 01", UnlockResult.READING_REQUEST_FAILED),
        (
            "structure",
            "71 01 C0 08 24"
            + replace(REQUEST, structure=replace(REQUEST.structure, generation=Generation.SFD)).encode().hex(),
            UnlockResult.READING_REQUEST_FAILED,
        ),
    ],
)
def test_what_fails_before_the_back_end_is_asked(step: str, said: str, result: UnlockResult) -> None:
    answers = {step: said, **({"active": "62 F1 86 01"} if step == "session" else {})}
    made = workshop(**answers)
    assert failure(made).result is result
    assert not made.portal.unlocks()


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (PortalErrorCode.SESSION_INVALID, UnlockResult.LOGON_FAILED),
        (PortalErrorCode.NOT_ENTITLED, UnlockResult.NO_TOKEN_RECEIVED),
        (PortalErrorCode.UNAVAILABLE, UnlockResult.NO_TOKEN_RECEIVED),
        (PortalErrorCode.REQUEST_STRUCTURE_INVALID, UnlockResult.NO_TOKEN_RECEIVED),
    ],
)
def test_what_the_back_end_refuses_is_not_sent(code: PortalErrorCode, result: UnlockResult) -> None:
    made = workshop()
    made.portal.refuses[RequestUnlock] = PortalError(code, "No.")
    assert failure(made).result is result
    assert not [line for line in made.heard("cluster") if line.startswith("84")]


def test_an_empty_signature_is_none() -> None:
    made = workshop()
    made.portal.payload = b""
    assert failure(made).result is UnlockResult.NO_TOKEN_RECEIVED


def test_nobody_logged_in_signs_nothing() -> None:
    made = workshop()
    made.tester.logout()
    assert failure(made).result is UnlockResult.LOGON_FAILED


@pytest.mark.parametrize("nrc", [0x11, 0x13, 0x39, 0x3A, 0x7F])
def test_a_refusal_of_the_change_itself_says_that_the_unit_did_not_take_it(nrc: int) -> None:
    failed = failure(workshop(f"7F 84 {nrc:02X}"))
    assert failed.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(failed.report.cause, NegativeResponseException)
    assert failed.report.cause.response.code == nrc


@pytest.mark.parametrize(
    "answer",
    [
        "C4",
        "C4 00 00 01 00 00 00 08",
        "C4 00 00 01 00 09 00 08 6E 06 00",
        "C4 00 00 01 00 00 00 07 6E 06 00",
        "6E 06 00",
    ],
    ids=["bare", "nothing inside", "a signature that is not there", "another counter", "not wrapped"],
)
def test_an_answer_that_is_none_is_not_believed(answer: str) -> None:
    assert failure(workshop(answer)).result is UnlockResult.WRITING_TOKEN_FAILED


def test_silence_after_the_change_is_a_failure_that_says_so() -> None:
    """As with a gateway that drops what it blocks."""
    failed = failure(workshop(lambda payload: None))  # type: ignore[arg-type, return-value]
    assert failed.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(failed.report.cause, RemoteTimeout)


def test_a_unit_that_says_nothing_at_all_is_a_state_that_cannot_be_read() -> None:
    made = Workshop(SFD2_CAR, gateway=unit(GATEWAY), cluster=silent).login()
    assert failure(made).result is UnlockResult.READING_STATE_FAILED
    with pytest.raises(EcuTimeout):
        made.tester.write_coding("cluster", b"\x01")


def test_no_token_is_asked_for_where_none_opens() -> None:
    made = workshop()
    with pytest.raises(UnlockFailed, match="each change is signed for itself") as failed:
        made.tester.unlock("cluster")
    assert failed.value.result is UnlockResult.SERVICE_NOT_FOUND
    assert not made.portal.unlocks()
