"""A signed-seed unlock as a tester does it, against gateways and back ends that behave and that do not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat

import pytest
from scripted_workshop import EXTENDED, Said, Workshop, text, unit
from udsoncan.exceptions import InvalidResponseException, NegativeResponseException

from vci_driver.car_map import CarMap, EcuEntry, SeedKey, UnlockScheme
from vci_driver.outcome import UnlockFailed, UnlockReport, UnlockResult
from vci_driver.signed_seed import NoLockCommand
from vci_driver.unlocking import LockStateUnknown
from wire.errors import LocalMisuse, RemoteFault, RemoteTimeout
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, UnlockKind
from wire.signed_seed import SeedRequest
from wire.token import ALL_SCOPES, Role

VIN = "W1KZZZ2050A000001"
GATEWAY = EcuEntry(
    name="gateway",
    address=0x20,
    request_id=0x602,
    response_id=0x482,
    scheme=UnlockScheme.SIGNED_SEED,
    lock_level=0x09,
    security={3: SeedKey(algorithm="hmac-sha256-8", secret=b"secret")},
)
CAR = CarMap(
    make="mercedes",
    gateway="gateway",
    functional_id=0x441,
    ecus=(
        GATEWAY,
        EcuEntry(name="cluster", address=0x17, request_id=0x617, response_id=0x497, lock_holder="gateway"),
    ),
)
SEED = bytes(range(1, 33))
KEY = bytes(range(64))
GIVEN, ZERO, TAKEN = f"67 09 {SEED.hex()}", f"67 09 {bytes(32).hex()}", "67 0A"
DEFAULT_SESSION, EXTENDED_SESSION = "62 F1 86 01", "62 F1 86 03"


def one_after_the_other(*answers: str) -> Said:
    """The last goes on."""
    rest = chain(answers, repeat(answers[-1]))
    return lambda _: bytes.fromhex(next(rest))


def workshop(**said: Said) -> Workshop:
    """A workshop with a well-behaved gateway, but for what `said` says. It opens with the key."""
    steps = {
        "session": "10 03",
        "vin": "22 F1 90",
        "now": "22 F1 86",
        "seed": "27 09",
        "key": "27 0A",
        "reset": "11 01",
    }
    good: dict[str, Said] = {
        **EXTENDED,
        "22 F1 90": text(0xF190, VIN),
        "22 F1 86": DEFAULT_SESSION,
        "27 09": one_after_the_other(GIVEN, ZERO),
        "27 0A": TAKEN,
        "11 01": "51 01",
    }
    made = Workshop(CAR, gateway=unit(good | {steps[name]: what for name, what in said.items()}))
    made.portal.payload = KEY
    return made.login()


def failure(made: Workshop, name: str = "cluster") -> UnlockReport:
    with pytest.raises(UnlockFailed) as failed:
        made.tester.unlock(name)
    report = failed.value.report
    assert report.ecu == "gateway"
    return report


def keys(made: Workshop) -> list[str]:
    return [heard for heard in made.heard("gateway") if heard.startswith("27 0A")]


# ---- what is said


def test_1_the_gateways_seed_goes_to_the_back_end_and_the_key_comes_back_to_the_gateway() -> None:
    made = workshop()
    report = made.tester.unlock("cluster")
    assert (report.ecu, report.ok, report.minutes_left, report.audit_id) == ("gateway", True, None, "audit-1")
    (asked,) = made.portal.unlocks()
    assert asked == RequestUnlock(
        session="session",
        kind=UnlockKind.SIGNED_SEED,
        make="mercedes",
        vin=VIN,
        ecu_address=0x20,
        role=Role.AFTER_SALES,
        scope=int(ALL_SCOPES),
        challenge=SeedRequest(level=9, seed=SEED).encode(),
    )
    assert keys(made) == [f"27 0A {KEY.hex(' ').upper()}"]


def test_between_seed_and_key_the_session_is_held() -> None:
    made = workshop()
    made.portal.latency_ms = 20_000
    assert made.tester.unlock("cluster").ok
    present = [heard for heard in made.heard("gateway") if heard == "3E 80"]
    functional = [payload for wide, payload in made.table.ecus["gateway"].heard if wide]
    assert len(present) + len(functional) >= 5
    assert made.heard("gateway").count("10 03") == 1, "another session change would void the seed"


def test_a_lock_that_is_open_stays_as_it_is_and_nothing_is_asked_of_the_back_end() -> None:
    made = workshop(seed=ZERO)
    report = made.tester.unlock("cluster")
    assert (report.ok, report.audit_id) == (True, None)
    assert made.portal.unlocks() == []
    assert keys(made) == []


# ---- what goes wrong


@pytest.mark.parametrize(
    ("seed", "result", "cause"),
    [
        ("7F 27 11", UnlockResult.SERVICE_NOT_FOUND, NegativeResponseException),
        ("7F 27 12", UnlockResult.SERVICE_NOT_FOUND, NegativeResponseException),
        ("7F 27 37", UnlockResult.READING_REQUEST_FAILED, NegativeResponseException),
        ("", UnlockResult.READING_REQUEST_FAILED, RemoteTimeout),
        ("67", UnlockResult.READING_REQUEST_FAILED, InvalidResponseException),
        ("67 09", UnlockResult.READING_REQUEST_FAILED, InvalidResponseException),
        ("67 09 01 02 03 04", UnlockResult.READING_REQUEST_FAILED, RemoteFault),
        (f"67 09 {bytes(8).hex()}", UnlockResult.READING_REQUEST_FAILED, RemoteFault),
        (f"67 09 {SEED.hex()} 00", UnlockResult.READING_REQUEST_FAILED, RemoteFault),
    ],
)
def test_without_a_good_seed_the_back_end_is_not_asked(seed: str, result: UnlockResult, cause: type) -> None:
    made = workshop(seed=seed)
    report = failure(made)
    assert (report.result, isinstance(report.cause, cause)) == (result, True), report.cause
    assert made.portal.unlocks() == []


@pytest.mark.parametrize("nrc", [0x13, 0x24, 0x35, 0x36])
def test_minus_6_a_key_that_the_gateway_refuses(nrc: int) -> None:
    report = failure(workshop(key=f"7F 27 {nrc:02X}"))
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert isinstance(report.cause, NegativeResponseException)
    assert report.cause.response.code == nrc


@pytest.mark.parametrize("key", ["", "67", "67 04"])
def test_minus_6_a_key_that_is_answered_with_something_else(key: str) -> None:
    assert failure(workshop(key=key)).result is UnlockResult.WRITING_TOKEN_FAILED


def test_minus_6_a_gateway_that_takes_the_key_and_says_that_it_is_locked() -> None:
    report = failure(workshop(seed=GIVEN))
    assert report.result is UnlockResult.WRITING_TOKEN_FAILED
    assert "still locked" in report.text


def test_minus_2_a_gateway_that_takes_the_key_and_then_says_nothing() -> None:
    report = failure(workshop(seed=one_after_the_other(GIVEN, "7F 27 22")))
    assert report.result is UnlockResult.READING_STATE_FAILED


def test_minus_5_a_back_end_that_gives_no_key() -> None:
    made = workshop()
    made.portal.refuses[RequestUnlock] = PortalError(PortalErrorCode.NOT_ENTITLED, "No.")
    assert failure(made).result is UnlockResult.NO_TOKEN_RECEIVED
    assert keys(made) == []
    empty = workshop()
    empty.portal.payload = b""
    assert failure(empty).result is UnlockResult.NO_TOKEN_RECEIVED


def test_minus_3_nobody_is_logged_in() -> None:
    made = workshop()
    made.tester.logout()
    assert failure(made).result is UnlockResult.LOGON_FAILED


# ---- the state


@pytest.mark.parametrize(("seed", "locked"), [(GIVEN, True), (ZERO, False), ("7F 27 37", True)])
def test_the_seed_tells_whether_the_lock_is_open(seed: str, locked: bool) -> None:
    state = workshop(seed=seed).tester.unlock_state("cluster")
    assert (state.locked, state.minutes_left) == (locked, None)


@pytest.mark.parametrize("nrc", [0x11, 0x12, 0x21, 0x22, 0x33, 0x7E, 0x7F])
def test_another_refusal_tells_nothing(nrc: int) -> None:
    with pytest.raises(LockStateUnknown, match="does not say"):
        workshop(seed=f"7F 27 {nrc:02X}").tester.unlock_state("cluster")


@pytest.mark.parametrize(("now", "changes"), [(DEFAULT_SESSION, 1), (EXTENDED_SESSION, 0), ("7F 22 31", 1)])
def test_to_ask_changes_no_session_that_is_right_already(now: str, changes: int) -> None:
    """It would void a seed that is under way, and close an open level."""
    made = workshop(now=now)
    made.tester.unlock_state("cluster")
    assert made.heard("gateway").count("10 03") == changes


# ---- the way back


def test_a_tester_locks_by_a_reset_because_nothing_else_would_and_leaves_the_gateway_alone_meanwhile() -> None:
    made = workshop()
    before_ns = made.world.now_ns
    made.tester.relock("cluster")
    assert made.heard("gateway")[-1] == "11 01"
    assert made.world.now_ns - before_ns >= 1_000_000_000


def test_where_the_reset_is_refused_a_sentence_says_what_would_lock() -> None:
    with pytest.raises(NoLockCommand, match=r"no command that locks it.*ignition off, or let the car fall asleep"):
        workshop(reset="7F 11 22").tester.relock("cluster")


def test_no_token_is_carried_to_such_a_lock_by_hand() -> None:
    with pytest.raises(LocalMisuse, match="carried by hand"):
        workshop().tester.export_request("cluster")


def test_seed_and_key_at_the_locks_level_is_no_algorithm_of_the_testers() -> None:
    with pytest.raises(LocalMisuse, match="no seed/key algorithm for level 0x09"):
        workshop().tester.security_access("gateway", 9)


# ---- the map


@pytest.mark.parametrize(
    "fields", [{"scheme": UnlockScheme.SIGNED_SEED}, {"scheme": UnlockScheme.SFD, "lock_level": 9}, {"lock_level": 9}]
)
def test_a_map_says_at_which_level_a_signed_seed_is_asked_for_and_for_no_other_scheme(fields: dict) -> None:
    with pytest.raises(LocalMisuse, match="0x27 level"):
        EcuEntry(name="gateway", address=0x20, request_id=0x602, response_id=0x482, **fields)


def test_progress_is_told() -> None:
    made = workshop()
    made.tester.unlock("cluster")
    said: Iterable[str] = [progress.text for progress in made.progress]
    assert list(said)[-3:] == [
        "fetching the unlock request of gateway",
        "asking the back end",
        "bringing the unlock to gateway",
    ]
