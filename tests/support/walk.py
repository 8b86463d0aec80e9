"""Walks the whole space of requests past one unit and says what the table of refusals (`ecu_sim.order`) foretells for each.

What each row asks is asked here anew, from facts about the unit that stand in `walk_facts`, not from the server's code: a `Probe`
is one request with what is true of it. A `Situation` is what surrounds it.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import product

from ecu_bench import MS, HandGate

from ecu_sim.order import ARRIVAL, GENERAL, ORDER, Row
from ecu_sim.profile import FREE, Access, EcuProfile, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.state import NonVolatile, Volatile
from ecu_sim.vehicle_state import VehicleState
from wire.entropy import SeededEntropy
from wire.secured import SecuredMessage
from wire.token import Scope

LOCKED_NRC, CONDITION_NRC = 0x34, 0x88
SCOPE, LEVEL = Scope.ROUTINES, 3
GUARD = Access(scope=SCOPE, security=LEVEL, conditions=("stationary",))
SILENT_WHEN_FUNCTIONAL = (0x11, 0x12, 0x31, 0x7E, 0x7F)
ALL_SESSIONS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is true besides the request. `guarded`: every service of the unit wants grant, level and condition. `slow`: every
    service takes 200 ms, so that 0x78 goes out before it is known what comes of the request.
    """

    session: int
    level_open: bool
    granted: bool
    moving: bool
    functional: bool
    guarded: bool = False
    slow: bool = False


Fails = bool | int | Callable[[Situation, int], bool | int]
"""Whether a row fails: for good, or by situation and the number of bytes that are missing (negative) or too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request, at its right length, and what the rows that ask about it find.

    `sub`: its sub-function, None where the service has none. `known`: whether the unit has the sub-function; `offered`: the
    service. `sessions`: of the service, `sub_sessions`: of the sub-function; `needs`: of the object that it names. `fails`: rows
    of the service's own. `minimum`: bytes below which it is too short. `fixed`: whether one byte more or less is wrong.
    `prepare`: puts the unit into a state first.
    """

    sid: int
    body: bytes = b""
    sub: int | None = None
    known: bool = True
    offered: bool = True
    sessions: tuple[int, ...] = ALL_SESSIONS
    sub_sessions: tuple[int, ...] = ALL_SESSIONS
    needs: Access = FREE
    fails: Mapping[str, Fails] = field(default_factory=dict)
    minimum: int = 1
    fixed: bool = True
    prepare: Callable[[UdsServer], None] | None = None
    why: str = ""

    def payload(self, *, suppress: bool, extra: int) -> bytes:
        """Return the request with `extra` bytes more (or less)."""
        head = bytes((self.sid,))
        if self.sub is not None:
            head += bytes((self.sub | (0x80 if suppress else 0),))
        whole = head + self.body
        return whole + bytes(extra) if extra >= 0 else whole[:extra]


def _open(situation: Situation) -> bool:
    """A level that was opened under a grant closes with it."""
    return situation.level_open and situation.granted


def _access_fails(access: Access, situation: Situation) -> dict[str, bool | int]:
    return {
        "object in session": bool(access.sessions) and situation.session not in access.sessions,
        "object secured": access.secured,
        "object released": LOCKED_NRC if access.scope and not situation.granted else 0,
        "object level open": access.security is not None and not _open(situation),
        "object conditions": CONDITION_NRC if access.conditions and situation.moving else 0,
    }


def asks(probe: Probe, situation: Situation, extra: int) -> dict[str, bool | int]:
    """Answer the questions that services share."""
    size = len(probe.payload(suppress=False, extra=extra))
    guarded = situation.guarded
    return {
        "service known": not probe.offered,
        "service in session": situation.session not in probe.sessions,
        "service released": LOCKED_NRC if guarded and not situation.granted else 0,
        "service level open": guarded and not _open(situation),
        "service conditions": CONDITION_NRC if guarded and situation.moving else 0,
        "minimum length": size < probe.minimum,
        "sub-function known": not probe.known,
        "sub-function in session": situation.session not in probe.sub_sessions,
        "exact length": probe.fixed and extra != 0,
        "answer fits": False,
        **_access_fails(probe.needs, situation),
    }


@dataclass(slots=True)
class Foretold:
    """What the table says: the row that refuses (None: none does), with which NRC, and whether a slow unit knows it at once."""

    row: Row | None = None
    nrc: int = 0
    at_once: bool = True


