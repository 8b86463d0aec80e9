"""Every interleaving of both 0x29 schemes against a model: a grant only ever comes of a fresh, whole, valid proof in time."""

from __future__ import annotations

from dataclasses import replace

from authenticating_unit import EPHEMERAL, AcrUnit, ApceUnit, wish
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from unlock_forge import MINUTE, S, flip, owner_key

from ecu_sim.vehicle_state import PowerEvent
from wire.authentication import Exchange, Party, public_bytes
from wire.challenge_response import Crypto

STEPS = settings(max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
durations = st.sampled_from([1, S, 29 * S, 30 * S, 31 * S, 29 * MINUTE, 30 * MINUTE])


class ExchangeMachine(RuleBasedStateMachine):
    """What both schemes have in common: one exchange is open at most, and serves once. `granted`: the end of the grant."""

    exchanges = Bundle("exchanges")
    unit: ApceUnit | AcrUnit
    grant_ns: int

    def __init__(self) -> None:
        super().__init__()
        self.awake = True
        self.outstanding: Exchange | None = None
        self.outstanding_end_ns = 0
        self.end_ns = 0
        self.with_key = False

    @property
    def granted(self) -> bool:
        return self.unit.now_ns < self.end_ns

    def opened(self, exchange: Exchange) -> Exchange:
        self.outstanding = exchange
        self.outstanding_end_ns = self.unit.now_ns + 30 * S
        return exchange

    def proven(self, answer: bytes, before: Exchange, now: Exchange, right: bool) -> None:
        outstanding, self.outstanding = self.outstanding, None
        in_time = self.unit.now_ns < self.outstanding_end_ns
        accepted = right and outstanding == before and in_time
        assert (answer[0] == 0x69) == accepted, answer.hex()
        if accepted:
            self.end_ns = self.unit.now_ns + self.grant_ns
            self.with_key = bool(now.configuration)

    @rule(duration_ns=durations, with_timers=st.booleans())
    def pass_time(self, duration_ns: int, with_timers: bool) -> None:
        (self.unit.wait if with_timers else self.unit.leap)(duration_ns)

    @precondition(lambda self: self.awake)
    @rule()
    def de_authenticate(self) -> None:
        answer = self.unit.ask("2900")
        assert answer == bytes.fromhex("690010" if self.granted else "7f295d")
        if self.granted:
            self.end_ns, self.outstanding = 0, None

    @precondition(lambda self: self.awake)
    @rule()
    def reset(self) -> None:
        assert self.unit.ask("1101") == bytes.fromhex("5101")
        self.end_ns, self.outstanding = 0, None
        self.unit.wait(S)

    @rule()
    def sleep(self) -> None:
        self.unit.power(PowerEvent.SLEEP)
        self.awake, self.end_ns, self.outstanding = False, 0, None

    @precondition(lambda self: not self.awake)
    @rule()
    def wake(self) -> None:
        self.unit.power(PowerEvent.WAKE)
        self.awake = True

    @precondition(lambda self: self.awake)
    @rule(request=st.sampled_from(["1001", "1003", "3e00", "22f190", "2908", "290800", "29", "29ff", "2781"]))
    def talk(self, request: str) -> None:
        assert self.unit.ask(request)

    @invariant()
    def the_grant_is_the_models(self) -> None:
        assert self.unit.open == self.granted

    @invariant()
    def there_is_a_session_key_only_under_a_grant_that_agreed_on_one(self) -> None:
        key = self.unit.gate.session_key(self.unit.now_ns)
        assert (key is not None) == (self.granted and self.with_key)


class ApceMachine(ExchangeMachine):
    """Certificates in both directions."""

    grant_ns = 1 << 62

    def __init__(self) -> None:
        super().__init__()
        self.unit = ApceUnit()
        self.unit.clock.drift_ppm = -999_000  # the certificates' end is another machine's matter

    @precondition(lambda self: self.awake)
    @rule(target=ExchangeMachine.exchanges, task=st.sampled_from([1, 2]), configuration=st.sampled_from([0, 1]))
    def verify(self, task: int, configuration: int) -> Exchange:
        return self.opened(self.unit.verified(task, configuration).exchange)

    @precondition(lambda self: self.awake)
    @rule(
        fault=st.sampled_from([{"field": b"x"}, {"configuration": 9}, {"client_challenge": b""}]),
    )
    def verify_badly(self, fault: dict[str, object]) -> None:
        assert self.unit.verify(**fault)[0] == 0x7F
        self.outstanding = None

    @precondition(lambda self: self.awake)
    @rule(
        before=ExchangeMachine.exchanges,
        fault=st.sampled_from(["", "", "key", "party", "task", "challenge", "no ephemeral"]),
    )
    def prove(self, before: Exchange, fault: str) -> None:
        now = replace(before, client_ephemeral=public_bytes(EPHEMERAL) if before.configuration else b"")
        key, party, right = owner_key(), Party.CLIENT, not fault
        said = now
        match fault:
            case "key":
                key = owner_key(101)
            case "party":
                party = Party.SERVER
                right = (before.task, before.configuration) == (1, 0)  # the plain kind has one party
            case "task":
                said = replace(now, task=3 - now.task)
            case "challenge":
                said = replace(now, server_challenge=flip(now.server_challenge, 1))
            case "no ephemeral":
                said = replace(now, client_ephemeral=b"")
                right = not before.configuration
        self.proven(self.unit.own(said, key=key, party=party), before, now, right)


class AcrMachine(ExchangeMachine):
    """Challenge-response, in both directions; the key's kind is the subclass's."""

    crypto: Crypto
    grant_ns = 30 * MINUTE

    def __init__(self) -> None:
        super().__init__()
        self.unit = AcrUnit(self.crypto)

    @precondition(lambda self: self.awake)
    @rule(target=ExchangeMachine.exchanges, configuration=st.sampled_from([0, 1]))
    def request(self, configuration: int) -> Exchange:
        return self.opened(self.unit.challenged(configuration))

    @precondition(lambda self: self.awake)
    @rule(fault=st.sampled_from([{"algorithm": bytes(16)}, {"configuration": 9}]))
    def request_badly(self, fault: dict[str, object]) -> None:
        assert self.unit.request(**fault) == bytes.fromhex("7f295c")
        self.outstanding = None

    @precondition(lambda self: self.awake)
    @rule(
        before=ExchangeMachine.exchanges,
        task=st.sampled_from([6, 7]),
        fault=st.sampled_from(["", "", "bit", "party", "task", "mirror", "no ephemeral", "role", "nothing"]),
    )
    def prove(self, before: Exchange, task: int, fault: str) -> None:
        unit, right = self.unit, not fault
        assert isinstance(unit, AcrUnit)
        ephemeral = public_bytes(EPHEMERAL) if before.configuration and fault != "no ephemeral" else b""
        asked = {"role": wish(role=7), "nothing": wish(scope=0)}.get(fault)
        mirrored = {"client_challenge": before.server_challenge} if fault == "mirror" else {}
        now = unit.closed(before, task, asked, ephemeral=ephemeral, **mirrored)
        proof = unit.proof(now)
        match fault:
            case "bit":
                proof = flip(proof, 9)
            case "party":
                proof = unit.proof(now, Party.SERVER)
            case "task":
                proof = unit.proof(replace(now, task=13 - task))
            case "no ephemeral":
                right = not before.configuration
        self.proven(unit.own(now, proof), before, now, right)

    @rule()
    def terminal_15(self) -> None:
        self.unit.power(PowerEvent.TERMINAL_15_OFF)
        self.end_ns = 0


class AsymmetricMachine(AcrMachine):
    """With the back end's public key."""

    crypto = Crypto.ASYMMETRIC


class SymmetricMachine(AcrMachine):
    """With a shared key."""

    crypto = Crypto.SYMMETRIC


for machine in (ApceMachine, AsymmetricMachine, SymmetricMachine):
    machine.TestCase.settings = STEPS
TestApce = ApceMachine.TestCase
TestAsymmetric = AsymmetricMachine.TestCase
TestSymmetric = SymmetricMachine.TestCase
