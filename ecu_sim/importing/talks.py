"""Who talked with whom in recorded traffic, and what was said: frames in, pairs of identifiers and their exchanges out.

A request belongs to the answer that follows it and echoes it. 0x78 keeps an exchange open; a new request ends one that was never
answered, but TesterPresent does not: it is sent while others wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wire.frame import EXTENDED, Frame
from wire.isotp_overheard import Overheard, Overhearing
from wire.uds import NEGATIVE_RESPONSE, POSITIVE_OFFSET, SUB_FUNCTION_SERVICES, SUPPRESS_POSITIVE_RESPONSE, Nrc, Service

TraceFrame = tuple[int, str, Frame]
ANSWER_WITHIN_NS = 10_000_000_000
"""An answer that comes later belongs to nothing that can be known: P2* is 5 s."""
SIDS = frozenset(int(service) for service in Service)
PENDING = int(Nrc.requestCorrectlyReceivedResponsePending)


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """One ECU as a trace shows it. `exchanges`: answers seen. Identifiers of 29 bits carry bit 31."""

    bus: str
    request_id: int
    response_id: int
    functional_ids: tuple[int, ...] = ()
    exchanges: int = 0


@dataclass(slots=True)
class Exchange:
    """A request and what came back. `answer` is the last word; `pending` counts the 0x78 before it. Times in ns."""

    request: bytes
    functional: bool
    at_ns: int
    answer: bytes | None = None
    answered_ns: int = 0
    pending: int = 0

    @property
    def sid(self) -> int:
        """The service identifier."""
        return self.request[0]

    @property
    def nrc(self) -> int | None:
        """The negative response code, or None for a positive answer or none."""
        answer = self.answer
        return answer[2] if answer and answer[0] == NEGATIVE_RESPONSE else None

    @property
    def positive(self) -> bytes | None:
        """The positive answer, or None."""
        return self.answer if self.answer and self.answer[0] != NEGATIVE_RESPONSE else None

    @property
    def sub_function(self) -> int | None:
        """The sub-function without the suppress bit, or None where there is none."""
        return self.request[1] & 0x7F if self.sid in SUB_FUNCTION_SERVICES and len(self.request) > 1 else None

    @property
    def suppressed(self) -> bool:
        """Whether the request asked for no positive answer."""
        return self.sub_function is not None and bool(self.request[1] & SUPPRESS_POSITIVE_RESPONSE)


@dataclass(slots=True)
class Talk:
    """All that was said with one ECU, in order. `unasked`: answers to nothing. `broken`: messages that never became whole."""

    pair: Pair
    exchanges: list[Exchange] = field(default_factory=list)
    unasked: list[bytes] = field(default_factory=list)
    broken: int = 0
    padded: bool = False
    filler: int | None = None


def find_pairs(frames: Iterable[TraceFrame]) -> list[Pair]:
    """Return the ECUs that were talked to, in the order of buses and identifiers."""
    asked: dict[tuple[str, int], tuple[int, bytes]] = {}
    keepers: dict[str, set[int]] = {}
    links: dict[tuple[str, int, int], int] = {}
    for bus, can_id, message in _messages(frames, None, {}):
        payload = message.payload
        if payload[0] in SIDS:
            if payload == b"\x3e\x80":
                keepers.setdefault(bus, set()).add(can_id)
            asked[bus, can_id] = (message.whole_ns, payload)
            continue
        asking = [
            (at_ns, other)
            for (on, other), (at_ns, request) in asked.items()
            if on == bus
            and other != can_id
            and message.begun_ns - at_ns <= ANSWER_WITHIN_NS
            and answers(request, payload)
        ]
        if asking and not _is_pending(payload):
            key = (bus, max(asking)[1], can_id)
            links[key] = links.get(key, 0) + 1
    own = {pair.request_id for pair in _pairs(links, {})}
    return sorted(_pairs(links, {bus: can_ids - own for bus, can_ids in keepers.items()}))


def _pairs(links: dict[tuple[str, int, int], int], keepers: Mapping[str, set[int]]) -> Iterator[Pair]:
    """Yield the ECUs. `keepers`: identifiers that keep sessions of everybody by `3E 80`, which nobody answers."""
    reach: dict[tuple[str, int], int] = {}
    for bus, request_id, _ in links:
        reach[bus, request_id] = reach.get((bus, request_id), 0) + 1
    for bus, response_id in sorted({(bus, response_id) for bus, _, response_id in links}):
        askers = [request_id for on, request_id, answering in links if (on, answering) == (bus, response_id)]
        own = min(
            askers,
            key=lambda can_id: (_functional(can_id), reach[bus, can_id], -links[bus, can_id, response_id], can_id),
        )
        functional = tuple(sorted({*askers, *keepers.get(bus, ())} - {own, response_id}))
        count = sum(links[bus, can_id, response_id] for can_id in askers)
        if reach[bus, own] == 1:  # one that several answer to is no ECU's own
            yield Pair(bus, own, response_id, functional, count)


def _functional(can_id: int) -> bool:
    """Whether an identifier is one of the standard's functional ones: 7DF, 18DBxxxx (ISO 15765-4, general knowledge)."""
    return can_id == 0x7DF or can_id & ~0xFFFF == EXTENDED | 0x18DB_0000


