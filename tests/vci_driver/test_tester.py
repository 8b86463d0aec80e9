"""What a person does with the tester: log in, keep the session, code a unit, look at its lock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_ecu import CAR, MS, silent
from scripted_workshop import EXTENDED, Workshop, text, unit
from udsoncan.exceptions import NegativeResponseException

from bench import Bench, VehicleChange
from scenarios.stage import OutageKind
from vci_driver.authenticator import Authenticator
from vci_driver.car_map import CarMap, EcuEntry, UnlockScheme
from vci_driver.outcome import UnlockFailed, UnlockResult
from vci_driver.tester import WORKSHOP_CODE, bcd_date
from vci_driver.unlocking import LockStateUnknown
from wire.clock import VIRTUAL_EPOCH_UTC_S, WallClock
from wire.errors import LocalMisuse, RemoteTimeout
from wire.portal_api import BeginLogin, Logout, PortalError, PortalErrorCode

VIN = "WVWZZZCDZNW000001"
READ_VIN, LIST, STATE = "22 F1 90", "22 2A 26", "22 01 74"
OPEN = "62 01 74 01 02 01 59"
SAYS_VIN, ALL_THREE = {READ_VIN: text(0xF190, VIN)}, {LIST: "62 2A 26 19 01 17"}
GATEWAY = unit(EXTENDED | SAYS_VIN | ALL_THREE)


# ---- the person


def test_who_logs_in_may_unlock_and_who_logs_out_may_not() -> None:
    with Bench(seed=3, vehicle="vag-golf") as bench:
        tester = bench.tester("logged-in")
        assert tester.unlock("cluster").ok
        tester.logout()
        with pytest.raises(UnlockFailed) as failed:
            tester.unlock("airbag")
        assert failed.value.result is UnlockResult.LOGON_FAILED
        assert tester.unlock_state("airbag").locked


def test_a_login_that_fails_leaves_nobody_logged_in_not_even_who_was_before() -> None:
    workshop = Workshop(cluster=unit({}), gateway=GATEWAY).login()
    workshop.portal.refuses[BeginLogin] = PortalError(PortalErrorCode.LOGIN_FAILED, "No.")
    with pytest.raises(PortalError):
        workshop.login()
    assert not workshop.tester.portal.logged_in


def test_a_log_out_that_the_portal_does_not_hear_is_a_log_out_on_the_tester() -> None:
    workshop = Workshop(cluster=unit(EXTENDED | {"31": "71 01 C0 08 24 AA BB"}), gateway=GATEWAY).login()
    workshop.portal.refuses[Logout] = PortalError(PortalErrorCode.UNAVAILABLE, "Away.")
    with pytest.raises(PortalError):
        workshop.tester.logout()
    with pytest.raises(UnlockFailed) as failed:
        workshop.tester.unlock("cluster")
    assert failed.value.result is UnlockResult.LOGON_FAILED
    assert workshop.portal.unlocks() == []


URI = "otpauth://totp/Portal:t%40workshop.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Portal"


@pytest.mark.parametrize(("per_unlock", "codes"), [(True, 2), (False, 0)])
def test_a_make_that_asks_for_a_code_per_unlock_gets_another_one_each_time_after_a_visible_wait(
    per_unlock: bool, codes: int
) -> None:
    car = replace(CAR, second_factor_per_unlock=per_unlock)
    cluster = unit(EXTENDED | {"31 01 C0 08": "71 01 C0 08 24 AA", "31 01 C0 04": "71 01 C0 04 24", STATE: OPEN})
    workshop = Workshop(car, cluster=cluster, gateway=GATEWAY)
    workshop.login(Authenticator(URI, WallClock(epoch_utc_s=VIRTUAL_EPOCH_UTC_S)))
    for _ in range(2):
        workshop.tester.unlock("cluster")
    given = [request.code for request in workshop.portal.unlocks()]
    assert len({code for code in given if code is not None}) == codes
    assert (given == [None, None]) is not per_unlock
    waits = [step.wait_s for step in workshop.progress if step.wait_s]
    assert len(waits) == (1 if per_unlock else 0)
    assert all(0 < wait <= 30 for wait in waits)


# ---- keeping the session


def test_the_keep_alive_holds_the_session_while_the_portal_takes_its_time() -> None:
    """A portal that takes 20 s, four times S3: without tester present the unit would fall back to the default session."""
    with Bench(seed=3, vehicle="vag-golf") as bench:
        tester = bench.tester("logged-in")
        bench.portal.outage(OutageKind.SLOW, 60_000 * MS)
        assert not tester.link.keeps_alive
        assert tester.unlock("cluster").ok
        assert tester.link.keeps_alive
        assert tester.ecu("cluster").read_data_by_identifier_first(0xF186) == b"\x03"


SFD = {"31 01 C0 08": "71 01 C0 08 24 AA", "31 01 C0 04": "71 01 C0 04 24", STATE: OPEN}


def slow(car: CarMap, **options: object) -> Workshop:
    scripts = {name: unit(EXTENDED | SAYS_VIN | ALL_THREE | SFD) for name in ("gateway", "cluster")}
    workshop = Workshop(car, **scripts, engine=unit(EXTENDED)).login()
    workshop.portal.latency_ms = 7_000
    return workshop


def test_a_car_without_a_functional_identifier_has_its_units_kept_alive_one_by_one() -> None:
    workshop = slow(replace(CAR, functional_id=None))
    workshop.tester.unlock("cluster")
    assert workshop.heard("cluster").count("3E 80") == 3
    workshop.tester.unlock("gateway")
    assert workshop.heard("gateway").count("3E 80") == 3
    assert workshop.heard("cluster").count("3E 80") == 6
    assert workshop.heard("engine") == []


def test_a_keep_alive_that_was_meant_for_another_unit_holds_the_one_that_is_unlocked_too() -> None:
    workshop = slow(CAR)
    workshop.tester.link.keep_alive(targets=["engine"])
    workshop.tester.unlock("cluster")
    workshop.tester.unlock("cluster")
    assert workshop.heard("cluster").count("3E 80") == workshop.heard("engine").count("3E 80") == 7


# ---- coding


def coded(session: str, **more: str) -> Workshop:
    writes = {"2E F1 99": "6E F1 99", "2E F1 98": "6E F1 98", "2E 06 00": "6E 06 00"}
    return Workshop(cluster=unit(EXTENDED | {"22 F1 86": session} | writes | more))


TALK = ["2E F1 99 25 01 31", f"2E F1 98 {WORKSHOP_CODE.hex(' ').upper()}", "2E 06 00 01 02"]


def test_coding_is_written_after_the_date_and_the_workshop_code_in_the_extended_session() -> None:
    workshop = coded("62 F1 86 01")
    workshop.tester.write_coding("cluster", b"\x01\x02")
    assert workshop.heard("cluster") == ["22 F1 86", "10 03", *TALK]


def test_coding_does_not_enter_the_extended_session_again_where_that_would_close_an_open_level() -> None:
    workshop = coded("62 F1 86 03")
    workshop.tester.write_coding("cluster", b"\x01\x02")
    assert workshop.heard("cluster") == ["22 F1 86", *TALK]


def test_a_unit_that_does_not_say_its_session_is_brought_into_the_extended_one() -> None:
    workshop = coded("7F 22 31")
    workshop.tester.write_coding("cluster", b"\x01\x02")
    assert workshop.heard("cluster") == ["22 F1 86", "10 03", *TALK]


def test_an_open_level_outlives_a_coding_of_a_real_unit() -> None:
    with Bench(seed=3, vehicle="vag-golf") as bench:
        bench.car.change(VehicleChange(bonnet_open=True))
        tester = bench.tester("logged-in")
        tester.unlock("cluster")
        tester.security_access("cluster", 3)
        tester.write_coding("cluster", bytes(8))
        already_open = tester.ecu("cluster").request_seed(3).service_data.seed
        assert already_open.strip(b"\0") == b""


def test_a_refused_workshop_code_ends_the_coding_before_the_data() -> None:
    workshop = coded("62 F1 86 03", **{"2E F1 98": "7F 2E 33"})
    with pytest.raises(NegativeResponseException):
        workshop.tester.write_coding("cluster", b"\x01\x02")
    assert workshop.heard("cluster")[-1].startswith("2E F1 98")


@pytest.mark.parametrize(
    ("day", "bcd"), [(0, "70 01 01"), (19_782, "24 02 29"), (20_089, "25 01 01"), (20_088, "24 12 31")]
)
def test_the_programming_date_is_year_month_and_day_in_bcd(day: int, bcd: str) -> None:
    assert bcd_date(day * 86_400) == bcd_date(day * 86_400 + 86_399) == bytes.fromhex(bcd)


# ---- seed and key, and the lock's state


def test_a_level_without_a_key_in_the_map_is_misuse_that_names_level_and_unit() -> None:
    workshop = Workshop(cluster=unit(EXTENDED | {"27 05": "67 05 01 02 03 04"}))
    with pytest.raises(LocalMisuse, match="level 0x05 of 'cluster'"):
        workshop.tester.security_access("cluster", 5)


@pytest.mark.parametrize(("vehicle", "unit_name"), [("vag-golf", "cluster"), ("mb-eclass", "cluster")])
def test_the_state_of_a_lock_follows_the_lock_on_both_makes(vehicle: str, unit_name: str) -> None:
    with Bench(seed=3, vehicle=vehicle) as bench:
        tester = bench.tester("logged-in")
        assert tester.unlock_state(unit_name).locked
        tester.unlock(unit_name)
        state = tester.unlock_state(unit_name)
        assert (state.locked, state.minutes_left) == (False, 89 if vehicle == "vag-golf" else None)
        tester.relock(unit_name)
        assert tester.unlock_state(unit_name).locked


CERTIFIED = CarMap(
    make="mercedes",
    gateway="gateway",
    functional_id=0x441,
    ecus=(
        EcuEntry(name="gateway", address=0x19, request_id=0x710, response_id=0x77A, scheme=UnlockScheme.CERTIFICATE),
        EcuEntry(name="cluster", address=0x17, request_id=0x714, response_id=0x77E, lock_holder="gateway"),
    ),
)


@pytest.mark.parametrize(
    ("said", "locked"),
    [("7F 27 34", True), ("7F 27 33", True), ("67 03 01 02 03 04", False), ("67 03 00 00", False), ("7F 27 37", False)],
)
def test_a_certificate_gateway_is_asked_for_a_seed_that_it_refuses_while_it_is_locked(said: str, locked: bool) -> None:
    workshop = Workshop(CERTIFIED, gateway=unit(EXTENDED | {"27 03": said}))
    assert workshop.tester.unlock_state("cluster").locked is locked


@pytest.mark.parametrize("said", ["7F 27 11", "7F 27 7F", "7F 27 21"])
def test_a_refusal_that_comes_before_any_look_at_the_lock_says_nothing_of_the_lock(said: str) -> None:
    """ISO 14229-1's order: busy, service, session, and only then authentication."""
    with pytest.raises(LockStateUnknown):
        Workshop(CERTIFIED, gateway=unit(EXTENDED | {"27 03": said})).tester.unlock_state("cluster")


def test_a_silent_holder_has_no_state_and_a_unit_without_a_lock_has_none_to_ask_for() -> None:
    workshop = Workshop(gateway=silent, engine=unit(EXTENDED))
    with pytest.raises(RemoteTimeout):
        workshop.tester.unlock_state("gateway")
    for ask in (workshop.tester.unlock_state, workshop.tester.relock):
        with pytest.raises(LocalMisuse, match="'engine' has no lock"):
            ask("engine")
    assert workshop.heard("engine") == []
