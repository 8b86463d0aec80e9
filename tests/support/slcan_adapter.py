"""slcan adapters emulated from the LAWICEL CAN232 manual, with CAN FD as CANable 2.0 firmware has it: each behind a pty.

`SlcanAdapter` is the firmware without any I/O; `Desk` puts adapters on one bus and carries bytes between them and their ptys.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import tty
from collections.abc import Callable, Iterator

FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
OK, BEL = b"\r", b"\a"
RECEIVE_FULL, DATA_OVERRUN = 0x01, 0x08


class SlcanAdapter:
    """One adapter's firmware. `refuses`: commands (by their beginning) that it answers with BEL whatever its state.

    `silent`: answers nothing at all, as some firmware does. `confirms`: says `z` or `Z` for each frame it took, as the CAN232
    does. `room`: bytes that it can hold for a host which does not read; a frame beyond is lost and told in the status flags.
    """

    def __init__(
        self,
        to_bus: Callable[[SlcanAdapter, str], None],
        *,
        refuses: tuple[str, ...] = (),
        silent: bool = False,
        confirms: bool = True,
        knows_flags: bool = True,
        room: int = 1 << 20,
    ) -> None:
        self.to_host = bytearray()
        self.is_open = False
        self.listen_only = False
        self.timestamps = False
        self.flags = 0
        self.lost = 0
        self.commands: list[str] = []
        self.refuses = refuses
        self._to_bus = to_bus
        self._silent = silent
        self._confirms = confirms
        self._knows_flags = knows_flags
        self._room = room
        self._line = bytearray()

    def from_host(self, data: bytes) -> None:
        """Take bytes from the host; whole lines are done at once."""
        for byte in data:
            if byte == 0x0D:
                line = self._line.decode("latin-1")
                self._line.clear()
                answer = self._do(line)
                if not self._silent:
                    self.to_host += answer
            else:
                self._line.append(byte)

    def from_bus(self, line: str) -> None:
        """Take a frame from the bus, written as its command."""
        if not self.is_open:
            return
        told = line.encode() + (b"0A1B" if self.timestamps else b"") + b"\r"
        if len(self.to_host) + len(told) > self._room:
            self.flags |= RECEIVE_FULL | DATA_OVERRUN
            self.lost += 1
        else:
            self.to_host += told

    def _do(self, line: str) -> bytes:
        self.commands.append(line)
        if line == "" or line.startswith(self.refuses):
            return BEL if line else OK
        kind = line[0]
        if kind in "SsYZ":
            return self._set_up(line)
        if kind in "OL":
            if self.is_open:
                return BEL
            self.is_open, self.listen_only = True, kind == "L"
            return OK
        if kind == "C":
            was, self.is_open = self.is_open, False
            return OK if was else BEL
        if kind in "VN":
            return b"V1013\r" if kind == "V" else b"NA123\r"
        if kind == "F" and self.is_open and self._knows_flags:
            flags, self.flags = self.flags, 0
            return f"F{flags:02X}\r".encode()
        if kind in "tTrRdDbB":
            return self._transmit(line)
        return BEL

    def _set_up(self, line: str) -> bytes:
        if self.is_open:
            return BEL
        kind, value = line[0], line[1:]
        if kind == "S":
            return OK if value in set("012345678") else BEL
        if kind == "Y":
            return OK if value in {"2", "5"} else BEL
        if kind == "Z":
            self.timestamps = value == "1"
            return OK if value in {"0", "1"} else BEL
        return OK if len(value) == 4 else BEL

    def _transmit(self, line: str) -> bytes:
        wide = line[0] in "TRDB"
        digits = 8 if wide else 3
        try:
            length = FD_LENGTHS[int(line[1 + digits], 16)]
            int(line[1 : 1 + digits], 16)
            data = bytes.fromhex(line[2 + digits :])
        except (ValueError, IndexError):
            return BEL
        fits = len(data) == (0 if line[0] in "rR" else length) and (length <= 8 or line[0] in "dDbB")
        if not fits or not self.is_open or self.listen_only:
            return BEL
        self._to_bus(self, line)
        if not self._confirms:
            return OK
        return b"Z\r" if wide else b"z\r"


class Desk:
    """Adapters on one bus, each at a pty whose path is in `paths`; one thread carries the bytes."""

    def __init__(self) -> None:
        self.adapters: list[SlcanAdapter] = []
        self.paths: list[str] = []
        self._ends: list[tuple[int, int] | None] = []
        self._selector = selectors.DefaultSelector()
        self._wake_rx, self._wake_tx = os.pipe()
        self._selector.register(self._wake_rx, selectors.EVENT_READ, None)
        self._orders: list[Callable[[], None]] = []
        self._ending = False
        self._thread = threading.Thread(target=self._carry, name="slcan desk", daemon=True)

    def add(self, **options: object) -> SlcanAdapter:
        """Put another adapter on the bus (before `start`)."""
        adapter = SlcanAdapter(self._to_bus, **options)
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.adapters.append(adapter)
        self.paths.append(os.ttyname(slave))
        self._ends.append((master, slave))
        self._selector.register(master, selectors.EVENT_READ, len(self._ends) - 1)
        return adapter

    def start(self) -> None:
        self._thread.start()

    def pull(self, number: int) -> None:
        """Pull an adapter out: its port is gone when this returns."""
        self._order(lambda: self._drop(number))

    def say(self, number: int, data: bytes) -> None:
        """Let an adapter send these bytes to its host, whatever they are."""
        self._order(lambda: self.adapters[number].to_host.extend(data))

    def end(self) -> None:
        self._order(lambda: setattr(self, "_ending", True))
        self._thread.join(10)
        assert not self._thread.is_alive()
        for number in range(len(self._ends)):
            self._drop(number)
        self._selector.close()
        os.close(self._wake_rx)
        os.close(self._wake_tx)

    def _order(self, order: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            order()
            done.set()

        self._orders.append(run)
        os.write(self._wake_tx, b"\0")
        assert done.wait(10), "the desk's thread stands still"

    def _to_bus(self, sender: SlcanAdapter, line: str) -> None:
        for adapter in self.adapters:
            if adapter is not sender:
                adapter.from_bus(line)

    def _drop(self, number: int) -> None:
        ends, self._ends[number] = self._ends[number], None
        if ends is not None:
            self._selector.unregister(ends[0])
            for descriptor in ends:
                os.close(descriptor)

    def _carry(self) -> None:
        while not self._ending:
            for key, events in self._selector.select():
                if key.data is None:
                    os.read(self._wake_rx, 4096)
                    while self._orders:
                        self._orders.pop(0)()
                elif events & selectors.EVENT_READ and self._ends[key.data] is not None:
                    with contextlib.suppress(BlockingIOError):
                        self.adapters[key.data].from_host(os.read(key.fd, 4096))
            for number, ends in enumerate(self._ends):
                if ends is not None:
                    self._write(ends[0], number)

    def _write(self, master: int, number: int) -> None:
        pending = self.adapters[number].to_host
        with contextlib.suppress(BlockingIOError):
            while pending:
                del pending[: os.write(master, pending[:1024])]
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pending else 0)
        self._selector.modify(master, events, number)


@contextlib.contextmanager
def desk(*each: dict[str, object]) -> Iterator[Desk]:
    """A desk with one adapter for each set of options."""
    made = Desk()
    try:
        for options in each:
            made.add(**options)
        made.start()
        yield made
    finally:
        made.end()
