"""The unlock that a person carries by hand: request exported, signed elsewhere, token imported; and what can go wrong there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fake_ecu import silent
from scripted_workshop import EXTENDED, Said, Workshop, text, unit

from bench import Bench
from vci_driver.outcome import UnlockFailed, UnlockResult
from vci_driver.portal_client import NotLoggedIn
from wire.errors import ConfigError, LocalMisuse, WorldStopped
from wire.manual_flow import REQUEST, TOKEN, decode_text, encode_text
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock
from wire.token import RequestStructure

VIN = "WVWZZZCDZNW000001"
STRUCTURE = RequestStructure(ecu_address=0x17, vin=VIN, nonce=bytes(16)).encode()
FETCH, WRITE, STATE, SESSION = "31 01 C0 08", "31 01 C0 04", "22 01 74", "10 03"
GATEWAY = unit({"22 F1 90": text(0xF190, VIN), "22 2A 26": "62 2A 26 19 01 17"})
GOOD: dict[str, Said] = {
    **EXTENDED,
    FETCH: f"71 01 C0 08 24 {STRUCTURE.hex()}",
    WRITE: "71 01 C0 04 24",
    STATE: "62 01 74 01 02 01 59",
}


def workshop(**said: Said) -> Workshop:
    steps = {"session": SESSION, "fetch": FETCH, "write": WRITE, "state": STATE}
    changed = {steps[name]: what for name, what in said.items()}
    return Workshop(gateway=GATEWAY, cluster=unit(GOOD | changed), engine=silent)


def test_the_text_says_make_car_and_unit_and_carries_the_structure_as_it_came() -> None:
    headers, data = decode_text(REQUEST, workshop().tester.export_request("cluster"))
    assert headers == {"Make": "vag", "VIN": VIN, "Unit": "17"}
    assert data == STRUCTURE


def test_export_needs_no_login_and_the_token_that_comes_back_is_written() -> None:
    made = workshop()
    exported = made.tester.export_request("cluster")
    signed = made.login().tester.sign_request(exported, role=1, scope=3)
    (asked,) = made.portal.unlocks()
    assert (asked.manual, asked.vin, asked.ecu_address, asked.challenge) == (True, VIN, 0x17, STRUCTURE)
    assert (asked.role, asked.scope) == (1, 3)
    report = made.tester.import_token("cluster", signed)
    assert (report.ok, report.minutes_left) == (True, 89)
    assert f"{WRITE} {b'a token'.hex(' ').upper()}" in made.heard("cluster")


def test_a_real_unit_takes_the_token_hours_later_and_in_another_session() -> None:
    """The structure's nonce survives the loss of the session (domain facts, section 2)."""
    with Bench(seed=3, vehicle="vag-golf") as bench:
        core = bench.tester("logged-in").core
        signed = core.sign_request(core.export_request("cluster"))
        core.link.keep_alive(on=False)
        bench.sleep(hours=3)
        assert core.import_token("cluster", signed).ok


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"session": ""}, UnlockResult.READING_STATE_FAILED),
        ({"session": "7F 10 22"}, UnlockResult.READING_STATE_FAILED),
        ({"fetch": "7F 31 31"}, UnlockResult.SERVICE_NOT_FOUND),
        ({"fetch": "7F 31 22"}, UnlockResult.READING_REQUEST_FAILED),
        ({"fetch": ""}, UnlockResult.READING_REQUEST_FAILED),
        ({"fetch": "71 01 C0 08 24"}, UnlockResult.READING_REQUEST_FAILED),
    ],
)
def test_a_request_that_cannot_be_exported_says_at_which_step(said: dict[str, str], result: UnlockResult) -> None:
    with pytest.raises(UnlockFailed) as failed:
        workshop(**said).tester.export_request("cluster")
    assert failed.value.result is result


def test_a_car_that_does_not_say_its_vin_has_no_request_to_export() -> None:
    made = Workshop(gateway=silent, engine=silent, cluster=unit(GOOD))
    with pytest.raises(UnlockFailed) as failed:
        made.tester.export_request("cluster")
    assert failed.value.result is UnlockResult.READING_STATE_FAILED


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"session": "7F 10 22"}, UnlockResult.READING_STATE_FAILED),
        ({"write": "7F 31 35"}, UnlockResult.WRITING_TOKEN_FAILED),
        ({"write": ""}, UnlockResult.WRITING_TOKEN_FAILED),
        ({"state": ""}, UnlockResult.READING_STATE_FAILED),
        ({"state": "62 01 74 00 00 01 00"}, UnlockResult.WRITING_TOKEN_FAILED),
    ],
)
def test_a_token_that_is_not_taken_says_at_which_step(said: dict[str, str], result: UnlockResult) -> None:
    with pytest.raises(UnlockFailed) as failed:
        workshop(**said).tester.import_token("cluster", encode_text(TOKEN, {}, b"a token"))
    assert failed.value.result is result


def test_what_is_no_request_is_not_taken_to_the_portal_and_what_is_no_token_not_to_the_unit() -> None:
    made = workshop().login()
    for wrong in (
        "",
        "hello",
        encode_text(TOKEN, {}, STRUCTURE),
        encode_text(REQUEST, {}, STRUCTURE[:-1]),
        encode_text(REQUEST, {}, b"XX" + STRUCTURE[2:]),
    ):
        with pytest.raises(ConfigError):
            made.tester.sign_request(wrong)
    with pytest.raises(ConfigError):
        made.tester.import_token("cluster", encode_text(REQUEST, {}, b"a token"))
    assert made.portal.unlocks() == []
    assert made.heard("cluster") == []


def test_the_portal_s_refusal_and_a_missing_login_reach_the_person_at_the_desk() -> None:
    made = workshop()
    exported = made.tester.export_request("cluster")
    with pytest.raises(NotLoggedIn):
        made.tester.sign_request(exported)
    made.login().portal.refuses[RequestUnlock] = PortalError(PortalErrorCode.NOT_ENTITLED, "No.")
    with pytest.raises(PortalError, match="No"):
        made.tester.sign_request(exported)


@pytest.mark.parametrize(
    "act",
    [
        lambda tester, name: tester.export_request(name),
        lambda tester, name: tester.import_token(name, encode_text(TOKEN, {}, b"a token")),
    ],
)
@pytest.mark.parametrize(("vehicle", "name"), [("vag-golf", "engine"), ("mb-eclass", "cluster")])
def test_a_lock_that_no_token_opens_has_no_manual_flow(
    act: Callable[[object, str], object], vehicle: str, name: str
) -> None:
    with Bench(vehicle=vehicle) as bench, pytest.raises(LocalMisuse, match=f"'{name}' has no lock that a token"):
        act(bench.tester().core, name)


def test_a_world_that_stopped_is_no_result_of_an_unlock() -> None:
    def breaks(_: bytes) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(WorldStopped, match="ZeroDivisionError"):
        workshop(fetch=breaks).login().tester.unlock("cluster")
