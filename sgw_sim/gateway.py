"""The security gateway: judges requests whole, re-originates what it allows, forwards answers cut-through.

Port 0 is the OBD bus, the others are inner buses. A route is one control unit behind the gateway: its channel on the OBD side
(which answers in the unit's name) and its channel inside. A refusal goes out on the target's response identifier, else the
tester sees a time-out. Long answers go on first frame on first frame, with own flow control on each side. A silent unit stays
silent. A new request to a unit ends the route's old conversation; tester present (`3E 80`) does not. What a unit says by itself
(0x86, 0x2A) passes where a tester asked for it (`sgw_sim.unsolicited`); frames under identifiers of their own pass as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sgw_sim.arming import FilterArming, Observation
from sgw_sim.policy import ALLOWED, Decision, Verdict, decide
from sgw_sim.profile import GatewayProfile
from sgw_sim.unsolicited import CHANGES, Expected
from wire.frame import Frame
from wire.isotp import Channel
from wire.isotp_door import Aborted, Failed, FirstFrame, IsoTpOptions, Received, Segment, Sent
from wire.isotp_pdu import first_frame_room, single_frame
from wire.isotp_stack import IsoTpStack
from wire.token import Scope
from wire.uds import (
    NEGATIVE_RESPONSE,
    P2_SERVER_MAX_NS,
    P2_STAR_SERVER_MAX_NS,
    POSITIVE_OFFSET,
    SUB_FUNCTION_SERVICES,
    SUPPRESS_POSITIVE_RESPONSE,
    Nrc,
)

OBD = 0
LOG_LIMIT = 1000
"""Decisions that the gateway keeps."""
P2_MARGIN_NS = 10_000_000
STAR_MARGIN_NS = 1_000_000_000
"""How much longer than P2* a route stays open after 0x78: the frames' own way."""
TESTER_PRESENT_SUPPRESSED = b"\x3e\x80"
NEVER_NS = 1 << 62


class Server(Protocol):
    """The gateway's own UDS server, as `ecu_sim.server.UdsServer` is."""

    outputs: deque[bytes]
    frames: deque[tuple[int, bytes]]

    @property
    def reachable(self) -> bool:
        """Whether it hears requests."""

    def receive(self, payload: bytes, functional: bool, now_ns: int) -> None:  # noqa: FBT001
        """Take a request."""

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""

    def next_deadline(self) -> int | None:
        """Return when something is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """One control unit behind the gateway: its identifiers and on which port (1 and up) it stands. `frame_ids`: those of its
    frames that are no ISO-TP and go to the tester as they are.
    """

    name: str
    port: int
    request_id: int
    response_id: int
    frame_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """One decision, for the gateway's log."""

    now_ns: int
    unit: str
    request: str
    verdict: str
    reason: str


