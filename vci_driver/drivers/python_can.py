"""Any adapter that python-can knows, in real time: one channel is one `can.Bus`.

Options: `interface` (python-can's name, required), `echo` (whether the bus gives one's own frames back; default: what is
known of the interface), for slcan `fd` (its firmware takes CAN FD), and whatever else that interface takes (`bitrate`, `port`
...), passed on untouched.

Where the bus has a file descriptor the world's clock waits for it; else one thread reads and posts into the world. The
world's cores only ever run in the world. A frame is confirmed by its echo where the interface gives one, else when the
library accepted it. Nothing raises inside the world: a lost adapter is reported once through `on_fault`.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import can
from can.interfaces import BACKENDS

from vci_driver.api import (
    ChannelLost,
    ChannelUnavailable,
    FoundChannel,
    FramesLost,
    InterfaceMissing,
    RawChannel,
)
from vci_driver.channel import BaseChannel
from vci_driver.drivers.can_messages import to_frame, to_message
from vci_driver.drivers.dropped import DropCounter
from vci_driver.drivers.slcan_port import DATA_OVERRUN, RECEIVE_FULL, WatchedPort, lock_port, release, watch
from wire.clock import RealClock
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
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
MAX_AWAITING_ECHO = 1_000
"""Own frames without echo: more than any burst that a bench sends at once is an interface that gives none."""
FLAGS_PERIOD_NS = 500_000_000
"""How often a serial adapter that tells its status flags is asked for them: a lost frame is known soon, the line stays free."""
GARBLED = (ValueError, IndexError)
"""What python-can's slcan raises on a line that is no frame: half a one at the start, or noise."""
NOT_LOOKED_FOR = frozenset({"socketcand", "serial"})
"""Interfaces that look for too long, or find what is none of theirs."""
CARRIES_ALL = frozenset({"virtual"})
"""Interfaces that pass FD frames whatever they say of themselves."""
SPELLED_OUT = frozenset({"virtual", "udp_multicast", "socketcan", "slcan"})
"""Interfaces whose constructors name all their options: another one is a misspelling that python-can would swallow."""
ALSO_TAKEN = frozenset({"can_filters", "config_context", "ignore_config", "btr"})
"""Options that are read without being a parameter of those constructors."""


