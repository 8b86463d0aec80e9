"""SFD as a tester meets it: request structure, token, status, ninety minutes awake, and SecurityAccess behind the grant."""

import pytest
from locked_unit import CODING, SECURED, SfdUnit
from unlock_forge import ADDRESS, HOUR, MINUTE, VIN, S, token

from ecu_sim.unlock.gate import GateEvent
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.token import REQUEST_LEN, RequestStructure, Scope

LOCKED = bytes.fromhex("00000100")
FIRST_READING = bytes.fromhex("01020159")
"""0x59: 89 minutes, the first reading after an unlock."""


# ---- the way in


def test_the_request_structure_names_unit_and_vehicle_and_brings_a_fresh_nonce() -> None:
    unit = SfdUnit()
    answer = unit.ask("3101c008")
    assert answer[:5] == bytes.fromhex("7101c00824")
    assert len(answer) == 5 + REQUEST_LEN
    first, second = RequestStructure.decode(answer[5:]), unit.request()
    assert (first.vin, first.ecu_address) == (VIN, ADDRESS) == (second.vin, second.ecu_address)
    assert first.nonce != second.nonce


def test_fetching_a_request_structure_opens_nothing() -> None:
    unit = SfdUnit()
    unit.request()
    assert not unit.open
    assert unit.status() == LOCKED


def test_a_token_opens_the_unit() -> None:
    unit = SfdUnit()
    unit.extended()
    assert unit.status() == LOCKED
    assert unit.nrc(CODING) == 0x33
    assert unit.ask(b"\x31\x01\xc0\x04" + unit.token()) == bytes.fromhex("7101c00424")
    assert unit.status() == FIRST_READING
    assert unit.ask(CODING) == bytes.fromhex("6e0600")


def test_reading_stays_free_while_locked() -> None:
    unit = SfdUnit()
    assert unit.ask("22f190") == bytes.fromhex("62f190") + VIN.encode()


def test_the_grant_says_who_and_what() -> None:
    unit = SfdUnit()
    unit.unlock(role=2, scope=Scope.CODING, token_id=b"\xab" * 16)
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert (grant.scheme, grant.role, grant.scope, grant.ident) == ("sfd", 2, Scope.CODING, "ab" * 16)
    assert unit.last.decision == "granted"


def test_a_token_releases_its_scope_and_nothing_else() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock(scope=Scope.CODING)
    assert unit.nrc(CODING) == 0
    assert unit.nrc("31010203") == 0x33
    unit.unlock(scope=Scope.ROUTINES)
    assert unit.nrc(CODING) == 0x33
    assert unit.nrc("31010203") == 0


def test_all_of_a_scope_must_be_released() -> None:
    unit = SfdUnit()
    unit.unlock(scope=Scope.CODING)
    assert unit.gate.allows(Scope.CODING, unit.now_ns)
    assert not unit.gate.allows(Scope.CODING | Scope.ROUTINES, unit.now_ns)


def test_the_nrc_of_a_locked_write_is_a_profile_value() -> None:
    unit = SfdUnit(SfdOptions(refusal_nrc=0x22))
    unit.extended()
    assert unit.nrc(CODING) == 0x22


@pytest.mark.parametrize("request_hex", ["3102c008", "3103c004", "3102c00a"], ids=["stop", "results", "stop lock"])
def test_the_routines_of_the_lock_are_only_started(request_hex: str) -> None:
    assert SfdUnit().nrc(request_hex) == 0x12


@pytest.mark.parametrize("request_hex", ["3101c00800", "3101c00a00"], ids=["request", "lock"])
def test_request_and_lock_take_no_option(request_hex: str) -> None:
    assert SfdUnit().nrc(request_hex) == 0x13


def test_a_refused_request_keeps_the_outstanding_one() -> None:
    unit = SfdUnit()
    good = unit.token()
    assert unit.nrc("3101c00800") == 0x13
    assert unit.write(good) == 0


def test_other_routines_and_identifiers_are_not_the_locks() -> None:
    gate = SfdUnit().gate
    assert gate.rids == {0xC004, 0xC008, 0xC00A}
    assert gate.dids == {0x0174}
    assert gate.tasks == frozenset()
    assert gate.session_key(0) is None


