"""Every result code of an SFD unlock is reached by a unit or a back end that misbehaves at one step, and says so in words."""

from __future__ import annotations

import pytest
from fake_ecu import silent
from scripted_workshop import EXTENDED, Said, Workshop, text, unit

from vci_driver.outcome import UnlockFailed, UnlockReport, UnlockResult
from wire.faults import FaultInjector, FaultRule
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock

VIN = "WVWZZZCDZNW000001"
STRUCTURE, TOKEN, STATE = "31 01 C0 08", "31 01 C0 04", "22 01 74"
LONG = f"71 01 C0 08 24 {'AB' * 45}"
GATEWAY = {"22 F1 90": text(0xF190, VIN), "22 2A 26": "62 2A 26 19 01 17"}
GOOD: dict[str, Said] = {
    **EXTENDED,
    STRUCTURE: LONG,
    TOKEN: "71 01 C0 04 24",
    STATE: "62 01 74 01 02 01 59",
}
WORDS = {
    UnlockResult.OK: "open",
    UnlockResult.SERVICE_NOT_FOUND: "no unlock service",
    UnlockResult.READING_STATE_FAILED: "could not be read",
    UnlockResult.LOGON_FAILED: "not logged on",
    UnlockResult.READING_REQUEST_FAILED: "unlock request",
    UnlockResult.NO_TOKEN_RECEIVED: "issued no token",
    UnlockResult.WRITING_TOKEN_FAILED: "did not take the token",
}
"""Domain facts, section 2: 1 ok, -1 service not found, -2 state, -3 log-on, -4 request, -5 no token, -6 writing the token."""


def workshop(*, gateway: dict[str, Said] = GATEWAY, **said: Said) -> Workshop:
    """A workshop with a well-behaved cluster, but for what `said` says (`token="7F 31 22"`)."""
    steps = {"session": "10 03", "structure": STRUCTURE, "token": TOKEN, "state": STATE}
    changed = {steps[name]: what for name, what in said.items()}
    return Workshop(gateway=unit(gateway), cluster=unit(GOOD | changed))


def failure(made: Workshop, name: str = "cluster") -> UnlockReport:
    with pytest.raises(UnlockFailed) as failed:
        made.tester.unlock(name)
    report = failed.value.report
    assert failed.value.result is report.result
    assert not report.ok
    assert report.ecu == name
    assert WORDS[report.result] in report.text
    assert f"({int(report.result)})" in report.text
    assert str(report.cause) in report.text
    assert failed.value.__cause__ is report.cause
    return report


def test_the_codes_are_those_of_the_field() -> None:
    assert [int(result) for result in WORDS] == [1, -1, -2, -3, -4, -5, -6]
    assert all(words in result.sentence for result, words in WORDS.items())


def test_1_a_good_unit_and_a_good_back_end_open_the_lock_in_four_requests() -> None:
    made = workshop().login()
    report = made.tester.unlock("cluster", role=1, scope=3)
    assert (report.ok, report.result, report.minutes_left, report.audit_id) == (True, 1, 89, "audit-1")
    assert report.text == "cluster: The control unit is open. (1)"
    assert made.heard("cluster") == ["10 03", STRUCTURE, f"{TOKEN} {b'a token'.hex(' ').upper()}", STATE]
    (asked,) = made.portal.unlocks()
    assert (asked.vin, asked.ecu_address, asked.role, asked.scope) == (VIN, 0x17, 1, 3)
    assert (asked.make, asked.challenge, asked.manual) == ("vag", b"\xab" * 45, False)


SILENT, PENDING_THEN_NOTHING = "", "7F 31 78"
NOT_AN_ANSWER_TO_THIS = "71 01 02 03 24"


@pytest.mark.parametrize("refusal", ["7F 31 11", "7F 31 12", "7F 31 31"])
def test_minus_1_a_unit_that_does_not_know_the_routine_has_no_unlock(refusal: str) -> None:
    made = workshop(structure=refusal).login()
    assert failure(made).result is UnlockResult.SERVICE_NOT_FOUND
    assert made.portal.unlocks() == []


def test_minus_1_a_unit_that_the_map_gives_no_lock_is_not_asked() -> None:
    made = Workshop(gateway=unit(GATEWAY), engine=silent).login()
    assert failure(made, "engine").result is UnlockResult.SERVICE_NOT_FOUND
    assert made.heard("engine") == []


@pytest.mark.parametrize("said", [SILENT, "7F 10 22", "7F 10 78", "50 02 00 32 01 F4", "50"])
def test_minus_2_a_unit_that_does_not_enter_the_session(said: str) -> None:
    assert failure(workshop(session=said).login()).result is UnlockResult.READING_STATE_FAILED


@pytest.mark.parametrize("said", [SILENT, "7F 22 31", f"62 F1 90 {'FF' * 17}", text(0xF190, "TOO SHORT")])
def test_minus_2_a_car_that_does_not_say_its_vin(said: str) -> None:
    made = workshop(gateway=GATEWAY | {"22 F1 90": said}).login()
    assert failure(made).result is UnlockResult.READING_STATE_FAILED
    assert made.heard("cluster") == []


