"""Replays a recorded car to a tester: what followed in the log when a frame was sent follows when it is sent again.

The channel is the path of a log. Options:
`bus`        which bus of the log, if it has several
`sent_ids`   the identifiers that the recorded tester sent with; default: those with which the log has UDS requests that were
             answered, and whatever is sent
`timing`     `recorded` (default): each frame as long after the tester's as in the log; `at_once`: without delay
`loop`       at the end of the log its beginning counts again
`strict`     a frame that the log does not have next with its identifier ends the replay (`ReplayDiverged`); otherwise it is met
             by silence, as a car does that knows no answer

What stands before the tester's first frame comes by its time, counted from opening (with `sent_ids: []` that is the whole log).
After a match the log runs on to the tester's next frame and waits there. Each identifier of the tester has its own place in the
log, so that requests to two units may change turns. Tester present without answer (`3E 80`) is met anywhere. At the end there is
silence and no fault: a car that sleeps says nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vci_driver.api import ChannelLost, FoundChannel, RawChannel
from vci_driver.channel import BaseChannel
from vci_driver.drivers.replay_log import Recorded, askers, read_log
from wire.errors import LocalMisuse
from wire.frame import Frame, format_can_id
from wire.world import World

OPTIONS = ("bus", "sent_ids", "timing", "loop", "strict")
TIMINGS = ("recorded", "at_once")
LOOP_PAUSE_NS = 10_000_000
"""Between the end of what is repeated and its beginning: without it a log of one instant would stop the world's time."""
TESTER_PRESENT = b"\x02\x3e\x80"


class ReplayDiverged(ChannelLost):
    """The tester sent what the recorded one did not: `sent`, where the log has `expected` next (None: nothing more)."""

    def __init__(self, text: str, *, sent: Frame, expected: Frame | None) -> None:
        super().__init__(text)
        self.sent = sent
        self.expected = expected


