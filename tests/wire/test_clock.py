"""Clocks: the real one waits in the kernel and is woken, the virtual one jumps, a device's calendar may be wrong or unset."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.clock import NS_PER_MS, NS_PER_S, VIRTUAL_EPOCH_UTC_S, RealClock, VirtualClock, WallClock, stopwatch
from wire.world import World

S = NS_PER_S
MS = NS_PER_MS
YEAR_NS = 365 * 24 * 3600 * S


@contextlib.contextmanager
def real_clock() -> Iterator[RealClock]:
    clock = RealClock()
    try:
        yield clock
    finally:
        clock.close()


def wait(clock: RealClock, deadline_ns: int) -> None:
    """Wait, and serve what became readable, as a world does."""
    for serve in clock.wait_until(deadline_ns):
        serve()


# ---- virtual


def test_a_virtual_clock_begins_at_zero_in_a_fixed_year() -> None:
    clock = VirtualClock()
    assert clock.virtual
    assert clock.now_ns() == 0
    assert clock.epoch_utc_s() == 1_767_225_600  # 2026-01-01T00:00:00Z
    clock.wake()
    clock.wait_until(None)
    assert clock.now_ns() == 0


def test_a_virtual_month_takes_no_time() -> None:
    passed = stopwatch()
    world = World()
    world.run_for(30 * 24 * 3600 * S)
    assert world.utc_s() == VIRTUAL_EPOCH_UTC_S + 30 * 24 * 3600
    assert passed() < 0.5


# ---- real


@pytest.mark.realtime
def test_a_real_clock_waits_at_least_until_the_deadline() -> None:
    with real_clock() as clock:
        start_ns = clock.now_ns()
        clock.wait_until(start_ns + 20 * MS)
        assert 19 * MS <= clock.now_ns() - start_ns < 2 * S


@pytest.mark.realtime
def test_a_short_wait_is_late_by_far_less_than_a_millisecond() -> None:
    with real_clock() as clock:
        late_ns = []
        for _ in range(60):
            deadline_ns = clock.now_ns() + 1 * MS
            wait(clock, deadline_ns)
            late_ns.append(clock.now_ns() - deadline_ns)
        assert min(late_ns) >= 0
        assert sorted(late_ns)[len(late_ns) // 2] < MS


@pytest.mark.realtime
def test_two_clocks_agree_on_the_second_that_it_is() -> None:
    with real_clock() as one, real_clock() as other:
        apart_ns = (one.epoch_utc_s() - other.epoch_utc_s()) * S + one.now_ns() - other.now_ns()
        assert abs(apart_ns) < S // 2
        assert 0 <= one.now_ns() < 3 * S


@pytest.mark.realtime
def test_a_deadline_in_the_past_does_not_wait() -> None:
    with real_clock() as clock:
        passed = stopwatch()
        clock.wait_until(0)
        clock.wait_until(-5 * S)
        assert passed() < 1


@pytest.mark.realtime
def test_another_thread_ends_a_wait_without_a_deadline() -> None:
    with real_clock() as clock:
        thread = threading.Timer(0.02, clock.wake)
        thread.start()
        clock.wait_until(None)
        thread.join()
        assert clock.now_ns() < 5 * S


@pytest.mark.realtime
def test_a_wake_up_before_the_wait_is_not_lost_and_many_count_as_one() -> None:
    with real_clock() as clock:
        for _ in range(100_000):  # more than the wake-up channel holds
            clock.wake()
        wait(clock, clock.now_ns() + 10 * S)
        assert clock.now_ns() < 5 * S
        for _ in range(100):  # what is left is drained, then waits are waits again
            wait(clock, clock.now_ns())
        start_ns = clock.now_ns()
        wait(clock, start_ns + 10 * MS)
        assert clock.now_ns() - start_ns >= 9 * MS


@pytest.mark.realtime
def test_a_wait_ends_with_what_a_readable_descriptor_is_to_have_called_until_it_is_forgotten() -> None:
    here, there = socket.socketpair()
    with real_clock() as clock, here, there:
        heard = []
        clock.register(here, lambda: heard.append(here.recv(100)))
        there.send(b"frame")
        wait(clock, clock.now_ns() + 10 * S)
        assert heard == [b"frame"]
        clock.unregister(here)
        there.send(b"more")
        wait(clock, clock.now_ns() + 5 * MS)
        assert heard == [b"frame"]


@pytest.mark.realtime
def test_a_world_in_real_time_keeps_order_and_runs_what_is_posted_while_it_sleeps() -> None:
    with real_clock() as clock:
        world, seen = World(clock=clock), []
        begin_ns = world.now_ns
        world.call_at(begin_ns + 300 * MS, lambda: seen.append("late"))
        world.call_at(begin_ns + 100 * MS, lambda: seen.append("early"))
        threads = [threading.Thread(target=world.post, args=(lambda: seen.append("posted"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert world.run_until(lambda: len(seen) == 10, 10 * S)
        for thread in threads:
            thread.join()
        assert seen[-1] == "late"
        assert seen.index("early") < seen.index("late")
        assert seen.count("posted") == 8


@pytest.mark.realtime
def test_a_run_in_real_time_ends_when_its_time_is_over() -> None:
    with real_clock() as clock:
        world = World(clock=clock)
        passed = stopwatch()
        assert not world.run_until(lambda: False, 20 * MS)
        assert 0.019 <= passed() < 2


@pytest.mark.realtime
def test_lateness_is_counted_not_hidden() -> None:
    with real_clock() as clock:
        world, seen = World(clock=clock), []
        world.call_at(
            world.now_ns, lambda: clock.wait_until(clock.now_ns() + 20 * MS)
        )  # a callback that takes too long
        world.call_at(world.now_ns + 1, lambda: seen.append(1))
        assert world.run_until(lambda: bool(seen), 5 * S)
        assert world.overruns >= 1
        assert world.worst_overrun_ns >= 15 * MS


@pytest.mark.realtime
def test_a_long_chain_of_callbacks_lets_time_pass_and_others_have_their_turn() -> None:
    with real_clock() as clock:
        world = World(clock=clock)
        here, there = socket.socketpair()
        with here, there:
            heard, fired, left = [], [], [20_000]
            clock.register(here, lambda: heard.append(here.recv(10)))
            world.timer("between", fired.append).set(world.now_ns + 1 * MS)
            there.send(b"frame")

            def chain() -> None:
                left[0] -= 1
                if not heard or not fired:
                    world.call_in_turn(chain)

            world.call_in_turn(chain)
            assert world.run_until(lambda: bool(heard and fired), 5 * S)
            assert left[0] > 0
            clock.unregister(here)


@pytest.mark.realtime
def test_what_belongs_to_this_instant_goes_before_what_was_received_and_what_is_due() -> None:
    with real_clock() as clock:
        world, seen = World(clock=clock), []
        world.call_at(world.now_ns, lambda: (seen.append("first"), world.call_soon(lambda: seen.append("its own"))))
        world.call_at(world.now_ns, lambda: seen.append("second"))
        assert world.run_until(lambda: len(seen) == 3, 5 * S)
        assert seen == ["first", "its own", "second"]


# ---- a device's own calendar


def test_a_wall_clock_tells_utc_with_its_offset() -> None:
    assert WallClock(epoch_utc_s=1000).utc_s(0) == 1000
    assert WallClock(epoch_utc_s=1000).utc_s(90 * S) == 1090
    assert WallClock(epoch_utc_s=1000, offset_s=-30).utc_s(90 * S) == 1060
    assert WallClock().utc_s(0) == VIRTUAL_EPOCH_UTC_S


def test_a_wall_clock_tells_whole_seconds_that_have_passed() -> None:
    assert WallClock(epoch_utc_s=0).utc_s(S - 1) == 0
    assert WallClock(epoch_utc_s=0).utc_s(S) == 1


def test_drift_grows_with_time_and_offset_does_not() -> None:
    fast = WallClock(epoch_utc_s=0, drift_ppm=100)
    assert fast.utc_s(0) == 0
    assert fast.utc_s(10_000 * S) == 10_001
    slow = WallClock(epoch_utc_s=0, drift_ppm=-100)
    assert slow.utc_s(10_000 * S) == 9_999


def test_an_unset_clock_says_that_it_does_not_know() -> None:
    clock = WallClock(is_set=False)
    assert clock.utc_s_or_none(0) is None
    clock.is_set = True
    assert clock.utc_s_or_none(0) == VIRTUAL_EPOCH_UTC_S


@given(
    st.integers(0, YEAR_NS), st.integers(0, YEAR_NS), st.integers(-1_000_000, 1_000_000), st.integers(-(10**6), 10**6)
)
def test_a_wall_clock_never_runs_backwards(one_ns: int, two_ns: int, offset_s: int, drift_ppm: int) -> None:
    clock = WallClock(offset_s=offset_s, drift_ppm=drift_ppm)
    early_ns, late_ns = sorted((one_ns, two_ns))
    assert clock.utc_s(early_ns) <= clock.utc_s(late_ns)


def test_the_stopwatch_tells_real_seconds() -> None:
    passed = stopwatch()
    assert 0 <= passed() <= passed() < 10


@given(st.integers(0, 10**9), st.integers(-(10**6), 10**6), st.integers(-(10**5), 10**5))
def test_a_wall_clock_knows_when_a_second_begins(after_s: int, offset_s: int, drift_ppm: int) -> None:
    clock = WallClock(offset_s=offset_s, drift_ppm=drift_ppm)
    second = clock.utc_s(0) + after_s
    at_ns = clock.first_ns(second)
    assert clock.utc_s(at_ns) == second
    assert clock.utc_s(at_ns - 1) == second - 1
