"""A control unit as the tester's link sees it: its timing, its one request under way, and which answers belong to that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from wire.clock import NS_PER_MS, NS_PER_S
from wire.isotp import Channel
from wire.isotp_door import IsoTpOptions
from wire.uds import (
    P2_SERVER_MAX_NS,
    P2_STAR_SERVER_MAX_NS,
    POSITIVE_OFFSET,
    S3_CLIENT_NS,
    SUB_FUNCTION_SERVICES,
    SUPPRESS_POSITIVE_RESPONSE,
)
from wire.world import Timer

READ_DATA_BY_IDENTIFIER = 0x22
READ_DATA_BY_PERIODIC_IDENTIFIER = 0x2A
SESSION_ANSWER_LEN = 6
"""`50 session P2(2) P2*(2)`: the server's own timing, P2 in ms, P2* in 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """Patience and habits of a tester.

    `p2_ns`, `p2_star_ns` hold until a unit states its own in its answer to 0x10. `delta_p2_ns` is added to both for the way
    through gateways (the standard's delta P2; the value is our own choice). `max_pending` bounds the 0x78 answers to one
    request, `overall_limit_ns` the request as a whole.
    """

    p2_ns: int = P2_SERVER_MAX_NS
    p2_star_ns: int = P2_STAR_SERVER_MAX_NS
    delta_p2_ns: int = 25 * NS_PER_MS
    max_pending: int = 50
    overall_limit_ns: int = 120 * NS_PER_S
    keep_alive_ns: int = S3_CLIENT_NS
    isotp: IsoTpOptions | None = None


@dataclass(slots=True, kw_only=True)
class LinkCounters:
    """What a link threw away, and how often it was asked for patience."""

    late: int = 0
    """Answers to a request that had been given up."""
    unsolicited: int = 0
    """Answers when nothing was asked."""
    unexpected: int = 0
    """Answers to another service than the one asked for."""
    pending: int = 0
    """0x78 answers."""
    tester_present: int = 0
    """TesterPresent requests of the keep-alive."""


UNASKED_MAX = 10_000
"""What is kept of a unit that speaks by itself and that nobody reads: a minute of the fastest values, then the oldest goes."""


@dataclass(frozen=True, slots=True)
class Unasked:
    """What a unit said by itself, and when. `can_id`: of a frame of periodic data; None: a message under its response
    identifier.
    """

    now_ns: int
    payload: bytes
    can_id: int | None = None


class Peer:
    """One control unit as the link sees it: its channel, its timing, and at most one request under way."""

    __slots__ = (
        "channel",
        "delta_p2_ns",
        "keep_alive_in_flight",
        "limit_ns",
        "name",
        "p2_ns",
        "p2_star_ns",
        "pending",
        "positive",
        "receiving",
        "request",
        "results",
        "sent_ns",
        "stale",
        "suppressed",
        "timer",
        "unasked",
        "unexpected",
    )

    def __init__(self, name: str, channel: Channel, timer: Timer, options: LinkOptions) -> None:
        self.name = name
        self.channel = channel
        self.timer = timer
        self.delta_p2_ns = options.delta_p2_ns
        self.p2_ns = options.p2_ns + options.delta_p2_ns
        self.p2_star_ns = options.p2_star_ns + options.delta_p2_ns
        self.request: bytes | None = None
        self.positive = 0
        self.receiving = False
        self.suppressed = False
        self.pending = 0
        self.sent_ns: int | None = None
        self.limit_ns = 0
        self.stale: bytes | None = None
        self.unexpected: bytes | None = None
        self.keep_alive_in_flight = False
        self.results: deque[bytes | Exception] = deque()
        self.unasked: deque[Unasked] | None = None

    def learn_timing(self, answer: bytes) -> None:
        """Take P2 and P2* from the answer to DiagnosticSessionControl; zero is no time and is ignored."""
        p2_ns = int.from_bytes(answer[2:4], "big") * NS_PER_MS
        p2_star_ns = int.from_bytes(answer[4:6], "big") * 10 * NS_PER_MS
        if p2_ns:
            self.p2_ns = p2_ns + self.delta_p2_ns
        if p2_star_ns:
            self.p2_star_ns = p2_star_ns + self.delta_p2_ns


POSITIVE = [-1 if sid == 0x3F else sid + POSITIVE_OFFSET & 0xFF for sid in range(0x100)]
"""How a positive answer to each service begins, made once. 0x3F has none: what it would be is the negative response."""


def answers_only(payload: bytes, stale: bytes, request: bytes) -> bool:
    """Return whether a positive answer echoes a request that was given up, and not the one under way."""
    if not payload.startswith(_echo(stale)) or payload.startswith(_echo(request)):
        return False
    if request[0] != READ_DATA_BY_IDENTIFIER:
        return True
    asked = {request[at : at + 2] for at in range(1, len(request), 2)}
    return payload[1:3] not in asked  # an identifier that the unit does not know is left out of the answer


def by_itself(payload: bytes, request: bytes) -> bool:
    """Return whether a positive answer of the right service cannot be the answer to this request."""
    if request[0] == READ_DATA_BY_IDENTIFIER:
        return payload[1:3] not in {request[at : at + 2] for at in range(1, len(request), 2)}
    if request[0] == READ_DATA_BY_PERIODIC_IDENTIFIER:
        return len(payload) > 1  # the answer is one byte, a value is more
    return not payload.startswith(_echo(request))


def _echo(request: bytes) -> bytes:
    """Return how a positive answer to `request` begins: service, then the sub-function or identifier it repeats."""
    sid = request[0]
    head = bytes((sid + POSITIVE_OFFSET & 0xFF,))
    if sid in SUB_FUNCTION_SERVICES:
        sub_function = bytes((request[1] & ~SUPPRESS_POSITIVE_RESPONSE,)) if len(request) > 1 else b""
        return head + sub_function + (request[2:4] if sid == 0x31 else b"")
    if sid in (0x22, 0x24, 0x2E, 0x2F):
        return head + request[1:3]
    return head
