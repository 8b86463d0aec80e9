"""Any adapter that python-can knows, in real time: one channel is one `can.Bus`.

Options: `interface` (python-can's name, required), `echo` (whether the bus gives one's own frames back; default: what is
known of the interface), and whatever else that interface takes (`bitrate`, `fd`, `port` ...), passed on untouched.

Where the bus has a file descriptor the world's clock waits for it; else one thread reads and posts into the world. The
world's cores only ever run in the world. A frame is confirmed by its echo where the interface gives one, else when the
library accepted it. Nothing raises inside the world: a lost adapter is reported once through `on_fault`.
"""

from __future__ import annotations

import difflib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import can
from can.interfaces import BACKENDS

from vci_driver.api import (
    ChannelClosed,
    ChannelLost,
    ChannelUnavailable,
    FoundChannel,
    InterfaceMissing,
    RawChannel,
)
from wire.clock import RealClock
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.world import World

LOG = logging.getLogger(__name__)
ECHO_ON_REQUEST = frozenset({"virtual", "socketcan", "pcan", "vector", "kvaser", "neovi", "ixxat", "sgwbench"})
"""Interfaces that give one's own frames back when asked with `receive_own_messages`."""
ECHO_ALWAYS = frozenset({"udp_multicast"})
"""Interfaces that always do: a multicast group hears its own datagrams."""
READ_TIMEOUT_S = 0.1
"""How long the reading thread waits before it looks whether the channel was closed: bounds `close`."""
READ_BURST = 256
"""Frames read in one go before the world's other work has its turn."""
MAX_AWAITING_ECHO = 64
"""Own frames without echo: ISO-TP has one in flight per port, so more than this is an interface that gives none."""


class PythonCanChannel:
    """A raw channel over an open `can.BusABC`."""

    def __init__(self, bus: can.BusABC, world: World, name: str, *, echo: bool) -> None:
        self.name = name
        self.on_sent: Callable[[Frame], None] | None = None
        self.on_fault: Callable[[CarrierFault], None] | None = None
        self.on_recovered: Callable[[], None] | None = None
        self.last_rx_timestamp_ns: int | None = None
        self.fault: CarrierFault | None = None
        self._bus = bus
        self._world = world
        self._echo = echo
        self._awaiting_echo: deque[Frame] = deque()
        self._table: dict[int, list[Callable[[Frame], None]]] = {}
        self._listen_all: list[Callable[[Frame], None]] = []
        self._closed = False
        self._fd = _descriptor(bus)
        self._thread: threading.Thread | None = None
        clock = world.clock
        if self._fd is not None and isinstance(clock, RealClock):
            self._clock = clock
            clock.register(self._fd, self._read_burst)
        else:
            self._fd = None
            self._thread = threading.Thread(target=self._read_forever, name=f"read {name}", daemon=True)
            self._thread.start()

    # ---- the channel

    def send(self, frame: Frame) -> None:
        """Hand a frame to the adapter. After a fault frames go nowhere; after `close` this raises."""
        if self._closed:
            raise ChannelClosed(f"{self.name} is closed: {frame!r} cannot be sent")
        if self.fault is not None:
            return
        if self._echo:
            if len(self._awaiting_echo) >= MAX_AWAITING_ECHO:
                self._lose(f"{self.name} gives no echo of its own frames: open it with the option echo=False")
                return
            self._awaiting_echo.append(frame)
        try:
            self._bus.send(_message(frame))
        except (can.CanError, OSError, ValueError) as error:
            self._lose(f"{self.name} could not send {frame!r}: {_reason(error)}; is the adapter still plugged in?")
            return
        if not self._echo:
            self._world.call_at(self._world.now_ns, lambda: self._confirm(frame))

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all)."""
        if can_ids is None:
            self._listen_all.append(listener)
            return
        for can_id in can_ids:
            self._table.setdefault(can_id, []).append(listener)

    def supply_voltage_mv(self) -> int:
        """Refuse: python-can has no such call."""
        raise NotOnThisCarrier(f"{self.name}: python-can does not read the supply voltage")

    def close(self) -> None:
        """Stop reading, then give the adapter back."""
        if self._closed:
            return
        self._closed = True
        if self._fd is not None:
            self._clock.unregister(self._fd)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10 * READ_TIMEOUT_S)
        try:
            self._bus.shutdown()
        except (can.CanError, OSError) as error:
            if self.fault is None:  # an adapter that is gone may fail to say good-bye
                raise ChannelLost(f"{self.name} did not close: {_reason(error)}") from error

    # ---- reading: in the clock's wait, or in the thread

    def _read_burst(self) -> None:
        """Read what is there, and deliver it: the world calls this when the descriptor is readable."""
        for _ in range(READ_BURST):
            try:
                message = None if self._closed or self.fault is not None else self._bus.recv(timeout=0)
            except (can.CanError, OSError, ValueError) as error:
                self._lose(self._stopped_receiving(error))
                return
            if message is None:
                return
            self._deliver(message)

    def _read_forever(self) -> None:
        while not self._closed:
            try:
                message = self._bus.recv(timeout=READ_TIMEOUT_S)
            except (can.CanError, OSError, ValueError) as error:
                if not self._closed:
                    text = self._stopped_receiving(error)
                    self._world.post(partial(self._lose, text))
                return
            if message is not None:
                self._world.post(partial(self._deliver, message))

    def _stopped_receiving(self, error: Exception) -> str:
        return f"{self.name} stopped receiving: {_reason(error)}; is the adapter still plugged in?"

    # ---- in the world

    def _deliver(self, message: can.Message) -> None:
        if self._closed or self.fault is not None or message.is_error_frame or message.is_remote_frame:
            return
        frame = _frame(message)
        awaiting = self._awaiting_echo
        if awaiting and awaiting[0] == frame:
            self._confirm(awaiting.popleft())
            return
        self.last_rx_timestamp_ns = int(message.timestamp * 1_000_000_000)
        for listener in self._table.get(frame.can_id, ()):
            listener(frame)
        for listener in self._listen_all:
            listener(frame)

    def _confirm(self, frame: Frame) -> None:
        if self.on_sent is not None and not self._closed:
            self.on_sent(frame)

    def _lose(self, text: str) -> None:
        if self.fault is None:
            self.fault = ChannelLost(text)
            if self._fd is not None:
                self._clock.unregister(self._fd)
                self._fd = None
            if self.on_fault is not None:
                self.on_fault(self.fault)


class PythonCanDriver:
    """Opens python-can buses."""

    name = "python_can"

    def open(self, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
        """Open `can.Bus(interface=..., channel=channel, ...)`."""
        rest = dict(options)
        interface = rest.pop("interface", None)
        if not isinstance(interface, str):
            raise LocalMisuse(
                "the python_can driver needs the option interface, such as 'socketcan' or 'udp_multicast'"
            )
        if world.virtual:
            raise NotOnThisCarrier(f"{interface}:{channel} lives in real time: open it in World(clock=RealClock())")
        echo = rest.pop("echo", interface in ECHO_ALWAYS or interface in ECHO_ON_REQUEST)
        if not isinstance(echo, bool):
            raise LocalMisuse(f"the option echo is true or false, not {echo!r}")
        if interface in ECHO_ON_REQUEST:
            rest.setdefault("receive_own_messages", echo)
        return PythonCanChannel(_open_bus(interface, channel, rest), world, f"{interface}:{channel}", echo=echo)

    def detect(self) -> tuple[FoundChannel, ...]:
        """Ask python-can which channels it sees; it prints nothing about libraries that are not installed.

        It does not look for socketcand, which would wait four seconds for a server's beacon: open that by its name. An
        interface that breaks while it looks is logged and keeps no other from being found.
        """
        found = []
        for config in _configs():
            interface, channel = str(config["interface"]), str(config["channel"])
            options = {key: value for key, value in config.items() if key != "channel"}
            found.append(
                FoundChannel(driver=self.name, channel=channel, description=f"{interface} {channel}", options=options)
            )
        return tuple(found)


def _configs() -> list[Mapping[str, object]]:
    configs: list[Mapping[str, object]] = []
    for name in BACKENDS:
        if name == "socketcand":
            continue
        try:
            with _nothing_printed():
                configs += can.detect_available_configs([name])
        except Exception:
            LOG.warning("python-can's interface %r broke while it looked for channels", name, exc_info=True)
    return configs


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Where nobody set up logging Python prints warnings, and each library that is missing is worth one to python-can."""
    silent = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)