@dataclass(slots=True, kw_only=True)
class _Head:
    """A stretch of the log that is being played: from `index` to before `end`, log time plus `offset_ns` being world time."""

    index: int
    end: int
    offset_ns: int
    ids: set[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a log is replayed: see the head of this file."""

    bus: str | None = None
    sent_ids: frozenset[int] | None = None
    at_once: bool = False
    loop: bool = False
    strict: bool = False


class ReplayChannel(BaseChannel):
    """A recorded car."""

    fd = True
    one_way = "a recording answers what was recorded, and nobody hears what is sent to it"

    def __init__(self, log: Sequence[Recorded], world: World, name: str, options: ReplayOptions) -> None:
        super().__init__(world, name)
        self._log = log
        self._options = options
        self._sent_ids = set(askers(log) if options.sent_ids is None else options.sent_ids)
        self._tester: dict[int, list[int]] = {}
        """For each identifier of the tester: where in the log it sent."""
        self._gates: list[int] = []
        """All those places, sorted: a stretch ends before the next."""
        self._next: dict[int, int] = {}
        """For each of those identifiers: how many of its frames are behind."""
        self._heads: list[_Head] = []
        self._timer = world.timer(f"{name}/player", self._play)
        self._map()
        self._before_first = True
        self._start(0, world.now_ns - log[0][0])

    # ---- the tester's side

    def _transmit(self, frame: Frame) -> None:
        self.confirm_soon(frame)
        if frame.data[:3] == TESTER_PRESENT:
            return
        if self._options.sent_ids is None and frame.can_id not in self._sent_ids:
            self._sent_ids.add(frame.can_id)
            self._map()
        place = self._match(frame)
        if place is None:
            if self._options.strict:
                self._diverged(frame)
            return
        if self._before_first:
            self._before_first = False
            self._heads.clear()
        self._start(place + 1, self.world.now_ns - self._log[place][0])

    def _shut(self) -> None:
        self._lost()

    def _lost(self) -> None:
        self._timer.set(None)
        self._heads.clear()

    # ---- where in the log

    def _map(self) -> None:
        """Find the tester's frames, as far as its identifiers are known."""
        self._tester = {can_id: [] for can_id in self._sent_ids}
        for index, (_, frame) in enumerate(self._log):
            if frame.can_id in self._sent_ids and frame.data[:3] != TESTER_PRESENT:
                self._tester[frame.can_id].append(index)
        self._gates = sorted(index for places in self._tester.values() for index in places)

    def _match(self, frame: Frame) -> int | None:
        """Return where the log has this frame next, and be behind it."""
        places = self._tester.get(frame.can_id, [])
        behind = self._next.get(frame.can_id, 0)
        ahead = list(range(behind, len(places)))
        if self._options.loop:
            ahead += range(behind)
        for count in ahead[:1] if self._options.strict else ahead:
            if _meaning(self._log[places[count]][1]) == _meaning(frame):
                self._next[frame.can_id] = count + 1
                return places[count]
        return None

    def _diverged(self, frame: Frame) -> None:
        places = self._tester.get(frame.can_id, [])
        behind = self._next.get(frame.can_id, 0)
        expected, where = None, "nothing more"
        if behind < len(places):
            when_ns, expected = self._log[places[behind]]
            where = f"{expected!r}, {(when_ns - self._log[0][0]) / 1e9:.6f} s from its beginning,"
        text = f"{self.name}: {frame!r} was sent, and the log has {where} next with the identifier {format_can_id(frame.can_id)}"
        self.lose(ReplayDiverged(text, sent=frame, expected=expected))

    # ---- playing

    def _start(self, index: int, offset_ns: int) -> None:
        """Play from `index` to the tester's next frame. An identifier is played by the newest stretch that has it."""
        gate = bisect_left(self._gates, index)
        end = self._gates[gate] if gate < len(self._gates) else len(self._log)
        ids = {self._log[number][1].can_id for number in range(index, end)}
        for head in self._heads:
            head.ids -= ids
        self._heads.append(_Head(index=index, end=end, offset_ns=offset_ns, ids=ids))
        self._arm()

    def _play(self, now_ns: int) -> None:
        """Deliver what is due, in the order of its time; a listener may send from inside and start another stretch."""
        while self._heads:
            head = min(self._heads, key=self._due_ns)
            if self._due_ns(head) > now_ns:
                break
            if head.index >= head.end:
                self._heads.remove(head)
                continue
            when_ns, frame = self._log[head.index]
            head.index += 1
            self._end_of(head)
            if frame.can_id in head.ids and frame.can_id not in self._sent_ids:
                self.deliver(frame, when_ns)
        self._arm()

    def _end_of(self, head: _Head) -> None:
        """Begin again what stands before the tester's first frame, if it is to be repeated."""
        if head.index == head.end and self._before_first and self._options.loop:
            period_ns = self._log[head.end - 1][0] - self._log[0][0] + LOOP_PAUSE_NS
            head.index, head.offset_ns = 0, head.offset_ns + period_ns

    def _due_ns(self, head: _Head) -> int:
        if head.index >= head.end:
            return 0
        if self._options.at_once and not (self._before_first and head.index == 0):
            return 0
        return self._log[head.index][0] + head.offset_ns

    def _arm(self) -> None:
        if self._heads and not self.is_dead():
            self._timer.set(max(self.world.now_ns, min(self._due_ns(head) for head in self._heads)))


def _meaning(frame: Frame) -> tuple[int, bytes]:
    """Return what two frames must share to be the same: padding, and the pause that a flow control asks for, need not be."""
    data = frame.data
    kind = data[0] >> 4 if data else -1
    if kind == 0 and 0 < data[0] < len(data):  # single frame: its length in the first byte
        return frame.can_id, data[: data[0] + 1]
    if kind == 0 and len(data) > 8 and data[0] == 0:  # single frame of CAN FD: length in the second
        return frame.can_id, data[: data[1] + 2]
    if kind == 3:  # flow control: status and block size
        return frame.can_id, data[:2]
    return frame.can_id, data


class ReplayDriver:
    """Replays a recorded log to a tester."""

    name = "replay"

    def open(self, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
        """Open a log. It runs in virtual and in real time."""
        read = read_options(options)
        return ReplayChannel(read_log(Path(channel), read.bus), world, f"replay:{channel}", read)

    def detect(self) -> tuple[FoundChannel, ...]:
        """Find nothing: which file is meant, only its owner knows."""
        return ()


def read_options(options: Mapping[str, object]) -> ReplayOptions:
    """Check options; raise `LocalMisuse` that says which are there."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise LocalMisuse(f"the replay driver has no option {unknown[0]!r}; it has {', '.join(OPTIONS)}")
    timing = options.get("timing", "recorded")
    if timing not in TIMINGS:
        raise LocalMisuse(f"the option timing is one of {', '.join(TIMINGS)}, not {timing!r}")
    switches = {name: options.get(name, False) for name in ("loop", "strict")}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise LocalMisuse(f"the option {name} is true or false, not {value!r}")
    ids, bus = options.get("sent_ids"), options.get("bus")
    if ids is not None and not (isinstance(ids, list | tuple | set | frozenset) and all(type(i) is int for i in ids)):
        raise LocalMisuse(f"the option sent_ids is a list of identifiers, such as [0x7E0, 0x700], not {ids!r}")
    return ReplayOptions(
        bus=None if bus is None else str(bus),
        sent_ids=None if ids is None else frozenset(ids),
        at_once=timing == "at_once",
        loop=switches["loop"] is True,
        strict=switches["strict"] is True,
    )
