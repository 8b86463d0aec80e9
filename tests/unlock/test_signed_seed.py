"""A lock that is a 0x27 level: what opens it, what does not, and that it refuses in SecurityAccess's own order."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING, SECURED
from seed_unit import LEVEL, SeedUnit, key_for
from unlock_forge import ADDRESS, MINUTE, OTHER_VIN, S, flip, key_set, keys

from ecu_sim.unlock.signed_seed import SignedSeedOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.signed_seed import KEY_LEN, SEED_LEN, seed_id
from wire.token import ALL_SCOPES, Role, Scope

ZERO_SEED = bytes(SEED_LEN)


@pytest.fixture
def unit() -> SeedUnit:
    made = SeedUnit()
    made.extended()
    return made


# ---- what opens


def test_the_back_ends_signature_over_the_seed_opens_for_after_sales_with_every_scope(unit: SeedUnit) -> None:
    seed = unit.seed()
    assert unit.nrc(CODING) == 0x33
    assert unit.send(key_for(seed)) == 0
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert (grant.role, grant.scope, grant.ident) == (Role.AFTER_SALES, ALL_SCOPES, seed_id(seed).hex())
    assert all(unit.gate.allows(scope, unit.now_ns) for scope in Scope)
    assert unit.nrc(CODING) == 0


def test_a_seed_is_32_bytes_of_which_no_two_are_the_same(unit: SeedUnit) -> None:
    seeds = set()
    for _ in range(20):
        unit.extended()
        seeds.add(unit.seed())
    assert len(seeds) == 20
    assert {len(seed) for seed in seeds} == {32}


def test_asked_again_it_gives_the_same_seed_so_that_nobody_may_pick_one(unit: SeedUnit) -> None:
    assert unit.seed() == unit.seed() != ZERO_SEED


def test_a_random_source_that_gives_zeros_makes_no_zero_seed() -> None:
    """Zeros say that the lock is open."""

    class Zeros:
        def __init__(self) -> None:
            self.asked = 0

        def token_bytes(self, size: int) -> bytes:
            self.asked += 1
            return bytes(size) if self.asked < 3 else bytes(range(1, size + 1))

    unit = SeedUnit()
    unit.gate._entropy = Zeros()
    unit.extended()
    assert unit.seed() == bytes(range(1, 33))


def test_any_of_the_back_ends_keys_may_have_signed() -> None:
    other = keys(2).token_key
    both = tuple(key.public_key().public_bytes_raw() for key in (keys().token_key, other))
    unit = SeedUnit()
    unit.trust.update(key_set(token_keys=both))
    unit.unlock(signer=other)


def test_the_signature_check_takes_time_and_0x78_where_it_takes_longer_than_p2() -> None:
    unit = SeedUnit(SignedSeedOptions(verification_ns=3 * S))
    unit.extended()
    seed = unit.seed()
    unit.server.outputs.clear()
    unit.server.receive(b"\x27\x0a" + key_for(seed), False, unit.now_ns)
    unit.wait(S)
    assert list(unit.server.outputs) == [bytes.fromhex("7f2778")]
    assert not unit.open
    unit.wait(2 * S)
    assert unit.server.outputs[-1] == bytes.fromhex("670a")
    assert unit.open


def test_a_key_that_is_not_to_be_answered_opens_in_silence(unit: SeedUnit) -> None:
    key = key_for(unit.seed())
    assert unit.ask(b"\x27\x8a" + key) == b""
    assert unit.open


# ---- what does not open


def hash_under_the_public_key(seed: bytes) -> bytes:
    """As long as a signature."""
    return hmac.digest(keys().token_key.public_key().public_bytes_raw(), seed, "sha512")


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "another VIN": lambda seed: key_for(seed, vin=OTHER_VIN),
    "another unit": lambda seed: key_for(seed, address=ADDRESS ^ 1),
    "another level": lambda seed: key_for(seed, level=LEVEL + 2),
    "another seed": lambda seed: key_for(hashlib.sha256(seed).digest()),
    "another back end": lambda seed: key_for(seed, signer=keys(2).token_key),
    "a bare signature over the seed": keys().token_key.sign,
    "another algorithm": hash_under_the_public_key,
    "zeros": lambda seed: bytes(KEY_LEN),
    "the seed, twice": lambda seed: seed + seed,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_key_for_something_else_is_a_wrong_key_and_the_tester_is_not_told_why(unit: SeedUnit, wrong: str) -> None:
    seed = unit.seed()
    assert unit.send(WRONG[wrong](seed)) == 0x35
    assert not unit.open
    assert unit.log[-1] == ("refused", "signature")
    assert unit.send(key_for(seed)) == 0x24, "a wrong key voids the seed"
    assert not unit.open


@given(bit=st.integers(0, 8 * KEY_LEN - 1))
def test_each_bit_of_the_key_counts(bit: int) -> None:
    unit = SeedUnit()
    unit.extended()
    assert unit.send(flip(key_for(unit.seed()), bit)) == 0x35
    assert not unit.open


@pytest.mark.parametrize("size", [0, 1, 8, 63, 65, 128])
def test_a_key_of_another_length_is_0x13_and_leaves_the_seed(unit: SeedUnit, size: int) -> None:
    seed = unit.seed()
    assert unit.send(key_for(seed).ljust(size, b"\0")[:size]) == 0x13
    assert unit.send(key_for(seed)) == 0


def test_a_key_without_a_seed_is_a_sequence_error(unit: SeedUnit) -> None:
    assert unit.send(bytes(KEY_LEN)) == 0x24
    assert unit.log == [("refused", "no seed outstanding")]


def test_a_key_works_once(unit: SeedUnit) -> None:
    key = key_for(unit.seed())
    assert unit.send(key) == 0
    assert unit.send(key) == 0x24
    unit.power(PowerEvent.TERMINAL_15_OFF)
    unit.extended()
    unit.seed()
    assert unit.send(key) == 0x35


@pytest.mark.parametrize("pass_time", ["wait", "leap"])
def test_a_seed_waits_five_minutes_and_not_longer(unit: SeedUnit, pass_time: str) -> None:
    def hold_session(until_ns: int) -> None:
        while unit.now_ns < until_ns:
            getattr(unit, pass_time)(min(4 * S, until_ns - unit.now_ns))
            unit.ask("3e00")

    seed, asked_ns = unit.seed(), unit.now_ns
    hold_session(asked_ns + 5 * MINUTE - 20_000_000 - 1)  # the check takes 20 ms, and counts when it is done
    assert unit.send(key_for(seed)) == 0
    unit.power(PowerEvent.TERMINAL_15_OFF)
    unit.extended()
    seed, asked_ns = unit.seed(), unit.now_ns
    hold_session(asked_ns + 5 * MINUTE)
    assert unit.send(key_for(seed)) == 0x24
    assert unit.log[-1] == ("refused", "seed too old")
    assert unit.seed() != seed


def test_asking_again_makes_a_seed_no_younger(unit: SeedUnit) -> None:
    seed, asked_ns = unit.seed(), unit.now_ns
    while unit.now_ns < asked_ns + 5 * MINUTE:
        unit.wait(4 * S)
        unit.ask("2709")
    assert unit.send(key_for(seed)) == 0x35


@pytest.mark.parametrize("request_", ["270900", "27", "2709" + 32 * "00"])
def test_a_seed_request_of_another_length_is_0x13(unit: SeedUnit, request_: str) -> None:
    assert unit.nrc(request_) == 0x13


@pytest.mark.parametrize("session", ["1001", "1002"])
def test_the_level_is_offered_in_the_extended_session_alone(unit: SeedUnit, session: str) -> None:
    assert unit.ask(session)[0] == 0x50
    assert unit.nrc("2709") == (0x7F if session == "1001" else 0x7E)


# ---- the order: attempts and delay


def wrong_keys(unit: SeedUnit, count: int) -> list[int]:
    given = []
    for _ in range(count):
        unit.seed()
        given.append(unit.send(bytes(KEY_LEN)))
    return given


def test_the_third_wrong_key_brings_a_delay_of_ten_seconds(unit: SeedUnit) -> None:
    assert wrong_keys(unit, 3) == [0x35, 0x35, 0x36]
    began_ns = unit.now_ns
    assert unit.nrc("2709") == 0x37
    assert unit.send(bytes(KEY_LEN)) == 0x24
    unit.wait(4 * S)
    unit.ask("3e00")
    unit.wait(began_ns + 10 * S - 1 - unit.now_ns)
    unit.extended()
    assert unit.nrc("2709") == 0x37
    unit.wait(1)
    assert unit.send(key_for(unit.seed())) == 0


def test_after_the_delay_there_are_three_attempts_again(unit: SeedUnit) -> None:
    wrong_keys(unit, 3)
    unit.wait(10 * S)
    unit.extended()
    assert wrong_keys(unit, 3) == [0x35, 0x35, 0x36]


def test_a_right_key_forgets_the_wrong_ones(unit: SeedUnit) -> None:
    wrong_keys(unit, 2)
    assert unit.send(key_for(unit.seed())) == 0
    unit.power(PowerEvent.TERMINAL_15_OFF)
    unit.extended()
    assert wrong_keys(unit, 3) == [0x35, 0x35, 0x36]


@pytest.mark.parametrize("how", ["reset", "battery", "sleep"])
def test_pulling_the_plug_gains_no_attempt_and_no_time(unit: SeedUnit, how: str) -> None:
    def interrupt() -> None:
        if how == "reset":
            assert unit.ask("1101") == bytes.fromhex("5101")
        else:
            off, on = {
                "battery": (PowerEvent.BATTERY_LOST, PowerEvent.BATTERY_BACK),
                "sleep": (PowerEvent.SLEEP, PowerEvent.WAKE),
            }[how]
            unit.power(off)
            unit.power(on)
        unit.wait(S)
        unit.extended()

    assert wrong_keys(unit, 2) == [0x35, 0x35]
    interrupt()
    assert wrong_keys(unit, 1) == [0x36]
    interrupt()
    assert unit.nrc("2709") == 0x37
    unit.wait(9 * S)
    unit.extended()
    assert len(unit.seed()) == 32


def test_a_key_that_came_too_early_or_too_short_is_no_attempt(unit: SeedUnit) -> None:
    for _ in range(5):
        assert unit.send(bytes(KEY_LEN)) == 0x24
        unit.seed()
        assert unit.send(bytes(8)) == 0x13
        unit.extended()
    assert wrong_keys(unit, 2) == [0x35, 0x35]


# ---- open


def test_an_open_lock_gives_a_zero_seed_and_takes_no_key(unit: SeedUnit) -> None:
    unit.unlock()
    assert unit.seed() == ZERO_SEED
    assert unit.send(key_for(bytes([1] * 32))) == 0x24
    assert unit.open


def test_the_zero_seed_outlives_the_session_with_the_grant_and_level_03_does_not(unit: SeedUnit) -> None:
    """The level is the lock: it is open as long as the grant lives. Of the other levels a session change closes what is open."""
    assert unit.nrc("2703") == 0x33, "waits for the grant"
    unit.unlock()
    assert unit.seed_and_key() == 0
    assert unit.nrc(SECURED) == 0
    unit.extended()
    assert unit.seed() == ZERO_SEED
    assert unit.nrc(SECURED) == 0x33
    assert unit.nrc(CODING) == 0


def test_to_ask_the_locks_level_closes_no_other_level(unit: SeedUnit) -> None:
    unit.unlock()
    assert unit.seed_and_key() == 0
    assert unit.seed() == ZERO_SEED
    assert unit.nrc(SECURED) == 0


@pytest.mark.parametrize("event", ["1001", "1003", "S3", "terminal 15"])
def test_a_seed_does_not_outlive_the_session(unit: SeedUnit, event: str) -> None:
    seed = unit.seed()
    if event == "S3":
        unit.wait(6 * S)
    elif event == "terminal 15":
        unit.power(PowerEvent.TERMINAL_15_OFF)
    else:
        unit.ask(event)
    unit.extended()
    assert unit.send(key_for(seed)) == 0x24
    assert unit.seed() != seed


@pytest.mark.parametrize("how", ["battery", "sleep", "terminal 15"])
def test_a_key_whose_check_is_interrupted_opens_nothing(how: str) -> None:
    unit = SeedUnit(SignedSeedOptions(verification_ns=200_000_000))
    unit.extended()
    key = key_for(unit.seed())
    unit.server.receive(b"\x27\x0a" + key, False, unit.now_ns)
    unit.wait(100_000_000)
    for event in {
        "battery": (PowerEvent.BATTERY_LOST, PowerEvent.BATTERY_BACK),
        "sleep": (PowerEvent.SLEEP, PowerEvent.WAKE),
        "terminal 15": (PowerEvent.TERMINAL_15_OFF, PowerEvent.TERMINAL_15_ON),
    }[how]:
        unit.power(event)
    unit.wait(10 * S)
    assert not unit.open
    unit.extended()
    assert unit.send(key) == 0x24


# ---- revocation


def test_a_revoked_unlock_ends_its_grant_and_opens_no_more(unit: SeedUnit) -> None:
    seed = unit.seed()
    assert unit.send(key_for(seed)) == 0
    unit.trust.update(key_set(revoked_tokens=frozenset((seed_id(seed),))))
    assert not unit.open
    assert unit.log[-1] == ("locked", "revocation")
    unit.unlock()


def test_an_unlock_that_is_revoked_before_its_key_comes_is_a_wrong_key(unit: SeedUnit) -> None:
    seed = unit.seed()
    unit.trust.update(key_set(revoked_tokens=frozenset((seed_id(seed),))))
    assert unit.send(key_for(seed)) == 0x35
    assert unit.log[-1] == ("refused", "revoked")
    assert not unit.open


def test_the_revocation_of_another_unlock_ends_nothing(unit: SeedUnit) -> None:
    unit.unlock()
    unit.trust.update(key_set(revoked_tokens=frozenset((bytes(16),))))
    assert unit.open


def test_a_grant_ends_when_the_key_that_signed_it_is_trusted_no_more(unit: SeedUnit) -> None:
    unit.unlock()
    unit.trust.update(key_set(token_keys=(keys(2).token_key.public_key().public_bytes_raw(),)))
    unit.gate.handle_timer(unit.now_ns)
    assert unit.log[-1] == ("locked", "revocation")
    assert unit.send(key_for(unit.seed())) == 0x35
    unit.unlock(signer=keys(2).token_key)


# ---- what the scheme has not


def test_there_is_no_end_in_time(unit: SeedUnit) -> None:
    unit.unlock()
    assert unit.gate.next_deadline() is None
    assert unit.gate.minutes_left(unit.now_ns) is None
    unit.wait(30 * 24 * 60 * MINUTE)
    assert unit.open


def test_authentication_is_no_way_in(unit: SeedUnit) -> None:
    assert unit.nrc("2908") == 0x22
    assert unit.nrc("2900") == 0x22


def test_another_level_may_be_the_lock() -> None:
    unit = SeedUnit(SignedSeedOptions(level=0x61))
    unit.extended()
    assert unit.nrc("2709") == 0x12
    seed = unit.ask("2761")[2:]
    assert unit.ask(b"\x27\x62" + key_for(seed, level=0x61)) == bytes.fromhex("6762")
    assert unit.open


def test_the_log_tells_of_no_seed_and_no_key(unit: SeedUnit) -> None:
    seed = unit.seed()
    key = key_for(seed)
    unit.send(flip(key, 0))
    unit.extended()
    unit.unlock()
    told = repr(unit.log) + repr(list(unit.server.log))
    assert seed.hex()[:16] not in told
    assert key.hex()[:16] not in told
    assert Ed25519PrivateKey.__name__ not in told
