"""SecurityAccess 0x27: seeds, keys, attempts and delay, by example and against a model (domain facts, section 5)."""

import random

import pytest
from ecu_bench import LEVELS, MS, SERVICES, Ecu, S, refused
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ecu_sim.profile import ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from wire.entropy import SeededEntropy
from wire.seed_key import compute_key
from wire.token import Scope

WRONG = {3: "27 04" + " 00" * 8, 5: "27 06" + " 00" * 4}
LOCKED_WRITE = "2E 06 01 01"


def spend_attempts(ecu: Ecu, level: int = 3) -> None:
    for _ in range(ecu.profile.security[level].attempts):
        ecu.seed(level)
        ecu.ask(WRONG[level])


def test_the_right_key_opens_what_was_closed() -> None:
    ecu = Ecu().extended()
    assert ecu.ask(LOCKED_WRITE) == refused(0x2E, 0x33)
    seed = ecu.seed()
    assert len(seed) == 8
    assert any(seed), "zeros would mean: open already"
    assert ecu.ask(ecu.key(seed)) == "67 04"
    assert ecu.ask(LOCKED_WRITE) == "6E 06 01"


def test_a_seed_alone_opens_nothing() -> None:
    ecu = Ecu().extended()
    ecu.seed()
    assert ecu.ask(LOCKED_WRITE) == refused(0x2E, 0x33)


def test_the_seed_is_zero_only_while_its_own_level_is_open() -> None:
    ecu = Ecu().extended().open_level(3)
    assert ecu.ask("27 03") == "67 03" + " 00" * 8
    assert any(ecu.seed(5))
    ecu.ask("10 03")
    assert any(ecu.seed(3))


def test_seeds_differ_and_are_never_zero() -> None:
    ecu = Ecu().extended()
    seeds = set()
    for _ in range(50):
        seeds.add(ecu.seed())
        ecu.ask("10 03")
    assert len(seeds) == 50
    assert bytes(8) not in seeds


def test_a_generator_that_yields_zeros_is_asked_again() -> None:
    class Zeros:
        left = 3

        def token_bytes(self, size: int) -> bytes:
            self.left -= 1
            return bytes(size) if self.left > 0 else b"\x01" * size

    ecu = Ecu().extended()
    ecu.server.entropy = Zeros()
    assert ecu.seed() == b"\x01" * 8


@pytest.mark.parametrize("request_", [WRONG[3], "27 04" + " FF" * 8])
def test_a_key_without_a_seed_is_out_of_sequence(request_: str) -> None:
    assert Ecu().extended().ask(request_) == refused(0x27, 0x24)


def test_a_wrong_key_voids_the_seed() -> None:
    ecu = Ecu().extended()
    seed = ecu.seed()
    assert ecu.ask(WRONG[3]) == refused(0x27, 0x35)
    assert ecu.ask(ecu.key(seed)) == refused(0x27, 0x24)
    assert ecu.seed() != seed


def test_a_right_key_is_not_accepted_twice() -> None:
    ecu = Ecu().extended()
    key = ecu.key(ecu.seed())
    assert ecu.ask(key) == "67 04"
    assert ecu.ask(key) == refused(0x27, 0x24)


def test_a_key_of_another_level_is_out_of_sequence_and_opens_nothing() -> None:
    ecu = Ecu().extended()
    ecu.seed(3)
    assert ecu.ask(WRONG[5]) == refused(0x27, 0x24)
    assert ecu.server.state.open_level is None


@pytest.mark.parametrize("request_", ["27 04", "27 04 00", "27 04" + " 00" * 7, "27 04" + " 00" * 9])
def test_the_length_is_named_before_the_missing_seed_and_costs_no_attempt(request_: str) -> None:
    ecu = Ecu().extended()
    for _ in range(10):
        assert ecu.ask(request_) == refused(0x27, 0x13)
    assert ecu.ask(ecu.key(ecu.seed())) == "67 04"