class PythonCanChannel(BaseChannel):
    """A raw channel over an open `can.BusABC`. `port`: the serial port under it, where it is watched; `lock`: held with it."""

    def __init__(
        self,
        bus: can.BusABC,
        world: World,
        name: str,
        *,
        echo: bool,
        fd: bool = True,
        port: WatchedPort | None = None,
        lock: int | None = None,
    ) -> None:
        super().__init__(world, name)
        self.fd = fd
        self._bus = bus
        self._echo = echo
        self._port = port
        self._lock = lock
        self._awaiting_echo: deque[Frame] = deque()
        self._echoes_lost = False
        self._fd = _descriptor(bus)
        self._drops = DropCounter(self._fd)
        self._thread: threading.Thread | None = None
        self._flags_timer = world.timer(f"{name}/flags", self._ask_flags)
        clock = world.clock
        if self._fd is not None and isinstance(clock, RealClock):
            self._clock = clock
            clock.register(self._fd, self._read_burst)
        else:
            self._fd = None
            self._thread = threading.Thread(target=self._read_forever, name=f"read {name}", daemon=True)
            self._thread.start()
        if port is not None and port.tells_flags:
            self._flags_timer.set(world.now_ns + FLAGS_PERIOD_NS)

    # ---- the channel

    def _transmit(self, frame: Frame) -> None:
        if self._echo:
            if len(self._awaiting_echo) >= MAX_AWAITING_ECHO:
                self.lose(f"{self.name} gives no echo of its own frames: open it with the option echo=False")
                return
            self._awaiting_echo.append(frame)
        try:
            self._bus.send(to_message(frame))
        except Exception as error:  # noqa: BLE001 - whatever a library raises, the world goes on
            self.lose(f"{self.name} could not send {frame!r}: {_reason(error)}; is the adapter still plugged in?")
            return
        if not self._echo:
            self.confirm_soon(frame)

    def supply_voltage_mv(self) -> int:
        """Refuse: python-can has no such call."""
        raise NotOnThisCarrier(f"{self.name}: python-can does not read the supply voltage")

    def _lost(self) -> None:
        self._flags_timer.set(None)
        if self._fd is not None:
            self._clock.unregister(self._fd)
            self._fd = None

    def _shut(self) -> None:
        """Stop reading, then give the adapter back."""
        self._lost()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10 * READ_TIMEOUT_S)
        self._drops.close()
        try:
            self._bus.shutdown()
        except Exception as error:
            if self.fault is None:  # an adapter that is gone may fail to say good-bye
                raise ChannelLost(f"{self.name} did not close: {_reason(error)}") from error
        finally:
            release(self._port, self._lock)

    # ---- reading: in the clock's wait, or in the thread

    def _read_burst(self) -> None:
        """Read what is there, and deliver it: the world calls this when the descriptor is readable."""
        dropped = self._drops.take()
        self._echoes_lost = self._echoes_lost or dropped > 0
        for _ in range(READ_BURST):
            if self.is_dead():
                return
            try:
                message = self._bus.recv(timeout=0)
            except Exception as error:  # noqa: BLE001 - as in _transmit
                if not self._garbled(error):
                    self.lose(self._stopped_receiving(error))
                    return
                continue
            if message is None:
                break
            self._take(message)
            if self.unconfirmed:  # what a listener sent is confirmed before the next frame is heard
                self.world.call_soon(self._read_burst)
                break
        if dropped:
            self.tell(
                FramesLost(f"{self.name}: the system dropped {dropped} frames that were not read in time", dropped)
            )
        self._look_at_port()

    def _read_forever(self) -> None:
        while not self.is_dead():
            try:
                message = self._bus.recv(timeout=READ_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - as in _transmit
                if self.is_dead():
                    return
                if self._port is not None and isinstance(error, GARBLED):
                    self.world.post(partial(self._tell_garbled, error))
                    continue
                self.world.post(partial(self.lose, self._stopped_receiving(error)))
                return
            if message is not None:
                self.world.post(partial(self._take, message))
            elif self._port is not None:
                self.world.post(self._look_at_port)

    def _stopped_receiving(self, error: Exception) -> str:
        return f"{self.name} stopped receiving: {_reason(error)}; is the adapter still plugged in?"

    # ---- in the world

    def _take(self, message: can.Message) -> None:
        if self.is_dead() or message.is_error_frame or message.is_remote_frame:
            return
        frame = to_frame(message)
        if self._awaiting_echo and self._is_echo(frame):
            return
        self.deliver(frame, int(message.timestamp * 1_000_000_000))

    def _is_echo(self, frame: Frame) -> bool:
        """Confirm an own frame that came back, and those before it whose echo was dropped: what came later proves them."""
        awaiting = self._awaiting_echo
        if awaiting[0] != frame and not (self._echoes_lost and frame in awaiting):
            return False
        while True:
            sent = awaiting.popleft()
            last = sent == frame
            if last and not awaiting:
                self._echoes_lost = False
            self.confirm(sent)
            if last or not awaiting:
                return True

    # ---- what a serial adapter tells beside its frames

    def _garbled(self, error: Exception) -> bool:
        """Tell of a damaged line of a serial adapter: one frame is lost, not the channel."""
        if self._port is None or not isinstance(error, GARBLED):
            return False
        self._tell_garbled(error)
        return True

    def _tell_garbled(self, error: Exception) -> None:
        self.tell(FramesLost(f"{self.name}: a line from the adapter is no frame ({error}): check cable and speed", 1))

    def _ask_flags(self, now_ns: int) -> None:
        if self._port is None or self.is_dead():
            return
        try:
            self._port.ask_flags()
        except OSError as error:
            self.lose(f"{self.name} does not take commands: {_reason(error)}; is the adapter still plugged in?")
            return
        self._flags_timer.set(now_ns + FLAGS_PERIOD_NS)

    def _look_at_port(self) -> None:
        if self._port is None or self.is_dead():
            return
        refused, noise, flags = self._port.take()
        if noise:
            self._tell_garbled(ValueError("it is not ASCII"))
        if refused:
            self.tell(
                FramesLost(
                    f"{self.name}: the adapter refused {refused} frames: its buffer is full or it is bus-off", refused
                )
            )
        if flags & (RECEIVE_FULL | DATA_OVERRUN):
            self.tell(FramesLost(f"{self.name}: the adapter's receive buffer ran over (status flags {flags:02X})"))


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
        if interface == "slcan":
            return _open_slcan(channel, rest, world, echo=echo)
        bus = _open_bus(interface, channel, rest)
        return PythonCanChannel(bus, world, f"{interface}:{channel}", echo=echo, fd=_carries_fd(bus, interface, rest))

    def detect(self) -> tuple[FoundChannel, ...]:
        """Ask python-can which channels it sees; it prints nothing about libraries that are not installed.

        It does not look for socketcand, which would wait four seconds for a server's beacon, nor for the interface serial,
        which takes any serial port for its own: open those by name. An interface that breaks while it looks is logged and
        keeps no other from being found.
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
        if name in NOT_LOOKED_FOR:
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
    if interface in SPELLED_OUT:
        _check_options(interface, options)
    if interface not in BACKENDS:
        close = difflib.get_close_matches(interface, BACKENDS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InterfaceMissing(f"python-can has no interface {interface!r}.{hint} It has {', '.join(sorted(BACKENDS))}")
    try:
        with _nothing_printed():
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


def _check_options(interface: str, options: Mapping[str, object]) -> None:
    """Raise `LocalMisuse` for an option that this interface does not have."""
    module, name = BACKENDS[interface]
    known = set(inspect.signature(getattr(import_module(module), name)).parameters) - {"kwargs", "channel", "args"}
    known |= ALSO_TAKEN
    for option in options:
        if option not in known:
            close = difflib.get_close_matches(option, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise LocalMisuse(f"{interface} has no option {option!r}.{hint} It has {', '.join(sorted(known))}")


def _carries_fd(bus: can.BusABC, interface: str, options: Mapping[str, object]) -> bool:
    return interface in CARRIES_ALL or options.get("fd") is True or bus.protocol is not can.CanProtocol.CAN_20


def _open_slcan(channel: str, options: Mapping[str, object], world: World, *, echo: bool) -> RawChannel:
    """Open a serial adapter: locked against other programs, with its answers read."""
    where = f"slcan:{channel}"
    options = dict(options)
    fd = options.pop("fd", False) is True
    lock = lock_port(channel, where)
    port = None
    try:
        bus = _open_bus("slcan", channel, options)
        try:
            listen_only = options.get("listen_only") is True
            port = watch(bus, options.get("bitrate"), listen_only=listen_only, where=where)
        except ChannelUnavailable:
            with contextlib.suppress(Exception):
                bus.shutdown()
            raise
        fd = fd or isinstance(options.get("timing"), can.BitTimingFd)
        return PythonCanChannel(bus, world, where, echo=echo, fd=fd, port=port, lock=lock)
    except BaseException:
        release(port, lock)
        raise


def _install(where: str, error: Exception) -> str:
    what = "'sgw-bench[serial]'" if "slcan" in where else "the adapter's library and driver"
    return f"{where}: {_reason(error)}; install {what}"


def _descriptor(bus: can.BusABC) -> int | None:
    try:
        fd = bus.fileno()
    except NotImplementedError:
        return None
    return fd if fd >= 0 else None


def _reason(error: BaseException) -> str:
    """Return an error's text with that of its cause, which is where python-can leaves the system's reason."""
    text = str(error) or type(error).__name__
    cause = error.__cause__
    return f"{text} ({cause})" if cause is not None and str(cause) not in text else text
