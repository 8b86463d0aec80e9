"""The CAN interfaces that the command finds, on the host and in a guest."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from calls import Failure, call

CAN_FD_MTU = 72
CABLE = ("vxcan0", "vxcan1")


def exists(name: str) -> bool:
    """Whether there is such an interface."""
    return Path("/sys/class/net", name).exists()


def ready(name: str) -> bool:
    """Whether an interface is there, up, and takes CAN FD."""
    folder = Path("/sys/class/net", name)
    try:
        is_up = int((folder / "flags").read_text(), 16) & 1 == 1
        return is_up and int((folder / "mtu").read_text()) == CAN_FD_MTU
    except OSError:
        return False


def make_interfaces(count: int, root: Sequence[str] | None) -> list[str]:
    """Make what is missing and set it up; return the names. The cable is left out where the kernel has none."""
    ip = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if ip is None:
        raise Failure("the command ip is missing: apt-get install iproute2")

    def link(*words: str) -> None:
        if root is None:
            raise Failure("making vcan interfaces needs root, or a sudo that asks for no password")
        if complaint := call(*root, ip, "link", *words):
            raise Failure(f"`ip link {' '.join(words)}` failed: {complaint}")

    names = [f"vcan{number}" for number in range(count)]
    for name in names:
        if not exists(name):
            link("add", name, "type", "vcan")
    with contextlib.suppress(Failure):
        if not exists(CABLE[0]):
            link("add", CABLE[0], "type", "vxcan", "peer", "name", CABLE[1])
        names += CABLE
    for name in names:
        if not ready(name):
            link("set", name, "mtu", str(CAN_FD_MTU), "up")
    return names


def has_isotp() -> bool:
    """Whether this kernel has ISO-TP sockets; the question loads the module where that is allowed."""
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP).close()
    except (OSError, AttributeError):
        return False
    return True
