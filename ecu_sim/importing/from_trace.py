"""An ECU profile from what was said with a real one: every answer is a fact, and what the profile cannot say is listed.

Where a fact changed, the first value is taken, because a trace that is played again begins with it (`take="last"`: the last).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ecu_sim.importing.document import Entry, Hex, ProfileDocument, Value
from ecu_sim.importing.link import duration_text
from ecu_sim.importing.multi_did import split_answer
from ecu_sim.importing.offered import OFFERED, PROFILE_KEYS, sub_functions_of
from ecu_sim.importing.security_levels import add_level
from ecu_sim.importing.talks import Talk
from ecu_sim.importing.trace_head import write_head
from ecu_sim.importing.trace_notes import (
    DEFAULT_SESSION,
    RESULTS,
    START,
    STOP,
    Notes,
    Outcome,
    Seen,
    note_seen,
    take_notes,
)
from ecu_sim.profile import ACTIVE_SESSION
from wire.frame import format_can_id
from wire.uds import Nrc, Service, nrc_name

ACTIVE_SESSION_DID = 0xF186
RUNNING = b"\x01"
"""What the bench's routines say while they run."""
_MS = 1_000_000
MEMORY, MEMORY_ENTRIES = "dtc_memory", 32
"""The key for what all trouble codes share, where profiles have it, and how many codes a memory holds by itself."""
NOT_IN_SESSION = frozenset({Nrc.serviceNotSupportedInActiveSession, Nrc.subFunctionNotSupportedInActiveSession})
Take = Literal["first", "last"]


@dataclass(slots=True)
class Writing:
    """A clone on its way: the notes, the document, and the identifiers whose value moved by itself."""

    notes: Notes
    document: ProfileDocument
    take: Take
    sessions: list[int]
    moved: set[int] = field(default_factory=set)

    def chosen(self, seen: Seen) -> bytes:
        """Return the record that is taken."""
        return seen.records[0 if self.take == "first" else -1][1]


def clone(
    talk: Talk, *, title: str, take: Take = "first", address: int | None = None
) -> tuple[ProfileDocument, set[int]]:
    """Return (the profile, identifiers whose value moved by itself)."""
    notes = take_notes(talk)
    into = Writing(notes, ProfileDocument(), take, sorted({DEFAULT_SESSION, *notes.sessions}))
    write_head(notes, into.document, title=title, address=address, sessions=into.sessions)
    _levels(into)
    _services(into)
    _dids(into)
    _codes(into)
    _memory(into)
    _routines(into)
    return into.document, into.moved


def _levels(into: Writing) -> None:
    document, notes = into.document, into.notes
    for level, seen in sorted(notes.seeds.items()):
        seeds = [record for _, record in seen.records]
        if not seeds:
            continue
        lengths = {len(seed) for seed in seeds}
        if len(lengths) > 1:
            document.leave_out(
                "security level", f"{level:02X}", f"seeds of {sorted(lengths)} bytes; taken: {len(seeds[0])}"
            )
        key = notes.keys.get(level)
        right = [record for _, record in key.records] if key else []
        given = {outcome.session for outcome in seen.outcomes if outcome.nrc is None}
        closed = {outcome.session for outcome in seen.outcomes if outcome.nrc in NOT_IN_SESSION}
        open_in = [
            session for session in into.sessions if session in given or session not in closed | {DEFAULT_SESSION}
        ]
        unit = format_can_id(notes.talk.pair.request_id)
        add_level(
            document,
            level,
            unit=unit,
            seed_len=len(seeds[0]),
            key_bytes=len(right[0]) if right else None,
            sessions=open_in,
        )
        _attempts(document, level, key)