def test_the_unit_offers_no_authentication() -> None:
    assert SfdUnit().nrc("2908") == 0x22


def test_checking_a_signature_takes_time_and_the_grant_begins_after_it() -> None:
    unit = SfdUnit(SfdOptions(verification_ns=200_000_000))
    wire = unit.token()
    asked_ns = unit.now_ns
    assert unit.write(wire) == 0
    assert unit.now_ns == asked_ns + 200_000_000
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert grant.since_ns == unit.now_ns


# ---- ninety minutes of awake time


def test_the_status_counts_the_minutes_down() -> None:
    unit = SfdUnit()
    unit.unlock()
    readings = []
    for _ in range(90):
        readings.append(unit.status()[3])
        unit.wait(MINUTE)
    assert readings == list(range(89, -1, -1))
    assert unit.status() == LOCKED


@pytest.mark.parametrize("pass_time", ["wait", "leap"])
def test_the_unit_locks_exactly_after_ninety_minutes(pass_time: str) -> None:
    """Whether or not a timer ran: a late timer keeps nothing open."""
    unit = SfdUnit()
    unit.unlock()
    getattr(unit, pass_time)(90 * MINUTE - 1)
    assert unit.open
    getattr(unit, pass_time)(1)
    assert unit.status() == LOCKED
    assert not unit.open
    assert (unit.last.decision, unit.last.reason) == ("locked", "expiry")
    unit.extended()
    assert unit.nrc(CODING) == 0x33


def test_the_lock_falls_by_itself_at_the_deadline() -> None:
    unit = SfdUnit()
    unit.unlock()
    assert unit.gate.next_deadline() == unit.now_ns + 90 * MINUTE
    unit.wait(2 * HOUR)
    assert unit.log[-1] == ("locked", "expiry")
    assert unit.last.now_ns == unit.now_ns - 30 * MINUTE
    assert unit.gate.next_deadline() is None


