"""SFD's ninety minutes are awake time: sleep, a restart and the time without supply do not count, to the nanosecond.

All with a profile whose grant outlives a reset; where it does not, there is nothing left to count.
"""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from locked_unit import SfdUnit
from unlock_forge import HOUR, MINUTE, S

from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.vehicle_state import PowerEvent

LOST, BACK, SLEEP, WAKE = PowerEvent.BATTERY_LOST, PowerEvent.BATTERY_BACK, PowerEvent.SLEEP, PowerEvent.WAKE
SURVIVES = SfdOptions(ends_on_reset=False, verification_ns=0)
RESET_NS = SfdUnit().server.profile.timing.reset_ns
"""How long the unit is down before it runs again."""


def opened() -> SfdUnit:
    """A unit with exactly sixty minutes left."""
    unit = SfdUnit(SURVIVES)
    unit.unlock()
    unit.wait(30 * MINUTE)
    return unit


def hard_reset(unit: SfdUnit) -> None:
    assert unit.ask("1101") == bytes.fromhex("5101")
    unit.wait(RESET_NS)


def battery_away(unit: SfdUnit) -> None:
    unit.power(LOST)
    unit.wait(5 * HOUR)
    unit.power(BACK)
    unit.wait(RESET_NS)


def a_blink(unit: SfdUnit) -> None:
    unit.power(LOST)
    unit.power(BACK)
    unit.wait(RESET_NS)


def away_while_restarting(unit: SfdUnit) -> None:
    unit.ask("1101")
    unit.wait(RESET_NS - 1)
    battery_away(unit)


def away_again_while_coming_up(unit: SfdUnit) -> None:
    unit.power(LOST)
    unit.power(BACK)
    unit.wait(RESET_NS - 1)
    battery_away(unit)


def away_while_asleep(unit: SfdUnit) -> None:
    unit.power(SLEEP)
    unit.wait(HOUR)
    battery_away(unit)
    unit.wait(HOUR)
    unit.power(WAKE)


def woken_without_supply(unit: SfdUnit) -> None:
    unit.power(SLEEP)
    unit.power(LOST)
    unit.power(WAKE)
    battery_away(unit)


