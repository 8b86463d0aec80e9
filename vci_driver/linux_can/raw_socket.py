"""One raw CAN socket of Linux: how it is opened and set up, and what can be asked of it beside its frames."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from struct import Struct, unpack_from

from vci_driver.linux_can.error_frames import ALL_ERRORS
from vci_driver.linux_can.frames import (
    AF_CAN,
    CAN_RAW,
    CAN_RAW_ERR_FILTER,
    CAN_RAW_FD_FRAMES,
    CAN_RAW_FILTER,
    CAN_RAW_RECV_OWN_MSGS,
    SOL_CAN_RAW,
)
from vci_driver.linux_can.interfaces import Interface
from wire.clock import NS_PER_S

INTERFACE_AWAY = {errno.ENETDOWN: "went down", errno.ENODEV: "is gone", errno.ENXIO: "is gone"}
"""What a socket's error says of its interface."""
QUEUE_FULL = frozenset({errno.ENOBUFS, errno.EAGAIN})
"""The interface's transmit queue, or the socket's, holds no more."""
MSG_CONFIRM = 0x800
"""The frame was sent on this very socket."""
STAMP_SPACE = 64

_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SO_MEMINFO, _MEMINFO_BYTES, _DROPS_AT = 55, 36, 32
_SIOCGSTAMPNS = 0x8010_8907
_STAMP = Struct("=qq")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSocketOptions:
    """`echo`: own frames come back, so that they are confirmed; None: where there is a controller behind the interface.
    `receive_buffer_bytes`: what the kernel keeps for a program that is busy.
    """

    echo: bool | None = None
    receive_buffer_bytes: int

    def wants_echo(self, interface: Interface) -> bool:
        """Return whether own frames are to come back on this interface."""
        return not interface.virtual if self.echo is None else self.echo


def connect(interface: Interface) -> socket.socket:
    """Return a raw socket that is bound to the interface, lets nothing pass yet, and does not wait."""
    made = socket.socket(AF_CAN, socket.SOCK_RAW, CAN_RAW)
    try:
        made.settimeout(0)
        made.setsockopt(SOL_CAN_RAW, CAN_RAW_FILTER, b"")
        made.bind((interface.name,))
    except OSError:
        made.close()
        raise
    return made


def set_up(made: socket.socket, options: RawSocketOptions, *, fd: bool, echo: bool) -> None:
    """Have it give error frames, FD frames and own frames, and enlarge its buffer: past the system's limit if permitted."""
    made.setsockopt(SOL_CAN_RAW, CAN_RAW_ERR_FILTER, ALL_ERRORS)
    if fd:
        made.setsockopt(SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1)
    if echo:
        made.setsockopt(SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, 1)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    try:
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, options.receive_buffer_bytes)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer_bytes)


def frames_dropped(made: socket.socket) -> int:
    """Return how many frames the socket dropped since it was opened (32 bits), which SO_RXQ_OVFL would tell with each frame."""
    try:
        told = made.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
    except OSError:  # before Linux 4.12
        return 0
    return int(unpack_from("=I", told, _DROPS_AT)[0])


def ask_stamp_ns(made: socket.socket) -> int | None:
    """Return the kernel's stamp of the last frame read: nanoseconds since 1970. None: none was read, or none is kept.

    Stamps are kept from the first question on.
    """
    import fcntl  # noqa: PLC0415 - not on Windows, where this module is imported too

    try:
        return _stamp_ns(fcntl.ioctl(made.fileno(), _SIOCGSTAMPNS, bytes(_STAMP.size)))
    except OSError:
        return None


def told_stamp_ns(told: list[tuple[int, int, bytes]]) -> int | None:
    """Return the stamp that came with a frame."""
    for level, kind, value in told:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _STAMP.size:
            return _stamp_ns(value)
    return None


def reason(error: OSError) -> str:
    """Return the system's words for an error."""
    return error.strerror or os.strerror(error.errno or 0)


def _stamp_ns(value: bytes) -> int:
    seconds, nanoseconds = _STAMP.unpack(value)
    return int(seconds * NS_PER_S + nanoseconds)