def _attempts(document: ProfileDocument, level: int, key: Seen | None) -> None:
    """Count the wrong keys before the first 0x36: so many the ECU takes."""
    wrong = 0
    for outcome in key.outcomes if key else ():
        if outcome.nrc is None:
            wrong = 0
        elif outcome.nrc in (Nrc.invalidKey, Nrc.exceedNumberOfAttempts):
            wrong += 1
            if outcome.nrc == Nrc.exceedNumberOfAttempts and level in document.section("security"):
                document.section("security")[level].keys["attempts"] = wrong
                return


def _services(into: Writing) -> None:
    document, notes = into.document, into.notes
    for sid, seen in sorted(notes.services.items()):
        answered = [outcome for outcome in seen.outcomes if outcome.nrc != Nrc.serviceNotSupported]
        name = f"{sid:02X}" + (f" {Service(sid).name}" if sid in set(Service) else "")
        if not answered:
            continue
        if sid not in OFFERED:
            document.leave_out("service", name, "the bench does not have it")
            continue
        if sid == Service.SecurityAccess and not document.sections.get("security"):
            document.leave_out("service", name, "no seed was ever given")
            continue
        entry = document.entry("services", sid)
        closed = {outcome.session for outcome in answered if outcome.nrc == Nrc.serviceNotSupportedInActiveSession}
        there = [Hex(session) for session in into.sessions if session not in closed]
        if closed and there:
            entry.keys["access"] = {"sessions": there}
        subs = _sub_functions(into, sid, name)
        if subs:
            entry.keys["sub_functions"] = subs
        if seen.work_ns and sid not in (0x22, 0x2E, 0x31):
            entry.keys["work"] = duration_text(seen.work_ns)


def _sub_functions(into: Writing, sid: int, name: str) -> list[Hex]:
    """Return those that were answered other than by 'no such sub-function', of those that the bench has."""
    known = sub_functions_of(sid)
    if known is None:
        return []
    there, refused = [], set[int]()
    for sub, seen in sorted(into.notes.sub_functions.get(sid, {}).items()):
        if all(outcome.nrc in (Nrc.subFunctionNotSupported, Nrc.serviceNotSupported) for outcome in seen.outcomes):
            refused.add(sub)
        elif sub in known:
            there.append(Hex(sub))
        else:
            into.document.leave_out("sub-function", f"{name} {sub:02X}", "the bench does not have it")
    if not there and refused & known:  # none listed would mean all of them
        return [Hex(sub) for sub in sorted(known - refused)]
    return there


def _access(into: Writing, name: str, outcomes: list[Outcome], *, narrow: bool = False) -> dict[str, Value]:
    """Infer who may: the sessions in which it is there, and the level without which it is refused.

    Reading is taken to be possible wherever it was not refused; what changes something (`narrow`) only where it was seen.
    """
    access: dict[str, Value] = {}
    absent = NOT_IN_SESSION | {Nrc.requestOutOfRange}
    open_in = {outcome.session for outcome in outcomes if outcome.nrc not in absent}
    closed = {outcome.session for outcome in outcomes if outcome.nrc in absent} - open_in
    if narrow and open_in:
        closed = set(into.sessions) - open_in
        into.document.choose("writes and routines", "sessions", "those in which the trace shows them, and no others")
    there = [Hex(session) for session in into.sessions if session not in closed]
    if closed and there:
        access["sessions"] = there
    denied = [outcome for outcome in outcomes if outcome.nrc == Nrc.securityAccessDenied]
    if denied:
        levels = {outcome.level for outcome in outcomes if outcome.nrc is None}
        known = sorted(into.document.sections.get("security", {}))
        opened = sorted(level for level in levels if level is not None and level in known)
        if opened and None not in levels:
            access["security"] = Hex(opened[0])
        elif known and not levels:
            access["security"] = Hex(known[0])
            into.document.choose("identifier", name, f"refused with 0x33: bound to level {known[0]:02X}")
        else:
            into.document.leave_out("condition", name, "refused with 0x33, and nothing in the trace says what opens it")
    for nrc in sorted({outcome.nrc for outcome in outcomes if outcome.nrc is not None}):
        if nrc not in absent and nrc not in (Nrc.securityAccessDenied, Nrc.incorrectMessageLengthOrInvalidFormat):
            into.document.leave_out(
                "condition", name, f"refused with {nrc_name(nrc)}, and no key of a profile says when"
            )
    return access


