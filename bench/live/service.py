"""What a system's service manager expects of a service: readiness, a sign of life, a clean end (systemd's sd_notify protocol)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

from wire.clock import NS_PER_US
from wire.world import World

ALIVE_SHARE = 3
"""A sign of life is due each `WATCHDOG_USEC`; it is given so many times as often."""


class ServiceManager:
    """Tells the manager named in `NOTIFY_SOCKET` how we are; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._alive_ns = int(watchdog) * NS_PER_US // ALIVE_SHARE if watchdog.isdigit() and mine else 0

    def tell(self, *words: str) -> None:
        """Send state words such as `READY=1`."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)  # a manager that does not read must not make the car late
            out.sendto("\n".join(words).encode(), self._address)

    def keep_alive(self, world: World) -> None:
        """Give signs of life from inside a world: a world that hangs gives none."""
        if not self._alive_ns:
            return

        def alive(now_ns: int) -> None:
            self.tell("WATCHDOG=1")
            timer.set(now_ns + self._alive_ns)

        timer = world.timer("watchdog", alive)
        timer.set(world.now_ns)
