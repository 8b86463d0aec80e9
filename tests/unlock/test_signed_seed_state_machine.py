"""Never open without the right key for the outstanding seed, whatever happens in whatever order: a small model says when."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from locked_unit import CODING
from seed_unit import SeedUnit, key_for
from unlock_forge import ADDRESS, MINUTE, OTHER_VIN, S, flip, key_set, keys

from ecu_sim.unlock.signed_seed import SignedSeedOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.signed_seed import SEED_LEN, seed_id

durations = st.sampled_from([1, S, 3 * S, 6 * S, 10 * S, 4 * MINUTE, 5 * MINUTE])
LIFETIME_NS, DELAY_NS, S3_NS = 5 * MINUTE, 10 * S, 5 * S


@dataclass(frozen=True)
class Seed:
    """What the gateway handed out, and until when it counts."""

    value: bytes
    until_ns: int


class SignedSeedMachine(RuleBasedStateMachine):
    """Keys, right, old and forged, against one gateway."""

    seeds = Bundle("seeds")

    def __init__(self) -> None:
        super().__init__()
        self.unit = SeedUnit(SignedSeedOptions(verification_ns=0))
        self.awake = True
        self.extended = False
        self.s3_ns = 0
        self.outstanding: Seed | None = None
        self.granted: bytes | None = None
        self.wrong = 0
        self.delay_ns = 0
        self.revoked: set[bytes] = set()

    @property
    def now_ns(self) -> int:
        return self.unit.now_ns

    def asked(self) -> None:
        self.s3_ns = self.now_ns + S3_NS

    def left(self) -> None:
        self.extended, self.outstanding = False, None

    def here(self) -> bool:
        return self.awake and self.extended

    # ---- the level

    @precondition(here)
    @rule(target=seeds)
    def seed(self) -> Seed:
        answer = self.unit.ask("2709")
        self.asked()
        if self.granted is not None:
            assert answer == bytes.fromhex("6709") + bytes(SEED_LEN)
            return Seed(bytes([1] * SEED_LEN), 0)
        if self.now_ns < self.delay_ns:
            assert answer == bytes.fromhex("7f2737")
            return Seed(bytes([2] * SEED_LEN), 0)
        if self.outstanding is not None and self.now_ns < self.outstanding.until_ns:
            assert answer[2:] == self.outstanding.value
        else:
            assert any(answer[2:])
            self.outstanding = Seed(answer[2:], self.now_ns + LIFETIME_NS)
        return self.outstanding

    @precondition(here)
    @rule(one=seeds, forge=st.integers(0, 9))
    def key(self, one: Seed, forge: int) -> None:
        """A key for any seed ever seen: only the outstanding one counts, once, in time, signed for this car."""
        match forge:
            case 0:
                key = key_for(one.value, vin=OTHER_VIN)
            case 1:
                key = key_for(one.value, address=ADDRESS + 1)
            case 2:
                key = key_for(one.value, signer=keys(2).token_key)
            case 3:
                key = flip(key_for(one.value), one.value[0])
            case 4:
                key = key_for(one.value)[:-1]
            case _:
                key = key_for(one.value)
        nrc = self.unit.send(key)
        self.asked()
        if forge == 4:
            assert nrc == 0x13
            return
        before, self.outstanding = self.outstanding, None
        if before is None or self.now_ns >= before.until_ns:
            assert nrc == 0x24
        elif forge > 4 and one.value == before.value and seed_id(one.value) not in self.revoked:
            assert nrc == 0
            self.granted, self.wrong = one.value, 0
        else:
            self.wrong += 1
            assert nrc == (0x36 if self.wrong == 3 else 0x35)
            if self.wrong == 3:
                self.wrong, self.delay_ns = 0, self.now_ns + DELAY_NS

    @rule(one=seeds)
    def revoke(self, one: Seed) -> None:
        self.revoked.add(seed_id(one.value))
        self.unit.trust.update(key_set(revoked_tokens=frozenset(self.revoked)))
        if self.granted is not None and seed_id(self.granted) in self.revoked:
            self.granted = None

    # ---- sessions and time

    @precondition(lambda self: self.awake)
    @rule(session=st.sampled_from([1, 2, 3]))
    def change_session(self, session: int) -> None:
        assert self.unit.ask(bytes((0x10, session)))[0] == 0x50
        self.left()
        self.extended = session == 3
        self.asked()

    @precondition(lambda self: self.awake)
    @rule(request=st.sampled_from(["3e00", "22f190", "2703", "2900", "2704"]))
    def talk(self, request: str) -> None:
        assert self.unit.ask(request)
        self.asked()

    @rule(duration_ns=durations)
    def wait(self, duration_ns: int) -> None:
        self.unit.wait(duration_ns)
        if self.now_ns >= self.s3_ns:
            self.left()

    # ---- what happens to the car

    @precondition(lambda self: self.awake)
    @rule()
    def reset(self) -> None:
        assert self.unit.ask("1101") == bytes.fromhex("5101")
        self.unit.wait(S)
        self.left()
        self.granted = None

    @precondition(lambda self: self.awake)
    @rule()
    def battery(self) -> None:
        self.unit.power(PowerEvent.BATTERY_LOST)
        self.unit.power(PowerEvent.BATTERY_BACK)
        self.unit.wait(S)
        self.left()
        self.granted = None

    @rule()
    def terminal_15(self) -> None:
        self.unit.power(PowerEvent.TERMINAL_15_OFF)
        self.left()
        self.granted = None

    @rule()
    def sleep(self) -> None:
        self.unit.power(PowerEvent.SLEEP)
        self.awake = False
        self.left()
        self.granted = None

    @precondition(lambda self: not self.awake)
    @rule()
    def wake(self) -> None:
        self.unit.power(PowerEvent.WAKE)
        self.awake = True

    @invariant()
    def the_grant_is_the_models(self) -> None:
        grant = self.unit.gate.grant(self.now_ns)
        assert (None if grant is None else grant.ident) == (
            None if self.granted is None else seed_id(self.granted).hex()
        )
        assert self.unit.gate.next_deadline() is None

    @precondition(here)
    @invariant()
    def a_protected_write_follows_the_grant(self) -> None:
        answer = self.unit.nrc(CODING)
        self.asked()
        assert answer == (0x33 if self.granted is None else 0)


SignedSeedMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestSignedSeedGrant = SignedSeedMachine.TestCase