class _Route:
    """The conversation with one unit: a request that is `held`, then `sending`, then waited for `until_ns`; then an answer of
    `total` bytes that passes through, `started` on the OBD side or still in the `buffer`.
    """

    __slots__ = (
        "buffer",
        "expected",
        "forward_ns",
        "held",
        "inside",
        "name",
        "outside",
        "pending_ns",
        "sending",
        "sid",
        "started",
        "total",
        "until_ns",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.outside: Channel
        self.inside: Channel
        self.until_ns: int | None = None
        self.held: bytes | None = None
        self.forward_ns = 0
        self.pending_ns = 0
        self.sending = False
        self.sid = 0
        self.total = 0
        self.started = False
        self.buffer = bytearray()
        self.expected = Expected()


class Gateway:
    """One gateway as a `wire.endpoint.Core`. `released(scope, now_ns)` asks its own gate; `arming` is the bonnet's filter.

    `transport`: how it speaks ISO-TP on each of its buses, the OBD bus first.
    """

    def __init__(  # noqa: PLR0913 - what a gateway is wired to, by name
        self,
        name: str,
        profile: GatewayProfile,
        *,
        routes: Sequence[RouteSpec],
        functional_ids: Sequence[int],
        server: Server,
        own_ids: tuple[int, int],
        first: Observation,
        released: Callable[[Scope, int], bool] | None = None,
        transport: Sequence[IsoTpOptions],
    ) -> None:
        self.name = name
        self.profile = profile
        self.server = server
        self.arming = FilterArming(first)
        self.log: deque[GatewayRecord] = deque(maxlen=LOG_LIMIT)
        self.stack = stack = IsoTpStack(len(transport))
        self.outputs = stack.outputs
        self.pacing = stack.pacing
        self._released = released or (lambda _scope, _now_ns: False)
        self._lane = stack.add_lane(OBD)
        self._own = stack.add(OBD, tx_id=own_ids[1], rx_id=own_ids[0], options=transport[OBD])
        self._routes = [self._add_route(spec, transport[OBD], transport[spec.port]) for spec in routes]
        self._busy: dict[_Route, None] = {}
        self._functional_sid = 0
        self._functional_until_ns = -1
        self._fan_out: dict[Channel, list[Channel]] = {}
        for can_id in functional_ids:
            heard = stack.add(OBD, tx_id=None, rx_id=can_id, options=transport[OBD], functional=True)
            self._fan_out[heard] = [
                stack.add(port, tx_id=can_id, rx_id=None, options=inside, functional=True)
                for port, inside in enumerate(transport[1:], OBD + 1)
            ]

    def _add_route(self, spec: RouteSpec, outside: IsoTpOptions, inside: IsoTpOptions) -> _Route:
        route = _Route(spec.name)
        add = self.stack.add
        route.outside = add(OBD, tx_id=spec.response_id, rx_id=spec.request_id, options=outside, tag=route)
        route.inside = add(
            spec.port, tx_id=spec.request_id, rx_id=spec.response_id, options=inside, stream=True, tag=route
        )
        for can_id in spec.frame_ids:
            self.stack.relay(spec.port, can_id, self._lane)
        return route

    def listen_ids(self, port: int) -> tuple[int, ...]:
        """Return the identifiers that `port` hears."""
        return self.stack.listen_ids(port)

    @property
    def armed(self) -> bool:
        """Whether requests behind the gateway are judged by the list."""
        return self.profile.lock == "grant" or self.arming.armed

    def observe(self, observation: Observation) -> None:
        """Take the vehicle's values."""
        self.arming.observe(observation)

    def lose_supply(self) -> None:
        """Forget every conversation."""
        self.stack.drop()
        for route in self._routes:
            self._close(route)
            route.expected.forget()
        self._functional_until_ns = -1

    # ---- the core's contract

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Take a frame on any bus."""
        if self.server.reachable:
            self.stack.receive(port, frame, now_ns)
            if self.stack.events:
                self._serve_events(now_ns)

    def frame_sent(self, port: int, now_ns: int) -> None:
        """Learn that a frame went out."""
        self.stack.frame_sent(port, now_ns)
        if self.stack.events:
            self._serve_events(now_ns)

    def handle_timer(self, now_ns: int) -> None:
        """Forward what was held, close routes that ran out, let server and stack do theirs."""
        self.stack.handle_timer(now_ns)
        self._serve_events(now_ns)
        for route in tuple(self._busy):
            self._route_timer(route, now_ns)
        self.server.handle_timer(now_ns)
        self._send_own(now_ns)

    def next_deadline(self) -> int | None:
        """Return the earliest of stack, server and routes."""
        due = self.stack.next_deadline()
        server_ns = self.server.next_deadline()
        if server_ns is not None and (due is None or server_ns < due):
            due = server_ns
        for route in self._busy:
            at_ns = self._route_deadline(route)
            if due is None or at_ns < due:
                due = at_ns
        return due

    # ---- requests

    def _serve_events(self, now_ns: int) -> None:
        events = self.stack.events
        while events:
            event = events.popleft()
            channel = event.channel
            route = channel.tag
            if isinstance(route, _Route):
                if channel is route.inside:
                    self._from_inside(route, event, now_ns)
                elif type(event) is Received:
                    self._request(route, event.payload, now_ns)
                elif route.total and not route.started and isinstance(event, Sent | Failed):
                    self._start_when_ready(route, now_ns)
            elif type(event) is Received:
                if channel is self._own:
                    self.server.receive(event.payload, functional=False, now_ns=now_ns)
                    self._send_own(now_ns)
                elif channel.functional:
                    self._functional(channel, event.payload, now_ns)

    def _judge(self, payload: bytes, now_ns: int) -> Decision:
        return decide(
            self.profile.policy, payload, armed=self.armed, released=lambda scope: self._released(scope, now_ns)
        )

    def _request(self, route: _Route, payload: bytes, now_ns: int) -> None:
        """Judge a whole request to one unit."""
        decision = self._judge(payload, now_ns)
        self._note(now_ns, route.name, payload, decision)
        if route in self._busy or route.outside.segmenting:
            if payload == TESTER_PRESENT_SUPPRESSED and decision.verdict is Verdict.ALLOW:
                self._send(route.inside, payload, now_ns)
                return
            self._give_up(route, now_ns)
        if decision.verdict is Verdict.REFUSE:
            nrc = self.profile.policy.refusal_nrc
            assert nrc is not None
            self._send(route.outside, bytes((NEGATIVE_RESPONSE, payload[0], nrc)), now_ns)
        elif decision.verdict is Verdict.ALLOW:
            if payload[0] in CHANGES or route.expected.waiting:
                route.expected.asked(payload)
            self._hold(route, payload, now_ns)

    def _give_up(self, route: _Route, now_ns: int) -> None:
        """End the old conversation, transfers on both sides included."""
        self._close(route)
        for channel in (route.outside, route.inside):
            if channel.segmenting:
                self.stack.abort(channel, now_ns)

    def _hold(self, route: _Route, payload: bytes, now_ns: int) -> None:
        """Hold an allowed request for as long as judging takes, then send it on."""
        self._busy[route] = None
        route.sid = sid = payload[0]
        suppressed = sid in SUB_FUNCTION_SERVICES and len(payload) > 1 and payload[1] & SUPPRESS_POSITIVE_RESPONSE
        says_pending = (
            self.profile.pending_for_target and not suppressed
        )  # 0x78 would promise an answer that never comes
        route.pending_ns = now_ns + P2_SERVER_MAX_NS - P2_MARGIN_NS if says_pending else NEVER_NS
        if not self.profile.hold_ns:
            self._forward(route, payload, now_ns)
            return
        route.held = payload
        route.forward_ns = now_ns + self.profile.hold_ns

    def _forward(self, route: _Route, payload: bytes, now_ns: int) -> None:
        route.held = None
        route.sending = True
        route.until_ns = now_ns + self.profile.answer_window_ns
        self._send(route.inside, payload, now_ns)

    def _functional(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Judge once, fan out to all inner buses, answer for ourselves; blocked ones are dropped. `3E 80` always passes."""
        tester_present = payload == TESTER_PRESENT_SUPPRESSED
        decision = ALLOWED if tester_present else self._judge(payload, now_ns)
        if not tester_present:
            self._note(now_ns, "all", payload, decision)
        if decision.verdict is not Verdict.ALLOW:
            return
        self.server.receive(payload, functional=True, now_ns=now_ns)
        self._send_own(now_ns)
        for inner in self._fan_out[channel]:
            if single_frame(payload, inner.options.tx_dl, None) is not None:
                self._send(inner, payload, now_ns)
            else:  # to all is never segmented: there is nobody to answer with flow control
                text = f"{len(payload)} bytes to all are longer than one frame of inner bus {inner.port}"
                self._note_text(now_ns, "all", "dropped", text)
        if not tester_present:
            self._functional_sid = payload[0]
            self._functional_until_ns = now_ns + self.profile.answer_window_ns

    def _send_own(self, now_ns: int) -> None:
        outputs = self.server.outputs
        while outputs:
            self._send(self._own, outputs.popleft(), now_ns)
        frames = self.server.frames
        while frames:
            self._lane.send(Frame(*frames.popleft()))

    def _send(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Send, unless a flood has filled the channel: whoever floods gets no more answers than the bus carries."""
        if channel.full:
            self._note_text(now_ns, "", "dropped", f"too many messages wait on channel {channel.number}")
        else:
            self.stack.send(channel, payload, now_ns)

    # ---- answers

    def _from_inside(self, route: _Route, event: object, now_ns: int) -> None:
        if isinstance(event, Received):
            if self._accepts(route, event.payload, now_ns):
                self._answer(route, event.payload, now_ns)
        elif isinstance(event, Sent):
            if route.sending:
                route.sending = False
                route.until_ns = now_ns + self.profile.answer_window_ns
        elif isinstance(event, FirstFrame):
            self._begin_answer(route, event, now_ns)
        elif isinstance(event, Segment):
            self._continue_answer(route, event, now_ns)
        elif isinstance(event, Failed) and not isinstance(event.error, Aborted):
            self._broken(route, event, now_ns)

    def _broken(self, route: _Route, event: Failed, now_ns: int) -> None:
        """A transfer inside failed: the request's ends the conversation, the answer's only if it was passing through."""
        self._note_text(now_ns, route.name, "failed", str(event.error))
        if event.sending:
            if route.sending:
                self._close(route)
        elif route.total:
            if route.started and route.outside.segmenting:
                self.stack.abort(route.outside, now_ns)
            self._end_answer(route)

    def _accepts(self, route: _Route, payload: bytes, now_ns: int) -> bool:
        """Return whether an answer belongs to the route's request, to a functional one, or may come by itself."""
        until_ns = route.until_ns
        if until_ns is not None and now_ns <= until_ns and _answers(payload, route.sid):
            if route.expected.waiting:
                route.expected.answered(payload)
            return True
        way = self.profile.unsolicited
        if way == "always" or (way == "learnt" and route.expected.covers(payload)):
            return True
        if now_ns <= self._functional_until_ns and _answers(payload, self._functional_sid):
            return True
        self._note_text(now_ns, route.name, "discarded", f"answer {payload[:3].hex(' ')} without an open route")
        return False

    def _answer(self, route: _Route, payload: bytes, now_ns: int) -> None:
        if len(payload) == 3 and payload[0] == 0x7F and payload[2] == Nrc.requestCorrectlyReceivedResponsePending:
            if route not in self._busy:  # an answer to a functional request
                self._busy[route] = None
                route.sid = payload[1]
            route.until_ns = now_ns + P2_STAR_SERVER_MAX_NS + STAR_MARGIN_NS
        elif route.held is None and _answers(payload, route.sid):
            self._close(route)
        self._send(route.outside, payload, now_ns)

    def _begin_answer(self, route: _Route, event: FirstFrame, now_ns: int) -> None:
        if not self._accepts(route, event.head, now_ns):
            route.total = 0
            return
        self._busy[route] = None
        route.total = event.length
        route.started = False
        route.buffer = bytearray(event.head)
        if not route.sending and _answers(event.head, route.sid):
            route.until_ns = None  # the transfer's own timers watch over it now
        self._start_when_ready(route, now_ns)

    def _continue_answer(self, route: _Route, event: Segment, now_ns: int) -> None:
        if not route.total:
            return
        if not route.started:
            route.buffer += event.data
            self._start_when_ready(route, now_ns)
            return
        self.stack.feed(route.outside, event.data, now_ns)
        if event.last:
            self._end_answer(route)

    def _start_when_ready(self, route: _Route, now_ns: int) -> None:
        """Begin on the OBD side as soon as its own first frame can be filled (frame lengths may differ) and what is still on
        its way there, a 0x78 say, is out.
        """
        if route.outside.sending:
            return
        options, total, have = route.outside.options, route.total, len(route.buffer)
        fits_single = total <= 62 and single_frame(bytes(total), options.tx_dl, None) is not None
        if fits_single:
            if have >= total:
                self.stack.send(route.outside, bytes(route.buffer), now_ns)
                route.started = True
        elif have >= first_frame_room(total, options.tx_dl):
            self.stack.begin_send(route.outside, total, bytes(route.buffer), now_ns)
            route.started = True
        if route.started and have >= total:
            self._end_answer(route)

    def _end_answer(self, route: _Route) -> None:
        """The answer has come through; a newer request to the unit goes on."""
        route.total = 0
        if route.until_ns is None and route.held is None:
            self._close(route)

    # ---- time and bookkeeping

    def _route_deadline(self, route: _Route) -> int:
        if route.held is not None:
            return min(route.forward_ns, route.pending_ns)
        if route.sending:
            return route.pending_ns  # N_As and N_Bs watch over the rest
        return route.until_ns if route.until_ns is not None else NEVER_NS

    def _route_timer(self, route: _Route, now_ns: int) -> None:
        if route.held is not None and now_ns >= route.forward_ns:
            self._forward(route, route.held, now_ns)
        elif route.held is not None or route.sending:
            if now_ns >= route.pending_ns:
                self._say_pending(route, now_ns)
        elif route.until_ns is not None and now_ns >= route.until_ns:
            route.until_ns = None
            if not route.total:
                self._close(route)

    def _say_pending(self, route: _Route, now_ns: int) -> None:
        """The request is still on its way: ask for patience in the target's name, unless the target has yet to show itself."""
        if route.sending and route.inside.unheeded:
            route.pending_ns = now_ns + P2_MARGIN_NS
            return
        pending = bytes((NEGATIVE_RESPONSE, route.sid, Nrc.requestCorrectlyReceivedResponsePending))
        self._send(route.outside, pending, now_ns)
        route.pending_ns = now_ns + P2_STAR_SERVER_MAX_NS - P2_MARGIN_NS

    def _close(self, route: _Route) -> None:
        route.until_ns = None
        route.held = None
        route.sending = False
        route.total = 0
        self._busy.pop(route, None)

    def _note(self, now_ns: int, unit: str, payload: bytes, decision: Decision) -> None:
        self.log.append(GatewayRecord(now_ns, unit, payload[:4].hex(" "), decision.verdict.value, decision.reason))

    def _note_text(self, now_ns: int, unit: str, verdict: str, reason: str) -> None:
        self.log.append(GatewayRecord(now_ns, unit, "", verdict, reason))


def _answers(payload: bytes, sid: int) -> bool:
    """Return whether an answer is to service `sid`."""
    if payload[0] == NEGATIVE_RESPONSE:
        return payload[1:2] == bytes((sid,))
    return payload[0] == sid + POSITIVE_OFFSET & 0xFF
