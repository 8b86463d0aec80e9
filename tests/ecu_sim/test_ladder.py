"""The order in which a control unit refuses (ISO 14229-1 domain facts, section 5) and when it is silent."""

import pytest
from ecu_bench import MS, SERVICES, Ecu, refused

from ecu_sim.profile import Access, SecurityLevel, ServiceRule
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope

SLOW = {
    **SERVICES,
    0x22: ServiceRule(work_ns=200 * MS),
    0x31: ServiceRule(work_ns=200 * MS),
    0x3E: ServiceRule(work_ns=200 * MS),
}
SLOW_SUPPRESSIBLE = {**SERVICES, 0x10: ServiceRule(work_ns=200 * MS), 0x85: ServiceRule(work_ns=200 * MS)}


def listed(requests: str) -> list[str]:
    return [request.strip() for request in requests.split(",")]


def locked_service(sid: int, access: Access) -> dict[int, ServiceRule]:
    return {**SERVICES, sid: ServiceRule(access=access)}


@pytest.mark.parametrize("request_", ["2F", "2F 06 00 03", "23", "00", "29 01 00", "BA BE", "7F 22 31", "50 03", "FF"])
def test_an_unknown_service_is_refused_whatever_follows_it(request_: str) -> None:
    assert Ecu().ask(request_) == refused(int(request_[:2], 16), 0x11)


@pytest.mark.parametrize("request_", ["27 03", "27", "27 7F", "28 00 01", "28", "28 55 01", "85 01", "85", "85 7F"])
def test_the_wrong_session_is_named_before_length_and_sub_function(request_: str) -> None:
    assert Ecu().ask(request_) == refused(int(request_[:2], 16), 0x7F)


@pytest.mark.parametrize("request_", ["27 03", "28 00 01", "85 01"])
def test_what_the_default_session_lacks_is_there_in_the_extended_session(request_: str) -> None:
    assert not Ecu().extended().ask(request_).startswith("7F")


def test_a_profile_may_confine_a_service_to_sessions() -> None:
    ecu = Ecu(services=locked_service(0x11, Access(sessions=frozenset((3,)))))
    assert ecu.ask("11") == refused(0x11, 0x7F)
    assert ecu.extended().ask("11") == refused(0x11, 0x13)


@pytest.mark.parametrize("nrc", [0x33, 0x34])
@pytest.mark.parametrize("request_", ["11 01", "11", "11 55"])
def test_a_locked_service_is_refused_before_its_length_and_sub_function(nrc: int, request_: str) -> None:
    services = locked_service(0x11, Access(scope=Scope.RESET))
    ecu = Ecu(locked=True, refusal_nrc=nrc, services=services)
    assert ecu.ask(request_) == refused(0x11, nrc)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.CODING
    assert ecu.ask(request_) == refused(0x11, nrc), "a grant for something else"
    ecu.gate.opened = Scope.RESET
    assert ecu.ask(request_) != refused(0x11, nrc)


def test_the_session_is_named_before_the_lock() -> None:
    ecu = Ecu(locked=True, services=locked_service(0x85, Access(scope=Scope.ADAPTATION)))
    assert ecu.ask("85 01") == refused(0x85, 0x7F)
    assert ecu.extended().ask("85 01") == refused(0x85, 0x33)


def test_a_service_may_ask_for_an_open_security_level() -> None:
    ecu = Ecu(services=locked_service(0x11, Access(security=3))).extended()
    assert ecu.ask("11 01") == refused(0x11, 0x33)
    ecu.open_level(5)
    assert ecu.ask("11 01") == refused(0x11, 0x33), "another level is open"
    ecu.open_level(3)
    assert ecu.ask("11 01") == "51 01"


def test_what_passed_once_is_judged_again_when_the_lock_closes() -> None:
    ecu = Ecu(locked=True, services=locked_service(0x3E, Access(scope=Scope.ROUTINES)))
    assert ecu.gate is not None
    ecu.gate.opened = Scope.ROUTINES
    assert ecu.ask("3E 00") == "7E 00"
    ecu.gate.opened = Scope(0)
    assert ecu.ask("3E 00") == refused(0x3E, 0x33)


@pytest.mark.parametrize("sid", [0x10, 0x11, 0x19, 0x27, 0x28, 0x3E, 0x85])
def test_a_missing_sub_function_is_a_wrong_length(sid: int) -> None:
    assert Ecu().extended().ask(bytes((sid,))) == refused(sid, 0x13)


