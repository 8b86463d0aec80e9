"""Faults on the wire: every knob in one rule, every draw from one seeded stream.

A rule names a bus, an identifier and a time window, and what happens to a frame that matches all three.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from wire.errors import LocalMisuse
from wire.frame import Frame

FaultKind = Literal["drop", "duplicate", "delay", "corrupt", "error"]
FOREVER_NS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault. `drop`: acknowledged, but nobody hears it (a full receive buffer). `duplicate`: heard twice. `delay`: heard
    `delay_ns` later. `corrupt`: one bit of the data flipped. `error`: an error frame destroys it; the sender tries again.

    None for `bus` or `can_id` matches all. `skip` matching frames pass before the first fault, `count` bounds the faults.
    """

    kind: FaultKind
    bus: str | None = None
    can_id: int | None = None
    from_ns: int = 0
    until_ns: int = FOREVER_NS
    probability: float = 1.0
    skip: int = 0
    count: int | None = None
    delay_ns: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise LocalMisuse(f"there is no fault {self.kind!r}; there are: {', '.join(get_args(FaultKind))}")
        if self.skip < 0 or (self.count is not None and self.count < 0):
            raise LocalMisuse(f"skip and count are numbers of frames, not {self.skip} and {self.count}")
        if not 0.0 <= self.probability <= 1.0:
            raise LocalMisuse(f"a probability lies between 0 and 1, not {self.probability}")
        if self.kind == "delay" and self.delay_ns <= 0:
            raise LocalMisuse("a delay fault needs delay_ns above 0")
        if self.from_ns > self.until_ns:
            raise LocalMisuse(f"fault window is empty: from {self.from_ns} ns until {self.until_ns} ns")


@dataclass(slots=True)
class Verdict:
    """What becomes of one frame: destroyed by an error frame, or a list of (delay in ns, frame as received)."""

    error: bool
    deliveries: list[tuple[int, Frame]]


class FaultInjector:
    """Judges frames against rules. One injector serves all buses of a bench; `rng` is its own named stream.

    `on_strike(now_ns, text)` is told of every frame that a rule struck: which rule, where, and what came of the frame.
    """

    def __init__(self, rng: random.Random, on_strike: Callable[[int, str], None] = lambda _now_ns, _text: None) -> None:
        self.on_strike = on_strike
        self._rng = rng
        self._rules: list[tuple[FaultRule, list[int]]] = []
        self.injected = 0

    def add(self, rule: FaultRule) -> None:
        """Put a rule in force; earlier rules judge first."""
        self._rules.append((rule, [rule.skip, 0]))

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()

    def judge(self, now_ns: int, bus: str, frame: Frame) -> Verdict:
        """Return what happens to `frame`, which went out on `bus` at `now_ns`."""
        deliveries = [(0, frame)]
        for rule, state in self._rules:
            if not self._strikes(rule, state, now_ns, bus, frame):
                continue
            self.injected += 1
            match rule.kind:
                case "error" | "drop":
                    deliveries = []
                case "duplicate":
                    deliveries = deliveries + deliveries
                case "delay":
                    deliveries = [(delay_ns + rule.delay_ns, received) for delay_ns, received in deliveries]
                case "corrupt":
                    deliveries = [(delay_ns, self._flip(received)) for delay_ns, received in deliveries]
            came = ", ".join(f"{received!r} {delay_ns} ns later" for delay_ns, received in deliveries) or "nothing"
            self.on_strike(now_ns, f"{rule.kind} on {bus}: {frame!r} became {came}")
            if not deliveries:
                return Verdict(error=rule.kind == "error", deliveries=[])
        return Verdict(error=False, deliveries=deliveries)

    def _strikes(self, rule: FaultRule, state: list[int], now_ns: int, bus: str, frame: Frame) -> bool:
        if rule.bus is not None and rule.bus != bus:
            return False
        if rule.can_id is not None and rule.can_id != frame.can_id:
            return False
        if not rule.from_ns <= now_ns < rule.until_ns:
            return False
        if state[0] > 0:
            state[0] -= 1
            return False
        if rule.count is not None and state[1] >= rule.count:
            return False
        if rule.probability < 1.0 and self._rng.random() >= rule.probability:
            return False
        state[1] += 1
        return True

    def _flip(self, frame: Frame) -> Frame:
        if not frame.data:
            return frame
        bit = self._rng.randrange(8 * len(frame.data))
        data = bytearray(frame.data)
        data[bit // 8] ^= 1 << (bit % 8)
        return Frame(frame.can_id, bytes(data), frame.fd, frame.brs)
