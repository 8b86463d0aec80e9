"""A grant exists exactly when a model of a few lines says so, whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from locked_unit import CertificateUnit, SfdUnit
from unlock_forge import EPOCH_S, HOUR, MINUTE, OTHER_VIN, S, chain, flip, key_set, keys, leaf, owner_key, token

from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.token import TOKEN_LEN

durations = st.sampled_from([1, S, MINUTE - 1, MINUTE, 29 * MINUTE, 45 * MINUTE, 90 * MINUTE, 23 * HOUR])
STEPS = settings(max_examples=60, stateful_step_count=40)


@dataclass(frozen=True)
class Issued:
    """What the back end handed out. `good`: nothing in it was forged."""

    wire: bytes
    ident: int
    nonce: bytes
    minutes: int
    end_utc_s: int
    good: bool = True


class SfdMachine(RuleBasedStateMachine):
    """Tokens, good, old and forged, against one unit; the model counts awake time."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.unit = SfdUnit(SfdOptions(verification_ns=0))
        self.issued = 0
        self.awake = True
        self.left_ns = 0  # 0: locked
        self.nonce: bytes | None = None
        self.nonce_end_ns = 0
        self.used: set[int] = set()

    def passed(self, duration_ns: int) -> None:
        if self.awake:
            self.left_ns = max(0, self.left_ns - duration_ns)

    @precondition(lambda self: self.awake)
    @rule(target=tokens, minutes=st.sampled_from([1, 60, 90, 200]), hours=st.integers(1, 48), forge=st.integers(0, 11))
    def fetch(self, minutes: int, hours: int, forge: int) -> Issued:
        structure = self.unit.request()
        self.nonce, self.nonce_end_ns = structure.nonce, self.unit.now_ns + 24 * HOUR
        self.issued += 1
        end_utc_s = EPOCH_S + self.unit.now_ns // S + hours * 3600
        said = {
            "token_id": self.issued.to_bytes(16, "big"),
            "duration_min": minutes,
            "not_after_utc_s": end_utc_s,
        }
        wire = token(structure, **said)
        match forge:
            case 0:
                wire = token(structure, **said, vin=OTHER_VIN)
            case 1:
                wire = token(structure, keys(2), **said)
            case 2:
                wire = flip(wire, self.issued * 97 % (8 * TOKEN_LEN))
        return Issued(wire, self.issued, structure.nonce, minutes, end_utc_s, good=forge > 2)

    @precondition(lambda self: self.awake)
    @rule(one=tokens)
    def write(self, one: Issued) -> None:
        now_ns = self.unit.now_ns
        accepted = (
            one.good
            and one.ident not in self.used
            and one.nonce == self.nonce
            and now_ns < self.nonce_end_ns
            and EPOCH_S + now_ns // S < one.end_utc_s
        )
        assert (self.unit.write(one.wire) == 0) == accepted
        if accepted:
            self.used.add(one.ident)
            self.nonce = None
            self.left_ns = min(one.minutes, 90) * MINUTE

    @rule(duration_ns=durations)
    def wait(self, duration_ns: int) -> None:
        self.unit.wait(duration_ns)
        self.passed(duration_ns)

    @rule(duration_ns=durations)
    def leap(self, duration_ns: int) -> None:
        self.unit.leap(duration_ns)
        self.passed(duration_ns)

    @rule(slightly=st.integers(-1, 1))
    def wait_for_the_end(self, slightly: int) -> None:
        duration_ns = max(0, self.left_ns + slightly)
        self.unit.wait(duration_ns)
        self.passed(duration_ns)

    @rule()
    def sleep(self) -> None:
        self.unit.power(PowerEvent.SLEEP)
        self.awake = False

    @precondition(lambda self: not self.awake)
    @rule()
    def wake(self) -> None:
        self.unit.power(PowerEvent.WAKE)
        self.awake = True

    @precondition(lambda self: self.awake)
    @rule(request=st.sampled_from(["1001", "1003", "3e00", "22f190", "2900", "3101c00800"]))
    def talk(self, request: str) -> None:
        assert self.unit.ask(request)

    @precondition(lambda self: self.awake)
    @rule()
    def lock(self) -> None:
        assert self.unit.ask("3101c00a") == bytes.fromhex("7101c00a24")
        self.left_ns = 0

    @precondition(lambda self: self.awake)
    @rule()
    def reset(self) -> None:
        assert self.unit.ask("1101") == bytes.fromhex("5101")
        self.left_ns, self.nonce = 0, None
        self.unit.wait(S)

    @rule()
    def terminal_15(self) -> None:
        self.unit.power(PowerEvent.TERMINAL_15_OFF)

    @invariant()
    def the_grant_is_the_models(self) -> None:
        assert self.unit.open == (self.left_ns > 0)
        assert self.unit.gate.minutes_left(self.unit.now_ns) == self.left_ns // MINUTE

    @invariant()
    def the_next_deadline_is_the_end_of_the_grant(self) -> None:
        running = self.awake and self.left_ns > 0
        assert self.unit.gate.next_deadline() == (self.unit.now_ns + self.left_ns if running else None)


@dataclass(frozen=True)
class Challenge:
    """What the gateway handed out for a certificate."""

    value: bytes
    serial: int
    end_utc_s: int