def _dids(into: Writing) -> None:
    document, notes = into.document, into.notes
    _split(into.notes, document)
    for number in sorted({*notes.reads, *notes.writes}):
        name, read, written = f"{number:04X}", notes.reads.get(number), notes.writes.get(number)
        taken = bool(written and any(outcome.nrc is None for outcome in written.outcomes))
        if not (read and read.records) and not taken:
            _unread(into, number, read)
            continue
        entry = Entry()
        if number == ACTIVE_SESSION_DID and read and not written and _tells_session(read):
            document.section("dids")[number] = Entry({"source": ACTIVE_SESSION})
            continue
        if read and read.records:
            value = into.chosen(read)
            _moves(into, number, read, written)
            access = _access(into, name, read.outcomes)
            entry.keys |= _text_or_hex(value)
            if access:
                entry.keys["read"] = access
        else:
            assert written is not None
            value = bytes(len(written.records[0][1]))
            entry.keys |= {"hex": value, "read": "never"}
            document.choose("identifier", name, f"{len(value)} zero bytes: written in the trace, never read")
        if written and (taken or _denied(written)):
            if taken and len(written.records[0][1]) != len(value):
                document.leave_out(
                    "identifier", name, f"written with {len(written.records[0][1])} bytes, read as {len(value)}"
                )
            entry.keys["write"] = _access(into, name, written.outcomes, narrow=True)
        work_ns = max(read.work_ns if read else 0, written.work_ns if written else 0)
        if work_ns:
            entry.keys["work"] = duration_text(work_ns)
        document.section("dids")[number] = entry


def _tells_session(read: Seen) -> bool:
    """Whether a value always was the active session."""
    good = [outcome for outcome in read.outcomes if outcome.nrc is None]
    return {record for _, record in read.records} == {bytes((outcome.session,)) for outcome in good} and len(
        good
    ) == len(read.records)


def _denied(seen: Seen) -> bool:
    return any(outcome.nrc == Nrc.securityAccessDenied for outcome in seen.outcomes)


def _unread(into: Writing, number: int, read: Seen | None) -> None:
    """An identifier that was only refused: it is there if it was refused for lack of a level."""
    if read is None or not _denied(read):
        return
    access = _access(into, f"{number:04X}", read.outcomes)
    if "security" in access:
        into.document.section("dids")[number] = Entry({"hex": b"\x00", "read": access}, "its value was never seen")


def _text_or_hex(value: bytes) -> dict[str, Value]:
    text = value.decode("latin-1")
    if len(value) > 3 and text.isascii() and text.isprintable() and text.strip():
        return {"text": text}
    return {"hex": value}


def _moves(into: Writing, number: int, read: Seen, written: Seen | None) -> None:
    """List a value that changed though nobody wrote it."""
    writes = [(at_ns, data) for at_ns, data in written.records] if written else []
    value: bytes | None = None
    different = {record for _, record in read.records}
    events = sorted([(at_ns, 0, data) for at_ns, data in writes] + [(at_ns, 1, data) for at_ns, data in read.records])
    for _, is_read, data in events:
        if is_read and value is not None and data != value:
            into.moved.add(number)
        value = data
    if number in into.moved:
        which = "first" if into.take == "first" else "last"
        into.document.leave_out(
            "identifier",
            f"{number:04X}",
            f"its value moved: {len(different)} different ones in {len(read.records)} answers; the {which} is taken",
        )


