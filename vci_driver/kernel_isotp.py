"""The operating system's ISO-TP as the transport of a link: one CAN_ISOTP socket for each control unit, on Linux.

The kernel segments, paces and reassembles, so none of that waits for Python. What it does not tell, that a request has left
and that its answer has begun (P2 ends there), a raw socket beside it sees. It was written by others than the simulated
units' ISO-TP, and so judges it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from socket import SO_ERROR, SOL_SOCKET
from socket import socket as Socket  # noqa: N812 - a type here
from typing import cast

from vci_driver.api import ChannelLost
from vci_driver.drivers.socketcan import RECEIVE_BUFFER_BYTES, usable
from vci_driver.linux_can.error_frames import read_error
from vci_driver.linux_can.frames import CAN_RAW_FILTER, ERROR, FD_MTU, SOL_CAN_RAW, filters, unpack
from vci_driver.linux_can.interfaces import Interface, InterfaceWatch
from vci_driver.linux_can.isotp_socket import (
    MESSAGE_MAX_BYTES,
    READ_BYTES,
    SENDING_ERRORS,
    frames_of,
    open_isotp,
    refuse_what_the_kernel_cannot,
    transfer_error,
)
from vci_driver.linux_can.isotp_watch import ConversationWatch, Seen
from vci_driver.linux_can.raw_socket import INTERFACE_AWAY, QUEUE_FULL, RawSocketOptions, connect, reason, set_up
from wire.clock import NS_PER_MS, RealClock
from wire.errors import BenchError, CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.isotp import MAX_QUEUED_MESSAGES, Channel
from wire.isotp_door import (
    Aborted,
    BufferOverflow,
    Event,
    Failed,
    FirstFrame,
    InvalidFlowStatus,
    IsoTpOptions,
    Received,
    Sent,
    TooManyWaits,
    TransmitTimeout,
    UnexpectedPdu,
)
from wire.world import World

LOG = logging.getLogger(__name__)
RETRY_NS = NS_PER_MS
"""A socket that is busy with an older message, or whose interface's queue is full, is tried again so often."""
MONITOR_BURST = 1024
"""Frames looked at in one go before the world's other work has its turn; a message of 4095 bytes has 586."""


class KernelChannel:
    """One addressed pair. `tag` belongs to the owner."""

    __slots__ = ("options", "port", "queue", "rx_id", "sending", "since_ns", "socket", "tag", "taken", "tx_id", "watch")

    def __init__(self, port: int, tx_id: int, rx_id: int | None, options: IsoTpOptions) -> None:
        self.port = port
        self.tx_id = tx_id
        self.rx_id = rx_id
        self.options = options
        self.tag: object = None
        self.socket: Socket | None = None
        self.queue: deque[bytes] = deque()
        self.sending: bytes | None = None
        self.taken = False  # whether the kernel has what is being sent
        self.since_ns = 0
        self.watch = ConversationWatch()


