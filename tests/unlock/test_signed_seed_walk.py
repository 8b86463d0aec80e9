"""Every request at the level that is the lock, in every situation: refused as the table says, like at any other level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from locked_unit import seeded
from seed_unit import key_for
from unlock_forge import ADDRESS, VIN, trust
from walk import GUARD, LOCKED_NRC, Probe, Situation, Unit, expected, foretell, lengths, situations
from walk_facts import NOT_DEFAULT, UNIT

from ecu_sim.order import ORDER
from ecu_sim.profile import Access, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.state import Attempts
from ecu_sim.unlock.gate import Grant
from ecu_sim.unlock.signed_seed import SignedSeedGate, SignedSeedOptions, _Outstanding
from ecu_sim.vehicle_state import VehicleState
from wire.clock import WallClock
from wire.signed_seed import KEY_LEN
from wire.token import Scope

SEED = bytes(range(1, 33))
FOREVER_NS = 1 << 60
SLOW_NS = 200_000_000


class HandSeedGate(SignedSeedGate):
    """The lock, whose grant a test sets."""

    def __init__(self) -> None:
        options = SignedSeedOptions(verification_ns=0, refusal_nrc=LOCKED_NRC)
        super().__init__(
            vin=VIN, ecu_address=ADDRESS, trust=trust(), clock=WallClock(), entropy=seeded(), options=options
        )
        self._signer = next(iter(self.trust.token_keys))
        self.events: list[object] = []

    @property
    def opened(self) -> Scope:
        return Scope(0) if self._grant is None else Scope(self._grant.scope)

    @opened.setter
    def opened(self, scope: Scope) -> None:
        self._grant = Grant(scheme=self.name, role=2, scope=scope, ident="00" * 16, since_ns=0) if scope else None


class SeedWalkUnit(Unit):
    """The unit of the walk, with that lock."""

    def __init__(self, *, guarded: bool, slow: bool) -> None:
        super().__init__(UNIT, guarded=guarded, slow=slow)
        rule = ServiceRule(access=GUARD if guarded else Access(), work_ns=SLOW_NS if slow else 0)
        self.profile = replace(self.profile, services=dict.fromkeys(UNIT.services, rule), locked_nrc=LOCKED_NRC)
        self.vehicle = VehicleState()
        self.gate = HandSeedGate()
        self.server = UdsServer(self.profile, entropy=seeded(), vehicle=self.vehicle, gate=self.gate)


def lock(*, seed: bytes | None = None, wrong: int = 0, delay_ns: int = 0) -> Callable[[UdsServer], None]:
    """Put the lock into a state."""

    def prepare(server: UdsServer) -> None:
        gate = server.gate
        assert isinstance(gate, HandSeedGate)
        gate._outstanding = None if seed is None else _Outstanding(seed=seed, until_ns=FOREVER_NS)
        gate._attempts = Attempts(wrong=wrong, delay_until_ns=delay_ns)

    return prepare


NOTHING = {"level released": 0, "delay over": 0, "seed outstanding": 0, "key right": 0}
COMMON = {"sid": 0x27, "sessions": NOT_DEFAULT, "sub_sessions": (3,), "minimum": 2}
SEED_SF, KEY_SF = 0x09, 0x0A
RIGHT, WRONG = key_for(SEED), bytes(KEY_LEN)


def delay_runs(situation: Situation, extra: int) -> bool:
    """An open lock gives its zero seed whatever was wrong before."""
    return not situation.granted


PROBES = {
    "seed": Probe(sub=SEED_SF, fails=NOTHING, prepare=lock(), **COMMON),
    "seed again": Probe(sub=SEED_SF, fails=NOTHING, prepare=lock(seed=SEED), **COMMON),
    "seed in the delay": Probe(
        sub=SEED_SF, fails=NOTHING | {"delay over": delay_runs}, prepare=lock(delay_ns=FOREVER_NS), **COMMON
    ),
    "right key": Probe(sub=KEY_SF, body=RIGHT, fails=NOTHING, prepare=lock(seed=SEED), **COMMON),
    "key without seed": Probe(
        sub=KEY_SF, body=RIGHT, fails=NOTHING | {"seed outstanding": True}, prepare=lock(), **COMMON
    ),
    "wrong key": Probe(
        sub=KEY_SF, body=WRONG, fails=NOTHING | {"key right": 0x35}, prepare=lock(seed=SEED, wrong=1), **COMMON
    ),
    "one wrong key too many": Probe(
        sub=KEY_SF, body=WRONG, fails=NOTHING | {"key right": 0x36}, prepare=lock(seed=SEED, wrong=2), **COMMON
    ),
    "key in the delay": Probe(
        sub=KEY_SF,
        body=WRONG,
        fails=NOTHING | {"seed outstanding": True},
        prepare=lock(delay_ns=FOREVER_NS),
        **COMMON,
    ),
    "no such level": Probe(sub=0x0B, known=False, fails=NOTHING, prepare=lock(), fixed=False, **COMMON),
}


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize(("guarded", "slow"), [(False, False), (True, False), (False, True)])
def test_the_locks_level_refuses_as_the_table_says(name: str, guarded: bool, slow: bool) -> None:
    probe, unit = PROBES[name], SeedWalkUnit(guarded=guarded, slow=slow)
    surprises = []
    for situation in situations(guarded=guarded, slow=slow):
        for extra in lengths(probe):
            foretold = foretell(probe, situation, extra)
            for suppress in (False, True):
                payload = probe.payload(suppress=suppress, extra=extra)
                unit.put(probe, situation)
                heard = unit.ask(payload, functional=situation.functional)
                want = expected(probe, situation, suppress=suppress and len(payload) > 1, foretold=foretold)
                if heard != want:
                    surprises.append(f"{payload[:4].hex(' ')} {situation}: want {want}, heard {heard}")
    assert not surprises, "\n".join(surprises[:5])


def test_every_row_of_the_table_is_reached_at_the_locks_level_but_the_one_that_asks_for_a_grant() -> None:
    refused = set()
    for guarded in (False, True):
        for probe in PROBES.values():
            for situation in situations(guarded=guarded, slow=False):
                for extra in lengths(probe):
                    row = foretell(probe, situation, extra).row
                    refused.add(row.check if row else "served")
    assert {row.check for row in ORDER[0x27]} - refused == {"service known", "level released"}