def read_talk(frames: Iterable[TraceFrame], pair: Pair) -> Talk:
    """Return what was said with the ECU of `pair` on its bus."""
    talk = Talk(pair)
    open_: Exchange | None = None
    wanted = {pair.request_id, pair.response_id, *pair.functional_ids}
    readers: dict[tuple[str, int], Overhearing] = {}
    for _, can_id, message in _messages(frames, (pair.bus, wanted), readers):
        if can_id != pair.response_id:
            exchange = Exchange(message.payload, can_id != pair.request_id, message.whole_ns)
            talk.exchanges.append(exchange)
            if open_ is None or open_.answer is not None or message.payload[:1] != b"\x3e":
                open_ = exchange
            continue
        talk.padded |= message.padded
        if message.filler is not None:
            talk.filler = message.filler
        open_ = _answered(talk, open_, message)
    talk.broken = sum(reader.broken + reader.open for reader in readers.values())
    return talk


def _answered(talk: Talk, open_: Exchange | None, message: Overheard) -> Exchange | None:
    """Give an answer to the exchange it belongs to: the open one, else the last TesterPresent."""
    payload = message.payload
    for exchange in (open_, talk.exchanges[-1] if talk.exchanges else None):
        if exchange is None or exchange.answer is not None or not answers(exchange.request, payload):
            continue
        if _is_pending(payload):
            exchange.pending += 1
        else:
            exchange.answer, exchange.answered_ns = payload, message.begun_ns
        return open_
    talk.unasked.append(payload)
    return open_


def _messages(
    frames: Iterable[TraceFrame],
    only: tuple[str, set[int]] | None,
    readers: dict[tuple[str, int], Overhearing],
) -> Iterator[tuple[str, int, Overheard]]:
    for at_ns, bus, frame in frames:
        if only is not None and (bus != only[0] or frame.can_id not in only[1]):
            continue
        reader = readers.get((bus, frame.can_id))
        if reader is None:
            reader = readers[bus, frame.can_id] = Overhearing()
        message = reader.take(frame.data, at_ns)
        if message is not None:
            yield bus, frame.can_id, message


def answers(request: bytes, response: bytes) -> bool:
    """Whether `response` may be the answer to `request`: it refuses the same service, or echoes what was asked for."""
    sid = request[0]
    if response[0] == NEGATIVE_RESPONSE:
        return len(response) == 3 and response[1] == sid
    if response[0] != sid + POSITIVE_OFFSET:
        return False
    if sid in SUB_FUNCTION_SERVICES:
        if response[1:2] != bytes(byte & 0x7F for byte in request[1:2]):
            return False
        return sid != Service.RoutineControl or response[2:4] == request[2:4]
    if sid == Service.ReadDataByIdentifier:
        return response[1:3] in {request[at : at + 2] for at in range(1, len(request), 2)}
    if sid in (Service.WriteDataByIdentifier, Service.InputOutputControlByIdentifier):
        return response[1:3] == request[1:3]
    return True


def _is_pending(payload: bytes) -> bool:
    return payload[0] == NEGATIVE_RESPONSE and payload[2:3] == bytes((PENDING,))
