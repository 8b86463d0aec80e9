"""Linux's CAN interfaces by their own sockets (SocketCAN raw), in real time: the shortest way to a controller or to vcan.

Options: `echo` (true, false, or `auto`: whether a frame is confirmed by the controller's echo; `auto` is true but for vcan
and vxcan, where a frame is delivered when it was handed over), `receive_buffer_bytes` (what the kernel keeps for a program
that is busy).
"""

from __future__ import annotations

import difflib
import errno
import socket
from collections.abc import Mapping

from vci_driver.api import ChannelUnavailable, FoundChannel, InterfaceMissing, RawChannel
from vci_driver.linux_can.frames import AF_CAN, CAN_RAW
from vci_driver.linux_can.interfaces import Interface, InterfaceWatch, can_interfaces, interfaces
from vci_driver.linux_can.raw_channel import SocketCanChannel
from vci_driver.linux_can.raw_socket import RawSocketOptions, connect
from wire.clock import RealClock
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.world import World

OPTIONS = ("echo", "receive_buffer_bytes")
RECEIVE_BUFFER_BYTES = 4 << 20
"""Room for some 10,000 classic frames (each takes the kernel several hundred bytes, and it doubles what is asked for): two
seconds of a full bus at 500 kbit/s and more. The system's default holds 278.
"""
RECEIVE_BUFFER_MAX_BYTES = 1 << 30
_NO_CAN = frozenset({errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT})


class SocketCanDriver:
    """Opens raw sockets on CAN interfaces."""

    name = "socketcan"

    def open(self, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
        """Open the interface called `channel`, which is up."""
        wanted = _options(options)
        clock = world.clock
        if not isinstance(clock, RealClock):
            raise NotOnThisCarrier(f"socketcan:{channel} lives in real time: open it in World(clock=RealClock())")
        _can_there_be(channel)
        interface = usable(channel)
        watch = InterfaceWatch(channel)
        try:
            return SocketCanChannel(world, clock, interface, wanted, connect=connect, watch=watch)
        except OSError as error:
            watch.close()
            raise ChannelUnavailable(
                f"socketcan:{channel} cannot be opened: {error.strerror or error}; does 'ip link show {channel}' show it up?"
            ) from error

    def detect(self) -> tuple[FoundChannel, ...]:
        """Return the CAN interfaces that there are, up or not."""
        if not hasattr(socket, "AF_NETLINK"):
            return ()
        return tuple(
            FoundChannel(driver=self.name, channel=interface.name, description=_description(interface))
            for interface in can_interfaces()
        )


def usable(channel: str) -> Interface:
    """Return the CAN interface of that name if it can be used; else raise `ChannelUnavailable` with what to do."""
    there = {interface.name: interface for interface in interfaces()}
    interface = there.get(channel)
    if interface is None:
        names = sorted(name for name, other in there.items() if other.can)
        close = difflib.get_close_matches(channel, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        listed = (
            f"there are {', '.join(names)}"
            if names
            else "there is none: plug an adapter in, or make one with 'ip link add vcan0 type vcan'"
        )
        raise ChannelUnavailable(f"no CAN interface is called {channel!r}.{hint} Of CAN interfaces {listed}")
    if not interface.can:
        raise ChannelUnavailable(
            f"{channel!r} is a network interface, but not a CAN interface: 'ip link show type can'"
        )
    if not interface.up:
        how = "up" if interface.virtual else "up type can bitrate 500000"
        raise ChannelUnavailable(f"the CAN interface {channel!r} is down: 'ip link set {channel} {how}'")
    return interface


def _can_there_be(channel: str) -> None:
    """Raise where this system has no CAN, before anyone is sent to look for an interface."""
    where = f"socketcan:{channel}"
    if not hasattr(socket, "AF_CAN"):
        raise InterfaceMissing(f"{where}: SocketCAN is Linux's; on this system use the driver python_can")
    try:
        socket.socket(AF_CAN, socket.SOCK_RAW, CAN_RAW).close()
    except PermissionError as error:
        raise ChannelUnavailable(f"{where}: this program may not open CAN sockets: {error.strerror}") from error
    except OSError as error:
        if error.errno not in _NO_CAN:
            raise ChannelUnavailable(f"{where}: no CAN socket to be had: {error.strerror}") from error
        raise InterfaceMissing(
            f"{where}: this kernel has no CAN sockets: load them with 'modprobe can_raw', or use a kernel that has them"
        ) from error


def _options(options: Mapping[str, object]) -> RawSocketOptions:
    for key in sorted(options):
        if key not in OPTIONS:
            close = difflib.get_close_matches(key, OPTIONS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise LocalMisuse(f"the socketcan driver has no option {key!r}.{hint} It has {', '.join(OPTIONS)}")
    echo = options.get("echo", "auto")
    if echo not in (True, False, "auto"):
        raise LocalMisuse(f"the option echo is true, false or 'auto', not {echo!r}")
    size = options.get("receive_buffer_bytes", RECEIVE_BUFFER_BYTES)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= RECEIVE_BUFFER_MAX_BYTES:
        raise LocalMisuse(f"receive_buffer_bytes is a number from 1 to {RECEIVE_BUFFER_MAX_BYTES}, not {size!r}")
    return RawSocketOptions(echo=None if echo == "auto" else bool(echo), receive_buffer_bytes=size)


def _description(interface: Interface) -> str:
    parts = [interface.kind or "CAN", "up" if interface.up else "down", interface.state]
    parts += [f"{interface.bitrate} bit/s" if interface.bitrate else "", "FD" if interface.mtu == 72 else "classic"]
    return f"SocketCAN {interface.name}: {', '.join(part for part in parts if part)}"
