"""Many ISO-TP channels on any number of ports, one frame in flight per port: the transport part of every device.

Flow control goes first, so that no peer waits for it behind our own data; data of several channels take turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from wire.errors import LocalMisuse
from wire.frame import Frame
from wire.isotp import Channel
from wire.isotp_door import CLASSIC, Aborted, Event, IsoTpOptions


class _Port:
    """What one port sends and hears."""

    __slots__ = ("by_id", "control", "data", "in_flight", "in_flight_control")

    def __init__(self) -> None:
        self.by_id: dict[int, Channel | RawLane] = {}
        self.control: deque[tuple[Channel | RawLane, Frame]] = deque()
        self.data: deque[tuple[Channel | RawLane, Frame]] = deque()
        self.in_flight: Channel | RawLane | None = None
        self.in_flight_control = False


MAX_RAW_WAITING = 64
"""Frames without a transport that wait on one port: values come again, so on a bus that carries no more the rest is let go."""


class RawLane:
    """Frames of a port that are no ISO-TP: sent in turn with the channels, confirmed to nobody.

    Registered under an identifier, it carries what another port hears there: 1:1, at once.
    """

    __slots__ = ("_stack", "_waiting", "dropped", "paced", "port")

    def __init__(self, stack: IsoTpStack, port: int) -> None:
        self._stack = stack
        self._waiting = 0
        self.port = port
        self.paced = False
        self.dropped = 0

    def send(self, frame: Frame) -> None:
        """Queue a frame."""
        if self._waiting >= MAX_RAW_WAITING:
            self.dropped += 1
            return
        self._waiting += 1
        self._stack.emit(self, frame, control=False)

    def receive(self, frame: Frame, now_ns: int) -> None:  # noqa: ARG002 - as a channel
        """Carry over what was heard."""
        self.send(frame)

    def data_sent(self, now_ns: int) -> None:  # noqa: ARG002 - as a channel
        """Learn that a frame went out."""
        self._waiting -= 1

    control_sent = data_sent

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting = 0


class IsoTpStack:
    """The transport of one device. See `wire.endpoint.Core` for the calls it shares."""

    __slots__ = ("_active", "_channels", "_lanes", "_ports", "events", "outputs")

    def __init__(self, ports: int = 1) -> None:
        self.outputs: deque[tuple[int, Frame]] = deque()
        self.events: deque[Event] = deque()
        self._ports = [_Port() for _ in range(ports)]
        self._channels: list[Channel] = []
        self._active: list[Channel] = []
        self._lanes: list[RawLane] = []

    def add(
        self,
        port: int,
        *,
        tx_id: int | None,
        rx_id: int | None,
        options: IsoTpOptions = CLASSIC,
        functional: bool = False,
        stream: bool = False,
        tag: object = None,
    ) -> Channel:
        """Add a channel. Raises `LocalMisuse` when the port already hears `rx_id`."""
        side = self._ports[port]
        if rx_id is not None and rx_id in side.by_id:
            raise LocalMisuse(f"port {port} already has a channel that receives {rx_id:#x}")
        channel = Channel(self, len(self._channels), port, tx_id, rx_id, options, functional=functional, stream=stream)
        channel.tag = tag
        self._channels.append(channel)
        if rx_id is not None:
            side.by_id[rx_id] = channel
        return channel

    def add_lane(self, port: int) -> RawLane:
        """Add a way out for frames that are no ISO-TP."""
        lane = RawLane(self, port)
        self._lanes.append(lane)
        return lane

    def relay(self, port: int, can_id: int, lane: RawLane) -> None:
        """Carry every frame that `port` hears under `can_id` over to a lane. Raises `LocalMisuse` where a channel hears it."""
        side = self._ports[port]
        if can_id in side.by_id:
            raise LocalMisuse(f"port {port} already has a channel that receives {can_id:#x}")
        side.by_id[can_id] = lane

    def listen_ids(self, port: int) -> tuple[int, ...]:
        """Return the identifiers that `port` hears."""
        return tuple(self._ports[port].by_id)

    def configure(self, port: int, change: Callable[[IsoTpOptions], IsoTpOptions]) -> None:
        """Change how all channels of `port` behave, from the next frame on."""
        for channel in self._channels:
            if channel.port == port:
                channel.configure(change(channel.options))

    # ---- in

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Take a frame that arrived on `port`."""
        channel = self._ports[port].by_id.get(frame.can_id)
        if channel is not None:
            channel.receive(frame, now_ns)

    def frame_sent(self, port: int, now_ns: int) -> None:
        """Learn that the frame in flight on `port` went out; hand over the next."""
        side = self._ports[port]
        channel = side.in_flight
        if channel is None:
            return
        side.in_flight = None
        if side.in_flight_control:
            channel.control_sent(now_ns)
        else:
            channel.data_sent(now_ns)
        if side.in_flight is None and (side.control or side.data):
            self._hand_over(port, side)

    def pacing(self, port: int) -> bool:
        """Return whether a separation time is counted from the confirmation of the frame in flight: it has to be exact."""
        channel = self._ports[port].in_flight
        return channel is not None and channel.paced

    def handle_timer(self, now_ns: int) -> None:
        """Let every channel do what is due."""
        for channel in tuple(self._active):
            channel.handle_timer(now_ns)

    def next_deadline(self) -> int | None:
        """Return the earliest deadline of all channels that have one; forget those that have none any more."""
        active = self._active
        if not active:
            return None
        earliest: int | None = None
        idle = False
        for channel in active:
            tx_ns, rx_ns = channel.tx_deadline_ns, channel.rx_deadline_ns
            if tx_ns is None:
                if rx_ns is None:
                    channel.active = False
                    idle = True
                    continue
                tx_ns = rx_ns
            elif rx_ns is not None and rx_ns < tx_ns:
                tx_ns = rx_ns
            if earliest is None or tx_ns < earliest:
                earliest = tx_ns
        if idle:
            active[:] = [channel for channel in active if channel.active]
        return earliest

    # ---- out

    def send(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Send a message on `channel`; see `Channel.send`."""
        channel.send(payload, now_ns)

    def begin_send(self, channel: Channel, total: int, head: bytes, now_ns: int) -> None:
        """Begin a streamed message; see `Channel.begin_send`."""
        channel.begin_send(total, head, now_ns)

    def feed(self, channel: Channel, data: bytes, now_ns: int) -> None:
        """Bring more bytes of a streamed message; see `Channel.feed`."""
        channel.feed(data, now_ns)

    def abort(self, channel: Channel, now_ns: int) -> None:  # noqa: ARG002 - time is part of the contract
        """Give up the message being sent on `channel`."""
        channel.abort_send(Aborted("given up by its source"))

    def next_event(self) -> Event | None:
        """Return the oldest event, or None."""
        return self.events.popleft() if self.events else None

    def drop(self) -> None:
        """Forget everything in silence: the device lost its supply. A frame in flight is the carrier's business."""
        for channel in self._channels:
            channel.drop()
            channel.active = False
        for lane in self._lanes:
            lane.drop()
        for side in self._ports:
            side.control.clear()
            side.data.clear()
            side.in_flight = None
        self._active.clear()
        self.outputs.clear()
        self.events.clear()

    # ---- channels call this

    def emit(self, channel: Channel | RawLane, frame: Frame, control: bool) -> None:  # noqa: FBT001 - hot path, positional
        """Queue a frame of a channel."""
        side = self._ports[channel.port]
        if side.in_flight is None:
            side.in_flight = channel
            side.in_flight_control = control
            self.outputs.append((channel.port, frame))
        elif control:
            side.control.append((channel, frame))
        else:
            side.data.append((channel, frame))

    def forget(self, channel: Channel, control: bool) -> None:  # noqa: FBT001
        """Drop frames of a channel that wait for their turn: the message they belong to has failed."""
        side = self._ports[channel.port]
        waiting = side.control if control else side.data
        kept = [entry for entry in waiting if entry[0] is not channel]
        if len(kept) != len(waiting):
            waiting.clear()
            waiting.extend(kept)

    def _hand_over(self, port: int, side: _Port) -> None:
        control = bool(side.control)
        channel, frame = (side.control if control else side.data).popleft()
        side.in_flight = channel
        side.in_flight_control = control
        self.outputs.append((port, frame))

    def watch(self, channel: Channel) -> None:
        """Ask this channel for its deadlines until it has none."""
        channel.active = True
        self._active.append(channel)
