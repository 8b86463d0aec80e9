"""A vcan interface of a test's own, to be taken down and away; and a plain socket on it, as another program has one."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

PATIENCE_NS = 10_000_000_000
"""How long a test waits at most for what must come; what is there ends the wait at once."""
QUIET_NS = 30_000_000
"""How long a test waits for what must not come."""
_number = itertools.count()


def ip(*words: str) -> None:
    """Run `ip link ...`."""
    subprocess.run(["ip", "link", *words], check=True, capture_output=True, timeout=10)


class VcanInterface:
    """One vcan interface, which is up."""

    def __init__(self) -> None:
        self.name = f"sgw{os.getpid() % 100_000}x{next(_number)}"
        self.add()

    def add(self, mtu: int = 72) -> None:
        ip("add", self.name, "type", "vcan")
        ip("set", self.name, "mtu", str(mtu), "up")

    def down(self) -> None:
        ip("set", self.name, "down")

    def up(self) -> None:
        ip("set", self.name, "up")

    def delete(self) -> None:
        ip("delete", self.name)

    def plain_socket(self) -> socket.socket:
        made = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        made.bind((self.name,))
        return made


def vcan_interface() -> Iterator[VcanInterface]:
    """Make one for a test; skip where that is not possible. Root under `with-vcan` can: there it fails, as in `kernel_can`."""
    if not hasattr(socket, "AF_CAN"):
        pytest.skip("no CAN on this system")
    try:
        made = VcanInterface()
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"no vcan interface to be had on this machine: {error}"
        if os.environ.get("WITH_VCAN_IFACES") and os.geteuid() == 0:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        yield made
    finally:
        subprocess.run(["ip", "link", "delete", made.name], check=False, capture_output=True, timeout=10)