def woken_while_restarting(unit: SfdUnit) -> None:
    unit.power(SLEEP)
    unit.power(LOST)
    unit.wait(HOUR)
    unit.power(BACK)
    unit.wait(RESET_NS // 2)
    unit.power(WAKE)
    unit.wait(RESET_NS - RESET_NS // 2)


def asleep_while_restarting(unit: SfdUnit) -> None:
    unit.ask("1101")
    unit.wait(RESET_NS // 2)
    unit.power(SLEEP)
    unit.wait(HOUR)
    unit.power(WAKE)


def asleep_without_supply(unit: SfdUnit) -> None:
    unit.power(LOST)
    unit.power(SLEEP)
    battery_away(unit)
    unit.wait(HOUR)
    unit.power(WAKE)


Interruption = Callable[[SfdUnit], None]
INTERRUPTIONS: list[Interruption] = [
    hard_reset,
    battery_away,
    a_blink,
    away_while_restarting,
    away_again_while_coming_up,
    away_while_asleep,
    woken_without_supply,
    woken_while_restarting,
    asleep_while_restarting,
    asleep_without_supply,
]


@pytest.mark.parametrize("pass_time", ["wait", "leap"])
@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_the_time_in_which_the_unit_does_not_run_does_not_count(interruption: Interruption, pass_time: str) -> None:
    unit = opened()
    interruption(unit)
    assert unit.gate.next_deadline() == unit.now_ns + 60 * MINUTE
    assert unit.status()[3] == 59
    getattr(unit, pass_time)(60 * MINUTE - 1)
    assert unit.open
    getattr(unit, pass_time)(1)
    assert not unit.open
    assert unit.log[-1] == ("locked", "expiry")


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_nine_interruptions_neither_win_nor_lose_a_nanosecond(interruption: Interruption) -> None:
    unit = opened()
    for _ in range(9):
        unit.wait(6 * MINUTE + 1)
        interruption(unit)
    unit.wait(6 * MINUTE - 10)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_nothing_runs_out_while_the_unit_does_not_run() -> None:
    unit = opened()
    unit.wait(60 * MINUTE - 1)
    unit.power(LOST)
    assert unit.gate.next_deadline() is None
    unit.leap(48 * HOUR)
    unit.power(BACK)
    assert unit.gate.next_deadline() is None
    unit.wait(RESET_NS)
    assert unit.open
    unit.wait(1)
    assert unit.log[-1] == ("locked", "expiry")


def test_a_timer_that_comes_late_after_a_reset_wins_no_time() -> None:
    """The unit runs from the end of its restart, whenever somebody notices."""
    unit = opened()
    unit.ask("1101")
    unit.leap(RESET_NS + 7 * MINUTE)
    unit.server.handle_timer(unit.now_ns)
    assert unit.gate.next_deadline() == unit.now_ns + 53 * MINUTE


@pytest.mark.parametrize("event", [SLEEP, LOST])
def test_nor_does_one_that_comes_after_the_next_interruption(event: PowerEvent) -> None:
    unit = opened()
    unit.ask("1101")
    unit.leap(RESET_NS + 7 * MINUTE)
    unit.power(event)
    unit.wait(HOUR)
    unit.power(WAKE if event is SLEEP else BACK)
    unit.wait(0 if event is SLEEP else RESET_NS)
    assert unit.gate.next_deadline() == unit.now_ns + 53 * MINUTE


def test_a_reset_that_ends_the_grant_leaves_the_next_one_its_ninety_minutes() -> None:
    unit = SfdUnit()
    unit.unlock()
    hard_reset(unit)
    unit.unlock()
    unit.wait(90 * MINUTE - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


class SupplyMachine(RuleBasedStateMachine):
    """Supply, sleep and restarts in any order, against a model: the unit runs when it is supplied, awake and not down."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = SfdUnit(SURVIVES)
        self.unit.unlock()
        self.left_ns = 90 * MINUTE
        self.supplied, self.asleep = True, False
        self.down_until_ns = 0

    @property
    def running(self) -> bool:
        return self.supplied and not self.asleep and self.unit.now_ns >= self.down_until_ns

    @rule(duration_ns=st.sampled_from([1, RESET_NS - 1, RESET_NS, 10 * S, MINUTE, 17 * MINUTE]))
    def wait(self, duration_ns: int) -> None:
        begin_ns = self.unit.now_ns
        self.unit.wait(duration_ns)
        if self.supplied and not self.asleep:
            self.left_ns = max(0, self.left_ns - max(0, self.unit.now_ns - max(begin_ns, self.down_until_ns)))

    @precondition(lambda self: self.running)
    @rule()
    def hard_reset(self) -> None:
        self.unit.ask("1101")
        self.down_until_ns = self.unit.now_ns + RESET_NS

    @rule()
    def battery(self) -> None:
        self.supplied = not self.supplied
        self.unit.power(BACK if self.supplied else LOST)
        self.down_until_ns = self.unit.now_ns + RESET_NS

    @rule()
    def sleep_or_wake(self) -> None:
        self.asleep = not self.asleep
        self.unit.power(SLEEP if self.asleep else WAKE)

    @precondition(lambda self: self.running)
    @rule()
    def unlock_again(self) -> None:
        self.unit.unlock()
        self.left_ns = 90 * MINUTE

    @invariant()
    def the_grant_is_the_models(self) -> None:
        counting = self.running and self.left_ns > 0
        assert self.unit.open == (self.left_ns > 0)
        assert self.unit.gate.next_deadline() == (self.unit.now_ns + self.left_ns if counting else None)


SupplyMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestSupply = SupplyMachine.TestCase
