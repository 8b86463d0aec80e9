"""The contract of every sans-IO core that speaks CAN, and the one glue that stands between cores and carriers.

A core owns state and nothing else. Inputs: frames, the confirmation that a frame of its own went out, and time. Outputs:
frames (each naming its port), events, the next wake-up. One frame is in flight per core and port.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Protocol

from wire.frame import Frame
from wire.world import World


class Core(Protocol):
    """A device or protocol without socket, thread, sleep or clock. Ports are small integers from 0.

    `outputs` holds (port, frame) pairs to put on the bus; after handing one over, the glue waits for that port's
    `frame_sent` before it hands over the next for the same port: a core only queues there what may go out now.
    """

    name: str
    outputs: deque[tuple[int, Frame]]

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Take a frame that arrived on `port`."""

    def frame_sent(self, port: int, now_ns: int) -> None:
        """Learn that the frame in flight on `port` went out."""

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due at `now_ns`."""

    def next_deadline(self) -> int | None:
        """Return when `handle_timer` wants to be called next, or None."""

    # A core may have `pacing(port) -> bool` too: whether it counts a separation time from the next confirmation.


class Carrier(Protocol):
    """One place on a bus, virtual or real: what `wire.can_bus.BusPort` offers, and a VCI driver's raw channel."""

    on_sent: Callable[[Frame], None] | None

    def send(self, frame: Frame) -> None:
        """Put a frame on the bus; `on_sent` confirms it."""

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all)."""


class Endpoint:
    """Puts a core on carriers: hands it frames, confirmations and wake-ups, and its frames to the bus.

    After calling a core's own methods from outside (to send a request, say), call `flush()`: it hands over what the core
    wants to send and re-arms its wake-up. `on_events` runs after each input that left something in `events` (the core's own
    queue); what it makes the core send is handed over after it. Callbacks are closures: they run for every frame.
    """

    __slots__ = ("_core", "_events", "_on_events", "_timer", "flush", "name", "world")

    def __init__(
        self,
        world: World,
        core: Core,
        ports: Sequence[tuple[Carrier, Iterable[int] | None]],
        *,
        events: Sized = (),
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self.world = world
        self.name = core.name
        self._core = core
        self._events = events
        self._on_events = on_events
        self._timer = world.timer(core.name, self._on_timer)
        self.flush = self._flush_callback([carrier for carrier, _ in ports])
        for number, (carrier, can_ids) in enumerate(ports):
            carrier.on_sent = self._sent_callback(number)
            carrier.listen(can_ids, self._receive_callback(number))

    def _flush_callback(self, carriers: Sequence[Carrier]) -> Callable[[], None]:
        outputs, next_deadline, timer = self._core.outputs, self._core.next_deadline, self._timer

        def flush() -> None:
            while outputs:
                port, frame = outputs.popleft()
                carriers[port].send(frame)
            deadline_ns = next_deadline()
            if deadline_ns is None or deadline_ns >= timer.armed_ns:
                timer.deadline_ns = deadline_ns
            else:
                timer.set(deadline_ns)

        return flush

    def _receive_callback(self, port: int) -> Callable[[Frame], None]:
        world, receive, flush = self.world, self._core.receive, self.flush
        events, on_events = self._events, self._on_events

        def on_frame(frame: Frame, core_name: str = self.name) -> None:  # noqa: ARG001 - the world reads it from a traceback
            receive(port, frame, world.now_ns)
            if events:
                on_events()
            flush()

        return on_frame

    def _sent_callback(self, port: int) -> Callable[[Frame], None]:
        world, frame_sent, flush = self.world, self._core.frame_sent, self.flush
        events, on_events = self._events, self._on_events

        def on_sent(_: Frame, core_name: str = self.name) -> None:  # noqa: ARG001 - as in on_frame
            frame_sent(port, world.now_ns)
            if events:
                on_events()
            flush()

        pacing: Callable[[int], bool] | None = getattr(self._core, "pacing", None)
        if world.virtual or pacing is None:
            return on_sent

        def on_sent_in_real_time(frame: Frame) -> None:
            if pacing(port):  # the instant that is being served began before the frame went out
                world.look_at_the_clock()
            on_sent(frame)

        return on_sent_in_real_time

    def _on_timer(self, now_ns: int) -> None:
        self._core.handle_timer(now_ns)
        if self._events:
            self._on_events()
        self.flush()
