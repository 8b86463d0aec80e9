"""How many frames the kernel dropped on a socket because nobody read them in time, told by the kernel itself.

A library's socket is asked with `SO_MEMINFO` (Linux 4.12): its ninth number counts the drops, for CAN and for UDP alike.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct

SO_MEMINFO = 55
"""From Linux, include/uapi/asm-generic/socket.h; Python has no name for it."""
SK_MEMINFO_DROPS = 8
MEMINFO_LEN = 9
RECEIVE_BUFFER_BYTES = 4 << 20
"""What is asked of the kernel; it gives at most net.core.rmem_max. Its default holds some 278 classic frames."""


class DropCounter:
    """Watches one descriptor; for what is no socket, and on other systems, it counts nothing."""

    def __init__(self, descriptor: int | None) -> None:
        self._socket: socket.socket | None = None
        self._seen = 0
        if descriptor is None or not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return
        watched = socket.socket(fileno=os.dup(descriptor))
        try:
            self._seen = _drops(watched)
        except OSError:
            watched.close()
            return
        with contextlib.suppress(OSError):
            watched.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket = watched

    def take(self) -> int:
        """Return how many frames were dropped since the last call."""
        if self._socket is None:
            return 0
        try:
            drops = _drops(self._socket)
        except OSError:  # the interface is gone; who reads next is told so
            return 0
        new, self._seen = (drops - self._seen) & 0xFFFF_FFFF, drops
        return new

    def close(self) -> None:
        """Give the descriptor back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _drops(watched: socket.socket) -> int:
    data = watched.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * MEMINFO_LEN)
    numbers = struct.unpack(f"={len(data) // 4}I", data)
    if len(numbers) <= SK_MEMINFO_DROPS:
        raise OSError("this kernel does not count drops")
    count: int = numbers[SK_MEMINFO_DROPS]
    return count
