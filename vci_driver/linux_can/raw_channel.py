"""A raw CAN channel over one of Linux's own sockets. On the way of a frame stand one system call and one table, no more.

Reading: plain `recv`, as often as `ReadPace` says; `recvmsg`, which costs twice as much, only where the controller's echo
confirms. Everything else (filters, lost frames, stamps, the interface's state) is asked for outside the steady exchange.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable
from struct import Struct

from vci_driver.api import ChannelClosed, ChannelLost, FramesLost, OtherSender
from vci_driver.linux_can.backlog import Backlog
from vci_driver.linux_can.counters import RawCounters
from vci_driver.linux_can.error_frames import read_error
from vci_driver.linux_can.frames import (
    CAN_RAW_FILTER,
    CLASSIC_MTU,
    ERROR,
    FD_MTU,
    NOT_DATA,
    SOL_CAN_RAW,
    filters,
    pack,
    unpack,
)
from vci_driver.linux_can.interfaces import Interface, InterfaceWatch
from vci_driver.linux_can.listener_table import Listeners, ListenerTable
from vci_driver.linux_can.raw_socket import (
    INTERFACE_AWAY,
    MSG_CONFIRM,
    QUEUE_FULL,
    STAMP_SPACE,
    RawSocketOptions,
    ask_stamp_ns,
    frames_dropped,
    reason,
    set_up,
    told_stamp_ns,
)
from vci_driver.linux_can.read_pace import ReadPace
from wire.clock import RealClock
from wire.errors import CarrierFault, NotOnThisCarrier
from wire.frame import Frame, format_can_id
from wire.world import World

LOG = logging.getLogger(__name__)
AWAITING_ECHO_MAX = 1024
"""Own frames whose echo is still to come; the oldest are forgotten beyond."""

_head = Struct("=IB").unpack_from


class SocketCanChannel:
    """A raw channel on one interface. `connect` returns a bound, non-blocking socket, anew after each recovery."""

    def __init__(
        self,
        world: World,
        clock: RealClock,
        interface: Interface,
        options: RawSocketOptions,
        *,
        connect: Callable[[Interface], socket.socket],
        watch: InterfaceWatch,
    ) -> None:
        self.name = f"socketcan:{interface.name}"
        self.on_sent: Callable[[Frame], None] | None = None
        self.on_fault: Callable[[CarrierFault], None] | None = None
        self.on_recovered: Callable[[], None] | None = None
        self.fault: CarrierFault | None = None
        self.counters = RawCounters()
        self._world = world
        self._clock = clock
        self._options = options
        self._connect = connect
        self._watch = watch
        self._closed = False
        self._listeners = ListenerTable(self._other_sender)
        self._own_ids = self._listeners.own_ids
        self._others_told: set[int] = set()
        self._table: dict[int, Listeners] = {}
        self._everything: Listeners = ()
        self._pace = ReadPace()
        self._delivered: deque[Frame] = deque()
        self._awaiting_echo: deque[Frame] = deque(maxlen=AWAITING_ECHO_MAX)
        self._backlog = Backlog(world, self.name, self.counters, attempt=self._attempt, on_empty=self._on_backlog_empty)
        self._own = 0
        self._stamp_ns: int | None = None
        self._fd_refused = False
        self._held_up = False  # whether `send` has more to think of than sending
        self._socket: socket.socket | None = None
        self._open_socket(interface)
        clock.register(watch.socket, self._on_news)

    def _open_socket(self, interface: Interface) -> None:
        """Take a new socket into use, as interface and options want it."""
        fd = interface.mtu == FD_MTU
        echo = self._options.wants_echo(interface)
        made = self._connect(interface)
        try:
            set_up(made, self._options, fd=fd, echo=echo)
            made.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, filters(self._listeners.wanted()))
        except OSError:
            made.close()
            raise
        ask_stamp_ns(made)  # for the kernel to keep stamps from now on
        self._socket = made
        self._fd = fd
        self._echo = echo
        self._mtu = FD_MTU if fd else CLASSIC_MTU
        self._receive: Callable[[int], bytes] = self._receive_flagged if echo else made.recv
        self._transmit: Callable[[bytes], int] = made.send
        self._drops_seen = 0
        self._clock.register(made, self._read)

    # ---- the channel

    def send(self, frame: Frame) -> None:
        """Hand a frame to the kernel. While the channel is lost frames go nowhere; after `close` this raises."""
        if frame.can_id not in self._own_ids:
            self._learn(frame.can_id)
        if self._held_up or frame.fd:
            self._send_carefully(frame)
            return
        try:
            self._transmit(pack(frame))
        except OSError as error:
            if error.errno in QUEUE_FULL:
                self.counters.retries += 1
                self._wait_for_room(frame)
            else:
                self._not_sent(frame, error)
            return
        self._is_sent(frame)

    def _is_sent(self, frame: Frame) -> None:
        self.counters.sent += 1
        if self._echo:
            self._awaiting_echo.append(frame)
        elif self.on_sent is not None:  # delivered already; told in this instant, but not from inside `send`
            self._delivered.append(frame)
            self._world.call_soon(self._confirm_delivered)

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all); the kernel lets no others through."""
        self._listeners.add(can_ids, listener)
        if self.fault is None:
            self._arrange()

    @property
    def last_rx_timestamp_ns(self) -> int | None:
        """The kernel's stamp of the last frame that was read: nanoseconds since 1970 (CLOCK_REALTIME)."""
        if self._socket is None or not self.counters.received:
            return None
        return self._stamp_ns if self._echo else ask_stamp_ns(self._socket)

    def supply_voltage_mv(self) -> int:
        """Refuse: a CAN controller measures no voltage."""
        raise NotOnThisCarrier(f"{self.name}: nobody measures the supply voltage on a CAN interface")

    def close(self) -> None:
        """Leave the bus; what was not confirmed is not confirmed any more."""
        if self._closed:
            return
        self._closed = self._held_up = True
        self._drop_socket()
        self._clock.unregister(self._watch.socket)
        self._watch.close()

    # ---- sending where it is not a matter of course

    def _send_carefully(self, frame: Frame) -> None:
        if self._closed:
            raise ChannelClosed(f"{self.name} is closed: {frame!r} cannot be sent")
        if self.fault is not None:
            return
        if frame.fd and not self._fd:
            self.counters.errors["FD frame on a classic interface"] += 1
            if not self._fd_refused:
                self._fd_refused = True
                interface = self.name.partition(":")[2]
                self._tell(
                    CarrierFault(
                        f"{self.name} carries classic CAN only, {frame!r} was not sent: set the interface down, then "
                        f"'ip link set {interface} mtu {FD_MTU}' (a controller: 'type can ... fd on'), and up"
                    )
                )
        elif self._backlog:
            self._backlog.add(frame)
        elif not self._attempt(frame):
            self._wait_for_room(frame)

    def _attempt(self, frame: Frame) -> bool:
        """Send, and return whether that settled it: False while the transmit queue is full."""
        try:
            self._transmit(pack(frame))
        except OSError as error:
            if error.errno in QUEUE_FULL:
                self.counters.retries += 1
                return False
            self._not_sent(frame, error)
            return True
        self._is_sent(frame)
        return True

    def _not_sent(self, frame: Frame, error: OSError) -> None:
        if error.errno in INTERFACE_AWAY:
            self._lose(INTERFACE_AWAY[error.errno])
        else:
            self.counters.errors[f"not sent: {reason(error)}"] += 1
            self._tell(CarrierFault(f"{self.name} did not take {frame!r}: {reason(error)}"))

    def _wait_for_room(self, frame: Frame) -> None:
        self._held_up = True
        self._backlog.add(frame)

    def _on_backlog_empty(self) -> None:
        self._held_up = self._closed or self.fault is not None

    def _confirm_delivered(self) -> None:
        if self._delivered:
            frame = self._delivered.popleft()
            if self.on_sent is not None:
                self.on_sent(frame)

    # ---- reading

    def _read(self) -> None:
        """Read what this wake-up is to read, and deliver it."""
        receive, mtu, connection = self._receive, self._mtu, self._socket
        if connection is None:
            return  # closed or lost since this wake-up was noted
        pace = self._pace
        planned = pace.plan()
        found = 0
        while found < planned:
            try:
                raw = receive(mtu)
            except BlockingIOError:
                break
            except OSError as error:
                self._failed(error)
                return
            found += 1
            can_id, length = _head(raw)
            if can_id & NOT_DATA:
                self._not_data(can_id, raw)
            elif self._own:
                self._confirm_echo(unpack(raw))
            else:
                self.counters.received += 1
                listeners = self._table.get(can_id, self._everything)
                if listeners:
                    frame = Frame(can_id, raw[8 : 8 + length]) if len(raw) == CLASSIC_MTU else unpack(raw)
                    for listener in listeners:
                        listener(frame)
            if self._socket is not connection or self._delivered:
                return  # a listener closed the channel or sent: that is confirmed before the next frame is heard
        if planned > 1:
            pace.learn(planned, found)
            self._look_for_losses()

    def _receive_flagged(self, mtu: int) -> bytes:
        """Receive a frame and whether it is the echo of one of our own."""
        assert self._socket is not None
        raw, told, flags, _ = self._socket.recvmsg(mtu, STAMP_SPACE)
        self._own = flags & MSG_CONFIRM
        if not self._own:
            self._stamp_ns = told_stamp_ns(told)
        return raw

    def _confirm_echo(self, echo: Frame) -> None:
        """Confirm the frame that this is the echo of; those before it lost theirs, as frames do when nobody reads in time."""
        awaiting = self._awaiting_echo
        if echo not in awaiting:
            return
        while awaiting:
            frame = awaiting.popleft()
            if frame == echo:
                break
        if self.on_sent is not None:
            self.on_sent(frame)

    def _failed(self, error: OSError) -> None:
        self._lose(INTERFACE_AWAY.get(error.errno or 0, f"cannot be used any more: {reason(error)}"))

    def _look_for_losses(self) -> None:
        """Compare the kernel's count of dropped frames with what it was: this is what SO_RXQ_OVFL would tell with each frame."""
        assert self._socket is not None
        drops = frames_dropped(self._socket)
        lost = drops - self._drops_seen & 0xFFFF_FFFF
        if lost:
            self._drops_seen = drops
            self.counters.lost += lost
            self._tell(
                FramesLost(
                    f"{self.name} lost {lost} frames: they came faster than this program read them; "
                    f"enlarge receive_buffer_bytes (now {self._options.receive_buffer_bytes}), or let the sender pause "
                    "(STmin, block size)",
                    lost,
                )
            )

    def _not_data(self, can_id: int, raw: bytes) -> None:
        if not can_id & ERROR:
            return
        report = read_error(can_id, unpack(raw).data)
        self.counters.errors.update(report.kinds)
        if report.bus_off:
            self._fall_silent(
                f"{self.name}: bus-off, the controller counted too many errors and left the bus; it comes back by itself "
                "when the interface was set up with restart-ms, else set it down and up"
            )
        elif report.restarted:
            self._recover()
        elif report.rx_overflow:
            self._tell(FramesLost(f"{self.name}: the CAN controller's receive buffer overflowed, frames are lost"))
        else:
            LOG.info("%s: %s", self.name, ", ".join(report.kinds))

    # ---- whom a frame is for

    def _arrange(self) -> None:
        """Make the table of listeners, and have the kernel let pass what stands in it."""
        self._table, self._everything = self._listeners.build()
        if self._socket is None:
            return
        try:
            self._socket.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, filters(self._listeners.wanted()))
        except OSError as error:
            self._failed(error)

    def _learn(self, can_id: int) -> None:
        """Listen, from its first use on, for others that send with our identifier."""
        if self._closed or self.fault is not None:
            return
        self._own_ids.add(can_id)
        self._arrange()

    def _other_sender(self, frame: Frame) -> None:
        self.counters.other_senders += 1
        if frame.can_id not in self._others_told:
            self._others_told.add(frame.can_id)
            self._tell(
                OtherSender(
                    f"{self.name}: someone else sends with our identifier {format_can_id(frame.can_id)}: "
                    "is a second tester or simulation on this bus?"
                )
            )

    # ---- lost and found

    def _on_news(self) -> None:
        """Take note of what became of the interface."""
        for interface in () if self._closed else self._watch.news():
            if self._closed:
                return  # by who was just told
            if interface.gone or not interface.can:
                self._lose("is gone")
            elif not interface.up:
                self._lose("went down")
            elif self._socket is None:
                self._reopen(interface)

    def _reopen(self, interface: Interface) -> None:
        try:
            self._open_socket(interface)
        except OSError as error:
            LOG.warning("%s is up again, but cannot be opened: %s", self.name, reason(error))
        else:
            self._recover()

    def _lose(self, what: str) -> None:
        """The interface is away: the socket is given up, the watch goes on."""
        self._drop_socket()
        self._fall_silent(f"{self.name} {what}; the channel comes back by itself when the interface is up again")

    def _fall_silent(self, text: str) -> None:
        """Send and deliver nothing more until `_recover`."""
        if self.fault is not None:
            return
        self.fault = ChannelLost(text)
        self._held_up = True
        self._table, self._everything = {}, ()
        self._forget()
        self._tell(self.fault)

    def _recover(self) -> None:
        if self.fault is None or self._closed:
            return
        self.fault = None
        self._held_up = self._fd_refused = False
        self._arrange()
        if self.on_recovered is not None:
            self.on_recovered()

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._clock.unregister(self._socket)
            self._socket.close()
            self._socket = None
        self._forget()

    def _forget(self) -> None:
        self._delivered.clear()
        self._awaiting_echo.clear()
        self._backlog.clear()

    def _tell(self, fault: CarrierFault) -> None:
        LOG.info("%s", fault)
        if self.on_fault is not None:
            self.on_fault(fault)
