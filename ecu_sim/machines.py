"""The session and the 0x27 level as state machines: tables that the server runs on, and from which docs/machines.md is drawn.

A session is the default one or another; whatever is bound to it ends where the table says so. A 0x27 level is locked, has given a
seed, is open, or makes wait; each level has a machine of its own, but one is open at a time. (The ways into a grant:
`ecu_sim.unlock.ways`; what ends it: its scheme's fates.)

Sources: ISO 14229-1 session transitions and SecurityAccess as open servers and public articles give them (domain facts, section
5); that a session ends with terminal 15 and with sleep is general knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from ecu_sim.unit_event import UnitEvent
from wire.uds import Nrc, Session

# ---- the session


class InSession(StrEnum):
    """Where a unit is."""

    DEFAULT = "default session"
    OTHER = "another session"


class SessionInput(StrEnum):
    """What may change the session."""

    DEFAULT_ASKED = "10 01"
    SAME_ASKED = "10 with the same session"
    OTHER_ASKED = "10 with another session"
    S3_TIMEOUT = "S3 time-out"
    ECU_RESET = "reset, supply lost"
    TERMINAL_15_OFF = "terminal 15 off"
    SLEEP = "sleep"


class Bound(Enum):
    """What is bound to a session and may end with it."""

    SECURITY = "0x27 level and seed"
    SEQUENCE = "what was written before"
    CONTROL = "what the tester holds"
    """Routines, communication, DTC setting; services that hold more (outputs, periodic answers) listen to the event."""


@dataclass(frozen=True, slots=True)
class SessionStep:
    """Where an input leads, what ends on the way, and what the rest of the unit is told."""

    to: InSession
    ends: frozenset[Bound]
    tells: UnitEvent


_PASSING = frozenset((Bound.SECURITY, Bound.SEQUENCE))
_ALL = frozenset(Bound)


def _into_default(tells: UnitEvent) -> SessionStep:
    return SessionStep(InSession.DEFAULT, _ALL, tells)


_FROM_ANYWHERE = {
    SessionInput.ECU_RESET: _into_default(UnitEvent.ECU_RESET),
    SessionInput.TERMINAL_15_OFF: _into_default(UnitEvent.TERMINAL_15_OFF),
    SessionInput.SLEEP: _into_default(UnitEvent.SLEEP),
}
_INTO_OTHER = SessionStep(InSession.OTHER, _PASSING, UnitEvent.SESSION_CHANGE)

SESSION: Mapping[InSession, Mapping[SessionInput, SessionStep]] = {
    InSession.DEFAULT: {
        SessionInput.DEFAULT_ASKED: _into_default(UnitEvent.SAME_SESSION_AGAIN),
        SessionInput.OTHER_ASKED: _INTO_OTHER,
        **_FROM_ANYWHERE,
    },
    InSession.OTHER: {
        SessionInput.DEFAULT_ASKED: _into_default(UnitEvent.SESSION_CHANGE),
        SessionInput.SAME_ASKED: SessionStep(InSession.OTHER, _PASSING, UnitEvent.SAME_SESSION_AGAIN),
        SessionInput.OTHER_ASKED: _INTO_OTHER,
        SessionInput.S3_TIMEOUT: _into_default(UnitEvent.S3_TIMEOUT),
        **_FROM_ANYWHERE,
    },
}


def in_session(session: int) -> InSession:
    """Return the state of the machine in which a session is."""
    return InSession.DEFAULT if session == Session.defaultSession else InSession.OTHER


def asked(now: int, wanted: int) -> SessionInput:
    """Return what asking for a session is to the machine."""
    if wanted == Session.defaultSession:
        return SessionInput.DEFAULT_ASKED
    return SessionInput.SAME_ASKED if wanted == now else SessionInput.OTHER_ASKED


# ---- a 0x27 level


class Level(StrEnum):
    """Where one 0x27 level is."""

    LOCKED = "locked"
    SEED_GIVEN = "seed given"
    WAITING = "delay"
    OPEN = "open"


class LevelInput(StrEnum):
    """What may happen to a level."""

    SEED_ASKED = "requestSeed"
    RIGHT_KEY = "right key"
    WRONG_KEY = "wrong key"
    LAST_WRONG_KEY = "last wrong key"
    """The one that reaches the limit."""
    DELAY_OVER = "delay over"
    SESSION = "any session change, S3, terminal 15, sleep"
    RESET = "reset, supply lost"
    OTHER_LEVEL_OPENED = "another level opened"


@dataclass(frozen=True, slots=True)
class LevelStep:
    """Where an input leads and what is answered: an NRC, or (0) a positive answer, as `says` has it."""

    to: Level
    nrc: int = 0
    says: str = ""


_LOCKS = LevelStep(Level.LOCKED)


def _key_without_seed(state: Level) -> dict[LevelInput, LevelStep]:
    """No key is compared where no seed waits for it: right or wrong, it is out of sequence."""
    step = LevelStep(state, Nrc.requestSequenceError)
    return dict.fromkeys((LevelInput.RIGHT_KEY, LevelInput.WRONG_KEY), step)


LEVEL: Mapping[Level, Mapping[LevelInput, LevelStep]] = {
    Level.LOCKED: {
        LevelInput.SEED_ASKED: LevelStep(Level.SEED_GIVEN, says="a new seed"),
        **_key_without_seed(Level.LOCKED),
    },
    Level.SEED_GIVEN: {
        LevelInput.SEED_ASKED: LevelStep(Level.SEED_GIVEN, says="the same seed"),
        LevelInput.RIGHT_KEY: LevelStep(Level.OPEN, says="open"),
        LevelInput.WRONG_KEY: LevelStep(Level.LOCKED, Nrc.invalidKey),
        LevelInput.LAST_WRONG_KEY: LevelStep(Level.WAITING, Nrc.exceedNumberOfAttempts),
        LevelInput.SESSION: _LOCKS,
        LevelInput.RESET: _LOCKS,
    },
    Level.OPEN: {
        LevelInput.SEED_ASKED: LevelStep(Level.OPEN, says="a seed of zeros"),
        **_key_without_seed(Level.OPEN),
        LevelInput.SESSION: _LOCKS,
        LevelInput.RESET: _LOCKS,
        LevelInput.OTHER_LEVEL_OPENED: _LOCKS,
    },
    Level.WAITING: {
        LevelInput.SEED_ASKED: LevelStep(Level.WAITING, Nrc.requiredTimeDelayNotExpired),
        **_key_without_seed(Level.WAITING),
        LevelInput.DELAY_OVER: _LOCKS,
        LevelInput.SESSION: LevelStep(Level.WAITING),
        LevelInput.RESET: LevelStep(Level.WAITING),
    },
}
