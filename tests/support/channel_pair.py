"""What tests in real time share: a world that gives its descriptors back, and a multicast group that works here."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import can
import pytest

from wire.clock import RealClock
from wire.world import World

GROUP = "239.74.163.2"


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