def foretell(probe: Probe, situation: Situation, extra: int) -> Foretold:
    """Go down the table with our own answers."""
    answers = asks(probe, situation, extra)
    rows = ORDER[probe.sid] if probe.offered else ARRIVAL[:1]
    at_once = True
    for row in rows:
        at_once = at_once and row in GENERAL
        fails = probe.fails.get(row.check, answers.get(row.check))
        assert fails is not None, f"nobody here can answer {row.check!r} for {probe}"
        outcome = fails(situation, extra) if callable(fails) else fails
        if outcome:
            return Foretold(row, int(outcome) if row.nrc is None else row.nrc, at_once)
    return Foretold(at_once=False)


def expected(probe: Probe, situation: Situation, *, suppress: bool, foretold: Foretold) -> list[str]:
    """Return what must be heard, an NRC or a positive answer each as hex of its first bytes."""
    pending = situation.slow and not foretold.at_once
    heard = [f"7F {probe.sid:02X} 78"] if pending else []
    if foretold.row is not None:
        if not (situation.functional and foretold.nrc in SILENT_WHEN_FUNCTIONAL and not pending):
            heard.append(f"7F {probe.sid:02X} {foretold.nrc:02X}")
    elif not suppress or pending:
        heard.append(f"{probe.sid + 0x40:02X}")
    return heard


class WalkedGate(HandGate):
    """A lock by hand that takes each secured request but one with a signature, and no reading."""

    administrative = 0x0021

    def takes_secured(self, inner: bytes) -> bool:
        return inner[0] != 0x22

    def change_refused(self, message: SecuredMessage, now_ns: int) -> str:
        return "signature" if message.signature else ""

    def opened_for(self, message: SecuredMessage, now_ns: int) -> AbstractContextManager[None]:
        return nullcontext()

    def use_up(self, message: SecuredMessage, now_ns: int) -> None:
        return None

    def signed_answer(self, message: SecuredMessage) -> SecuredMessage:
        return message


class Unit:
    """The unit that is walked past. Its state is put into place for each request."""

    def __init__(self, profile: EcuProfile, *, guarded: bool, slow: bool) -> None:
        rule = ServiceRule(access=GUARD if guarded else Access(), work_ns=200 * MS if slow else 0)
        self.profile = replace(profile, services=dict.fromkeys(profile.services, rule))
        self.vehicle = VehicleState()
        self.gate = WalkedGate(LOCKED_NRC)
        self.gate.tasks = frozenset(range(9))
        self.gate.authenticate = lambda task, data, now_ns: b"\0"
        self.touched = False
        self.server = UdsServer(
            self.profile, entropy=SeededEntropy(random.Random(1)), vehicle=self.vehicle, gate=self.gate
        )

    def put(self, probe: Probe, situation: Situation) -> None:
        """Forget all that was, and make the situation true."""
        server = self.server
        if self.touched:
            server.reset(0, "walk")
            server._down_until_ns = None
            server.memory = NonVolatile.fresh(self.profile)
        server.state = Volatile(session=situation.session, open_level=LEVEL if situation.level_open else None)
        server.outputs.clear()
        self.gate.opened = SCOPE | Scope.SECURITY_ACCESS if situation.granted else Scope(0)
        self.gate.events.clear()
        self.vehicle.speed_kmh = 50 if situation.moving else 0
        if probe.prepare is not None:
            probe.prepare(server)
        self.touched = probe.prepare is not None

    def ask(self, payload: bytes, *, functional: bool) -> list[str]:
        """Return what is heard within a second, shortened: a refusal whole, of a positive answer its first byte."""
        answers = self.answers(payload, functional=functional)
        return [(answer if answer[0] == 0x7F else answer[:1]).hex(" ").upper() for answer in answers]

    def answers(self, payload: bytes, *, functional: bool = False) -> list[bytes]:
        """Return what is heard within a second."""
        server, outputs = self.server, self.server.outputs
        server.receive(payload, functional, 0)
        for _ in range(20):
            due_ns = server.next_deadline()
            if not server.busy or due_ns is None:
                break
            server.handle_timer(due_ns)
        heard = list(outputs)
        outputs.clear()
        self.touched |= not heard or heard[-1][0] != 0x7F
        return heard


def situations(*, guarded: bool, slow: bool) -> Iterator[Situation]:
    """Yield every combination."""
    flags = (False, True)
    for session, level_open, granted, moving, functional in product(ALL_SESSIONS, flags, flags, flags, flags):
        if level_open and session == 1:
            continue  # no level is open in the default session
        yield Situation(
            session=session,
            level_open=level_open,
            granted=granted,
            moving=moving,
            functional=functional,
            guarded=guarded,
            slow=slow,
        )


def lengths(probe: Probe) -> list[int]:
    """Return how many bytes are added: SID alone, one too short, exact, one too long."""
    size = len(probe.payload(suppress=False, extra=0))
    return sorted({1 - size, -1, 0, 1} if size > 1 else {0, 1})
