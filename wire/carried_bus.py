"""A bus whose wire is elsewhere: what its ports send goes out through one carrier, and what the carrier hears comes to them.

To the devices on it, to taps, traces and faults it is a `CanBus` like any other; arbitration, bit time and acknowledgement are
the carrier's. A frame counts as sent when the carrier confirms it. Faults strike at the carrier's door, in both directions.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from functools import partial

from wire.can_bus import BusPort, CanBus, Listener
from wire.endpoint import Carrier
from wire.frame import EXTENDED, Frame
from wire.world import World

OUTSIDE = "outside"
"""The sender's name that taps are given for a frame that came through the carrier."""


class CarriedBus(CanBus):
    """A bus behind a carrier. Hears the identifiers that somebody on it listens to, so that the kernel can keep a busy bus from
    us; all of them after `hear_all`, or when somebody listens to all.

    The rates count the load (of what is heard) and nothing else. A carrier that is lost sends nothing: frames stay pending
    (N_As) until `carrier_is_back`.
    """

    def __init__(
        self,
        world: World,
        name: str,
        carrier: Carrier,
        *,
        bitrate: int = 500_000,
        data_bitrate: int = 2_000_000,
        fd: bool = False,
    ) -> None:
        super().__init__(world, name, bitrate=bitrate, data_bitrate=data_bitrate, fd=fd, paced=False)
        self._carrier = carrier
        self._outside = BusPort(self, OUTSIDE)
        self._in_flight: deque[tuple[Frame, bool]] = deque()
        """The frames that the carrier has yet to confirm, and whether the current one is done with it."""
        self._ids: set[int] = set()
        self._hears_all = False
        self._handing_over = False
        carrier.on_sent = self._went_out

    def hear_all(self) -> None:
        """Hear everything from now on: for traces, and for guests who look around."""
        if not self._hears_all:
            self._hears_all = True
            self._carrier.listen(None, self._heard_other)

    def _listen(self, port: BusPort, can_ids: Iterable[int] | None, listener: Listener) -> None:
        if can_ids is None:
            super()._listen(port, None, listener)
            self.hear_all()
            return
        ids = tuple(can_ids)
        super()._listen(port, ids, listener)
        new = [can_id for can_id in ids if can_id not in self._ids]
        self._ids.update(new)
        if new:
            self._carrier.listen(new, self._heard)

    def carrier_is_back(self) -> None:
        """The carrier works again: what was pending goes out now."""
        self._in_flight.clear()
        if self._current is not None:
            self._hand_over(self._current[2], last=True)

    # ---- out

    def _enqueue(self, port: BusPort, frame: Frame) -> None:
        """Queue a frame; where nothing waits, and nothing is to happen to it, it goes straight to the carrier."""
        plain_times = self._plain_times
        if (
            self._current is not None
            or self._arbitrating
            or self._queue
            or self.faults is not None
            or port.off
            or frame.fd
            or plain_times is None
        ):
            super()._enqueue(port, frame)
            return
        port.queued += 1
        self._current = (0, 0, frame, port)
        self.busy_ns += plain_times[len(frame.data)] if frame.can_id < EXTENDED else self.frame_time_ns(frame)
        self._hand_over(frame, last=True)

    def _begin_soon(self) -> None:
        """Begin at once: arbitration is the carrier's."""
        self._begin(self.world.now_ns)

    def _begin(self, now_ns: int) -> None:
        """Hand the lowest identifier to the carrier."""
        self._arbitrating = False
        if not self._queue or self._current is not None:
            return
        self._current = current = heapq.heappop(self._queue)
        self._end_ns = now_ns
        frame = current[2]
        self.busy_ns += self.frame_time_ns(frame)
        if self.faults is None:
            self._hand_over(frame, last=True)
        else:
            self._hand_over_faulty(frame, now_ns)

    def _hand_over(self, frame: Frame, *, last: bool) -> None:
        self._in_flight.append((frame, last))
        self._handing_over = True
        self._carrier.send(frame)
        self._handing_over = False

    def _hand_over_faulty(self, frame: Frame, now_ns: int) -> None:
        """Send what the faults leave of a frame; its sender is told that it went out, whatever became of it."""
        assert self.faults is not None
        verdict = self.faults.judge(now_ns, self.name, frame)
        at_once = [changed for delay_ns, changed in verdict.deliveries if not delay_ns]
        for delay_ns, changed in verdict.deliveries:
            if delay_ns:
                self.world.call_at(now_ns + delay_ns, partial(self._hand_over, changed, last=False))
        for number, changed in enumerate(at_once, 1):
            self._hand_over(changed, last=number == len(at_once))
        if not at_once:
            self.world.call_at(now_ns, self._complete)

    def _went_out(self, frame: Frame) -> None:
        """The carrier confirms a frame; one that it was not given, or that was given up when the carrier was lost, is no news."""
        if self._handing_over:  # confirmed from inside `send`: the sender is still at it
            self.world.call_at(self.world.now_ns, partial(self._went_out, frame))
            return
        for entry in self._in_flight:
            if entry[0] is frame or entry[0] == frame:
                self._in_flight.remove(entry)
                if entry[1] and self._current is not None:
                    self._complete()
                return

    def _complete(self) -> None:
        """The frame in flight went out: taps, its sender's confirmation, and whoever else stands on this side."""
        current = self._current
        assert current is not None
        _, _, frame, port = current
        self._current = None
        self._arbitrating = True  # what is sent in answer waits until this frame is told to everybody
        if self._taps:
            self._see(frame, port.name)
        else:
            self.frames_sent += 1
        if not port.off:
            port.queued -= 1
            if port.on_sent is not None:
                port.on_sent(frame)
            self._deliver(frame, port)
        self._arbitrating = False
        if self._queue and self._current is None:
            self._begin(self.world.now_ns)

    # ---- in

    def _heard_other(self, frame: Frame) -> None:
        """A frame came that nobody named: what was named is heard already."""
        if frame.can_id not in self._ids:
            self._heard(frame)

    def _heard(self, frame: Frame) -> None:
        """A frame came from outside."""
        can_id, plain_times = frame.can_id, self._plain_times
        if can_id < EXTENDED and not frame.fd and plain_times is not None:
            self.busy_ns += plain_times[len(frame.data)]  # most frames: not even a call
        else:
            self.busy_ns += self.frame_time_ns(frame)
        if self._taps:
            self._see(frame, OUTSIDE)
        else:
            self.frames_sent += 1
        if self.faults is None:
            for port, listener in self._table.get(can_id, ()):
                if not port.off:
                    listener(frame)
            if self._listen_all:
                for port, listener in self._listen_all:
                    if not port.off:
                        listener(frame)
            return
        now_ns = self.world.now_ns
        for delay_ns, changed in self.faults.judge(now_ns, self.name, frame).deliveries:
            if delay_ns:
                self.world.call_at(now_ns + delay_ns, partial(self._deliver, changed, self._outside))
            else:
                self._deliver(changed, self._outside)

    def _see(self, frame: Frame, sender: str) -> None:
        self.frames_sent += 1
        now_ns = self.world.now_ns
        for tap in self._taps:
            tap(now_ns, self, frame, sender)