def _open_bus(interface: str, channel: str, options: Mapping[str, object]) -> can.BusABC:
    where = f"python-can {interface}:{channel}"
    if interface not in BACKENDS:
        close = difflib.get_close_matches(interface, BACKENDS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InterfaceMissing(f"python-can has no interface {interface!r}.{hint} It has {', '.join(sorted(BACKENDS))}")
    try:
        return can.Bus(channel=channel, interface=interface, **options)  # type: ignore[arg-type]
    except (can.CanInterfaceNotImplementedError, NotImplementedError, ImportError, NameError) as error:
        # NameError: kvaser without its library, whose functions are then undefined names
        raise InterfaceMissing(_install(where, error)) from error
    except TypeError as error:
        raise LocalMisuse(f"{where} does not take these options, {sorted(options)}: {error}") from error
    except (can.CanError, OSError, ValueError) as error:
        if interface == "pcan" and isinstance(error, OSError) and error.errno is None:
            # only its library is loaded when the bus is made; a loader's errors have no number, the system's have
            raise InterfaceMissing(_install(where, error)) from error
        raise ChannelUnavailable(
            f"{where} cannot be opened: {_reason(error)}; does the channel exist, is it up, does another program use it?"
        ) from error


def _install(where: str, error: Exception) -> str:
    return f"{where}: {_reason(error)}; install the adapter's library and driver"


def _descriptor(bus: can.BusABC) -> int | None:
    try:
        fd = bus.fileno()
    except NotImplementedError:
        return None
    return fd if fd >= 0 else None


def _message(frame: Frame) -> can.Message:
    return can.Message(
        arbitration_id=frame.can_id & EXTENDED_MASK,
        is_extended_id=frame.can_id >= EXTENDED,
        data=frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
    )


def _frame(message: can.Message) -> Frame:
    can_id = message.arbitration_id | (EXTENDED if message.is_extended_id else 0)
    return Frame(can_id, bytes(message.data), message.is_fd, message.bitrate_switch)


def _reason(error: BaseException) -> str:
    """Return an error's text with that of its cause, which is where python-can leaves the system's reason."""
    text = str(error) or type(error).__name__
    cause = error.__cause__
    return f"{text} ({cause})" if cause is not None and str(cause) not in text else text
