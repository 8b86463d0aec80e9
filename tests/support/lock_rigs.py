"""Each unlock scheme's lock with a tester at it who can put it into any state, do anything to it, and see where it is.

Where a lock is, is found out by the tester's own means: what is open, and whether what fits the last request would open it now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from authenticating_unit import AcrUnit, wish
from locked_unit import CertificateUnit, LockedUnit, SfdUnit
from seed_unit import SeedUnit, key_for
from sfd2_unit import WRITE, Sfd2Unit
from unlock_forge import ADDRESS, OTHER_VIN, VIN, S, chain, keys, leaf, owner_key, sized, token

from ecu_sim.services.request import Request
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.exchanges import Exchanges, GateFault
from ecu_sim.unlock.gate import AccessGate
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Options
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from ecu_sim.unlock.ways import At, Does
from wire.authentication import Exchange
from wire.secured import MAX_COUNTER, Administrative, SecuredMessage
from wire.signed_change import ChangeRequest
from wire.token import NONCE_LEN, Generation, RequestStructure

Act = Callable[[], int]
"""Does something; returns the NRC, 0 where the answer is positive or there is none."""
LIFETIME_NS = 2 * S
"""Of requests, challenges, seeds, and the delay: under S3, which is another event."""


def nrc_of(answer: bytes | str) -> int:
    answer = bytes.fromhex(answer) if isinstance(answer, str) else answer
    assert answer, "no answer"
    return answer[2] if answer[0] == 0x7F else 0


class Rig:
    """A lock and a tester at it. `acts`: each way of doing a thing, so that a refusal is walked for more than one cause."""

    gate: AccessGate

    def __init__(self, unit: LockedUnit | Sfd2Unit) -> None:
        self._unit = unit

    @property
    def now_ns(self) -> int:
        return self._unit.now_ns

    def put(self, at: At) -> None:
        if at in (At.OPEN, At.OPEN_ASKED):
            assert self.ask() == self.prove() == 0
        if at in (At.ASKED, At.OPEN_ASKED):
            assert self.ask() == 0

    def ask(self) -> int:
        raise NotImplementedError

    def prove(self) -> int:
        """Bring what fits the last request."""
        raise NotImplementedError

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        raise NotImplementedError

    def at(self) -> At:
        """Look, for the last time: what fits the last request is brought."""
        is_open = self.gate.grant(self.now_ns) is not None
        return STATES[is_open, self.prove() == 0]

    def late(self) -> int:
        unit = self._unit
        (unit.run_for if isinstance(unit, Sfd2Unit) else unit.wait)(LIFETIME_NS)
        return 0


STATES = {(False, False): At.LOCKED, (False, True): At.ASKED, (True, False): At.OPEN, (True, True): At.OPEN_ASKED}


def with_fault(exchanges: Exchanges, fault: GateFault, act: Act) -> int:
    exchanges.faults.add(fault)
    answer = act()
    exchanges.faults.remove(fault)
    return answer


class SfdRig(Rig):
    def __init__(self) -> None:
        self.unit = SfdUnit(SfdOptions(nonce_lifetime_ns=LIFETIME_NS))
        super().__init__(self.unit)
        self.gate = self.unit.gate
        self.unit.extended()
        self.last = RequestStructure(ecu_address=ADDRESS, vin=VIN, nonce=bytes(NONCE_LEN))
        self.tokens = 0

    def token(self, **changes: Any) -> bytes:
        self.tokens += 1
        return token(self.last, **{"token_id": self.tokens.to_bytes(16, "big"), **changes})

    def ask(self) -> int:
        self.last = self.unit.request()
        return 0

    def prove(self, **changes: Any) -> int:
        return self.unit.write(self.token(**changes))

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        unit = self.unit
        return {
            Does.ASKS: (self.ask,),
            Does.ASKS_WRONG: (lambda: unit.nrc("31 01 C0 08 00"),),
            Does.PROVES: (self.prove,),
            Does.PROVES_WRONG: (
                lambda: unit.write(token(self.last, keys(2))),
                lambda: unit.write(self.token()[:-1] + b"\x00"),
                lambda: self.prove(generation=Generation.SFD2),
                lambda: self.prove(vin=OTHER_VIN),
                lambda: self.prove(nonce=bytes([1] * NONCE_LEN)),
                lambda: self.prove(not_after_utc_s=1),
                lambda: self.prove(role=0),
                lambda: self.prove(scope=0),
                lambda: self.prove(duration_min=0),
            ),
            Does.PROVES_UNREADABLY: (lambda: unit.write(b"\x00"), lambda: unit.write(self.token()[:-1])),
            Does.LOCKS: (lambda: unit.nrc("31 01 C0 0A"),),
            Does.IS_LATE: (self.late,),
        }


class Sfd2Rig(Rig):
    """Open takes no time here: it is looked at from within the inner service."""

    def __init__(self) -> None:
        self.unit = Sfd2Unit(Sfd2Options(nonce_lifetime_ns=LIFETIME_NS))
        super().__init__(self.unit)
        self.gate = self.unit.lock
        structure = RequestStructure(ecu_address=ADDRESS, vin=VIN, nonce=bytes(NONCE_LEN), generation=Generation.SFD2)
        self.last = ChangeRequest(structure=structure, last_counter=0)
        self.within: At | None = None

    def put(self, at: At) -> None:
        if at is not At.LOCKED:
            self.ask()  # to be open, it takes the change that the act brings

    def ask(self) -> int:
        self.last = self.unit.fetch()
        return 0

    def prove(self, inner: str = WRITE, **changes: Any) -> int:
        return nrc_of(self.unit.bring(self.signed(inner, **changes)))

    def signed(self, inner: str = WRITE, **changes: Any) -> SecuredMessage:
        return self.unit.signed(inner, request=self.last, **changes)

    def watched(self) -> int:
        """Bring a good change, and note where the lock is while the inner request is served."""
        server = self.unit.server
        perform = server.perform

        def watch(request: Request) -> bytes:
            if request.secured:
                self.within = At.OPEN if self.unit.lock.grant(self.now_ns) is not None else At.LOCKED
            return perform(request)

        server.perform = watch  # type: ignore[method-assign]
        return self.prove()

    def used_up(self) -> int:
        state = self.unit.lock._state
        counter, state.last_counter = state.last_counter, MAX_COUNTER
        answer = nrc_of(self.unit.ask("31 01 C0 08"))
        state.last_counter = counter
        return answer

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        unit = self.unit
        any_token = token(RequestStructure(ecu_address=ADDRESS, vin=VIN, nonce=bytes(NONCE_LEN)))
        return {
            Does.ASKS: (self.ask,),
            Does.ASKS_WRONG: (lambda: nrc_of(unit.ask("31 01 C0 08 00")), self.used_up),
            Does.PROVES: (self.watched,),
            Does.PROVES_WRONG: (
                lambda: self.prove(key=keys(2).token_key),
                lambda: self.prove(vin=OTHER_VIN),
                lambda: self.prove(counter=0),
                lambda: self.prove(role=0),
                lambda: self.prove(scope=0),
                lambda: self.prove("31 01 C0 0A"),
                lambda: nrc_of(unit.bring(replace(self.signed(), signature=bytes(94)))),
                lambda: nrc_of(unit.bring(self.signed().encode()[:-1])),
                lambda: nrc_of(unit.bring(replace(self.signed(), administrative=Administrative.REQUEST))),
            ),
            Does.PROVES_UNREADABLY: (
                lambda: nrc_of(unit.bring("84 00")),
                lambda: nrc_of(unit.bring(self.signed().encode()[:8])),
            ),
            Does.BRINGS_TOKEN: (
                lambda: nrc_of(unit.bring(b"\x31\x01\xc0\x04" + any_token)),
                lambda: nrc_of(unit.bring("31 01 C0 04 00")),
            ),
            Does.LOCKS: (lambda: nrc_of(unit.ask("31 01 C0 0A")),),
            Does.IS_LATE: (self.late,),
            Does.IS_SERVED: (self.prove, lambda: self.prove("2E 06 00 01 02 03"), lambda: self.prove("2E 09 99 01")),
        }

    def at(self) -> At:
        if self.within is not None:
            return self.within
        return super().at()


class CertificateRig(Rig):
    def __init__(self) -> None:
        self.unit = CertificateUnit(CertificateOptions(challenge_lifetime_ns=LIFETIME_NS))
        super().__init__(self.unit)
        self.gate = self.unit.gate
        self.last = bytes(32)

    def ask(self) -> int:
        self.last = self.unit.challenge()
        return 0

    def prove(self) -> int:
        return nrc_of(self.unit.prove(self.unit.proof(self.last)))

    def widen(self, field: bytes, evaluation_id: int = 1) -> int:
        return self.unit.nrc(b"\x29\x04" + evaluation_id.to_bytes(2, "big") + sized(field))

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        unit = self.unit
        return {
            Does.ASKS: (self.ask,),
            Does.ASKS_WRONG: (
                lambda: unit.presented(chain(leaf(vin=OTHER_VIN))),
                lambda: unit.presented(chain(leaf(end_s=1))),
                lambda: unit.presented(b"\x00"),
                lambda: unit.nrc(b"\x29\x01\x07" + sized(chain()) + sized(b"")),
                lambda: unit.nrc(b"\x29\x01\x00" + sized(chain())),
                lambda: with_fault(unit.gate.exchanges, GateFault.CHALLENGE, unit.presented),
            ),
            Does.PROVES: (self.prove,),
            Does.PROVES_WRONG: (
                lambda: nrc_of(unit.prove(unit.proof(bytes(32)))),
                lambda: nrc_of(unit.prove(unit.proof(self.last, owner_key(101)))),
                lambda: with_fault(unit.gate.exchanges, GateFault.ACCESS_RIGHTS, self.prove),
            ),
            Does.PROVES_UNREADABLY: (lambda: unit.nrc("29 03 00"),),
            Does.WIDENS: (lambda: self.widen(chain(leaf(serial=0x77))),),
            Does.WIDENS_WRONG: (
                lambda: self.widen(chain(leaf(vin=OTHER_VIN))),
                lambda: self.widen(b"\x00"),
                lambda: self.widen(chain(), evaluation_id=2),
                lambda: self.widen(chain(leaf(public_key=owner_key(101).public_key()))),
                lambda: with_fault(unit.gate.exchanges, GateFault.ACCESS_RIGHTS, lambda: self.widen(chain())),
            ),
            Does.LOCKS: (lambda: unit.nrc("29 00"),),
            Does.IS_LATE: (self.late,),
        }


class ChallengeResponseRig(Rig):
    def __init__(self) -> None:
        self.unit = AcrUnit(challenge_lifetime_ns=LIFETIME_NS)
        super().__init__(self.unit)
        self.gate = self.unit.gate
        self.last = Exchange(
            task=6,
            configuration=0,
            vin=VIN,
            ecu_address=ADDRESS,
            server_challenge=bytes(32),
            algorithm=self.unit.algorithm,
        )

    def ask(self) -> int:
        self.last = self.unit.challenged()
        return 0

    def prove(self, **changes: Any) -> int:
        return nrc_of(self.unit.own(self.unit.closed(self.last, asked=wish(**changes))))

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        unit = self.unit
        closed = unit.closed
        return {
            Does.ASKS: (self.ask,),
            Does.ASKS_WRONG: (
                lambda: nrc_of(unit.request(7)),
                lambda: nrc_of(unit.request(algorithm=bytes(16))),
                lambda: unit.nrc("29 05 00"),
                lambda: with_fault(unit.gate.exchanges, GateFault.CHALLENGE, lambda: nrc_of(unit.request())),
            ),
            Does.PROVES: (self.prove,),
            Does.PROVES_WRONG: (
                lambda: nrc_of(unit.own(closed(self.last), bytes(64))),
                lambda: nrc_of(unit.own(closed(replace(self.last, algorithm=bytes(16))))),
                lambda: self.prove(role=0),
                lambda: self.prove(duration_min=0),
                lambda: self.prove(key_id=bytes(8)),
                lambda: with_fault(unit.gate.exchanges, GateFault.ACCESS_RIGHTS, self.prove),
            ),
            Does.PROVES_UNREADABLY: (
                lambda: unit.nrc("29 06 00"),
                lambda: nrc_of(unit.own(replace(closed(self.last), additional=b"\x00"))),
            ),
            Does.LOCKS: (lambda: unit.nrc("29 00"),),
            Does.IS_LATE: (self.late,),
        }


class SeedRig(Rig):
    def __init__(self) -> None:
        self.unit = SeedUnit(SignedSeedOptions(seed_lifetime_ns=LIFETIME_NS, delay_ns=LIFETIME_NS))
        super().__init__(self.unit)
        self.gate = self.unit.gate
        self.unit.extended()
        self.last = bytes([1] * 32)

    def put(self, at: At) -> None:
        if at is At.OPEN:
            assert self.ask() == self.prove() == 0
        elif at is At.ASKED:
            assert self.ask() == 0
        elif at is At.DELAY:
            for _ in range(self.unit.gate.options.attempts):
                self.unit.seed()
                self.unit.send(bytes(64))

    def ask(self) -> int:
        answer = self.unit.ask("27 09")
        if answer[0] == 0x67 and any(answer[2:]):
            self.last = answer[2:]
        return nrc_of(answer)

    def prove(self) -> int:
        return self.unit.send(key_for(self.last))

    def at_last(self) -> int:
        self.unit.gate._attempts.wrong = self.unit.gate.options.attempts - 1
        return self.unit.send(bytes(64))

    def acts(self) -> Mapping[Does, tuple[Act, ...]]:
        unit = self.unit
        return {
            Does.ASKS: (self.ask,),
            Does.ASKS_WRONG: (lambda: unit.nrc("27 09 00"),),
            Does.PROVES: (self.prove,),
            Does.PROVES_WRONG: (
                lambda: unit.send(bytes(64)),
                lambda: unit.send(key_for(self.last, vin=OTHER_VIN)),
                lambda: unit.send(key_for(self.last, signer=keys(2).token_key)),
            ),
            Does.PROVES_WRONG_AT_LAST: (self.at_last,),
            Does.PROVES_UNREADABLY: (lambda: unit.send(bytes(63)), lambda: unit.send(b"")),
            Does.IS_LATE: (self.late,),
            Does.SITS_DELAY_OUT: (self.late,),
        }

    def at(self) -> At:
        if self.unit.open:
            assert self.unit.seed() == bytes(32)
            return At.OPEN
        if self.prove() == 0:
            return At.ASKED
        return At.DELAY if self.ask() == 0x37 else At.LOCKED


RIGS: dict[str, Callable[[], Rig]] = {
    "sfd": SfdRig,
    "sfd2": Sfd2Rig,
    "signed-seed": SeedRig,
    "certificate": CertificateRig,
    "challenge-response": ChallengeResponseRig,
}
