"""The world: a small discrete-event kernel. A heap of (deadline, sequence, callback), a clock, named random streams.

With a `VirtualClock` time jumps to the next deadline; with a `RealClock` the same cores run while the kernel waits.
Order in one instant is the order of scheduling. An exception in a callback stops the world for good: no silent bus.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from wire.clock import NS_PER_MS, NS_PER_S, Clock, VirtualClock
from wire.errors import LocalMisuse, NotOnThisCarrier, WorldStopped

MAX_EVENTS_PER_INSTANT = 1_000_000
"""More callbacks than this without time moving is a loop between cores, not a busy bus: 1,000 ECUs need a few thousand."""

LOOK_AFTER = 128
"""After so many callbacks a world in real time looks who wants something and what time it is, though there is more to do."""

LATE_NS = NS_PER_MS
"""With a real clock a callback that runs later than this after its deadline counts as an overrun."""

FRESH_NS = 5 * NS_PER_MS
"""A world that was run so lately need not be caught up with: asking the kernel costs as much as a frame."""

Callback = Callable[[], None]
_NEVER_NS = 1 << 63


class Timer:
    """One re-armable deadline. Moved lazily: arming later than before costs no heap entry.

    `_armed` is a stack of strictly falling times that stand in the heap for this timer; the earliest is on top. Setting
    a deadline pushes an entry only if none stands earlier, so S3 re-armed on every request does not fill the heap.
    """

    __slots__ = ("_armed", "_callback", "_world", "armed_ns", "deadline_ns", "name")

    def __init__(self, world: World, name: str, callback: Callable[[int], None]) -> None:
        self._world = world
        self._callback = callback
        self._armed: list[int] = []
        self.name = name
        self.deadline_ns: int | None = None
        self.armed_ns = _NEVER_NS
        """The earliest time in the heap: a deadline from there on may be stored in `deadline_ns` without a call of `set`."""

    def set(self, deadline_ns: int | None) -> None:
        """Ask to be called at `deadline_ns` (world time; the past means now), or not at all with None."""
        self.deadline_ns = deadline_ns
        if deadline_ns is not None and deadline_ns < self.armed_ns:
            self._armed.append(deadline_ns)
            self.armed_ns = deadline_ns
            self._world.call_at(deadline_ns, self._fire)

    def _fire(self) -> None:
        armed = self._armed
        armed.pop()
        self.armed_ns = armed[-1] if armed else _NEVER_NS
        deadline_ns = self.deadline_ns
        if deadline_ns is None:
            return
        now_ns = self._world.now_ns
        if deadline_ns <= now_ns:
            if now_ns - deadline_ns > LATE_NS:
                self._world.note_late(now_ns - deadline_ns)
            self.deadline_ns = None
            self._callback(now_ns)
        else:
            self.set(deadline_ns)


class World:
    """Simulated time and the things that happen in it.

    `now_ns` is the time of the current instant. `seed` alone determines everything random: see `rng`.
    """

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        self.seed = seed
        self.clock: Clock = VirtualClock() if clock is None else clock
        self.virtual = self.clock.virtual
        self.now_ns = self.clock.now_ns()
        self.overruns = 0
        self.worst_overrun_ns = 0
        self.hold: AbstractContextManager[None] = nullcontext()
        """Held by whoever touches the world from outside, where another thread might run it: see `wire.keeper`."""
        self.longest_wait_ns = _NEVER_NS
        self.date_ahead_s = 0
        self.on_date: Callable[[int], None] | None = None
        self._heap: list[tuple[int, int, Callback]] = []
        self._sequence = 0
        self._running = False
        self._stopped: WorldStopped | None = None
        self._posted: deque[Callback] = deque()
        self._soon: deque[Callback] = deque()

    # ---- scheduling

    def call_at(self, when_ns: int, callback: Callback) -> None:
        """Run `callback` once at `when_ns`; a time in the past means this instant, after what is already due."""
        self._sequence = sequence = self._sequence + 1
        heapq.heappush(self._heap, (when_ns, sequence, callback))

    def call_soon(self, callback: Callback) -> None:
        """Run `callback` in this instant, before anything else that was received or is due: it belongs to what runs now."""
        if self.virtual:
            self.call_at(self.now_ns, callback)
        else:
            self._soon.append(callback)

    def call_in_turn(self, callback: Callback) -> None:
        """Run `callback` in this instant, or as soon as what was received and is due has had its turn: for long chains."""
        if self.virtual:
            self.call_at(self.now_ns, callback)
        else:
            self._posted.append(callback)

    def timer(self, name: str, callback: Callable[[int], None]) -> Timer:
        """Return a new unarmed timer; `callback` gets the time at which it fires."""
        return Timer(self, name, callback)

    def post(self, callback: Callback) -> None:
        """Run `callback` in the world as soon as it runs; the one method that another thread may call."""
        self._posted.append(callback)
        self.clock.wake()

    def rng(self, name: str) -> random.Random:
        """Return a new random stream that depends on the seed and `name` alone.

        Streams are independent, so an extra draw in one (a fault, say) changes no key made from another.
        """
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - reproducibility is the purpose

    def utc_s(self) -> int:
        """Return the true wall time in whole UTC seconds (a device's own clock may differ: `WallClock`)."""
        return self.clock.epoch_utc_s() + self.date_ahead_s + self.now_ns // 1_000_000_000

    def wait_for_the_date(self, seconds: int) -> None:
        """Wait for `seconds` where only the calendar matters: until a code changes, until a review is over.

        On a bench in real time that owns every calendar on it, `on_date` puts them all forward instead.
        """
        if self.on_date is None:
            self.run_for(seconds * NS_PER_S)
        else:
            self.date_ahead_s += seconds
            self.on_date(seconds)

    def note_late(self, late_ns: int) -> None:
        """Count a deadline that was late by more than `LATE_NS`."""
        self.overruns += 1
        self.worst_overrun_ns = max(self.worst_overrun_ns, late_ns)

    def look_at_the_clock(self) -> None:
        """Let time pass inside a callback, where an instant that took long would count from its beginning."""
        self.now_ns = max(self.now_ns, self.clock.now_ns())

    def catch_up(self, *, anyway: bool) -> None:
        """Serve what came in and fell due while nobody ran the world; unless `anyway`, only if that was for a while. For who
        holds the world.
        """
        left_ns = self.now_ns
        self.look_at_the_clock()
        if anyway or self.now_ns - left_ns > FRESH_NS:
            self.run_held_until_at(_never, self.now_ns)

    def next_deadline_ns(self) -> int | None:
        """Return when something is due next, or None."""
        return self._heap[0][0] if self._heap else None

    # ---- running

    def run_for(self, duration_ns: int) -> None:
        """Let `duration_ns` pass. Raises `NotOnThisCarrier` where time really passes and nobody is to wait so long."""
        if duration_ns > self.longest_wait_ns and not self.virtual:
            raise NotOnThisCarrier(
                f"a wait of {duration_ns / NS_PER_S:g} s: here time passes, and this bench waits "
                f"{self.longest_wait_ns / NS_PER_S:g} s at most (longest_wait in the bench file); the virtual bench jumps"
            )
        self.run_until(_never, duration_ns)

    def run_until(self, done: Callable[[], bool], timeout_ns: int) -> bool:
        """Run until `done()` holds or `timeout_ns` has passed; return whether it holds.

        `done` is asked before the first and after every callback. Raises `WorldStopped` when a callback raises (and
        ever after), `LocalMisuse` when called from inside a callback.
        """
        if timeout_ns < 0:
            raise LocalMisuse(f"time does not run backwards: timeout {timeout_ns} ns")
        if self.virtual:
            return self.run_until_at(done, self.now_ns + timeout_ns)
        with self.hold:
            self.now_ns = max(self.now_ns, self.clock.now_ns())  # between calls nobody moved the world's time
            return self.run_until_at(done, self.now_ns + timeout_ns)

    def run_until_at(self, done: Callable[[], bool], end_ns: int) -> bool:
        """Run until `done()` holds or world time `end_ns` is reached; otherwise as `run_until`."""
        if self.virtual:
            return self.run_held_until_at(done, end_ns)
        with self.hold:
            return self.run_held_until_at(done, end_ns)

    def run_held_until_at(self, done: Callable[[], bool], end_ns: int) -> bool:
        """Run as `run_until_at`, for who holds the world already."""
        if self._stopped is not None:
            raise self._stopped
        if self._running:
            raise LocalMisuse("the world is already running: do not block inside a callback, schedule instead")
        self._running = True
        try:
            return self._run_virtual(done, end_ns) if self.virtual else self._run_real(done, end_ns)
        finally:
            self._running = False

    def _run_virtual(self, done: Callable[[], bool], end_ns: int) -> bool:
        """Jump from deadline to deadline."""
        heap, posted = self._heap, self._posted
        pop = heapq.heappop
        callback: Callback | None = None
        here = 0
        try:
            while not done():
                if posted:
                    callback = posted.popleft()
                    here += 1
                    if here > MAX_EVENTS_PER_INSTANT:
                        self._too_many()
                elif heap and heap[0][0] <= end_ns:
                    when_ns, _, callback = pop(heap)
                    if when_ns > self.now_ns:
                        self.now_ns = when_ns
                        here = 0
                    elif here < MAX_EVENTS_PER_INSTANT:
                        here += 1
                    else:
                        self._too_many()
                else:
                    self.now_ns = max(self.now_ns, end_ns)
                    return done()
                callback()
        except Exception as error:  # noqa: BLE001 - whatever it is, the world stops and says so
            self._stop(callback, error)
        finally:
            self.clock.wait_until(self.now_ns)
        return True

    def _run_real(self, done: Callable[[], bool], end_ns: int) -> bool:
        """Sleep in the kernel until the next deadline, descriptor or posted call.

        What was received is served before a deadline that passed meanwhile: an answer that came in time is not late because
        this process was.
        """
        heap, posted, soon, clock = self._heap, self._posted, self._soon, self.clock
        fire = Timer._fire  # noqa: SLF001 - a timer that was moved meanwhile is late for nothing: it counts for itself
        ready: deque[Callback] = deque()
        callback: Callback | None = None
        without_pause, without_look, over = 0, 0, False
        try:
            while not done():
                if soon:
                    callback = soon.popleft()
                elif ready:
                    callback = ready.popleft()
                elif heap and heap[0][0] <= self.now_ns and heap[0][0] <= end_ns:
                    when_ns, _, callback = heapq.heappop(heap)
                    if when_ns < self.now_ns:  # a deadline, and not what this instant brought about
                        self.now_ns = max(self.now_ns, clock.now_ns())
                    if self.now_ns - when_ns > LATE_NS and getattr(callback, "__func__", None) is not fire:
                        self.note_late(self.now_ns - when_ns)
                elif posted and without_look < LOOK_AFTER:
                    callback = posted.popleft()
                elif over:
                    return False
                else:
                    if not posted:
                        without_pause = 0
                    ready.extend(
                        clock.wait_until(self.now_ns if posted else min(heap[0][0], end_ns) if heap else end_ns)
                    )
                    self.now_ns = max(self.now_ns, clock.now_ns())
                    without_look, over = 0, self.now_ns >= end_ns and not posted
                    continue
                without_pause += 1
                without_look += 1
                if without_pause > MAX_EVENTS_PER_INSTANT:
                    self._too_many()
                callback()
        except Exception as error:  # noqa: BLE001 - whatever it is, the world stops and says so
            self._stop(callback, error)
        return True

    def _stop(self, callback: Callback | None, error: Exception) -> NoReturn:
        """Stand still for good: every later run raises the same."""
        self._stopped = WorldStopped(_core_in(error) or _name_of(callback), self.now_ns, self.seed, error)
        raise self._stopped from error

    def _too_many(self) -> NoReturn:
        raise LocalMisuse(
            f"more than {MAX_EVENTS_PER_INSTANT} callbacks at {self.now_ns} ns without time moving or a pause: "
            "two cores answer each other in a loop"
        )


def _never() -> bool:
    return False


def _core_in(error: Exception) -> str | None:
    """Return the name of the core that was at work when `error` was raised: see `core_name` in `wire.endpoint`."""
    name, step = None, error.__traceback__
    while step is not None:
        name = step.tb_frame.f_locals.get("core_name", name)
        step = step.tb_next
    return name if isinstance(name, str) else None


def _name_of(callback: Callback | None) -> str:
    owner = getattr(callback, "__self__", None)
    name = getattr(owner, "name", None)
    if isinstance(name, str):
        return name
    return getattr(callback, "__qualname__", repr(callback))
