"""What a recorded talk shows of an ECU, exchange by exchange, with the session and the open level in mind.

Each service has a small reader in `READERS` that notes what an exchange shows; what a profile makes of it is `from_trace`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ecu_sim.importing.talks import Exchange, Talk
from wire.uds import S3_SERVER_NS, Nrc

DEFAULT_SESSION = 0x01
START, STOP, RESULTS = 0x01, 0x02, 0x03


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended, and where: `nrc` None is a positive answer."""

    nrc: int | None
    session: int
    level: int | None


@dataclass(slots=True)
class Seen:
    """What a talk showed of one object: how tries ended, and the records of those that succeeded, with their times."""

    outcomes: list[Outcome] = field(default_factory=list)
    records: list[tuple[int, bytes]] = field(default_factory=list)
    work_ns: int = 0


@dataclass(slots=True)
class Notes:
    """All that the readers noted. `session` and `level` are where the talk stands."""

    talk: Talk
    session: int = DEFAULT_SESSION
    level: int | None = None
    services: dict[int, Seen] = field(default_factory=dict)
    sub_functions: dict[int, dict[int, Seen]] = field(default_factory=dict)
    sessions: dict[int, Seen] = field(default_factory=dict)
    reads: dict[int, Seen] = field(default_factory=dict)
    writes: dict[int, Seen] = field(default_factory=dict)
    asked_together: list[tuple[Exchange, Outcome]] = field(default_factory=list)
    routines: dict[int, dict[int, Seen]] = field(default_factory=dict)
    options: dict[int, int] = field(default_factory=dict)
    dtcs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    status_availability: list[int] = field(default_factory=list)
    cleared_ns: list[int] = field(default_factory=list)
    seeds: dict[int, Seen] = field(default_factory=dict)
    keys: dict[int, Seen] = field(default_factory=dict)

    def outcome(self, exchange: Exchange) -> Outcome:
        """Return how an exchange ended, in the session that was active when it began."""
        return Outcome(exchange.nrc, self.session, self.level)


def take_notes(talk: Talk) -> Notes:
    """Go through a talk once."""
    notes = Notes(talk)
    last_ns: int | None = None
    for exchange in talk.exchanges:
        if last_ns is not None and exchange.at_ns - last_ns > S3_SERVER_NS:
            notes.session, notes.level = DEFAULT_SESSION, None  # nobody kept the session
        last_ns = max(exchange.at_ns, exchange.answered_ns)
        _note(notes, exchange)
    return notes


def _note(notes: Notes, exchange: Exchange) -> None:
    sid = exchange.sid
    if exchange.answer is None:
        if not exchange.suppressed:
            return
        exchange = Exchange(exchange.request, exchange.functional, exchange.at_ns, b"", exchange.at_ns)
    outcome = notes.outcome(exchange) if exchange.answer else Outcome(None, notes.session, notes.level)
    note_seen(notes.services, sid, outcome, exchange)
    if exchange.sub_function is not None:
        note_seen(notes.sub_functions.setdefault(sid, {}), exchange.sub_function, outcome, exchange)
    reader = READERS.get(sid)
    if reader is not None:
        reader(notes, exchange, outcome)


def note_seen(
    table: dict[int, Seen], number: int, outcome: Outcome, exchange: Exchange, record: bytes | None = None
) -> None:
    """Note how a try at an object ended, and the record that came of it."""
    seen = table.setdefault(number, Seen())
    seen.outcomes.append(outcome)
    if record is not None and outcome.nrc is None:
        seen.records.append((exchange.at_ns, record))
    if exchange.pending and exchange.answered_ns:
        seen.work_ns = seen.work_ns or exchange.answered_ns - exchange.at_ns


def _record(exchange: Exchange, at: int) -> bytes | None:
    """Return what a positive answer holds from a place on, or None."""
    answer = exchange.positive
    return answer[at:] if answer else None


# ---- what an exchange shows, one reader for each service


def _session(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    number = exchange.sub_function
    if number is None or outcome.nrc is not None:
        return
    note_seen(notes.sessions, number, outcome, exchange, _record(exchange, 2))
    notes.session, notes.level = number, None


def _reset(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    if outcome.nrc is None and exchange.sub_function is not None:
        notes.session, notes.level = DEFAULT_SESSION, None


def _read_data(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    request = exchange.request
    if len(request) == 3:
        number = int.from_bytes(request[1:3], "big")
        note_seen(notes.reads, number, outcome, exchange, _record(exchange, 3))
    elif exchange.positive and len(request) % 2:
        notes.asked_together.append((exchange, outcome))


def _write_data(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    if len(exchange.request) > 3 and outcome.nrc != Nrc.incorrectMessageLengthOrInvalidFormat:
        number = int.from_bytes(exchange.request[1:3], "big")
        note_seen(notes.writes, number, outcome, exchange, exchange.request[3:])


def _routine(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    request, sub = exchange.request, exchange.sub_function
    if len(request) < 4 or sub is None:
        return
    rid = int.from_bytes(request[2:4], "big")
    note_seen(notes.routines.setdefault(rid, {}), sub, outcome, exchange, _record(exchange, 4))
    if sub == START and outcome.nrc is None:
        notes.options.setdefault(rid, len(request) - 4)


def _clear(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    if outcome.nrc is None:
        notes.cleared_ns.append(exchange.at_ns)


def _read_codes(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    answer = exchange.positive
    if outcome.nrc is not None or answer is None or len(answer) < 3 or exchange.sub_function not in (0x01, 0x02, 0x0A):
        return
    notes.status_availability.append(answer[2])
    if exchange.sub_function == 0x01:
        return
    for at in range(3, len(answer) - 3, 4):
        code = int.from_bytes(answer[at : at + 3], "big")
        notes.dtcs.setdefault(code, []).append((exchange.at_ns, answer[at + 3]))


def _security(notes: Notes, exchange: Exchange, outcome: Outcome) -> None:
    number = exchange.sub_function
    if not number:
        return
    if number % 2:
        note_seen(notes.seeds, number, outcome, exchange, _record(exchange, 2))
        return
    note_seen(notes.keys, number - 1, outcome, exchange, exchange.request[2:])
    if outcome.nrc is None:
        notes.level = number - 1


Reader = Callable[[Notes, Exchange, Outcome], None]
READERS: Mapping[int, Reader] = {
    0x10: _session,
    0x11: _reset,
    0x14: _clear,
    0x19: _read_codes,
    0x22: _read_data,
    0x27: _security,
    0x2E: _write_data,
    0x31: _routine,
}
"""A service that is not here is supported or refused, and has no facts that a profile could hold."""
