"""Linux's network interfaces, told by rtnetlink: which there are, and when one goes down, comes up, goes, comes back.

Layouts: `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_link.h`, `linux/can/netlink.h`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

ARPHRD_CAN = 280
IFF_UP = 0x1
VIRTUAL_KINDS = frozenset({"vcan", "vxcan"})
"""Interfaces without a controller: a frame is delivered when `send` returns."""
STATES = ("error-active", "error-warning", "error-passive", "bus-off", "stopped", "sleeping")

_NEW_LINK, _DELETED_LINK, _GET_LINK, _DONE = 16, 17, 18, 3
_REQUEST_DUMP = 0x301
_GROUP_LINK = 1
_NAME, _MTU, _LINK_INFO = 3, 4, 18
_INFO_KIND, _INFO_DATA = 1, 2
_CAN_BITTIMING, _CAN_STATE = 1, 4
_MESSAGE = Struct("=IHHII")
_LINK = Struct("=BxHiII")
_ATTRIBUTE = Struct("=HH")
_U32 = Struct("=I")
_READ_BYTES = 1 << 16
_PATIENCE_S = 2.0
"""The kernel answers a dump at once; a kernel that does not is no reason to hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface as the kernel describes it. `gone`: this tells of its removal."""

    name: str
    index: int
    can: bool
    up: bool
    gone: bool = False
    mtu: int = 0
    kind: str = ""
    state: str = ""
    bitrate: int = 0

    @property
    def virtual(self) -> bool:
        """Whether no controller stands behind it."""
        return self.kind in VIRTUAL_KINDS


def read_links(data: bytes) -> Iterator[Interface]:
    """Read what a link message or dump tells; what is cut short or about other things is left out."""
    for kind, body in _messages(data):
        if kind in (_NEW_LINK, _DELETED_LINK) and len(body) >= _LINK.size:
            yield _interface(body, gone=kind == _DELETED_LINK)


def interfaces() -> tuple[Interface, ...]:
    """Return all interfaces that there are."""
    found: list[Interface] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(_PATIENCE_S)
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        asking.send(_MESSAGE.pack(_MESSAGE.size + len(body), _GET_LINK, _REQUEST_DUMP, 1, 0) + body)
        while True:
            data = asking.recv(_READ_BYTES)
            found += read_links(data)
            if any(kind <= _DONE for kind, _ in _messages(data)):
                return tuple(found)


def can_interfaces() -> tuple[Interface, ...]:
    """Return the CAN interfaces that there are."""
    return tuple(interface for interface in interfaces() if interface.can)


class InterfaceWatch:
    """Tells what becomes of the interface called `name`. Its descriptor is readable when there is news of any."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.bind((0, _GROUP_LINK))
        self.socket.settimeout(0)

    def news(self) -> list[Interface]:
        """Return what happened to it since the last call. Where news were lost: how it stands."""
        found: list[Interface] = []
        while True:
            try:
                data = self.socket.recv(_READ_BYTES)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: more news than the socket holds
                return self._as_it_stands()
            found += (interface for interface in read_links(data) if interface.name == self.name)

    def _as_it_stands(self) -> list[Interface]:
        try:
            there = [interface for interface in interfaces() if interface.name == self.name]
        except OSError:  # no answer is no news
            return []
        return there or [Interface(name=self.name, index=0, can=False, up=False, gone=True)]

    def close(self) -> None:
        """Stop watching."""
        self.socket.close()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _MESSAGE.size <= len(data):
        size, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
        if size < _MESSAGE.size:
            return
        yield kind, data[at + _MESSAGE.size : at + size]
        at += size + 3 & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3
    return found


def _interface(body: bytes, *, gone: bool) -> Interface:
    _, hardware, index, flags, _ = _LINK.unpack_from(body)
    told = _attributes(body[_LINK.size :])
    info = _attributes(told.get(_LINK_INFO, b""))
    kind = _text(info.get(_INFO_KIND, b""))
    can = _attributes(info.get(_INFO_DATA, b"")) if kind == "can" else {}
    state = _number(can.get(_CAN_STATE, b""))
    return Interface(
        name=_text(told.get(_NAME, b"")),
        index=index,
        can=hardware == ARPHRD_CAN,
        up=bool(flags & IFF_UP),
        gone=gone,
        mtu=_number(told.get(_MTU, b"")),
        kind=kind,
        state=STATES[state] if _CAN_STATE in can and state < len(STATES) else "",
        bitrate=_number(can.get(_CAN_BITTIMING, b"")),
    )


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode(errors="replace")


def _number(value: bytes) -> int:
    return int(_U32.unpack_from(value)[0]) if len(value) >= _U32.size else 0