def test_the_time_stands_still_while_the_unit_sleeps() -> None:
    unit = SfdUnit()
    unit.unlock()
    unit.wait(30 * MINUTE)
    unit.power(PowerEvent.SLEEP)
    assert unit.gate.next_deadline() is None
    unit.wait(48 * HOUR)
    unit.power(PowerEvent.WAKE)
    assert unit.status()[3] == 59
    unit.wait(60 * MINUTE - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_many_short_sleeps_neither_lose_nor_win_time() -> None:
    unit = SfdUnit()
    unit.unlock()
    for _ in range(9):
        unit.wait(10 * MINUTE - 1)
        unit.power(PowerEvent.SLEEP)
        unit.power(PowerEvent.SLEEP)
        unit.wait(7 * MINUTE)
        unit.power(PowerEvent.WAKE)
        unit.power(PowerEvent.WAKE)
    assert unit.open
    unit.wait(8)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_waking_what_is_awake_gives_no_time_back() -> None:
    unit = SfdUnit()
    unit.unlock()
    unit.wait(60 * MINUTE)
    unit.power(PowerEvent.WAKE)
    unit.wait(30 * MINUTE)
    assert not unit.open


def test_a_grant_that_begins_in_sleep_counts_from_waking() -> None:
    unit = SfdUnit()
    wire = unit.token()
    unit.gate.handle_event(GateEvent.SLEEP, unit.now_ns)
    unit.gate.routine(0xC004, wire, unit.now_ns)
    unit.leap(5 * HOUR)
    assert unit.gate.next_deadline() is None
    assert unit.open
    unit.gate.wake(unit.now_ns)
    assert unit.status() == FIRST_READING


@pytest.mark.parametrize("minutes", [1, 15, 90])
def test_a_token_may_ask_for_less_time(minutes: int) -> None:
    unit = SfdUnit()
    unit.unlock(duration_min=minutes)
    unit.wait(minutes * MINUTE - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


@pytest.mark.parametrize("minutes", [91, 0xFFFF])
def test_a_token_cannot_ask_for_more_than_the_unit_gives(minutes: int) -> None:
    unit = SfdUnit()
    unit.unlock(duration_min=minutes)
    assert unit.status() == FIRST_READING
    unit.wait(90 * MINUTE)
    assert not unit.open


def test_a_second_unlock_begins_its_own_ninety_minutes() -> None:
    unit = SfdUnit()
    unit.unlock()
    unit.wait(80 * MINUTE)
    unit.unlock()
    unit.wait(90 * MINUTE - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_minutes_left_is_zero_when_locked() -> None:
    unit = SfdUnit()
    assert unit.gate.minutes_left(0) == 0
    unit.unlock()
    unit.wait(30 * MINUTE)
    assert unit.gate.minutes_left(unit.now_ns) == 60
    unit.wait(60 * MINUTE)
    assert unit.gate.minutes_left(unit.now_ns) == 0


# ---- locking again


def test_the_lock_command_locks_at_once() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock()
    assert unit.ask("3101c00a") == bytes.fromhex("7101c00a24")
    assert unit.status() == LOCKED
    assert unit.nrc(CODING) == 0x33
    assert unit.log[-1] == ("locked", "lock command")


def test_locking_what_is_locked_is_no_error() -> None:
    unit = SfdUnit()
    assert unit.nrc("3101c00a") == 0
    assert unit.log == []


def test_after_a_lock_command_a_new_unlock_works() -> None:
    unit = SfdUnit()
    unit.unlock()
    unit.ask("3101c00a")
    unit.unlock()
    assert unit.status() == FIRST_READING


@pytest.mark.parametrize(("ends", "status"), [(True, LOCKED), (False, FIRST_READING)])
def test_a_reset_locks_by_profile(ends: bool, status: bytes) -> None:
    unit = SfdUnit(SfdOptions(ends_on_reset=ends))
    unit.unlock()
    assert unit.ask("1101") == bytes.fromhex("5101")
    unit.wait(S)
    assert unit.status() == status


@pytest.mark.parametrize(("ends", "status"), [(True, LOCKED), (False, FIRST_READING)])
def test_the_loss_of_terminal_15_locks_by_profile(ends: bool, status: bytes) -> None:
    unit = SfdUnit(SfdOptions(ends_on_terminal_15=ends))
    unit.unlock()
    unit.power(PowerEvent.TERMINAL_15_OFF)
    assert unit.status() == status


def test_the_loss_of_the_session_keeps_the_grant() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock()
    unit.wait(10 * S)  # S3 has run out
    assert unit.server.state.session == 1
    assert unit.open
    unit.extended()
    assert unit.nrc(CODING) == 0


# ---- SecurityAccess behind the grant


def test_security_access_waits_for_the_grant() -> None:
    unit = SfdUnit()
    unit.extended()
    assert unit.nrc("2703") == 0x33
    unit.unlock()
    assert unit.nrc(SECURED) == 0x33
    assert unit.seed_and_key() == 0
    assert unit.nrc(SECURED) == 0


def test_a_key_is_not_taken_after_the_grant_has_ended() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock()
    unit.ask("2703")
    unit.ask("3101c00a")
    assert unit.nrc("2704" + "00" * 8) == 0x33


def test_security_access_needs_its_own_scope() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock(scope=Scope.CODING)
    assert unit.nrc("2703") == 0x33


def test_an_open_level_alone_does_not_write_once_the_grant_has_ended() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock()
    assert unit.seed_and_key() == 0
    unit.ask("3101c00a")
    assert unit.nrc(SECURED) == 0x33


def test_a_session_change_ends_security_access_and_keeps_the_grant() -> None:
    unit = SfdUnit()
    unit.extended()
    unit.unlock()
    assert unit.seed_and_key() == 0
    unit.extended()
    assert unit.nrc(SECURED) == 0x33
    assert unit.nrc(CODING) == 0


def test_a_token_for_a_structure_from_nowhere_opens_nothing() -> None:
    unit = SfdUnit()
    invented = RequestStructure(ecu_address=ADDRESS, vin=VIN, nonce=bytes(16))
    assert unit.write(token(invented)) == 0x24
    assert not unit.open