def _split(notes: Notes, document: ProfileDocument) -> None:
    """Take apart answers to several identifiers at once, by the lengths that single answers showed."""
    lengths = {number: len(seen.records[0][1]) for number, seen in notes.reads.items() if seen.records}
    waiting = notes.asked_together
    while waiting:
        left = []
        for exchange, outcome in waiting:
            parts = split_answer(exchange.request, exchange.answer or b"", lengths)
            if parts is None:
                left.append((exchange, outcome))
                continue
            for number, value in parts:
                note_seen(notes.reads, number, outcome, exchange, value)
                notes.reads[number].records.sort(key=lambda record: record[0])
                lengths.setdefault(number, len(value))
        if len(left) == len(waiting):
            break
        waiting = left
    for exchange, _ in waiting:
        document.leave_out(
            "identifiers", exchange.request[1:].hex(" ").upper(), "read together, and nothing tells where one ends"
        )


def _codes(into: Writing) -> None:
    document, notes = into.document, into.notes
    for code, reports in notes.dtcs.items():
        name = f"{code:06X}"
        if not code or code > 0xFF_FFFE:
            document.leave_out("trouble code", name, "no code")
            continue
        status = reports[0 if into.take == "first" else -1][1]
        before = {byte for at_ns, byte in reports if not notes.cleared_ns or at_ns < notes.cleared_ns[0]}
        if len(before) > 1:
            several = ", ".join(f"{byte:02X}" for byte in sorted(before))
            document.leave_out("trouble code", name, f"its status moved ({several}); taken: {status:02X}")
        keys: dict[str, Value] = {"status": Hex(status)}
        after = [byte for at_ns, byte in reports if notes.cleared_ns and at_ns > notes.cleared_ns[0]]
        if after and before and set(after) == before:
            keys["stays"] = True
        document.section("dtcs")[code] = Entry(keys)


def _memory(into: Writing) -> None:
    """Say what is true of all trouble codes: which status bits the ECU has, and room for as many codes as it stored."""
    masks, memory = into.notes.status_availability, dict[str, Value]()
    if len(set(masks)) > 1:
        into.document.leave_out("trouble codes", "availability", f"the mask moved; taken: {masks[0]:02X}")
    if masks and masks[0] != 0xFF:
        memory["status_availability"] = Hex(masks[0])
    count = len(into.document.sections.get("dtcs", ()))
    if count > MEMORY_ENTRIES:
        memory["entries"] = count
    if memory and MEMORY in PROFILE_KEYS:
        into.document.head[MEMORY] = memory
    elif "status_availability" in memory:
        into.document.leave_out("trouble codes", "availability", f"{masks[0]:02X}; a profile answers FF")


def _routines(into: Writing) -> None:
    notes = into.notes
    for rid, by_sub in sorted(notes.routines.items()):
        name = f"routine {rid:04X}"
        start = by_sub.get(START)
        outcomes = [outcome for seen in by_sub.values() for outcome in seen.outcomes]
        if start is None or not start.records:
            if any(outcome.nrc is None for outcome in outcomes):
                into.document.leave_out("routine", name, "the trace does not show its start")
            continue
        record = into.chosen(start)
        keys: dict[str, Value] = {}
        tries = [one for one in outcomes if one.nrc != Nrc.requestSequenceError]
        access = _access(into, name, tries, narrow=True)
        if access:
            keys["access"] = access
        if notes.options.get(rid):
            keys["option_len"] = notes.options[rid]
        results = by_sub[RESULTS].records if RESULTS in by_sub else []
        ended = [(at_ns, result) for at_ns, result in results if result != RUNNING]
        if record == RUNNING and (ended or STOP in by_sub):
            began_ns = start.records[0][0]
            keys["duration"] = duration_text(max(ended[0][0] - began_ns, _MS)) if ended else "10 s"
            record = ended[0][1] if ended else b"\x00"
        if STOP in by_sub and by_sub[STOP].records:
            keys["stoppable"] = True
            keys.setdefault("duration", "10 s")
        keys["result"] = record
        if start.work_ns:
            keys["work"] = duration_text(start.work_ns)
        into.document.section("routines")[rid] = Entry(keys)
