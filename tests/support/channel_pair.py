"""Two open channels on one bus, for each kind of driver: the contract suite runs on all of them."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator

import can
import pytest
from kernel_can import require_vcan

from vci_driver.api import RawChannel
from vci_driver.registry import open_channel
from wire.can_bus import CanBus
from wire.clock import RealClock
from wire.frame import Frame
from wire.world import World

PATIENCE_NS = 10_000_000_000
"""How long a test in real time waits at most for what must come; what is there ends the wait at once."""
QUIET_NS = 30_000_000
"""How long a test in real time waits for what must not come."""
GROUP = "239.74.163.2"
_number = itertools.count()


class ChannelPair:
    """`one` and `two` on one bus; `heard` and `sent` note what `two` hears of everything, and what `one` got confirmed."""

    def __init__(self, kind: str, world: World, open_one: Callable[[str], RawChannel]) -> None:
        self.kind = kind
        self.world = world
        self.open = open_one
        self.one = open_one("one")
        self.two = open_one("two")
        self.sent: list[Frame] = []
        self.heard: list[Frame] = []
        self.one.on_sent = self.sent.append

    def listen_to_all(self) -> None:
        self.two.listen(None, self.heard.append)

    def until(self, done: Callable[[], bool]) -> bool:
        """Run until `done()` or the end of all patience."""
        return self.world.run_until(done, PATIENCE_NS)

    def send_each(self, frames: list[Frame]) -> None:
        """Send from `one`, each frame after the last one was confirmed."""
        for count, frame in enumerate(frames, start=len(self.sent) + 1):
            self.one.send(frame)
            assert self.until(lambda count=count: len(self.sent) >= count)

    def quiet(self) -> None:
        """Let some time pass in which nothing is to happen."""
        self.world.run_for(QUIET_NS)


def multicast_port() -> int:
    """Return a UDP port that is free now, so that test runs side by side do not hear each other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def require_multicast() -> None:
    """Skip the test where this machine carries no multicast."""
    port = multicast_port()
    try:
        with (
            can.Bus(interface="udp_multicast", channel=GROUP, port=port) as one,
            can.Bus(interface="udp_multicast", channel=GROUP, port=port) as two,
        ):
            one.send(can.Message(arbitration_id=1, data=b"x", is_extended_id=False))
            heard = two.recv(timeout=2)
    except (can.CanError, OSError) as error:
        pytest.skip(f"no UDP multicast on this machine: {error}")
    if heard is None:
        pytest.skip("no UDP multicast on this machine: a datagram did not come back")


@contextlib.contextmanager
def real_world() -> Iterator[World]:
    """A world in real time that gives its descriptors back."""
    clock = RealClock()
    try:
        yield World(clock=clock)
    finally:
        clock.close()


@contextlib.contextmanager
def open_pair(kind: str) -> Iterator[ChannelPair]:
    """Open a pair of `virtual`, `python-can virtual`, `udp multicast` or `vcan`."""
    with contextlib.ExitStack() as stack:
        if kind == "virtual":
            world = World()
            bus = CanBus(world, "obd", fd=True)
            pair = ChannelPair(
                kind, world, lambda name: open_channel("virtual", "obd", {"bus": bus, "name": name}, world)
            )
        else:
            world = stack.enter_context(real_world())
            if kind == "udp multicast":
                require_multicast()
                channel = GROUP
                options: dict[str, object] = {"interface": "udp_multicast", "port": multicast_port()}
            elif kind == "vcan":
                require_vcan()
                channel, options = "vcan0", {"interface": "socketcan", "fd": True}
            else:
                channel, options = f"pair-{os.getpid()}-{next(_number)}", {"interface": "virtual"}
            pair = ChannelPair(kind, world, lambda _: open_channel("python_can", channel, options, world))
        stack.callback(pair.two.close)
        stack.callback(pair.one.close)
        yield pair
