"""What the contract runs on here: one row for each driver and carrier. A row is a name and what opens it."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest
from channel_pair import GROUP, multicast_port, require_multicast
from slcan_adapter import desk

from vci_driver.contract import VIRTUAL, Place, Setup

SLCAN = {"interface": "slcan", "bitrate": 500_000, "sleep_after_open": 0, "fd": True}
_number = itertools.count()


@contextlib.contextmanager
def memory() -> Iterator[Setup]:
    """python-can's virtual bus."""
    place = Place(driver="python_can", channel=f"pair-{os.getpid()}-{next(_number)}", options={"interface": "virtual"})
    yield Setup(one=place, peer=place, missing="")


@contextlib.contextmanager
def multicast() -> Iterator[Setup]:
    """UDP multicast."""
    require_multicast()
    place = Place(driver="python_can", channel=GROUP, options={"interface": "udp_multicast", "port": multicast_port()})
    yield Setup(one=place, peer=place)


@contextlib.contextmanager
def serial_pair() -> Iterator[Setup]:
    """Two slcan adapters on one bus."""
    with desk({}, {}) as stand:
        one, peer = (Place(driver="python_can", channel=path, options=SLCAN) for path in stand.paths)
        yield Setup(one=one, peer=peer, unplug=lambda _: stand.pull(0))


def kernel(driver: str, **options: object) -> Callable[[], AbstractContextManager[Setup]]:
    """Return a row on the kernel's vcan0, for a driver with these options; skipped where there is no such interface."""

    @contextlib.contextmanager
    def row() -> Iterator[Setup]:
        if "vcan0" not in {name for _, name in socket.if_nameindex()}:
            pytest.skip("no interface vcan0 on this machine")
        place = Place(driver=driver, channel="vcan0", options=options)
        down = shutil.which("ip") is not None and os.geteuid() == 0
        yield Setup(
            one=place, peer=place, unplug=(lambda _: _link("down")) if down else None, replug=lambda: _link("up")
        )

    return row


def _link(state: str) -> None:
    subprocess.run(["ip", "link", "set", "vcan0", state], check=True)


ROWS: Mapping[str, Callable[[], AbstractContextManager[Setup]]] = {
    "virtual": lambda: contextlib.nullcontext(VIRTUAL),
    "python-can virtual": memory,
    "udp multicast": multicast,
    "slcan over a pty": serial_pair,
    "python-can on vcan": kernel("python_can", interface="socketcan", fd=True),
    "socketcan on vcan": kernel("socketcan"),
}
