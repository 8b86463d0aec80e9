"""What a control unit hears: each message's last good frame, what was wrong with others, and the vehicle as it follows from it.

A frame that is too short, whose checksum is wrong, or whose counter did not move says nothing: its values go on ageing. What
was not said for `TIMEOUT_CYCLES` is unknown. A counter that jumps lost frames; the one that came is good (all our own choice).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ecu_sim.restbus.message import CyclicMessage, Signal
from ecu_sim.restbus.sources import SIGNAL_SOURCES
from ecu_sim.vehicle_state import VehicleState

TIMEOUT_CYCLES = 5
"""After so many cycle times without a good frame a message counts as gone: a frame or two may be lost on a disturbed bus."""


class Reception:
    """One message as one unit hears it. Counts: `good` frames, `wrong_checksums`, `repeated` counters, `lost` by a counter's
    jump, `too_short`. `fault`: what was wrong with the last frame, empty where nothing was.
    """

    __slots__ = (
        "_count",
        "data",
        "fault",
        "good",
        "good_ns",
        "heard_ns",
        "lost",
        "message",
        "repeated",
        "timeout_ns",
        "too_short",
        "wrong_checksums",
    )

    def __init__(self, message: CyclicMessage) -> None:
        self.message = message
        self.timeout_ns = TIMEOUT_CYCLES * message.cycle_ns
        self.good = self.wrong_checksums = self.repeated = self.lost = self.too_short = 0
        self.forget()

    def forget(self) -> None:
        """Forget what was heard, as a restart does."""
        self.data: bytes | None = None
        self.good_ns = self.heard_ns = 0
        self.fault = ""
        self._count: int | None = None

    def take(self, data: bytes, now_ns: int) -> None:
        """Take the bytes of a frame with this message's identifier."""
        message = self.message
        self.heard_ns = now_ns
        if len(data) < message.size:
            self.too_short += 1
            self.fault = f"{len(data)} bytes instead of {message.size}"
            return
        data = data[: message.size]
        if message.checksum_at is not None and data[message.checksum_at] != message.checksum(data):
            self.wrong_checksums += 1
            self.fault = "checksum wrong"
            return
        if message.counter is not None:
            count, last = message.counter.raw_of(data), self._count
            if count == last:
                self.repeated += 1
                self.fault = f"counter stands at {count}"
                return
            if last is not None:
                self.lost += (count - last - 1) % message.counter_end
            self._count = count
        self.good += 1
        self.fault = ""
        self.data = data
        self.good_ns = now_ns

    def known(self, now_ns: int) -> bytes | None:
        """Return the last good frame's bytes, or None where there was none for too long."""
        return self.data if now_ns - self.good_ns <= self.timeout_ns else None

    def status(self, now_ns: int) -> str:
        """Return one line for people: `heard`, or since when not and why."""
        if self.data is None:
            return f"never heard{f' ({self.fault})' if self.fault else ''}"
        if self.known(now_ns) is not None:
            return "heard"
        return f"not heard for {(now_ns - self.good_ns) // 1_000_000} ms{f' ({self.fault})' if self.fault else ''}"


OWN_SENSES = frozenset(("supply_mv", "battery", "sleeping"))
"""What a control unit knows without a bus: the voltage at its own supply pin, and whether its buses sleep (our own choice)."""


class HeardVehicle:
    """The vehicle as a unit on a rest bus knows it: a `ecu_sim.vehicle_state.VehicleView`.

    What it measures itself (its supply, and what it tells the others) it takes from the truth; all else from what it hears.
    """

    def __init__(self, truth: VehicleState, told: Iterable[CyclicMessage], heard: Iterable[Reception]) -> None:
        self._truth = truth
        self._own = OWN_SENSES | {
            SIGNAL_SOURCES[signal.source].value
            for message in told
            for signal in message.signals.values()
            if signal.source is not None
        }
        heard_of: dict[str, tuple[Reception, Signal]] = {}
        for reception in heard:
            for signal in reception.message.signals.values():
                if signal.source is not None:
                    heard_of.setdefault(signal.source, (reception, signal))
        self._heard: Mapping[str, tuple[Reception, Signal]] = heard_of

    def read(self, value: str, now_ns: int) -> float | None:
        """See `VehicleView`: None for what was not heard, or not lately."""
        if value in self._own:
            return self._truth.read(value, now_ns)
        found = self._heard.get(value)
        if found is None:
            return None
        reception, signal = found
        data = reception.known(now_ns)
        return None if data is None else signal.to_physical(signal.raw_of(data))

    def status(self, value: str, now_ns: int) -> str:
        """Return one line for people about a value: where it comes from, and how that is."""
        if value in self._own:
            return f"{value}: measured by the unit itself"
        found = self._heard.get(value)
        if found is None:
            return f"{value}: no message on this bus carries it"
        reception, signal = found
        return f"{value}: {reception.message.name}.{signal.name} {reception.status(now_ns)}"
