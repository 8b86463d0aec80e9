"""The head of a clone: identifiers, padding and timing, as a recorded talk shows them."""

from __future__ import annotations

from ecu_sim.importing.document import Hex, ProfileDocument, Value
from ecu_sim.importing.link import Identifiers, duration_text, set_address, set_identifiers
from ecu_sim.importing.talks import Talk
from ecu_sim.importing.trace_notes import Notes
from ecu_sim.reading.timing import P2_RANGE_NS, P2_STAR_RANGE_NS
from wire.uds import Service

RESET_NS = 500_000_000
"""What a profile takes for a reset by itself."""
_MS = 1_000_000


def write_head(
    notes: Notes, document: ProfileDocument, *, title: str, address: int | None, sessions: list[int]
) -> None:
    """Write the head, and what never became a message of the talk."""
    talk = notes.talk
    pair = talk.pair
    document.head["title"] = title
    document.head["address"] = None
    set_identifiers(
        document,
        Identifiers(request_id=pair.request_id, response_id=pair.response_id, functional_ids=pair.functional_ids),
    )
    set_address(document, address, None, pair.request_id)
    document.head["padding"] = _padding(talk, document)
    timing = _timing(notes, document)
    if timing:
        document.head["timing"] = timing
    document.head["sessions"] = [Hex(session) for session in sessions]
    document.choose("timing", "s3", "the standard's 5 s: a trace does not show it")
    if talk.broken:
        document.leave_out("messages", "broken", f"{talk.broken} never became whole in the trace")
    for payload in talk.unasked:
        document.leave_out("answer", payload[:3].hex(" ").upper(), "nothing in the trace asked for it")


def _padding(talk: Talk, document: ProfileDocument) -> Hex | None:
    if not talk.padded:
        return None
    if talk.filler is None:
        document.choose("key", "padding", "0xAA: the ECU fills its frames with bytes that differ")
    return Hex(0xAA if talk.filler is None else talk.filler)


def _timing(notes: Notes, document: ProfileDocument) -> dict[str, Value]:
    """Read P2 and P2* from the answers to 0x10 (two bytes of ms, two of 10 ms), and how long a reset takes."""
    timing: dict[str, Value] = {}
    records = [record for seen in notes.sessions.values() for _, record in seen.records if len(record) == 4]
    if len(set(records)) > 1:
        document.leave_out("timing", "p2", f"sessions differ in it; taken: {records[0].hex(' ').upper()}")
    if records:
        for key, part, unit_ns, (low, high) in (
            ("p2", records[0][:2], _MS, P2_RANGE_NS),
            ("p2_star", records[0][2:], 10 * _MS, P2_STAR_RANGE_NS),
        ):
            said_ns = int.from_bytes(part, "big") * unit_ns
            time_ns = min(max(said_ns, low), high)
            timing[key] = duration_text(time_ns)
            if time_ns != said_ns:
                document.leave_out("timing", key, f"{said_ns // _MS} ms; a profile begins at {low // _MS} ms")
    reset_ns = _reset_ns(notes.talk)
    if reset_ns is not None:
        timing["reset"] = duration_text(reset_ns)
    return timing


def _reset_ns(talk: Talk) -> int | None:
    """Return how long the ECU may be away after a reset, where it answered sooner than the default would let it."""
    shortest: int | None = None
    for exchange, following in zip(talk.exchanges, talk.exchanges[1:], strict=False):
        if exchange.sid == Service.ECUReset and exchange.positive and following.answer is not None:
            gap_ns = following.at_ns - exchange.answered_ns
            if gap_ns < RESET_NS:
                shortest = gap_ns if shortest is None else min(shortest, gap_ns)
    return None if shortest is None else max(shortest // 2 // _MS * _MS, _MS)
