"""Clocks: the only module that imports `time`.

A clock tells the world its time and waits for it. `VirtualClock` jumps; `RealClock` sleeps in the kernel until a
deadline, a registered file descriptor, or a wake-up from another thread. `WallClock` is a device's own calendar.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wire.descriptors import Descriptor, make_descriptors

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000

VIRTUAL_EPOCH_UTC_S = 1_767_225_600
"""Wall time at world time 0 of a virtual bench: 2026-01-01T00:00:00Z. Fixed, so that every signature repeats."""


class Clock(Protocol):
    """What the world needs of a clock. Times are integers in nanoseconds from the world's start."""

    virtual: bool

    def now_ns(self) -> int:
        """Return the time since the world's start."""

    def wait_until(self, deadline_ns: int | None) -> Sequence[Callable[[], None]]:
        """Return at `deadline_ns`, or earlier with what wants attention. None: wait for that alone."""

    def wake(self) -> None:
        """End a wait from another thread."""

    def epoch_utc_s(self) -> int:
        """Wall time (UTC seconds) at world time 0."""


class VirtualClock:
    """Time that jumps to the next deadline."""

    virtual = True

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the time that was last jumped to."""
        return self._now_ns

    def wait_until(self, deadline_ns: int | None) -> Sequence[Callable[[], None]]:
        """Jump."""
        if deadline_ns is not None and deadline_ns > self._now_ns:
            self._now_ns = deadline_ns
        return ()

    def wake(self) -> None:
        """Do nothing: nobody waits on a virtual clock."""

    def epoch_utc_s(self) -> int:
        """Return the fixed virtual epoch."""
        return VIRTUAL_EPOCH_UTC_S


COARSE_NS = 2 * NS_PER_MS
"""A wait longer than this is asked of `epoll`, which counts in milliseconds; what is left after it, and shorter waits, of
`select`, which counts in microseconds and costs a second call where there is something to read.
"""
LONGEST_SLEEP_NS = 3600 * NS_PER_S
"""One call of the kernel waits no longer: its time-outs have 31 bits of milliseconds."""
SPIN_MAX_NS = 400 * NS_PER_US
"""At most so long a wait ends in a loop that only reads the clock: kernels wake a sleeper 50 to 400 us late."""


class RealClock:
    """Time that passes; waits in the kernel for a deadline, a readable file descriptor or a wake-up.

    World time 0 is the whole UTC second in which the clock was made, so that two processes on one machine agree on the UTC
    second of each of their instants. How late the kernel wakes is learnt, and a short wait is asked for so much earlier.
    """

    virtual = False

    def __init__(self) -> None:
        utc_ns = time.time_ns()
        self._epoch_utc_s = utc_ns // NS_PER_S
        self._start_ns = time.monotonic_ns() - utc_ns % NS_PER_S
        self._read_ns = 0
        self._late_ns = 0
        self._descriptors = descriptors = make_descriptors()
        self._ready = descriptors.ready
        self._fine = descriptors.fine
        self._wake_rx, self._wake_tx = socket.socketpair()
        self._wake_rx.settimeout(0)
        self._wake_tx.settimeout(0)
        descriptors.register(self._wake_rx, self._drain_wake)

    def now_ns(self) -> int:
        """Return the monotonic time since world time 0, which lies up to a second before this clock was made."""
        self._read_ns = now_ns = time.monotonic_ns() - self._start_ns
        return now_ns

    def epoch_utc_s(self) -> int:
        """Return the wall time at world time 0."""
        return self._epoch_utc_s

    def register(self, fd: Descriptor, on_readable: Callable[[], None]) -> None:
        """Have the world call `on_readable`, as one of its callbacks, whenever `fd` has something to read."""
        self._descriptors.register(fd, on_readable)

    def unregister(self, fd: Descriptor) -> None:
        """Forget a file descriptor that was registered."""
        self._descriptors.unregister(fd)

    def wait_until(self, deadline_ns: int | None) -> Sequence[Callable[[], None]]:
        """Sleep until the deadline or a sign of life; return what those that became readable are to have called.

        A deadline in the past only looks. One that is more than an hour away is left early, with nothing.
        """
        if deadline_ns is None:
            return self._ready(None)
        # A long wait is counted from the last reading of the clock: that is too late by microseconds, and spares a call.
        left_ns = deadline_ns - self._read_ns
        if left_ns > COARSE_NS:
            ready = self._ready((min(left_ns, LONGEST_SLEEP_NS) - COARSE_NS // 2) // NS_PER_MS / 1000)
            if ready or left_ns > LONGEST_SLEEP_NS:
                return ready
        if left_ns > 0:
            left_ns = deadline_ns - self.now_ns()
        return self._ready(0) if left_ns <= 0 else self._wait_finely(deadline_ns, left_ns)

    def _wait_finely(self, deadline_ns: int, left_ns: int) -> Sequence[Callable[[], None]]:
        """Sleep for less than `COARSE_NS`: so much shorter as the kernel is usually late, the rest with the eye on the clock."""
        if self._fine is None:
            return self._ready(left_ns / NS_PER_S)
        asleep_ns = left_ns - self._late_ns
        if asleep_ns > 0:
            if select.select(self._fine, (), (), asleep_ns / NS_PER_S)[0]:
                return self._ready(0)
            late_ns = self.now_ns() - (deadline_ns - self._late_ns)
            share = 4 if late_ns > self._late_ns else 32  # rises quickly, falls slowly: most waits end in time
            self._late_ns = min(max(0, self._late_ns + (late_ns - self._late_ns) // share), SPIN_MAX_NS)
        while self._read_ns < deadline_ns:
            self.now_ns()
        return ()

    def wake(self) -> None:
        """End a wait from another thread; a wake-up that is already pending is enough, and a closed clock waits no more."""
        with contextlib.suppress(OSError):
            self._wake_tx.send(b"\0")

    def close(self) -> None:
        """Give back the descriptors."""
        self._descriptors.close()
        self._wake_rx.close()
        self._wake_tx.close()

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_rx.recv(4096):
                pass


@dataclass(slots=True, kw_only=True)
class WallClock:
    """A device's own calendar: phone, tester, portal and ECU each have one, and none needs to be right.

    `offset_s` is a constant error, `drift_ppm` grows with world time, `is_set=False` is a clock that lost its battery.
    """

    epoch_utc_s: int = VIRTUAL_EPOCH_UTC_S
    offset_s: int = 0
    drift_ppm: int = 0
    is_set: bool = True

    def utc_s(self, now_ns: int) -> int:
        """Return what this device believes the UTC time to be, in whole seconds, whether set or not."""
        return self.epoch_utc_s + self.offset_s + (now_ns + now_ns * self.drift_ppm // 1_000_000) // NS_PER_S

    def first_ns(self, utc_s: int) -> int:
        """Return the first world time at which `utc_s()` says this second."""
        device_ns = (utc_s - self.epoch_utc_s - self.offset_s) * NS_PER_S
        return -(-device_ns * 1_000_000 // (1_000_000 + self.drift_ppm))

    def utc_s_or_none(self, now_ns: int) -> int | None:
        """Return the UTC time, or None when this clock was never set."""
        return self.utc_s(now_ns) if self.is_set else None


def system_utc_s() -> int:
    """Return the machine's own UTC time in whole seconds: for a back end that serves the real world."""
    return int(time.time())


def system_utc_ns() -> int:
    """Return the machine's own UTC time in nanoseconds: for the lines of a log."""
    return time.time_ns()


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the real seconds since now: for reports to people, never for decisions."""
    start_ns = time.perf_counter_ns()
    return lambda: (time.perf_counter_ns() - start_ns) / NS_PER_S