@pytest.mark.parametrize(
    "said", [SILENT, "7F 22 31", "7F 22 78", "62 01 74", "62 01 74 01 02 01", "62 01 75 01 02 01 59"]
)
def test_minus_2_a_unit_that_took_the_token_and_does_not_say_whether_it_is_open(said: str) -> None:
    made = workshop(state=said).login()
    assert failure(made).result is UnlockResult.READING_STATE_FAILED
    assert made.heard("cluster")[-1] == STATE


def test_minus_3_nobody_is_logged_in() -> None:
    made = workshop()
    report = failure(made)
    assert report.result is UnlockResult.LOGON_FAILED
    assert "log in" in report.text
    assert made.portal.asked == []


LOGON = (
    PortalErrorCode.SESSION_INVALID,
    PortalErrorCode.CODE_REJECTED,
    PortalErrorCode.THROTTLED,
    PortalErrorCode.LOCKED_OUT,
    PortalErrorCode.SECOND_FACTOR_REQUIRED,
    PortalErrorCode.NOT_ENROLLED,
)
"""What the portal says of who is asking; all else is about what is asked for, or about itself."""


@pytest.mark.parametrize("code", PortalErrorCode)
def test_minus_3_the_portal_does_not_know_the_person_and_minus_5_it_issues_nothing_for_another_reason(
    code: PortalErrorCode,
) -> None:
    made = workshop().login()
    made.portal.refuses[RequestUnlock] = PortalError(code, "That is the reason.")
    report = failure(made)
    assert report.result is (UnlockResult.LOGON_FAILED if code in LOGON else UnlockResult.NO_TOKEN_RECEIVED)
    assert "That is the reason." in report.text
    assert TOKEN not in " ".join(made.heard("cluster"))


def test_minus_5_an_empty_answer_of_the_back_end_is_no_token() -> None:
    made = workshop().login()
    made.portal.payload = b""
    assert failure(made).result is UnlockResult.NO_TOKEN_RECEIVED
    assert TOKEN not in " ".join(made.heard("cluster"))


def test_minus_3_after_the_portal_forgot_the_session_only_a_login_helps() -> None:
    made = workshop().login()
    made.portal.refuses[RequestUnlock] = PortalError(PortalErrorCode.SESSION_INVALID, "Log in again.")
    failure(made)
    made.portal.refuses.clear()
    assert failure(made).result is UnlockResult.LOGON_FAILED
    assert made.login().tester.unlock("cluster").ok


@pytest.mark.parametrize(
    "said",
    [
        SILENT,
        PENDING_THEN_NOTHING,
        NOT_AN_ANSWER_TO_THIS,
        "7F 31 22",
        "7F 31 33",
        "7F 31 7F",
        "71 01 C0 08",
        "71 01 C0 08 24",
        "71 01 C0 08 00 AA BB",
        "71",
    ],
)
def test_minus_4_a_unit_that_does_not_hand_out_its_request(said: str) -> None:
    made = workshop(structure=said).login()
    assert failure(made).result is UnlockResult.READING_REQUEST_FAILED
    assert made.portal.unlocks() == []


@pytest.mark.parametrize("lost", [1, 5, 6])
def test_minus_4_a_request_structure_that_breaks_off_on_the_way(lost: int) -> None:
    """A consecutive frame in the middle, or the last one: a wrong sequence number, or N_Cr."""
    made = workshop().login()
    made.tester.identify()
    made.table.bus.faults = faults = FaultInjector(made.world.rng("faults"))
    faults.add(FaultRule(kind="drop", can_id=0x77E, skip=1 + lost, count=1))  # one for the session's answer
    assert failure(made).result is UnlockResult.READING_REQUEST_FAILED


@pytest.mark.parametrize(
    "said",
    [
        SILENT,
        PENDING_THEN_NOTHING,
        NOT_AN_ANSWER_TO_THIS,
        "7F 31 31",
        "7F 31 24",
        "7F 31 35",
        "7F 31 13",
        "7F 31 11",
        "71 01 C0 04",
        "71 01 C0 04 00",
        "71 01 C0 04 24 00",
    ],
)
def test_minus_6_a_unit_that_does_not_take_the_token(said: str) -> None:
    made = workshop(token=said).login()
    assert failure(made).result is UnlockResult.WRITING_TOKEN_FAILED
    assert made.heard("cluster")[-1].startswith(TOKEN)


@pytest.mark.parametrize("state", ["62 01 74 00 00 01 00", "62 01 74 02 02 01 59"])
def test_minus_6_a_unit_that_takes_the_token_and_says_that_it_is_not_open(state: str) -> None:
    report = failure(workshop(state=state).login())
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED


def test_minus_6_a_token_that_is_longer_than_the_unit_s_buffer() -> None:
    made = workshop().login()
    made.portal.payload = bytes(70_000)
    assert failure(made).result is UnlockResult.WRITING_TOKEN_FAILED


def test_a_failed_unlock_hinders_no_later_one() -> None:
    answers = ["7F 31 22", "71 01 C0 04 24"]
    made = workshop(token=lambda _: bytes.fromhex(answers.pop(0))).login()
    failure(made)
    assert made.tester.unlock("cluster").ok


def test_a_list_of_units_that_cannot_be_read_is_no_reason_not_to_unlock() -> None:
    made = workshop(gateway=GATEWAY | {"22 2A 26": "7F 22 31"}).login()
    assert made.tester.unlock("cluster").ok
