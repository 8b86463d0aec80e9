"""The world: order, lazy timers, failing callbacks, the real clock."""

import threading

import pytest

import wire.world
from wire.clock import RealClock, VirtualClock
from wire.errors import LocalMisuse, WorldStopped
from wire.world import World


def test_events_of_one_instant_run_in_the_order_of_scheduling() -> None:
    world, seen = World(), []
    for name in "abc":
        world.call_at(5, lambda name=name: seen.append(name))
    world.call_at(3, lambda: seen.append("early"))
    world.run_for(10)
    assert seen == ["early", "a", "b", "c"]
    assert world.now_ns == 10


def test_a_timer_that_is_moved_ten_thousand_times_keeps_the_heap_small() -> None:
    world, fired = World(), []
    timer = world.timer("S3", fired.append)
    for step in range(10_000):
        timer.set(step + 5_000)
        timer.set(step + 10)  # P2, then S3 again: the pattern that fills a naive heap
        timer.set(step + 5_000)
        world.run_for(1)
    assert len(world._heap) < 20
    world.run_for(10_000)
    assert fired == [9_999 + 5_000]


def test_a_timer_that_is_disarmed_does_not_fire() -> None:
    world, fired = World(), []
    timer = world.timer("x", fired.append)
    timer.set(5)
    timer.set(None)
    world.run_for(10)
    assert not fired


def test_a_failing_callback_stops_the_world_for_good_and_names_node_time_and_seed() -> None:
    world = World(seed=42)

    class Node:
        name = "brakes"

        def fail(self) -> None:
            raise ValueError("boom")

    world.call_at(7, Node().fail)
    with pytest.raises(WorldStopped, match=r"brakes.*seed 42") as stopped:
        world.run_for(10)
    assert stopped.value.now_ns == 7
    assert isinstance(stopped.value.__cause__, ValueError)
    with pytest.raises(WorldStopped):
        world.run_for(1)


def test_running_inside_a_callback_is_refused() -> None:
    world = World()
    world.call_at(1, lambda: world.run_for(1))
    with pytest.raises(WorldStopped) as stopped:
        world.run_for(5)
    assert isinstance(stopped.value.__cause__, LocalMisuse)


def test_two_cores_that_answer_each_other_without_time_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.world, "MAX_EVENTS_PER_INSTANT", 100)
    world = World()

    def again() -> None:
        world.call_at(world.now_ns, again)

    again()
    with pytest.raises(WorldStopped, match="without time moving"):
        world.run_for(1)


def test_streams_are_independent_and_depend_on_seed_and_name_alone() -> None:
    one, two = World(seed=1), World(seed=1)
    one.rng("faults").random()
    assert one.rng("keys").randbytes(8) == two.rng("keys").randbytes(8)
    assert one.rng("keys").randbytes(8) != World(seed=2).rng("keys").randbytes(8)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(LocalMisuse):
        World().run_for(-1)


def test_run_until_says_whether_the_condition_holds() -> None:
    world, seen = World(), []
    world.call_at(5, lambda: seen.append(1))
    assert not world.run_until(lambda: bool(seen), 4)
    assert world.run_until(lambda: bool(seen), 4)
    assert world.now_ns == 5


def test_a_virtual_clock_only_jumps_forward() -> None:
    clock = VirtualClock()
    clock.wait_until(5)
    clock.wait_until(3)
    assert clock.now_ns() == 5


@pytest.mark.realtime
def test_the_real_clock_waits_for_a_deadline_and_wakes_for_another_thread() -> None:
    clock = RealClock()
    world, seen = World(clock=clock), []
    world.call_at(clock.now_ns() + 5_000_000, lambda: seen.append("deadline"))
    world.run_until(lambda: bool(seen), 1_000_000_000)
    thread = threading.Timer(0.01, lambda: world.post(lambda: seen.append("posted")))
    thread.start()
    assert world.run_until(lambda: "posted" in seen, 2_000_000_000)
    thread.join()
    assert seen == ["deadline", "posted"]
    assert world.now_ns < 1_500_000_000
    clock.close()


def test_posted_calls_that_post_again_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.world, "MAX_EVENTS_PER_INSTANT", 100)
    world = World()

    def again() -> None:
        world.post(again)

    again()
    with pytest.raises(WorldStopped, match="without time moving"):
        world.run_for(1)


@pytest.mark.realtime
@pytest.mark.parametrize("way", ["post", "now", "past"])
def test_a_loop_is_found_with_a_real_clock_too(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(wire.world, "MAX_EVENTS_PER_INSTANT", 100)
    clock = RealClock()
    world = World(clock=clock)

    def again() -> None:
        if way == "post":
            world.post(again)
        else:
            world.call_at(world.now_ns if way == "now" else 0, again)

    again()
    with pytest.raises(WorldStopped, match="without time moving"):
        world.run_for(5_000_000_000)
    clock.close()
