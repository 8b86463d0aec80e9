"""A raw CAN socket in the tester's hands, and a watch on its interface: what needs no kernel with CAN is tested with them."""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

from vci_driver.linux_can.interfaces import Interface
from vci_driver.linux_can.raw_channel import SocketCanChannel
from vci_driver.linux_can.raw_socket import RawSocketOptions
from wire.clock import RealClock
from wire.errors import CarrierFault
from wire.frame import Frame
from wire.world import World

VCAN = Interface(name="vcan7", index=7, can=True, up=True, mtu=72, kind="vcan")
FRAME = Frame(0x714, b"\x02\x3e\x00")


class FakeCanSocket:
    """Hears what the test puts `into` it, keeps in `out` what was sent, and fails as told: with the next errors of a queue."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._near.settimeout(0)
        self._flags: deque[int] = deque()
        self.out: list[bytes] = []
        self.reads = 0
        self.options: list[tuple[int, int, object]] = []
        self.send_errors: deque[int] = deque()
        self.recv_error: int | None = None
        self.option_errors: dict[int, int] = {}
        self.meminfo_error: int | None = None
        self.drops = 0
        self.told: list[tuple[int, int, bytes]] = []
        self.closed = False

    def into(self, raw: bytes, flags: int = 0) -> None:
        self._flags.append(flags)
        self._far.send(raw)

    def fileno(self) -> int:
        return self._near.fileno()

    def recv(self, size: int) -> bytes:
        self.reads += 1
        if self.recv_error is not None:
            raise OSError(self.recv_error, os.strerror(self.recv_error))
        raw = self._near.recv(size)
        self._flags.popleft()
        return raw

    def recvmsg(self, size: int, space: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        raw = self._near.recv(size)
        return raw, self.told, self._flags.popleft(), None

    def send(self, raw: bytes) -> int:
        if self.send_errors and (number := self.send_errors.popleft()):
            raise OSError(number, os.strerror(number))
        self.out.append(raw)
        return len(raw)

    def setsockopt(self, level: int, name: int, value: object) -> None:
        if name in self.option_errors:
            number = self.option_errors[name]
            raise OSError(number, os.strerror(number))
        self.options.append((level, name, value))

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        if self.meminfo_error is not None:
            raise OSError(self.meminfo_error, os.strerror(self.meminfo_error))
        return bytes(32) + struct.pack("=I", self.drops)

    def close(self) -> None:
        self.closed = True
        self._near.close()
        self._far.close()


class FakeWatch:
    """Tells what the test says of the interface."""

    def __init__(self) -> None:
        self.socket, self._far = socket.socketpair()
        self.socket.settimeout(0)
        self._news: list[Interface] = []

    def tell(self, *interfaces: Interface) -> None:
        self._news += interfaces
        self._far.send(b"!")

    def news(self) -> list[Interface]:
        self.socket.recv(4096)
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        self.socket.close()
        self._far.close()


class Desk:
    """A channel on fake sockets; `sockets[-1]` is the one in use, `connect_error` keeps the next from being made."""

    def __init__(self, world: World, interface: Interface = VCAN, *, echo: bool | None = None) -> None:
        self.world = world
        self.sockets: list[FakeCanSocket] = []
        self.connect_error: int | None = None
        self.watch = FakeWatch()
        clock = world.clock
        assert isinstance(clock, RealClock)
        self.channel = SocketCanChannel(
            world,
            clock,
            interface,
            RawSocketOptions(echo=echo, receive_buffer_bytes=1 << 20),
            connect=self._connect,
            watch=self.watch,
        )
        self.faults: list[CarrierFault] = []
        self.sent: list[Frame] = []
        self.heard: list[Frame] = []
        self.recovered: list[bool] = []
        self.channel.on_fault = self.faults.append
        self.channel.on_sent = self.sent.append
        self.channel.on_recovered = lambda: self.recovered.append(True)

    @property
    def socket(self) -> FakeCanSocket:
        return self.sockets[-1]

    def _connect(self, interface: Interface) -> FakeCanSocket:
        if self.connect_error is not None:
            raise OSError(self.connect_error, os.strerror(self.connect_error))
        self.sockets.append(FakeCanSocket())
        return self.sockets[-1]

    def turn(self) -> None:
        """Let the world do what there is to do now."""
        self.world.run_for(0)
