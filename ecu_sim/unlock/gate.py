"""The lock of one ECU: the grant, the events that may end it, and the protocol that every scheme follows.

A grant on CAN cannot know its sender: whoever speaks to the ECU while it is open rides on it. The bench reports that
instead of hiding it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Protocol, runtime_checkable

from wire.secured import SecuredMessage
from wire.token import Scope

LOG_LIMIT = 500
"""Records that a gate keeps: a scenario makes a few dozen."""


class GateEvent(StrEnum):
    """What happens to an ECU that may end a grant."""

    SESSION_CHANGE = "session change"
    SAME_SESSION_AGAIN = "same session again"
    S3_TIMEOUT = "S3 time-out"
    ECU_RESET = "ECU reset"
    TERMINAL_15_OFF = "terminal 15 off"
    SLEEP = "sleep"
    LOCK_COMMAND = "lock command"
    DE_AUTHENTICATE = "de-authentication"
    EXPIRY = "expiry"
    REVOKED = "revocation"


class Fate(Enum):
    """What an event does to a grant."""

    KEPT = "kept"
    ENDED = "ended"


FateTable = Mapping[GateEvent, Fate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What is released, to whom the back end gave it, and since when. `ident`: token id or certificate serial, hex."""

    scheme: str
    role: int
    scope: int
    ident: str
    since_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """One line of the gate's log: what was decided, and why."""

    now_ns: int
    decision: str
    reason: str


class GateLog:
    """The decisions of one gate, newest last."""

    def __init__(self) -> None:
        self.records: deque[GateRecord] = deque(maxlen=LOG_LIMIT)

    def write(self, now_ns: int, decision: str, reason: str) -> None:
        """Add a line."""
        self.records.append(GateRecord(now_ns=now_ns, decision=decision, reason=reason))


class AccessGate(Protocol):
    """One ECU's lock. Times are world times in ns; a method that refuses raises `ecu_sim.refusal.Refusal`."""

    name: str
    refusal_nrc: int
    log: GateLog
    rids: frozenset[int]
    """The routines of the unlock itself."""
    dids: frozenset[int]
    """The data identifiers of the unlock itself."""
    tasks: frozenset[int]
    """Sub-functions of Authentication 0x29 that the scheme has; empty: none."""

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant, or None."""

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return how long the ECU works on this request before its result is known (signature checks take time)."""

    def routine(self, rid: int, option: bytes, now_ns: int) -> bytes:
        """Start one of `rids`; return the status record, which follows the echo."""

    def read_did(self, did: int, now_ns: int) -> bytes:
        """Return what one of `dids` holds."""

    def authenticate(self, task: int, data: bytes, now_ns: int) -> bytes:
        """Serve one of `tasks`; the answer begins with the authentication return parameter."""

    def session_key(self, now_ns: int) -> bytes | None:
        """Return the key that the authentication behind the live grant agreed on; None where there is none. Never log it."""

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """Learn what happened to the ECU. After sleep and a reset (loss of supply included) it does not run until `wake`."""

    def wake(self, now_ns: int) -> None:
        """Learn that the ECU runs (again): awake time goes on. Said of an ECU that runs already, it changes nothing."""

    def handle_timer(self, now_ns: int) -> None:
        """End what has run out."""

    def next_deadline(self) -> int | None:
        """Return when something runs out."""


@runtime_checkable
class SeedGate(Protocol):
    """A gate that is opened at 0x27 levels of its own: `levels`, by their odd request number, with the sessions that offer them.

    SecurityAccess asks its own rows in its own order; these are the answers for such a level.
    """

    levels: Mapping[int, frozenset[int]]
    key_len: int

    def delay_runs(self, now_ns: int) -> bool:
        """Return whether no seed is given because of wrong keys."""

    def seed(self, level: int, now_ns: int) -> bytes:
        """Return the seed, all zero when open."""

    def take_seed(self, level: int, now_ns: int) -> bytes | None:
        """Return the seed that waits for a key and use it up; None where none waits."""

    def key(self, level: int, seed: bytes, key: bytes, now_ns: int) -> int:
        """Open and return 0, or count a wrong key and return the NRC."""


class WithoutIdentifiers:
    """What a scheme inherits that has no routines and no data identifiers of its own."""

    rids: frozenset[int] = frozenset()
    dids: frozenset[int] = frozenset()

    def routine(self, rid: int, option: bytes, now_ns: int) -> bytes:  # noqa: ARG002 - protocol
        """Never asked: the scheme has no routines."""
        raise AssertionError(f"no routine {rid:04X} in this lock")

    def read_did(self, did: int, now_ns: int) -> bytes:  # noqa: ARG002 - protocol
        """Never asked: the scheme has no data identifiers."""
        raise AssertionError(f"no identifier {did:04X} in this lock")


class WithoutAuthentication:
    """What a scheme inherits that is not opened by Authentication 0x29."""

    tasks: frozenset[int] = frozenset()

    def authenticate(self, task: int, data: bytes, now_ns: int) -> bytes:  # noqa: ARG002 - protocol
        """Never asked: the scheme has no such service."""
        raise AssertionError(f"no authentication {task:02X} in this lock")

    def session_key(self, now_ns: int) -> bytes | None:  # noqa: ARG002 - protocol
        """The scheme agrees on no key."""
        return None


@runtime_checkable
class SecuredGate(Protocol):
    """A lock that SecuredDataTransmission 0x84 opens: for one verified inner request at a time, and no longer than that takes."""

    administrative: int
    """The bits of the administrative parameter that it can serve. The seam for encryption: a lock with a session key has more."""

    def takes_secured(self, inner: bytes) -> bool:
        """Return whether this inner request may come secured at all; others get 0x39."""

    def change_refused(self, message: SecuredMessage, now_ns: int) -> str:
        """Return why the message does not verify, in a short phrase, or nothing; changes nothing."""

    def opened_for(self, message: SecuredMessage, now_ns: int) -> AbstractContextManager[None]:
        """Be open for the inner request, within what was signed, and closed again behind it. Raises `Refusal` (0x3A)."""

    def use_up(self, message: SecuredMessage, now_ns: int) -> None:
        """Let this message, for which it is open, never verify again."""

    def signed_answer(self, message: SecuredMessage) -> SecuredMessage:
        """Return an answer with the unit's own signature, for the change that was used up last."""
