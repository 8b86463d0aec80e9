"""The keeper of a world in real time: runs it while nobody else does, so that tester present goes out between two calls.

Who calls something blocking runs the world himself, as in virtual time: a request costs no change of threads. The keeper
takes over when he has been away for `GRACE_S`, or sooner when a deadline is near, and gives way when somebody comes. Only
who holds the world (`with world.hold:`) may touch what lives in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from wire.clock import NS_PER_S
from wire.errors import WorldStopped
from wire.world import World

GRACE_S = 0.05
"""How long a caller may be away before the keeper takes over: taking the world back from it costs two changes of threads."""
SHORT_GRACE_S = 0.005
"""The same where a deadline is near: a caller who asks one thing after the other serves it himself."""
FOREVER_NS = 1 << 62


class InWorld(Protocol):
    """What lives in a world."""

    world: World


S = TypeVar("S", bound=InWorld)
P = ParamSpec("P")
T = TypeVar("T")


def held(act: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method hold its world: in real time a keeper may run it meanwhile."""

    @wraps(act)
    def holding(self: S, /, *args: P.args, **keywords: P.kwargs) -> T:
        with self.world.hold:
            return act(self, *args, **keywords)

    return holding


class Keeper:
    """Keeps one world going. Use as `world.hold`, which it becomes; `close` ends it.

    The lock is re-entrant: who holds the world may call what holds it again.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._waiting: set[int] = set()
        self._uses = 0
        self._depth = 0
        self._looks_ns = 0
        self._hurry = threading.Event()
        self._active = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._keep, name="keeper of the world", daemon=True)
        world.hold = self
        self._thread.start()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            me = threading.get_ident()
            self._waiting.add(me)
            self._world.clock.wake()
            try:
                self._lock.acquire()
            finally:  # Ctrl-C ends the wait: who is gone is not waited for
                self._waiting.discard(me)
        self._depth += 1
        self._uses += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            if not self._active.is_set():
                self._active.set()
            due_ns = self._world.next_deadline_ns()
            if due_ns is not None and due_ns < self._looks_ns:
                self._hurry.set()  # it looks too late for this one: let it plan anew
        self._lock.release()

    def close(self) -> None:
        """End the keeper; the world stands still from here on unless somebody runs it."""
        self._ending = True
        self._hurry.set()
        self._active.set()
        with self:
            pass
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _keep(self) -> None:
        while not self._ending:
            self._active.wait()  # nobody has been here since the last watch: it goes on below, or there was none yet
            uses = self._uses
            self._hurry.wait(self._patience_s())
            self._hurry.clear()
            if self._ending or uses != self._uses:
                continue
            with self._lock:
                if uses != self._uses:
                    continue
                self._active.clear()
                try:
                    self._world.run_until(self._give_way, FOREVER_NS)
                except WorldStopped:  # whoever comes next is told
                    return

    def _patience_s(self) -> float:
        """Return how long to leave the caller alone: less where a deadline is near, which nobody but us may be there to serve."""
        now_ns, due_ns = self._world.clock.now_ns(), self._world.next_deadline_ns()
        left_s = GRACE_S if due_ns is None else min(GRACE_S, max(SHORT_GRACE_S, (due_ns - now_ns) / NS_PER_S))
        self._looks_ns = now_ns + int((left_s if left_s > SHORT_GRACE_S else 0) * NS_PER_S)
        return left_s

    def _give_way(self) -> bool:
        return bool(self._waiting) or self._ending