@pytest.mark.parametrize(
    "request_",
    listed("""10 00, 10 04, 10 04 00 00, 10 55, 10 84, 11 00, 11 04 01, 11 FF, 19 1B, 19 20 FF FF, 27 00, 27 01, 27 07 00,
    28 04 01, 28 10, 3E 01, 3E 01 00, 3E 81, 85 00, 85 03 FF FF FF"""),
)
def test_an_unknown_sub_function_is_named_before_the_exact_length(request_: str) -> None:
    assert Ecu().extended().ask(request_) == refused(int(request_[:2], 16), 0x12)


@pytest.mark.parametrize(
    ("request_", "nrc"), [("27", 0x13), ("27 07", 0x12), ("27 07 00", 0x12), ("27 03", 0x7E), ("27 03 00", 0x7E)]
)
def test_a_sub_function_of_another_session_comes_after_unknown_ones_and_before_the_length(
    request_: str, nrc: int
) -> None:
    ecu = Ecu()
    ecu.ask("10 02")
    assert ecu.ask(request_) == refused(0x27, nrc)


@pytest.mark.parametrize(
    "request_",
    listed("""10 03 00, 11 01 00, 19 01, 19 02, 19 02 FF 00, 19 0A 00, 27 03 00, 27 04, 27 04 00, 28 00, 28 00 01 00, 3E 00 00,
    3E 80 00, 85 01 00, 85 02 FF FF FF"""),
)
def test_the_exact_length_is_checked_last(request_: str) -> None:
    assert Ecu().extended().ask(request_) == refused(int(request_[:2], 16), 0x13)


def test_a_profile_may_offer_fewer_sub_functions() -> None:
    ecu = Ecu(services={**SERVICES, 0x11: ServiceRule(sub_functions=frozenset((0x03,)))})
    assert ecu.ask("11 01") == refused(0x11, 0x12)
    assert ecu.ask("11 03") == "51 03"


@pytest.mark.parametrize(("sid", "extra", "tail"), [(0x27, 0x11, ""), (0x19, 0x1B, "FF"), (0x28, 0x04, "01")])
def test_a_profile_cannot_offer_sub_functions_that_the_service_does_not_know(sid: int, extra: int, tail: str) -> None:
    ecu = Ecu(services={**SERVICES, sid: ServiceRule(sub_functions=frozenset((0x01, extra)))}).extended()
    assert ecu.ask(bytes((sid, extra)) + bytes.fromhex(tail)) == refused(sid, 0x12)


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("31", 0x13),
        ("31 7F", 0x13),
        ("31 01 02", 0x13),
        ("31 7F 99 99", 0x31),
        ("31 01 99 99 00", 0x31),
        ("31 7F 02 05", 0x33),
        ("31 01 02 05 00", 0x33),
        ("31 7F 02 04", 0x12),
        ("31 00 02 03 00", 0x12),
        ("31 02 02 04", 0x12),  # this routine cannot be stopped
        ("31 01 02 04", 0x13),
        ("31 01 02 04 00 00 00", 0x13),
        ("31 02 02 03 00", 0x13),
        ("31 02 02 03", 0x24),
        ("31 03 02 03", 0x24),
    ],
)
def test_routine_control_names_the_identifier_before_the_sub_function(request_: str, nrc: int) -> None:
    assert Ecu(locked=True).extended().ask(request_) == refused(0x31, nrc)


SILENT = [
    ("2F 06 00", 0x11),
    ("11 55", 0x12),
    ("10 04", 0x12),
    ("22 99 99", 0x31),
    ("14 12 34 56", 0x31),
    ("31 01 99 99", 0x31),
    ("2E 99 99 00", 0x31),
    ("27 03", 0x7F),
]


@pytest.mark.parametrize(("request_", "nrc"), SILENT)
def test_to_everybody_a_unit_does_not_say_that_it_was_not_meant(request_: str, nrc: int) -> None:
    sid = int(request_[:2], 16)
    assert Ecu().ask(request_) == refused(sid, nrc)
    assert Ecu().ask(request_, functional=True) == ""


