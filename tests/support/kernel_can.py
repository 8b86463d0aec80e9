"""The kernel's own CAN, for tests marked `vcan` or `kernel_isotp`: what they need, and what happens where it is missing.

Such a test is skipped with the reason, so that every test can be run everywhere. But under `tools/with-vcan`, which promises
the interfaces in the environment, it fails: a green run that tested nothing is worse than a red one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

INTERFACES = ("vcan0", "vcan1", "vxcan0", "vxcan1")
"""Two buses, and a cable between two controllers."""
MARKS = ("vcan", "kernel_isotp")
HOW = "tools/with-vcan -- COMMAND has them anywhere"


def require_vcan() -> None:
    """Go no further where an interface is missing."""
    there = {name for _, name in socket.if_nameindex()}
    if missing := [name for name in INTERFACES if name not in there]:
        _unavailable("WITH_VCAN_IFACES", f"no interface {', '.join(missing)} on this machine: {HOW}")


def require_kernel_isotp() -> None:
    """Go no further where the interfaces or the kernel's ISO-TP sockets are missing."""
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP).close()
    except (AttributeError, OSError) as error:
        _unavailable("WITH_VCAN_ISOTP", f"no ISO-TP sockets in this kernel ({error}): tools/with-vcan --isotp has them")
    require_vcan()


def require_command(name: str, package: str) -> None:
    """Go no further where a foreign program is missing."""
    if shutil.which(name) is None:
        _unavailable("WITH_VCAN_IFACES", f"no command {name} on this machine: apt-get install {package}")


def require_for(item: pytest.Item) -> None:
    """Go no further where what a test's marks ask for is missing."""
    if item.get_closest_marker("kernel_isotp") is not None:
        require_kernel_isotp()
    elif item.get_closest_marker("vcan") is not None:
        require_vcan()


@contextlib.contextmanager
def alone(item: pytest.Item) -> Iterator[None]:
    """Let no other process run a test on the same interfaces meanwhile: each would hear the other's frames."""
    if not any(item.get_closest_marker(mark) for mark in MARKS):
        yield
        return
    import fcntl  # not on Windows, where this module is imported and no such test is run

    with Path(tempfile.gettempdir(), f"sgw-bench-vcan-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unavailable(promise: str, reason: str) -> None:
    if os.environ.get(promise):
        pytest.fail(f"{promise} says that this test can run, but: {reason}", pytrace=False)
    pytest.skip(reason)
