"""The tester's link: blocking diagnostic requests over one ISO-TP stack, with a channel for each control unit.

A request pumps the world until its answer, or until the standard's patience ends: P2 runs from the request's last frame to the
*first* frame of the answer, N_Cr after that, P2* after each 0x78, with a limit on their number and on the whole (ISO 14229-2
client timing; general knowledge). Between requests time stands still in a virtual world. TesterPresent is a timer in the
same world, so it runs whenever anything pumps it, a wait for the portal too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from vci_driver.api import FramesLost, OtherSender
from vci_driver.car_map import CarMap, EcuEntry
from vci_driver.functional import FunctionalExchange
from vci_driver.link_errors import (
    AnswerBroken,
    AnswerCutOff,
    NoAnswer,
    RequestNotSent,
    RequestNotTaken,
    StillPending,
    service_name,
)
from vci_driver.link_peer import (
    POSITIVE,
    SESSION_ANSWER_LEN,
    UNASKED_MAX,
    LinkCounters,
    LinkOptions,
    Peer,
    Unasked,
    answers_only,
    by_itself,
)
from vci_driver.link_transport import AttachedTransport, Transport
from wire.clock import NS_PER_MS, NS_PER_S
from wire.endpoint import Carrier, Endpoint
from wire.errors import CarrierFault, CarrierTimeout, LocalMisuse, NotOnThisCarrier, RemoteTimeout
from wire.isotp_door import Failed, FirstFrame, IsoTpOptions, Received, Sent
from wire.isotp_stack import IsoTpStack
from wire.uds import (
    NEGATIVE_RESPONSE,
    SUB_FUNCTION_SERVICES,
    SUPPRESS_POSITIVE_RESPONSE,
)
from wire.world import World

PENDING = 0x78
NOTICES_MAX = 100
"""Faults that left the adapter in use and are kept for the report: enough to see a pattern."""
TESTER_PRESENT = b"\x3e\x80"


class _Stack(IsoTpStack):
    """The link's transport; the name is what the world reports should it ever fail."""

    __slots__ = ("name",)

    def __init__(self, name: str, ports: int) -> None:
        super().__init__(ports)
        self.name = name