def test_to_everybody_a_unit_does_not_say_that_a_sub_function_is_not_in_this_session() -> None:
    ecu = Ecu()
    ecu.ask("10 02")
    assert ecu.ask("27 03") == refused(0x27, 0x7E)
    assert ecu.ask("27 03", functional=True) == ""


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [("22 F1", 0x13), ("10", 0x13), ("2E 06 05 01", 0x88), ("31 01 02 05", 0x33), ("31 02 02 03", 0x24)],
)
def test_other_refusals_are_sent_to_everybody(request_: str, nrc: int) -> None:
    ecu = Ecu(locked=True).extended()
    ecu.vehicle.speed_kmh = 30
    assert ecu.ask(request_, functional=True) == refused(int(request_[:2], 16), nrc)


@pytest.mark.parametrize(("request_", "nrc"), [("22 99 99", 0x31), ("31 05 02 07", 0x12)])
def test_after_response_pending_even_silent_refusals_are_sent(request_: str, nrc: int) -> None:
    sid = int(request_[:2], 16)
    assert Ecu(services=SLOW).ask_and_wait(request_, functional=True) == [refused(sid, 0x78), refused(sid, nrc)]


def test_positive_answers_to_everybody_are_sent() -> None:
    assert Ecu().ask("22 F1 87", functional=True).startswith("62 F1 87")


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize(
    "request_", ["10 83", "10 81", "11 81", "19 81 FF", "27 83", "28 81 01", "31 81 02 04 00 00", "3E 80", "85 82"]
)
def test_the_suppress_bit_hides_positive_answers(request_: str, functional: bool) -> None:
    assert Ecu().extended().ask_and_wait(request_, functional=functional) == []


def test_what_is_not_answered_is_done_all_the_same() -> None:
    ecu = Ecu()
    ecu.ask("10 83")
    assert ecu.session == 3


@pytest.mark.parametrize(("request_", "nrc"), [("10 84", 0x12), ("11 81 00", 0x13), ("31 82 02 03", 0x24)])
def test_the_suppress_bit_hides_no_refusal(request_: str, nrc: int) -> None:
    assert Ecu().extended().ask(request_) == refused(int(request_[:2], 16), nrc)


@pytest.mark.parametrize("request_", ["22 F1 90", "2E F1 99 26 01 02", "14 FF FF FF"])
def test_a_data_byte_is_no_suppress_bit(request_: str) -> None:
    assert Ecu().extended().ask(request_).startswith(f"{int(request_[:2], 16) + 0x40:02X}")


@pytest.mark.parametrize(("request_", "answer"), [("10 83", "50 03 00 32 01 F4"), ("85 82", "C5 02")])
def test_after_response_pending_the_suppress_bit_hides_nothing(request_: str, answer: str) -> None:
    ecu = Ecu(services=SLOW_SUPPRESSIBLE)
    ecu.server.enter_session(3, 0)
    assert ecu.ask_and_wait(request_) == [refused(int(request_[:2], 16), 0x78), answer]


@pytest.mark.parametrize("end", ["terminal 15 off", "sleep", "terminal 30 lost"])
def test_a_response_pending_that_was_cut_off_says_nothing_about_the_next_request(end: str) -> None:
    ecu = Ecu(services=SLOW)
    ecu.ask("22 F1 90")
    assert ecu.run_for(100 * MS)[0][1] == refused(0x22, 0x78)
    for event in (PowerEvent(end), PowerEvent.WAKE, PowerEvent.BATTERY_BACK):
        ecu.server.power(event, ecu.now_ns)
    ecu.run_for(1_000 * MS)
    assert ecu.ask("10 83") == ""
    assert ecu.ask("2F 06 00", functional=True) == ""


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("session", ["10 01", "10 02", "10 03"])
def test_the_quiet_tester_present_is_never_answered(session: str, functional: bool) -> None:
    ecu = Ecu(services=SLOW)
    ecu.ask(session)
    assert ecu.ask_and_wait("3E 80", functional=functional) == []
    ecu.ask("22 F1 90")
    assert ecu.ask("3E 80", functional=functional) == "", "nor while the unit works"


def test_an_empty_request_is_no_request() -> None:
    assert Ecu().ask_and_wait("") == []


def test_levels_are_sub_functions_of_their_own_sessions() -> None:
    level = SecurityLevel(level=0x11, algorithm="rotate-xor-4", secret=b"\x01", sessions=frozenset((2, 3)))
    ecu = Ecu(security={0x11: level})
    ecu.ask("10 02")
    assert ecu.ask("27 11").startswith("67 11")
    assert ecu.ask("27 03") == refused(0x27, 0x12)
