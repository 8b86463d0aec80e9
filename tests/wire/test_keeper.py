"""The keeper of a world in real time: the world goes on while nobody calls, gives way to who does, and tells what broke it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from channel_pair import real_world
from command_line import environment
from served_car import PATIENCE_S, eventually

from wire.clock import stopwatch
from wire.errors import LocalMisuse, WorldStopped
from wire.keeper import Keeper
from wire.world import World

pytestmark = pytest.mark.realtime
MS, S = 10**6, 10**9


@pytest.fixture
def world() -> Iterator[World]:
    with real_world() as made:
        keeper = Keeper(made)
        yield made
        keeper.close()


def beating(world: World, period_ns: int = 2 * MS) -> list[str]:
    """Return the names of the threads in which a timer fired so far."""
    beats: list[str] = []

    def beat(now_ns: int) -> None:
        beats.append(threading.current_thread().name)
        timer.set(now_ns + period_ns)

    timer = world.timer("beat", beat)
    with world.hold:
        timer.set(world.now_ns)
    return beats


def test_before_anybody_was_there_the_world_stands_still(world: World) -> None:
    assert not eventually(lambda: world.now_ns > S, 0.05)


def test_a_timer_goes_on_while_nobody_calls_anything(world: World) -> None:
    beats = beating(world)
    assert eventually(lambda: len(beats) > 20)
    assert set(beats) == {"keeper of the world"}


def test_who_calls_something_runs_the_world_himself_and_the_keeper_takes_over_again(world: World) -> None:
    beats = beating(world)
    assert eventually(lambda: len(beats) > 3)
    for _ in range(3):
        world.run_for(10 * MS)
        assert beats[-1] == "MainThread"
        count = len(beats)
        assert eventually(lambda count=count: len(beats) > count + 3)
        assert beats[-1] == "keeper of the world"


def test_taking_the_world_back_is_a_matter_of_microseconds_not_of_the_keepers_next_deadline(world: World) -> None:
    with world.hold:
        world.call_at(world.now_ns + 3600 * S, lambda: None)
    assert eventually(lambda: world._running)
    passed = stopwatch()
    world.run_for(0)
    assert passed() < PATIENCE_S / 2


def test_who_holds_the_world_may_call_what_holds_it_again_and_nobody_else_runs_it(world: World) -> None:
    beats = beating(world)
    with world.hold:
        count = len(beats)
        with world.hold:
            assert not eventually(lambda: len(beats) > count, 0.06)
        world.run_for(5 * MS)
        assert set(beats[count:]) == {"MainThread"}
        count = len(beats)
        assert not eventually(lambda: len(beats) > count, 0.06)
    assert eventually(lambda: len(beats) > count)


def test_two_threads_call_and_neither_disturbs_the_other(world: World) -> None:
    beats = beating(world)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(50):
                assert world.run_until(lambda: True, S)
                world.run_for(0)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert not failures
    assert eventually(lambda: beats and beats[-1] == "keeper of the world")


def test_two_hundred_short_requests_from_three_threads_never_lock_up(world: World) -> None:
    """Each request posts an answer for itself and waits for it, as a link does."""
    failures: list[BaseException] = []
    beats = beating(world)

    def ask(number: int) -> None:
        try:
            for turn in range(200):
                came: list[int] = []
                with world.hold:
                    world.call_at(world.now_ns + (turn % 3) * 100_000, lambda came=came: came.append(1))
                    assert world.run_until(lambda came=came: bool(came), 10 * S)
                if turn % 50 == number:
                    eventually(lambda: False, 0.03)  # the keeper takes over meanwhile
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not failures
    assert not world.hold._waiting
    count = len(beats)
    assert eventually(lambda: len(beats) > count)


def test_an_error_in_a_callback_while_the_keeper_runs_reaches_the_next_caller_and_every_later_one(world: World) -> None:
    def fail() -> None:
        raise ValueError("the gateway burns")

    with world.hold:
        world.call_at(world.now_ns, fail)
    keeper = world.hold._thread
    assert eventually(lambda: not keeper.is_alive())
    for _ in range(2):
        with pytest.raises(WorldStopped, match="the gateway burns"):
            world.run_for(0)


def test_what_is_posted_from_another_thread_is_done_while_nobody_calls(world: World) -> None:
    world.run_for(0)
    done: list[str] = []
    assert eventually(lambda: world._running)
    world.post(lambda: done.append(threading.current_thread().name))
    assert eventually(lambda: done)
    assert done == ["keeper of the world"]


def test_blocking_inside_a_callback_is_refused_where_the_keeper_runs_too(world: World) -> None:
    refused: list[LocalMisuse] = []

    def block() -> None:
        try:
            world.run_for(S)
        except LocalMisuse as error:
            refused.append(error)

    with world.hold:
        world.call_at(world.now_ns, block)
    assert eventually(lambda: refused)
    assert "do not block inside a callback" in str(refused[0])


def test_close_ends_the_keeper_whatever_it_does_and_may_come_twice() -> None:
    for busy in (False, True):
        with real_world() as world:
            keeper = Keeper(world)
            if busy:
                beating(world)
                assert eventually(lambda world=world: world._running)
            passed = stopwatch()
            keeper.close()
            keeper.close()
            assert passed() < PATIENCE_S / 2
            assert not keeper._thread.is_alive()
            now_ns = world.now_ns
            world.run_for(0)
            assert world.now_ns >= now_ns


def test_close_from_inside_the_world_does_not_wait_for_itself() -> None:
    with real_world() as world:
        keeper = Keeper(world)
        with world.hold:
            world.call_at(world.now_ns, keeper.close)
        assert eventually(lambda: not keeper._thread.is_alive())


def test_a_caller_who_was_interrupted_while_he_waited_leaves_no_place_in_the_queue(world: World) -> None:
    beats = beating(world)
    before = signal.signal(signal.SIGALRM, _interrupt)
    entered, leave = threading.Event(), threading.Event()

    def hold_long() -> None:
        with world.hold:
            entered.set()
            leave.wait(PATIENCE_S)

    thread = threading.Thread(target=hold_long)
    thread.start()
    assert entered.wait(PATIENCE_S)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            world.run_for(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        leave.set()
        thread.join(PATIENCE_S)
    count = len(beats)
    assert eventually(lambda: len(beats) > count + 3)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_ctrl_c_ends_a_program_that_waits_in_such_a_world() -> None:
    code = """
from wire.clock import RealClock
from wire.keeper import Keeper
from wire.world import World
world = World(clock=RealClock())
keeper = Keeper(world)
try:
    world.call_at(0, lambda: print("waiting", flush=True))
    world.run_for(60 * 10**9)
except KeyboardInterrupt:
    keeper.close()
    print("ended", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        os.kill(program.pid, signal.SIGINT)
        assert program.communicate(timeout=PATIENCE_S)[0] == "ended\n"
        assert program.returncode == 0