class _Port:
    """One interface: the monitor on it, the watch over it, and its channels by identifier."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.watch = InterfaceWatch(interface.name)
        self.monitor: Socket | None = None
        self.sent_by: dict[int, KernelChannel] = {}
        self.heard_by: dict[int, KernelChannel] = {}
        self.lost = False


class KernelIsoTp:
    """The kernel's ISO-TP on CAN interfaces; the link's port `n` is `interfaces[n]`."""

    def __init__(self, world: World, interfaces: Sequence[str], name: str = "kernel ISO-TP") -> None:
        clock = world.clock
        if not isinstance(clock, RealClock):
            raise NotOnThisCarrier("the kernel's ISO-TP lives in real time: open it in World(clock=RealClock())")
        self.name = name
        self.events: deque[Event] = deque()
        self.fault: CarrierFault | None = None
        self._world = world
        self._clock = clock
        self._on_events: Callable[[], None] = lambda: None
        self._on_fault: Callable[[CarrierFault], None] = lambda _: None
        self._channels: list[KernelChannel] = []
        self._retry = world.timer(f"{name}/retry", self._on_retry)
        self._closed = False
        self._ports: list[_Port] = []
        try:
            for interface in interfaces:
                self._open_port(interface)
        except BaseException:
            self.close()
            raise

    def _open_port(self, interface: str) -> None:
        port = _Port(usable(interface))
        self._ports.append(port)
        self._clock.register(port.watch.socket, lambda: self._on_news(port))
        self._open_monitor(port)

    def _open_monitor(self, port: _Port) -> None:
        monitor = connect(port.interface)
        options = RawSocketOptions(echo=False, receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
        set_up(monitor, options, fd=port.interface.mtu == FD_MTU, echo=False)
        port.monitor = monitor
        self._set_filters(port)
        self._clock.register(monitor, lambda: self._on_monitor(port))

    def _set_filters(self, port: _Port) -> None:
        if port.monitor is not None:
            port.monitor.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, filters({*port.sent_by, *port.heard_by}))

    # ---- the link's side

    def attach(self, on_events: Callable[[], None], on_fault: Callable[[CarrierFault], None]) -> None:
        """Have `on_events` called when something stands in `events`, `on_fault` when an interface fails."""
        self._on_events = on_events
        self._on_fault = on_fault

    def add(self, port: int, *, tx_id: int | None, rx_id: int | None, options: IsoTpOptions) -> Channel:
        """Open a socket for this pair. Raises `NotOnThisCarrier` for options that the kernel cannot obey."""
        if tx_id is None:
            raise NotOnThisCarrier("the kernel's ISO-TP does not listen alone: name the identifier to send with")
        refuse_what_the_kernel_cannot(options)
        side = self._ports[port]
        if rx_id is not None and rx_id in side.heard_by:
            raise LocalMisuse(f"port {port} already has a channel that receives {rx_id:#x}")
        channel = KernelChannel(port, tx_id, rx_id, options)
        self._open_channel(channel)
        self._channels.append(channel)
        side.sent_by[tx_id] = channel
        if rx_id is not None:
            side.heard_by[rx_id] = channel
        self._set_filters(side)
        return cast("Channel", channel)

    def _open_channel(self, channel: KernelChannel) -> None:
        made = open_isotp(self._ports[channel.port].interface, channel.tx_id, channel.rx_id, channel.options)
        channel.socket = made
        self._clock.register(made, lambda: self._on_message(channel))

    def send(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Send a message, after those before it on the same channel."""
        to = cast("KernelChannel", channel)
        if not 0 < len(payload) <= MESSAGE_MAX_BYTES:
            raise LocalMisuse(
                f"a message has 1 to {MESSAGE_MAX_BYTES} bytes with the kernel's ISO-TP, not {len(payload)}"
            )
        if self._ports[to.port].lost or self._closed:
            self._fail_send(to, TransmitTimeout("the interface is away"))
            return
        if to.sending is not None:
            if len(to.queue) >= MAX_QUEUED_MESSAGES:
                raise LocalMisuse(f"more than {MAX_QUEUED_MESSAGES} messages wait for {to.tx_id:#x}")
            to.queue.append(payload)
            return
        to.sending = payload
        to.taken = False
        to.since_ns = now_ns
        self._hand_over(to, now_ns)

    def abort(self, channel: Channel, now_ns: int) -> None:  # noqa: ARG002 - the transport's contract
        """Give up the message being sent. The kernel may still go on with it; what follows waits until it is done."""
        to = cast("KernelChannel", channel)
        if to.sending is not None:
            self._fail_send(to, Aborted("given up by its source"))
            to.watch.forget()

    def drop(self) -> None:
        """Forget everything in silence."""
        for channel in self._channels:
            channel.sending = None
            channel.queue.clear()
            channel.watch.forget()
        self.events.clear()
        self._retry.set(None)

    def close(self) -> None:
        """Close all sockets. The kernel lets a message that is being sent come to its end first: a second at most."""
        if self._closed:
            return
        self._closed = True
        self.drop()
        for channel in self._channels:
            self._close_socket(channel)
        for port in self._ports:
            self._close_monitor(port)
            self._clock.unregister(port.watch.socket)
            port.watch.close()

    def _close_socket(self, channel: KernelChannel) -> None:
        if channel.socket is not None:
            self._clock.unregister(channel.socket)
            channel.socket.close()
            channel.socket = None

    def _close_monitor(self, port: _Port) -> None:
        if port.monitor is not None:
            self._clock.unregister(port.monitor)
            port.monitor.close()
            port.monitor = None

    # ---- sending

    def _hand_over(self, channel: KernelChannel, now_ns: int) -> None:
        """Give the message to the kernel, or ask for another try: its socket takes one message at a time."""
        payload = channel.sending
        if payload is None or channel.socket is None:
            return
        self._look_at_frames(self._ports[channel.port])  # those of a message that was given up are not this one's
        channel.watch.expect(frames_of(len(payload), channel.options))
        try:
            channel.socket.send(payload)
        except OSError as error:
            channel.watch.expect(0)
            if error.errno in QUEUE_FULL and now_ns - channel.since_ns < channel.options.n_as_ns:
                self._retry.set(now_ns + RETRY_NS)
            elif error.errno in INTERFACE_AWAY:
                self._lose(self._ports[channel.port], INTERFACE_AWAY[error.errno])
            else:
                self._fail_send(channel, TransmitTimeout(f"the kernel did not take the message: {reason(error)}"))
        else:
            channel.taken = True

    def _on_retry(self, now_ns: int) -> None:
        for channel in self._channels:
            if channel.sending is not None and not channel.taken:
                self._hand_over(channel, now_ns)
        self._tell()

    def _sent(self, channel: KernelChannel) -> None:
        channel.sending = None
        self.events.append(Sent(cast("Channel", channel)))
        self._next(channel)

    def _fail_send(self, channel: KernelChannel, error: Exception) -> None:
        channel.sending = None
        channel.watch.expect(0)
        channel.queue.clear()  # what waited behind a failed message belongs to the same conversation
        self.events.append(Failed(cast("Channel", channel), error, sending=True))

    def _next(self, channel: KernelChannel) -> None:
        if channel.queue:
            self.send(cast("Channel", channel), channel.queue.popleft(), self._world.now_ns)

    # ---- what the frames tell

    def _on_monitor(self, port: _Port) -> None:
        self._look_at_frames(port)
        self._tell()

    def _look_at_frames(self, port: _Port) -> None:
        for _ in range(MONITOR_BURST):
            if port.monitor is None:
                return
            try:
                raw = port.monitor.recv(FD_MTU)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(port, INTERFACE_AWAY.get(error.errno or 0, f"cannot be used any more: {reason(error)}"))
                return
            self._look_at(port, unpack(raw))

    def _look_at(self, port: _Port, frame: Frame) -> None:
        if frame.can_id & ERROR:
            if read_error(frame.can_id, frame.data).bus_off:
                self._report(
                    port, "is bus-off: it comes back by itself where restart-ms is set, else set it down and up"
                )
            return
        sender = port.sent_by.get(frame.can_id)
        if sender is not None and sender.taken and sender.watch.sent(frame) is Seen.REQUEST_OUT and sender.sending:
            self._sent(sender)
        receiver = port.heard_by.get(frame.can_id)
        if receiver is not None:
            self._heard(receiver, receiver.watch.heard(frame), first=frame.data[:1] >= b"\x10")

    def _heard(self, channel: KernelChannel, seen: Seen, *, first: bool) -> None:
        to, watch = cast("Channel", channel), channel.watch
        if seen is Seen.ANSWER_INTERRUPTED:
            error = UnexpectedPdu("a new message began before the old one was complete")
            self.events.append(Failed(to, error, sending=False))
        if seen is Seen.ANSWER_BEGUN or (seen is Seen.ANSWER_INTERRUPTED and first):
            self.events.append(FirstFrame(to, watch.length, watch.head))
            if watch.length > MESSAGE_MAX_BYTES:
                watch.left_bytes = 0
                error_text = f"a message of {watch.length} bytes does not fit the kernel's {MESSAGE_MAX_BYTES}"
                self.events.append(Failed(to, BufferOverflow(error_text), sending=False))
        elif seen is Seen.UNKNOWN_FLOW_STATUS:
            self._fail_send(channel, InvalidFlowStatus("the flow status is not one of 0, 1, 2"))
        elif seen is Seen.WAIT and watch.waits > channel.options.max_wait_frames:
            text = f"more than {channel.options.max_wait_frames} wait frames in a row (N_WFTmax)"
            self._fail_send(channel, TooManyWaits(text))

    # ---- what the kernel tells

    def _on_message(self, channel: KernelChannel) -> None:
        """Take a whole message, or an error; what the frames before it tell comes first."""
        port = self._ports[channel.port]
        self._look_at_frames(port)
        if channel.socket is None:
            return
        try:
            payload = channel.socket.recv(READ_BYTES)
        except BlockingIOError:
            payload = b""
        except OSError as error:
            self._socket_failed(channel, port, error)
            payload = b""
        if 0 < len(payload) <= MESSAGE_MAX_BYTES:  # of a longer one its first frame has told
            if channel.sending is not None and channel.taken:
                self._sent(channel)  # who answers has heard it, even if its last frame escaped us
            self.events.append(Received(cast("Channel", channel), payload))
        self._tell()

    def _socket_failed(self, channel: KernelChannel, port: _Port, error: OSError) -> None:
        number = error.errno or 0
        if number in INTERFACE_AWAY:
            self._lose(port, INTERFACE_AWAY[number])
            return
        told = transfer_error(number, frames_out=channel.watch.frames_out)
        if told is None:
            LOG.warning("%s: the socket for %#x says: %s", self.name, channel.tx_id, reason(error))
        elif not told[1]:
            channel.watch.left_bytes = 0
            self.events.append(Failed(cast("Channel", channel), told[0], sending=False))
        elif channel.sending is not None and channel.taken and number in SENDING_ERRORS:
            self._fail_send(channel, told[0])

    def _tell(self) -> None:
        if self.events:
            self._on_events()

    # ---- the interface

    def _on_news(self, port: _Port) -> None:
        for interface in () if self._closed else port.watch.news():
            if interface.gone:
                self._lose(port, "is gone")
            elif not interface.up:
                self._lose(port, "went down")
            elif port.lost:
                self._return(port, interface)

    def _lose(self, port: _Port, what: str) -> None:
        """Nothing is under way any more; the link is told once."""
        if port.lost:
            return
        port.lost = True
        self._close_monitor(port)
        self._report(port, what)

    def _report(self, port: _Port, what: str) -> None:
        for channel in self._channels:
            if self._ports[channel.port] is port:
                channel.sending = None
                channel.queue.clear()
                channel.watch.forget()
        self.fault = ChannelLost(f"kernel ISO-TP on {port.interface.name}: the interface {what}")
        self._on_fault(self.fault)

    def _return(self, port: _Port, interface: Interface) -> None:
        """The interface is up again: sockets of one that was made anew are opened anew."""
        renewed = interface.index != port.interface.index
        port.interface = interface
        try:
            self._open_monitor(port)
            for channel in self._channels:
                if self._ports[channel.port] is not port:
                    continue
                if renewed:
                    self._close_socket(channel)
                    self._open_channel(channel)
                elif channel.socket is not None:
                    channel.socket.getsockopt(SOL_SOCKET, SO_ERROR)  # forget that the interface was down
        except (OSError, BenchError) as error:
            self._close_monitor(port)
            LOG.warning("%s: %s is up again, but cannot be used: %s", self.name, interface.name, error)
            return
        port.lost = False
        if not any(other.lost for other in self._ports):
            self.fault = None