class DiagnosticLink:
    """Blocking requests to the control units of one car.

    `carriers[n]` is the tester's place on the bus that `EcuEntry.port == n` names; functional requests go out on port 0.
    With a `transport` of its own (`vci_driver.kernel_isotp`) there are no carriers.
    """

    def __init__(
        self,
        world: World,
        carriers: Sequence[Carrier],
        car: CarMap,
        options: LinkOptions | None = None,
        name: str = "tester",
        transport: AttachedTransport | None = None,
    ) -> None:
        self.world = world
        self.car = car
        self._carriers = carriers
        self.options = options if options is not None else LinkOptions()
        self.counters = LinkCounters()
        self.fault: CarrierFault | None = None
        self.notices: deque[CarrierFault] = deque(maxlen=NOTICES_MAX)
        self._loss: FramesLost | None = None
        self._loss_ns = 0
        self.name = name
        self._virtual = world.virtual
        self._overall_ns = self.options.overall_limit_ns
        stack = _Stack(name, len(carriers)) if transport is None else None
        self._stack: Transport = stack if stack is not None else cast("Transport", transport)
        self._events = self._stack.events
        self._isotp = self.options.isotp or IsoTpOptions(padding=car.padding, tx_dl=64 if car.fd else 8, brs=car.brs)
        self._peers: dict[str, Peer] = {}
        for entry in car.ecus:
            self._add_peer(entry)
        self._functional = (
            None
            if car.functional_id is None
            else self._stack.add(0, tx_id=car.functional_id, rx_id=None, options=self._isotp)
        )
        self._functional_sends: deque[FunctionalExchange | None] = deque()
        self._exchange: FunctionalExchange | None = None
        self._functional_timer = world.timer(f"{name}/functional", self._on_functional_timer)
        self._keep_alive = world.timer(f"{name}/keep-alive", self._on_keep_alive)
        self._keep_alive_peers: tuple[Peer, ...] | None = None
        self._keep_alive_ns = 0
        if stack is not None:
            self._flush = Endpoint(
                world, stack, self._ports(carriers), events=stack.events, on_events=self._collect
            ).flush
        elif transport is not None:
            self._flush = self._collect  # a transport of its own sends by itself
            transport.attach(self._collect, self._on_fault)
        for carrier in carriers:
            if hasattr(carrier, "on_fault"):
                carrier.on_fault = self._on_fault

    def _add_peer(self, entry: EcuEntry) -> None:
        channel = self._stack.add(entry.port, tx_id=entry.request_id, rx_id=entry.response_id, options=self._isotp)
        timer = self.world.timer(f"{self.name}/{entry.name}", lambda _: self._on_timer(peer))
        peer = self._peers[entry.name] = channel.tag = Peer(entry.name, channel, timer, self.options)

    def _ports(self, carriers: Sequence[Carrier]) -> list[tuple[Carrier, Iterable[int]]]:
        return [
            (carrier, [entry.response_id for entry in self.car.ecus if entry.port == number])
            for number, carrier in enumerate(carriers)
        ]

    # ---- physical requests

    def request(self, target: str, payload: bytes) -> bytes:
        """Send `payload` to a unit and return its final answer, positive or negative; 0x78 is waited through.

        With the suppress bit set, silence is the good answer and returns `b""`. Raises the errors of
        `vci_driver.link_errors`, and the `CarrierFault` of a lost adapter.
        """
        peer = self._begin(target, payload)
        while True:
            answer = self._wait(peer)
            if len(answer) != 3 or answer[2] != PENDING or answer[0] != NEGATIVE_RESPONSE:
                return answer

    def _begin(self, target: str, payload: bytes) -> Peer:
        """Send `payload` without waiting for the answer; give what is returned to `wait`. An older request is given up."""
        peer = self._peers.get(target)
        if peer is None:
            self.car.ecu(target)  # raises, with a suggestion
            raise LocalMisuse(f"{target!r} joined the car map after the link was made")
        if not payload:
            raise LocalMisuse(f"an empty request to {target!r}: a request has at least its service identifier")
        world = self.world
        if peer.request is not None:
            self._give_up(peer)
        if not self._virtual:
            # Between calls nobody moved the world's time: do what is overdue before the new request, which must not be
            # answered by what was meant for an older one.
            world.catch_up(anyway=peer.stale is not None)
        if self.fault is not None:  # known before, or found just now: the plug was pulled between two calls
            raise self.fault
        sid = payload[0]
        now_ns = world.now_ns
        peer.request = payload
        peer.positive = POSITIVE[sid]
        peer.suppressed = len(payload) > 1 and payload[1] >= SUPPRESS_POSITIVE_RESPONSE and sid in SUB_FUNCTION_SERVICES
        peer.pending = 0
        peer.unexpected = None
        peer.receiving = False
        peer.sent_ns = None
        peer.limit_ns = now_ns + self._overall_ns
        peer.results.clear()
        self._stack.send(peer.channel, payload, now_ns)
        self._flush()
        return peer

    def _wait(self, peer: Peer) -> bytes:
        """Pump the world until the next answer to the request that `begin` sent, a 0x78 included."""
        results = peer.results
        if not results:
            if peer.request is None:
                raise LocalMisuse(f"nothing is under way to {peer.name!r}: its last answer was taken already")
            self.world.run_held_until_at(
                cast("Callable[[], bool]", results.__len__),  # the world asks for truth only, after every callback
                peer.limit_ns,
            )
            if not results:
                self._overall_limit(peer)
        result = results.popleft()
        if isinstance(result, bytes):
            return result
        raise result

    begin, wait = _begin, _wait

    def wait_until_sent(self, peer: Peer) -> None:
        """Pump the world until the request went out (or failed to, which the next `wait` raises)."""
        self.world.run_until_at(lambda: peer.sent_ns is not None or peer.request is None, peer.limit_ns)

    def _give_up(self, peer: Peer) -> None:
        """Forget the request under way: its answer, should it still come, is late."""
        if peer.sent_ns is None:
            self.wait_until_sent(peer)
        peer.stale = peer.request
        peer.request = None
        peer.timer.set(None)

    def _overall_limit(self, peer: Peer) -> None:
        limit_s = self._overall_ns / NS_PER_S
        self._stack.abort(peer.channel, self.world.now_ns)
        self._flush()
        self._fail(peer, StillPending, f"did not finish its answer within the overall limit of {limit_s:g} s")

    # ---- functional requests

    def send_functional(self, payload: bytes, *, wait: bool = True) -> list[tuple[str, bytes]]:
        """Send a single-frame request to all units and return (unit, final answer) in the order of their coming.

        Units answer within P2 or not at all; one that says 0x78 or begins a long answer is waited for. With `wait=False`
        this returns when the request went out.
        """
        if self._functional is None:
            raise LocalMisuse(f"the car map of {self.car.make!r} has no functional identifier")
        room = 7 if self._isotp.tx_dl == 8 else self._isotp.tx_dl - 2
        if not 1 <= len(payload) <= room:
            raise LocalMisuse(f"a functional request has 1 to {room} bytes, one frame; this one has {len(payload)}")
        if not self._virtual:
            self.world.catch_up(anyway=True)
        if self.fault is not None:
            raise self.fault
        for peer in self._peers.values():
            if peer.request is not None:
                self._give_up(peer)
            else:
                peer.stale = payload  # until it has answered: what comes after the window is late
        exchange = self._exchange = FunctionalExchange(
            payload,
            timer=self._functional_timer,
            window_ns=max(peer.p2_ns for peer in self._peers.values()),
            max_pending=self.options.max_pending,
        )
        self._functional_sends.append(exchange)
        self._stack.send(self._functional, payload, self.world.now_ns)
        self._flush()
        self.world.run_until(lambda: exchange.finished or (exchange.sent and not wait), self._overall_ns)
        self._exchange = None
        exchange.close()
        if exchange.failure is not None:
            raise exchange.failure
        return exchange.answers

    def _on_functional_timer(self, now_ns: int) -> None:
        if self._exchange is not None:
            self._exchange.on_timer(now_ns)

    # ---- what units say by themselves

    def listen_unasked(self, target: str) -> deque[Unasked]:
        """Keep what `target` says without being asked (0x86, 0x2A) from now on; what comes is appended to what is returned.

        Raises `NotOnThisCarrier` where nobody hears the frames that it sends beside ISO-TP.
        """
        entry = self.car.ecu(target)
        peer = self._peers[entry.name]
        if peer.unasked is None:
            kept: deque[Unasked] = deque(maxlen=UNASKED_MAX)
            if entry.periodic_ids:
                if not self._carriers:
                    raise NotOnThisCarrier(
                        f"the periodic frames of {target!r} are no ISO-TP: this transport hears none"
                    )
                self._carriers[entry.port].listen(
                    entry.periodic_ids,
                    lambda frame: kept.append(Unasked(self.world.now_ns, frame.data, frame.can_id)),
                )
            peer.unasked = kept
        return peer.unasked

    def _keep(self, peer: Peer, payload: bytes) -> None:
        if peer.unasked is not None:
            peer.unasked.append(Unasked(self.world.now_ns, payload))

    # ---- keep-alive

    def keep_alive(self, *, on: bool = True, targets: Sequence[str] | None = None) -> None:
        """Start or stop sending `3E 80` every `keep_alive_ns`: to all at once (None), or to these units one by one.

        The times are counted from the start, so that on the real clock what each is late by does not add up.
        """
        if targets is None and on and self._functional is None:
            raise LocalMisuse(f"{self.car.make!r} has no functional identifier: name the units to keep alive")
        self._keep_alive_peers = None if targets is None else tuple(self._peers[self.car.ecu(n).name] for n in targets)
        self._keep_alive_ns = self.world.now_ns + self.options.keep_alive_ns
        self._keep_alive.set(self._keep_alive_ns if on else None)

    def hold_session(self, target: str) -> None:
        """See that `target` is kept alive from now on: with all others, or beside those that were named before."""
        if self.keeps_alive and self._keep_alive_peers is None:
            return
        named = tuple(peer.name for peer in self._keep_alive_peers or ()) if self.keeps_alive else ()
        if not named and self._functional is not None:
            self.keep_alive()
        elif target not in named:
            self.keep_alive(targets=(*named, target))

    @property
    def keeps_alive(self) -> bool:
        """Whether the keep-alive is running."""
        return self._keep_alive.deadline_ns is not None

    def _on_keep_alive(self, now_ns: int) -> None:
        period_ns = self.options.keep_alive_ns
        self._keep_alive_ns += max(1, (now_ns - self._keep_alive_ns) // period_ns) * period_ns
        self._keep_alive.set(self._keep_alive_ns)
        if self.fault is not None:
            return
        if self._keep_alive_peers is None:
            if not self._functional_sends and self._functional is not None:
                self._functional_sends.append(None)
                self.counters.tester_present += 1
                self._stack.send(self._functional, TESTER_PRESENT, now_ns)
        else:
            for peer in self._keep_alive_peers:
                if peer.request is None and not peer.keep_alive_in_flight:  # a request under way keeps S3 from running
                    peer.keep_alive_in_flight = True
                    self.counters.tester_present += 1
                    self._stack.send(peer.channel, TESTER_PRESENT, now_ns)
        self._flush()

    # ---- what the stack reports

    def _collect(self) -> None:
        events = self._events
        while events:
            event = events.popleft()
            peer = event.channel.tag
            kind = event.__class__
            if not isinstance(peer, Peer):
                self._functional_event(event)
            elif kind is Received:
                self._received(peer, cast("Received", event).payload)
            elif kind is Sent:
                if peer.keep_alive_in_flight:
                    peer.keep_alive_in_flight = False
                elif peer.request is not None:
                    peer.sent_ns = now_ns = self.world.now_ns
                    peer.timer.set(now_ns + peer.p2_ns)
            elif isinstance(event, FirstFrame):
                self._first_frame(peer, event.head)
            elif isinstance(event, Failed):
                self._transport_failed(peer, event)

    def _received(self, peer: Peer, payload: bytes) -> None:
        request = peer.request
        first = payload[0] if payload else 0
        if request is None:
            self._without_request(peer, payload)
        elif first == peer.positive:
            if peer.unasked is not None and by_itself(payload, request):
                self._unexpected(peer, payload)
                return
            if peer.stale is not None and answers_only(payload, peer.stale, request):
                peer.stale = None
                self.counters.late += 1
                return
            if first == 0x50 and len(payload) == SESSION_ANSWER_LEN:
                peer.learn_timing(payload)
            peer.request = None
            peer.timer.set(None)
            peer.results.append(payload)
        elif first == NEGATIVE_RESPONSE and len(payload) == 3 and payload[1] == request[0]:
            if payload[2] == PENDING:
                self._response_pending(peer, payload)
                return
            peer.request = None
            peer.timer.set(None)
            peer.results.append(payload)
        else:
            self._unexpected(peer, payload)

    def _first_frame(self, peer: Peer, head: bytes) -> None:
        """The answer has begun: P2 is over, N_Cr watches from here on."""
        if peer.request is None:
            if self._exchange is not None:
                self._exchange.begun(peer.name, head)
        elif peer.unasked is not None and by_itself(head, peer.request):
            return
        elif head[0] == peer.positive and (peer.stale is None or not answers_only(head, peer.stale, peer.request)):
            peer.timer.set(None)
            peer.receiving = True

    def _response_pending(self, peer: Peer, payload: bytes) -> None:
        self.counters.pending += 1
        peer.pending += 1
        if peer.pending > self.options.max_pending:
            self._fail(peer, StillPending, f"said 0x78 more than {self.options.max_pending} times to")
            return
        peer.timer.set(self.world.now_ns + peer.p2_star_ns)
        peer.results.append(payload)

    def _without_request(self, peer: Peer, payload: bytes) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.received(peer.name, payload, self.world.now_ns, peer.p2_star_ns):
            if payload[0] == NEGATIVE_RESPONSE and payload[2] == PENDING:
                self.counters.pending += 1
            elif peer.stale is exchange.payload:
                peer.stale = None
            return
        if peer.stale is not None and payload and payload[0] in (POSITIVE[peer.stale[0]], NEGATIVE_RESPONSE):
            if payload[0] != NEGATIVE_RESPONSE or payload[2:] != b"\x78":
                peer.stale = None
            self.counters.late += 1
        else:
            self.counters.unsolicited += 1
            self._keep(peer, payload)

    def _unexpected(self, peer: Peer, payload: bytes) -> None:
        stale = peer.stale
        if (
            stale is not None
            and payload
            and (payload[0] == POSITIVE[stale[0]] or payload[:2] == bytes((NEGATIVE_RESPONSE, stale[0])))
        ):
            peer.stale = None
            self.counters.late += 1
        elif peer.unasked is not None:
            self.counters.unsolicited += 1
            self._keep(peer, payload)
        else:
            peer.unexpected = payload
            self.counters.unexpected += 1

    def _functional_event(self, event: object) -> None:
        if isinstance(event, Sent) and self._functional_sends:
            exchange = self._functional_sends.popleft()
            if exchange is not None:
                exchange.on_sent(self.world.now_ns)
        elif isinstance(event, Failed) and self._functional_sends:
            exchange = self._functional_sends.popleft()
            if exchange is not None:
                exchange.fail(RequestNotSent(f"the functional request did not go out: {event.error}"))

    # ---- failures

    def _on_timer(self, peer: Peer) -> None:
        """P2 or P2* is over."""
        if peer.request is None:
            return
        if peer.pending:
            self._fail(peer, StillPending, f"said 0x78 {peer.pending} times, then nothing within P2* of")
        elif peer.suppressed:
            peer.request = None
            peer.results.append(b"")
        else:
            heard = f" (it said {peer.unexpected.hex(' ')} instead)" if peer.unexpected else ""
            self._fail(peer, NoAnswer, f"did not answer{heard}")

    def _fail(self, peer: Peer, kind: type[NoAnswer], text: str) -> None:
        request = peer.request
        assert request is not None
        since_ns = peer.sent_ns if peer.sent_ns is not None else peer.limit_ns - self._overall_ns
        waited_ns = self.world.now_ns - since_ns
        sid = request[0]
        message = f"{peer.name!r} {text} {service_name(sid)}: waited {waited_ns / NS_PER_MS:g} ms"
        peer.stale = request
        peer.request = None
        peer.unexpected = None
        peer.timer.set(None)
        self._conclude(peer, kind(message, target=peer.name, sid=sid, waited_ns=waited_ns))

    def _transport_failed(self, peer: Peer, event: Failed) -> None:
        error = event.error
        if peer.keep_alive_in_flight and event.sending:
            peer.keep_alive_in_flight = False
            return
        if peer.request is None:
            if self._exchange is not None and not event.sending:
                self._exchange.broken(peer.name)
            return
        if not event.sending and not peer.receiving:
            self.counters.late += 1  # what broke off was an answer to something older
            return
        peer.receiving = False
        if isinstance(error, CarrierTimeout):
            text = f"the request {service_name(peer.request[0])} to {peer.name!r} did not go out: {error}"
            self._finish_with(peer, RequestNotSent(text))
        elif isinstance(error, RemoteTimeout):
            if event.sending:
                self._fail(peer, RequestNotTaken, f"did not take all of the request ({error})")
            else:
                self._fail(peer, AnswerCutOff, f"stopped in the middle of its answer ({error}) to")
        else:
            what = "request" if event.sending else "answer"
            text = f"{peer.name!r}, {service_name(peer.request[0])}: the {what} broke off: {error}"
            self._finish_with(peer, AnswerBroken(text))

    def _finish_with(self, peer: Peer, error: Exception) -> None:
        peer.stale = peer.request
        peer.request = None
        peer.timer.set(None)
        self._conclude(peer, error)

    def _conclude(self, peer: Peer, error: Exception) -> None:
        """Tell how a request failed; where the adapter lost frames meanwhile, that is the reason, and not the unit's silence."""
        loss = self._loss
        if (
            loss is not None
            and not isinstance(error, CarrierFault)
            and self._loss_ns >= peer.limit_ns - self._overall_ns
        ):
            loss = FramesLost(f"{loss}; so {error}", loss.count)
            loss.__cause__ = error
            error = loss
        peer.results.append(error)

    def _on_fault(self, fault: CarrierFault) -> None:
        """The adapter is gone: whatever waits, fails now; whatever comes, fails at once until `recover`. Or it only lost
        frames, or hears somebody else on our identifiers: that is noted, and the link goes on.
        """
        if isinstance(fault, FramesLost | OtherSender):
            self.notices.append(fault)
            if isinstance(fault, FramesLost):
                self._loss, self._loss_ns = fault, self.world.now_ns
            return
        self.fault = fault
        for peer in self._peers.values():
            if peer.request is not None:
                self._finish_with(peer, fault)
        if self._exchange is not None:
            self._exchange.fail(fault)

    def recover(self) -> None:
        """Try again after a fault, with the adapter back in place. What was under way is forgotten."""
        self.fault = None
        self._stack.drop()
        for peer in self._peers.values():
            peer.keep_alive_in_flight = False
        self._functional_sends.clear()
        self._flush()
