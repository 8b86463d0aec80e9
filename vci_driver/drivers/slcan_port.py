"""What python-can's slcan leaves out: is the port free, did the adapter take the settings, does it refuse or lose frames.

python-can writes `S6`, `O` and each frame without reading the answer. Here the opening is asked for once more with the answers
read, and `WatchedPort` stands between python-can and pyserial: it counts refusals (BEL) and reads the status flags (`F`).
Commands and flags are those of the LAWICEL CAN232 manual; firmware that answers nothing at all is put up with.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import can

from vci_driver.api import ChannelUnavailable

ANSWER_S = 0.3
"""How long an adapter has for its answer: USB takes a few milliseconds; firmware that never answers costs this per question."""
SETTLE_S = 0.05
"""Silence after `C` that ends what was still on its way."""
MAX_DRAINS = 100
"""So many pieces of old traffic are thrown away after `C`: an adapter that goes on for longer did not close."""
MAX_LINES = 1000
"""So many frames may come before an answer: a busy bus gives some hundred in `ANSWER_S`."""
BITRATES = {10_000: "S0", 20_000: "S1", 50_000: "S2", 100_000: "S3", 125_000: "S4", 250_000: "S5", 500_000: "S6"} | {
    800_000: "S7",
    750_000: "S7",
    1_000_000: "S8",
}
RECEIVE_FULL, DATA_OVERRUN = 0x01, 0x08
"""Status flags that mean: frames from the bus were lost."""
_FRAMES = b"tTrRdDbBzZ"


class WatchedPort:
    """A serial port as python-can uses it, whose incoming lines are looked at on their way.

    `refused`: how many commands were answered with BEL; `noise`: how many bytes were no ASCII, on which python-can would stumble
    for good; `flags`: all status flags told since they were last taken.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._line = bytearray()
        self.refused = 0
        self.noise = 0
        self.flags = 0
        self.tells_flags = False

    def read(self, size: int = 1) -> bytes:
        """Read, and look."""
        data: bytes = self._port.read(size)
        if not data.isascii():
            self.noise += 1
            data = bytes(byte if byte < 0x80 else 0x3F for byte in data)
        for byte in data:
            if byte == 0x07:
                self.refused += 1
                self._line.clear()
            elif byte == 0x0D:
                if len(self._line) == 3 and self._line.startswith(b"F"):
                    with contextlib.suppress(ValueError):
                        self.flags |= int(self._line[1:], 16)
                self._line.clear()
            else:
                self._line.append(byte)
        return data

    def take(self) -> tuple[int, int, int]:
        """Return (refused, noise, flags) since the last call."""
        taken = self.refused, self.noise, self.flags
        self.refused = self.noise = self.flags = 0
        return taken

    def ask_flags(self) -> None:
        """Send `F`: the answer comes among the frames."""
        self._port.write(b"F\r")

    @property
    def in_waiting(self) -> int:
        """Bytes that wait to be read."""
        waiting: int = self._port.in_waiting
        return waiting

    @property
    def write_timeout(self) -> float | None:
        """Python-can sets this before each frame."""
        timeout: float | None = self._port.write_timeout
        return timeout

    @write_timeout.setter
    def write_timeout(self, timeout: float | None) -> None:
        self._port.write_timeout = timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def lock_port(channel: str, where: str) -> int | None:
    """Lock a serial port against other programs that lock it too; return the descriptor to close in the end.

    None: no such device file (a URL of pyserial's, or a port that is not there, which opening it tells) or no such locks.
    """
    path = channel.split("@", maxsplit=1)[0]
    try:
        import fcntl  # noqa: PLC0415 - POSIX alone has it; Windows opens ports exclusively by itself
    except ImportError:
        return None
    if not Path(path).exists():
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None  # pyserial opens it next, and says it better
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ChannelUnavailable(f"{where} is in use by another program: end that, or take another port") from error
    return descriptor


def watch(bus: can.BusABC, bitrate: object, *, listen_only: bool, where: str) -> WatchedPort:
    """Open the adapter once more, reading its answers; raise `ChannelUnavailable` for what it refuses."""
    watched = WatchedPort(bus.serialPortOrig)  # type: ignore[attr-defined]
    bus.serialPortOrig = watched  # type: ignore[attr-defined]
    port = watched._port  # noqa: SLF001 - module-private: the two are one mechanism
    timeout_s, port.timeout = port.timeout, SETTLE_S
    try:
        _command(port, "C")
        for _ in range(MAX_DRAINS):
            if not port.read(4096):
                break
        port.timeout = ANSWER_S
        setting = BITRATES.get(bitrate) if isinstance(bitrate, int) else None
        if setting is not None and _ask(port, setting) == b"\a":
            raise ChannelUnavailable(f"{where}: the adapter refuses the bit rate {bitrate} ({setting}); try another")
        command = "L" if listen_only else "O"
        if _ask(port, command) == b"\a":
            raise ChannelUnavailable(
                f"{where}: the adapter refuses to open its channel ({command}); does it need the option bitrate?"
            )
        watched.tells_flags = _ask(port, "F").startswith(b"F")
    except OSError as error:
        raise ChannelUnavailable(f"{where} cannot be opened: {error}; is the adapter still plugged in?") from error
    finally:
        with contextlib.suppress(OSError):
            port.timeout = timeout_s
    return watched


def release(port: WatchedPort | None, lock: int | None) -> None:
    """Give port and lock back: python-can leaves the port open when the adapter is gone before it."""
    if port is not None:
        with contextlib.suppress(OSError):
            port.close()
    if lock is not None:
        os.close(lock)


def _command(port: Any, text: str) -> None:
    port.write(text.encode("ascii") + b"\r")


def _ask(port: Any, text: str) -> bytes:
    """Return the answer with its end (CR or BEL), or nothing from an adapter that keeps silent; frames in between are lost."""
    _command(port, text)
    line = bytearray()
    for _ in range(MAX_LINES):
        line.clear()
        while not line.endswith((b"\r", b"\a")):
            byte = port.read(1)
            if not byte:
                return b""
            line += byte
        if line.endswith(b"\a"):
            return b"\a"
        if line[0] not in _FRAMES:
            break
    return bytes(line)