@pytest.mark.parametrize("level", [3, 5])
def test_the_attempt_that_reaches_the_limit_starts_the_delay(level: int) -> None:
    ecu = Ecu().extended()
    limit, delay_ns = LEVELS[level].attempts, LEVELS[level].delay_ns
    for attempt in range(1, limit + 1):
        ecu.seed(level)
        assert ecu.ask(WRONG[level]) == refused(0x27, 0x35 if attempt < limit else 0x36)
    assert ecu.ask(bytes((0x27, level))) == refused(0x27, 0x37)
    assert ecu.ask(WRONG[level]) == refused(0x27, 0x24)
    for _ in range(4):
        ecu.run_for((delay_ns - 1) // 4)
        ecu.ask("3E 80")
    ecu.run_for(delay_ns - 1 - ecu.now_ns)
    assert ecu.ask(bytes((0x27, level))) == refused(0x27, 0x37), "a nanosecond too early"
    ecu.run_for(1)
    assert ecu.ask(ecu.key(ecu.seed(level), level)) == f"67 {level + 1:02X}"


def test_a_right_key_forgives_the_wrong_ones() -> None:
    ecu = Ecu().extended()
    for _ in range(4):
        for _ in range(2):
            ecu.seed()
            assert ecu.ask(WRONG[3]) == refused(0x27, 0x35)
        ecu.open_level(3)
        ecu.ask("10 03")


def test_attempts_are_counted_across_sessions_and_s3() -> None:
    ecu = Ecu().extended()
    ecu.seed()
    ecu.ask(WRONG[3])
    ecu.run_for(6 * S)
    ecu.extended().seed()
    assert ecu.ask(WRONG[3]) == refused(0x27, 0x35)
    ecu.ask("10 01")
    ecu.extended().seed()
    assert ecu.ask(WRONG[3]) == refused(0x27, 0x36)


def restart(ecu: Ecu) -> None:
    ecu.ask("11 01")
    ecu.run_for(500 * MS)


def lose_battery(ecu: Ecu) -> None:
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(500 * MS)


@pytest.mark.parametrize("interrupt", [restart, lose_battery])
def test_neither_attempts_nor_delay_are_lost_with_the_supply(interrupt: object) -> None:
    assert callable(interrupt)
    ecu = Ecu().extended()
    for nrc in (0x35, 0x35, 0x36):
        ecu.seed()
        assert ecu.ask(WRONG[3]) == refused(0x27, nrc)
        interrupt(ecu)
        ecu.extended()
    assert ecu.ask("27 03") == refused(0x27, 0x37)


def test_another_unit_with_the_same_memory_keeps_the_delay() -> None:
    ecu = Ecu().extended()
    spend_attempts(ecu)
    again = Ecu(memory=ecu.server.memory).extended()
    assert again.ask("27 03") == refused(0x27, 0x37)


@pytest.mark.parametrize("request_", ["10 03", "10 02", "10 01", "10 83"])
def test_every_session_change_locks_even_into_the_same_session(request_: str) -> None:
    ecu = Ecu().extended().open_level(3)
    ecu.ask(request_)
    assert ecu.ask(LOCKED_WRITE) == refused(0x2E, 0x33)


@pytest.mark.parametrize("request_", ["10 03", "10 01", "11 01"])
def test_a_seed_dies_with_its_session(request_: str) -> None:
    ecu = Ecu().extended()
    seed = ecu.seed()
    ecu.ask(request_)
    ecu.run_for(500 * MS)
    ecu.extended()
    assert ecu.ask(ecu.key(seed)) == refused(0x27, 0x24)


def test_a_refused_session_change_locks_nothing() -> None:
    ecu = Ecu().extended().open_level(3)
    assert ecu.ask("10 44") == refused(0x10, 0x12)
    assert ecu.ask("10 03 00") == refused(0x10, 0x13)
    assert ecu.ask(LOCKED_WRITE) == "6E 06 01"


def test_one_level_is_open_at_a_time() -> None:
    ecu = Ecu().extended().open_level(3)
    assert ecu.ask("22 06 03") == refused(0x22, 0x33)
    ecu.open_level(5)
    assert ecu.ask("22 06 03") == "62 06 03 07"
    assert ecu.ask(LOCKED_WRITE) == refused(0x2E, 0x33)


def test_each_level_has_its_own_algorithm_key_and_count() -> None:
    ecu = Ecu().extended()
    spend_attempts(ecu, 5)
    assert ecu.ask("27 05") == refused(0x27, 0x37)
    ecu.open_level(3)


def test_seed_and_key_may_take_their_time() -> None:
    ecu = Ecu(services={**SERVICES, 0x27: ServiceRule(work_ns=200 * MS)}).extended()
    pending, answer = ecu.ask_and_wait("27 03", S)
    assert pending == "7F 27 78"
    assert ecu.ask_and_wait(ecu.key(bytes.fromhex(answer)[2:]), S) == ["7F 27 78", "67 04"]


@pytest.mark.parametrize("nrc", [0x33, 0x34])
@pytest.mark.parametrize("request_", ["27 03", WRONG[3]])
def test_a_profile_may_ask_for_a_grant_before_security_access(nrc: int, request_: str) -> None:
    ecu = Ecu(locked=True, refusal_nrc=nrc, security_access="after_grant").extended()
    assert ecu.ask(request_) == refused(0x27, nrc)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.CODING
    assert ecu.ask(request_) == refused(0x27, nrc)
    ecu.gate.opened = Scope.SECURITY_ACCESS
    assert ecu.open_level(3)


def test_without_a_lock_there_is_no_grant_to_wait_for() -> None:
    assert Ecu(security_access="after_grant").extended().open_level(3)


def test_the_log_tells_no_seed_and_no_key() -> None:
    ecu = Ecu().extended()
    seed = ecu.seed()
    key = ecu.key(seed)
    ecu.ask(key)
    ecu.seed(5)
    ecu.ask(WRONG[5])
    text = " ".join(record.text for record in ecu.server.log).replace(" ", "")
    assert seed.hex() not in text
    assert key.replace(" ", "")[4:] not in text
    assert key.replace(" ", "")[:8] not in text


class SecurityAccessModel(RuleBasedStateMachine):
    """The facts as a few variables, beside the real server: whoever attacks it, both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.ecu = Ecu()
        self.session = 1
        self.open: int | None = None
        self.seed: tuple[int, bytes] | None = None
        self.wrong = dict.fromkeys(LEVELS, 0)
        self.delay_until_ns = dict.fromkeys(LEVELS, 0)
        self.s3_ns: int | None = None

    def touch(self) -> None:
        self.s3_ns = self.ecu.now_ns + 5 * S if self.session != 1 else None

    def lock(self, session: int) -> None:
        self.session, self.open, self.seed = session, None, None

    @rule(session=st.sampled_from([1, 2, 3, 3, 3]))
    def change_session(self, session: int) -> None:
        assert self.ecu.ask(bytes((0x10, session))).startswith(f"50 {session:02X}")
        self.lock(session)
        self.touch()

    @rule(level=st.sampled_from([3, 5]))
    def request_seed(self, level: int) -> None:
        answer = self.ecu.ask(bytes((0x27, level)))
        self.touch()
        if self.session != 3:
            assert answer == refused(0x27, 0x7F if self.session == 1 else 0x7E)
        elif self.open == level:
            assert not any(bytes.fromhex(answer)[2:])
        elif self.ecu.now_ns < self.delay_until_ns[level]:
            assert answer == refused(0x27, 0x37)
        else:
            seed = bytes.fromhex(answer)[2:]
            assert answer.startswith(f"67 {level:02X}")
            assert any(seed)
            self.seed = (level, seed)

    @rule(level=st.sampled_from([3, 5]), wrong_bit=st.none() | st.integers(0, 31))
    def send_key(self, level: int, wrong_bit: int | None) -> None:
        rule_ = LEVELS[level]
        seed = self.seed[1] if self.seed is not None else b"\x01" * rule_.seed_len
        key = bytearray(compute_key(rule_.algorithm, seed, rule_.secret, level))
        if wrong_bit is not None:
            key[wrong_bit // 8] ^= 1 << wrong_bit % 8
        answer = self.ecu.ask(bytes((0x27, level + 1)) + bytes(key))
        self.touch()
        asked, self.seed = self.seed, self.seed if self.session != 3 else None
        if self.session != 3:
            assert answer == refused(0x27, 0x7F if self.session == 1 else 0x7E)
        elif asked is None or asked[0] != level:
            assert answer == refused(0x27, 0x24)
        elif wrong_bit is None:
            assert answer == f"67 {level + 1:02X}"
            self.open, self.wrong[level] = level, 0
        else:
            self.wrong[level] += 1
            reached = self.wrong[level] == rule_.attempts
            assert answer == refused(0x27, 0x36 if reached else 0x35)
            if reached:
                self.wrong[level], self.delay_until_ns[level] = 0, self.ecu.now_ns + rule_.delay_ns

    @precondition(lambda self: self.session != 1)
    @rule(request=st.sampled_from(["3E 80", "22 F1 87", "FF", "27 04", "10 44"]))
    def ask_something_else(self, request: str) -> None:
        self.ecu.ask(request)
        self.touch()

    @rule(wait_ns=st.sampled_from([1, S, 3 * S, 5 * S - 1, 5 * S, 10 * S]))
    def wait(self, wait_ns: int) -> None:
        self.ecu.run_for(wait_ns)
        if self.s3_ns is not None and self.ecu.now_ns >= self.s3_ns:
            self.lock(1)
            self.touch()

    @rule(how=st.sampled_from([restart, lose_battery]))
    def lose_everything_volatile(self, how: object) -> None:
        assert callable(how)
        how(self.ecu)
        self.lock(1)
        self.touch()

    @invariant()
    def the_locked_write_works_exactly_while_its_level_is_open(self) -> None:
        probe = UdsServer(
            self.ecu.profile,
            entropy=SeededEntropy(random.Random(0)),
            vehicle=VehicleState(),
            memory=self.ecu.server.memory,
        )
        probe.state = self.ecu.server.state  # so that the question itself moves no timer
        probe.receive(bytes.fromhex(LOCKED_WRITE), False, self.ecu.now_ns)
        answer = probe.outputs.popleft()
        assert (answer == bytes.fromhex("6E 06 01")) == (self.open == 3)


SecurityAccessModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestSecurityAccessModel = SecurityAccessModel.TestCase