class CertificateMachine(RuleBasedStateMachine):
    """Certificates and proofs, right and wrong, against one gateway."""

    challenges = Bundle("challenges")

    def __init__(self) -> None:
        super().__init__()
        self.unit = CertificateUnit(CertificateOptions(verification_ns=0))
        self.awake = True
        self.serial = 0
        self.revoked: set[int] = set()
        self.outstanding: Challenge | None = None
        self.outstanding_end_ns = 0
        self.granted: Challenge | None = None

    @property
    def utc_s(self) -> int:
        return EPOCH_S + self.unit.now_ns // S

    def alive(self, one: Challenge) -> bool:
        return self.utc_s <= one.end_utc_s and one.serial not in self.revoked

    def settle(self) -> None:
        """What has run out or was revoked is gone for good."""
        if self.granted is not None and not self.alive(self.granted):
            self.granted = None

    @precondition(lambda self: self.awake)
    @rule(target=challenges, life_s=st.sampled_from([1, 60, 3600, 100_000]))
    def present(self, life_s: int) -> Challenge:
        self.serial += 1
        end_utc_s = self.utc_s + life_s
        value = self.unit.challenge(chain(leaf(serial=self.serial, begin_s=self.utc_s, end_s=end_utc_s)))
        self.outstanding = Challenge(value, self.serial, end_utc_s)
        self.outstanding_end_ns = self.unit.now_ns + 30 * S
        return self.outstanding

    @precondition(lambda self: self.awake)
    @rule(fault=st.sampled_from(["vin", "scope", "end", "issuer", "bit"]))
    def present_a_bad_one(self, fault: str) -> None:
        now_s = self.utc_s
        field = {
            "vin": lambda: chain(leaf(vin=OTHER_VIN, begin_s=now_s, end_s=now_s + 60)),
            "scope": lambda: chain(leaf(scope=0, begin_s=now_s, end_s=now_s + 60)),
            "end": lambda: chain(leaf(begin_s=now_s - 60, end_s=now_s - 1)),
            "issuer": lambda: chain(leaf(signing_key=owner_key(9), begin_s=now_s, end_s=now_s + 60)),
            "bit": lambda: flip(chain(), 1000 + self.serial),
        }[fault]()
        assert self.unit.presented(field) != 0
        self.outstanding = None

    @precondition(lambda self: self.awake)
    @rule(one=challenges, right_key=st.booleans())
    def prove(self, one: Challenge, right_key: bool) -> None:
        """Prove over any challenge ever seen: only the outstanding one counts, once, in time, with the right key."""
        before, self.outstanding = self.outstanding, None
        accepted = right_key and before == one and self.unit.now_ns < self.outstanding_end_ns and self.alive(one)
        proof = self.unit.proof(one.value, owner_key() if right_key else owner_key(101))
        assert (self.unit.prove(proof) == bytes.fromhex("6903120000")) == accepted
        if accepted:
            self.granted = one

    @rule(one=consumes(challenges))
    def revoke(self, one: Challenge) -> None:
        self.revoked.add(one.serial)
        self.unit.trust.update(key_set(revoked_serials=frozenset(self.revoked)))
        self.settle()

    @rule(duration_ns=durations, with_timers=st.booleans())
    def pass_time(self, duration_ns: int, with_timers: bool) -> None:
        (self.unit.wait if with_timers else self.unit.leap)(duration_ns)
        self.settle()

    @precondition(lambda self: self.granted is not None)
    @rule(slightly=st.integers(-1, 1))
    def wait_for_the_end(self, slightly: int) -> None:
        assert self.granted is not None
        end_ns = (self.granted.end_utc_s + 1 - EPOCH_S) * S
        self.unit.wait(max(0, end_ns + slightly - self.unit.now_ns))
        self.settle()

    @precondition(lambda self: self.awake)
    @rule()
    def de_authenticate(self) -> None:
        self.settle()
        answer = self.unit.ask("2900")
        assert answer == bytes.fromhex("690010" if self.granted is not None else "7f295d")
        if self.granted is not None:
            self.granted = self.outstanding = None

    @precondition(lambda self: self.awake)
    @rule()
    def reset(self) -> None:
        assert self.unit.ask("1101") == bytes.fromhex("5101")
        self.granted = self.outstanding = None
        self.unit.wait(S)

    @rule()
    def sleep(self) -> None:
        self.unit.power(PowerEvent.SLEEP)
        self.awake = False
        self.granted = self.outstanding = None

    @precondition(lambda self: not self.awake)
    @rule()
    def wake(self) -> None:
        self.unit.power(PowerEvent.WAKE)
        self.awake = True

    @precondition(lambda self: self.awake)
    @rule(request=st.sampled_from(["1001", "1003", "3e00", "22f190", "2908", "290800", "3101c00a"]))
    def talk(self, request: str) -> None:
        assert self.unit.ask(request)

    @rule()
    def terminal_15(self) -> None:
        self.unit.power(PowerEvent.TERMINAL_15_OFF)

    @invariant()
    def the_grant_is_the_models(self) -> None:
        grant = self.unit.gate.grant(self.unit.now_ns)
        assert (None if grant is None else grant.ident) == (
            None if self.granted is None else f"{self.granted.serial:x}"
        )

    @invariant()
    def the_next_deadline_is_the_end_of_the_grant(self) -> None:
        end_ns = None if self.granted is None else (self.granted.end_utc_s + 1 - EPOCH_S) * S
        assert self.unit.gate.next_deadline() == end_ns


SfdMachine.TestCase.settings = STEPS
CertificateMachine.TestCase.settings = STEPS
TestSfdGrant = SfdMachine.TestCase
TestCertificateGrant = CertificateMachine.TestCase
