"""Buses under a clock that passes and is always late: what each frame is late by does not add up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from wire.can_bus import CATCH_UP_NS, CanBus
from wire.errors import NotOnThisCarrier
from wire.frame import Frame
from wire.world import World

US, MS = 1_000, 1_000_000


class LateClock:
    """Real time as a busy machine has it, but repeatable: each wait ends `late_ns` after its deadline."""

    virtual = False

    def __init__(self, late_ns: int) -> None:
        self.late_ns = late_ns
        self.time_ns = 0

    def now_ns(self) -> int:
        return self.time_ns

    def wait_until(self, deadline_ns: int | None) -> Sequence[Callable[[], None]]:
        assert deadline_ns is not None
        self.time_ns = max(self.time_ns, deadline_ns) + self.late_ns
        return ()

    def wake(self) -> None:
        """Nobody waits."""

    def epoch_utc_s(self) -> int:
        return 0


def busy_bus(late_ns: int, *, paced: bool = True) -> tuple[World, CanBus, list[int]]:
    world = World(clock=LateClock(late_ns))
    bus = CanBus(world, "obd", paced=paced)
    heard_ns: list[int] = []
    bus.attach("listener").listen(None, lambda _: heard_ns.append(world.now_ns))
    return world, bus, heard_ns


@pytest.mark.parametrize("late_ns", [0, 50 * US, 200 * US, 2 * MS])
def test_a_busy_bus_is_late_by_one_wait_at_the_end_and_not_by_the_sum_of_all(late_ns: int) -> None:
    world, bus, heard_ns = busy_bus(late_ns)
    port, frame, count = bus.attach("sender"), Frame(0x123, bytes(8)), 500
    for _ in range(count):
        port.send(frame)
    assert world.run_until(lambda: len(heard_ns) == count, 10_000 * MS)
    due_ns = count * bus.frame_time_ns(frame)
    assert due_ns <= heard_ns[-1] <= due_ns + 2 * late_ns
    assert bus.load(0, 0) == pytest.approx(1, abs=0.05)


def test_after_a_long_stop_of_the_machine_the_bus_goes_on_from_there_and_makes_up_only_a_little() -> None:
    world, bus, heard_ns = busy_bus(0)
    port, frame, stop_ns = bus.attach("sender"), Frame(0x123, bytes(8)), 1000 * MS
    for _ in range(200):
        port.send(frame)
    assert world.run_until(lambda: len(heard_ns) == 10, 1000 * MS)
    assert isinstance(world.clock, LateClock)
    world.clock.time_ns += stop_ns
    assert world.run_until(lambda: len(heard_ns) == 200, 10_000 * MS)
    due_ns = 200 * bus.frame_time_ns(frame)
    assert due_ns + stop_ns - CATCH_UP_NS - MS <= heard_ns[-1] <= due_ns + stop_ns


def test_an_unpaced_bus_carries_everything_in_the_same_instant_and_still_counts_the_load() -> None:
    world, bus, heard_ns = busy_bus(0, paced=False)
    port, frame = bus.attach("sender"), Frame(0x123, bytes(8))
    for _ in range(100):
        port.send(frame)
    world.run_for(0)
    assert heard_ns == [0] * 100
    assert bus.busy_ns == 100 * bus.frame_time_ns(frame)


def test_a_wait_that_is_longer_than_anybody_waits_is_refused_where_time_passes() -> None:
    world, _, _ = busy_bus(0)
    world.longest_wait_ns = 10 * 1000 * MS
    world.run_for(world.longest_wait_ns)
    with pytest.raises(
        NotOnThisCarrier, match=r"a wait of 10\.001 s: here time passes, and this bench waits 10 s at most"
    ):
        world.run_for(world.longest_wait_ns + MS)
    virtual = World()
    virtual.longest_wait_ns = 1
    virtual.run_for(1000)
    assert virtual.now_ns == 1000


def test_a_wait_for_the_date_lets_time_pass_unless_somebody_puts_the_calendars_forward() -> None:
    world, _, _ = busy_bus(0)
    world.wait_for_the_date(3)
    assert (world.now_ns, world.utc_s()) == (3000 * MS, 3)
    told: list[int] = []
    world.on_date = told.append
    world.wait_for_the_date(60)
    assert (told, world.now_ns, world.utc_s()) == ([60], 3000 * MS, 63)


def test_until_a_time_in_the_past_only_what_is_due_is_done() -> None:
    world, _, _ = busy_bus(0)
    world.run_for(5 * MS)
    done: list[int] = []
    world.call_at(4 * MS, lambda: done.append(1))
    world.call_at(6 * MS, lambda: done.append(2))
    assert not world.run_until_at(lambda: False, 5 * MS)
    assert done == [1]
