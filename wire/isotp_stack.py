"""Many ISO-TP channels on any number of ports, one frame in flight per port: the transport part of every device.

Flow control goes first, so that no peer waits for it behind our own data; data of several channels take turns.
"""

from __future__ import annotations

from collections import deque

from wire.errors import LocalMisuse
from wire.frame import Frame
from wire.isotp import (
    CLASSIC,
    Aborted,
    Channel,
    Event,
    Failed,
    FirstFrame,
    IsoTpOptions,
    Received,
    Segment,
    Sent,
)

__all__ = ["Channel", "Event", "Failed", "FirstFrame", "IsoTpStack", "Received", "Segment", "Sent"]


class _Port:
    """What one port sends and hears."""

    __slots__ = ("by_id", "control", "data", "in_flight", "in_flight_control")

    def __init__(self) -> None:
        self.by_id: dict[int, Channel] = {}
        self.control: deque[tuple[Channel, Frame]] = deque()
        self.data: deque[tuple[Channel, Frame]] = deque()
        self.in_flight: Channel | None = None
        self.in_flight_control = False


class IsoTpStack:
    """The transport of one device. See `wire.endpoint.Core` for the calls it shares."""

    __slots__ = ("_active", "_channels", "_ports", "events", "outputs")

    def __init__(self, ports: int = 1) -> None:
        self.outputs: deque[tuple[int, Frame]] = deque()
        self.events: deque[Event] = deque()
        self._ports = [_Port() for _ in range(ports)]
        self._channels: list[Channel] = []
        self._active: dict[Channel, None] = {}

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

    def listen_ids(self, port: int) -> tuple[int, ...]:
        """Return the identifiers that `port` hears."""
        return tuple(self._ports[port].by_id)

    # ---- in

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Take a frame that arrived on `port`."""
        channel = self._ports[port].by_id.get(frame.can_id)
        if channel is not None:
            channel.receive(frame, now_ns)
            if channel.active or channel.has_deadline:
                self._track(channel)

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
        self._track(channel)

    def handle_timer(self, now_ns: int) -> None:
        """Let every channel do what is due."""
        for channel in tuple(self._active):
            deadline_ns = channel.next_deadline()
            if deadline_ns is not None and deadline_ns <= now_ns:
                channel.handle_timer(now_ns)
            self._track(channel)

    def next_deadline(self) -> int | None:
        """Return the earliest deadline of all channels that have one."""
        if not self._active:
            return None
        earliest: int | None = None
        for channel in self._active:
            deadline_ns = channel.next_deadline()
            if deadline_ns is not None and (earliest is None or deadline_ns < earliest):
                earliest = deadline_ns
        return earliest

    # ---- out

    def send(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Send a message on `channel`; see `Channel.send`."""
        channel.send(payload, now_ns)
        self._track(channel)

    def begin_send(self, channel: Channel, total: int, head: bytes, now_ns: int) -> None:
        """Begin a streamed message; see `Channel.begin_send`."""
        channel.begin_send(total, head, now_ns)
        self._track(channel)

    def feed(self, channel: Channel, data: bytes, now_ns: int) -> None:
        """Bring more bytes of a streamed message; see `Channel.feed`."""
        channel.feed(data, now_ns)
        self._track(channel)

    def abort(self, channel: Channel, now_ns: int) -> None:  # noqa: ARG002 - time is part of the contract
        """Give up the message being sent on `channel`."""
        channel.abort_send(Aborted("given up by its source"))
        self._track(channel)

    def next_event(self) -> Event | None:
        """Return the oldest event, or None."""
        return self.events.popleft() if self.events else None

    def drop(self) -> None:
        """Forget everything in silence: the device lost its supply. A frame in flight is the carrier's business."""
        for channel in self._channels:
            channel.drop()
        for side in self._ports:
            side.control.clear()
            side.data.clear()
            side.in_flight = None
        self._active.clear()
        self.outputs.clear()
        self.events.clear()

    # ---- channels call this

    def emit(self, channel: Channel, frame: Frame, *, control: bool) -> None:
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

    def _hand_over(self, port: int, side: _Port) -> None:
        control = bool(side.control)
        channel, frame = (side.control if control else side.data).popleft()
        side.in_flight = channel
        side.in_flight_control = control
        self.outputs.append((port, frame))

    def _track(self, channel: Channel) -> None:
        """Keep the set of channels that have a deadline."""
        if channel.has_deadline:
            if not channel.active:
                channel.active = True
                self._active[channel] = None
        elif channel.active:
            channel.active = False
            self._active.pop(channel, None)
