"""The trace in memory: its digest tells recordings apart, and depends on nothing but what was recorded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trace_records import SHAPES, frames

from wire.can_bus import CanBus
from wire.frame import Frame
from wire.trace import BATCH, Trace
from wire.world import World

FRAMES = [(("obd", "body")[number % 2], frame) for number, frame in enumerate(SHAPES)]
recordings = st.lists(st.tuples(st.sampled_from(["obd", "body"]), frames), max_size=30)


class Recording:
    """Frames sent on two buses, and the trace of them. `sent`: (now_ns, bus, frame)."""

    def __init__(self, frames: list[tuple[str, Frame]], *, keep: bool = True, gap_ns: int = 1_234_567) -> None:
        self.world = World()
        self.trace = Trace(keep=keep)
        self.sent: list[tuple[int, str, Frame]] = []
        buses = {name: CanBus(self.world, name, fd=True) for name in ("obd", "body")}
        ports = {name: bus.attach("sender") for name, bus in buses.items()}
        for bus in buses.values():
            bus.attach("listener")
            self.trace.attach(bus)
            bus.tap(lambda now_ns, bus, frame, _sender: self.sent.append((now_ns, bus.name, frame)))
        for number, (name, frame) in enumerate(frames):
            self.world.call_at(number * gap_ns, lambda name=name, frame=frame: ports[name].send(frame))
        self.world.run_for(len(frames) * gap_ns + 10**9)


def test_what_was_sent_is_kept_in_its_order() -> None:
    recording = Recording(FRAMES)
    kept = [
        (now_ns, recording.trace.buses[bus], Frame(can_id, data, bool(flags & 1), bool(flags & 2)))
        for now_ns, bus, can_id, flags, data in recording.trace.kept()
    ]
    assert kept == recording.sent


def test_the_digest_does_not_depend_on_what_is_kept() -> None:
    kept, forgotten = Recording(FRAMES), Recording(FRAMES, keep=False)
    assert kept.trace.digest() == forgotten.trace.digest()
    assert kept.trace.count == forgotten.trace.count == len(FRAMES)
    assert len(kept.trace.kept()) == len(FRAMES)
    assert not forgotten.trace.kept()


@given(recordings, recordings)
def test_the_digest_tells_recordings_apart(one: list, two: list) -> None:
    first, second = Recording(one), Recording(two)
    assert (first.trace.digest() == second.trace.digest()) == (first.sent == second.sent)


def test_asking_for_the_digest_on_the_way_changes_nothing() -> None:
    def digest(ask_every: int) -> str:
        trace, world = Trace(), World()
        bus = CanBus(world, "obd")
        port = bus.attach("a")
        bus.attach("b")
        trace.attach(bus)
        for number in range(BATCH + 100):
            port.send(Frame(0x100, number.to_bytes(2, "big")))
            world.run_for(10**6)
            if number % ask_every == 0:
                trace.digest()
        assert trace.digest() == trace.digest()
        assert trace.count == BATCH + 100
        return trace.digest()

    assert digest(7) == digest(10**6)


@pytest.mark.parametrize("change", [(2, "audit", b"issued"), (1, "phone", b"issued"), (1, "audit", b"refused"), None])
def test_notes_are_part_of_the_digest(change: tuple | None) -> None:
    def digest(note: tuple | None) -> str:
        trace = Trace()
        if note is not None:
            trace.note(*note)
        return trace.digest()

    assert digest((1, "audit", b"issued")) == digest((1, "audit", b"issued"))
    assert digest(change) != digest((1, "audit", b"issued"))
