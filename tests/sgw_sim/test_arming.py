"""When J533 blocks: armed by kilometres, disarmed by the bonnet, armed again by kilometres or by an alarm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgw_sim.arming import FilterArming, Observation

FACTORY = Observation(bonnet_open=False, odometer_km=0)
USED = Observation(bonnet_open=False, odometer_km=12_345)


class Drive:
    """A car that changes a little at a time, and its filter."""

    def __init__(self, first: Observation) -> None:
        self.seen = first
        self.filter = FilterArming(first)

    def now(self, **change: object) -> bool:
        """Change something; return whether the filter blocks."""
        self.seen = replace(self.seen, **change)
        self.filter.observe(self.seen)
        return self.filter.armed

    def drive(self, km: int) -> bool:
        return self.now(odometer_km=self.seen.odometer_km + km)


def disarmed() -> Drive:
    """A used car whose bonnet was opened and closed again."""
    car = Drive(USED)
    assert not car.now(bonnet_open=True)
    assert not car.now(bonnet_open=False)
    return car


@pytest.mark.parametrize(
    ("km", "armed"), [(0, False), (1, False), (199, False), (200, False), (201, True), (90_000, True)]
)
def test_it_is_armed_from_more_than_200_km_on(km: int, armed: bool) -> None:
    assert FilterArming(Observation(bonnet_open=False, odometer_km=km)).armed is armed
    assert Drive(FACTORY).drive(km) is armed


def test_a_new_car_arms_while_it_drives() -> None:
    car = Drive(FACTORY)
    assert not car.drive(200)
    assert car.drive(1)


def test_opening_the_bonnet_of_a_new_car_does_not_keep_it_from_arming() -> None:
    car = Drive(FACTORY)
    car.now(bonnet_open=True)
    car.now(bonnet_open=False)
    assert not car.drive(200)
    assert car.drive(1)


def test_opening_the_bonnet_disarms() -> None:
    assert not Drive(USED).now(bonnet_open=True)


def test_it_stays_disarmed_with_the_bonnet_open_however_far_it_drives() -> None:
    car = Drive(USED)
    car.now(bonnet_open=True)
    assert not car.drive(19)
    assert not car.drive(500)


def test_the_bonnet_closed_it_arms_after_20_km() -> None:
    car = disarmed()
    assert not car.drive(19)
    assert car.drive(1)


def test_kilometres_with_the_bonnet_open_do_not_count() -> None:
    car = Drive(USED)
    car.now(bonnet_open=True)
    car.drive(100)
    assert not car.now(bonnet_open=False)
    assert not car.drive(19)
    assert car.drive(1)


def test_opening_it_again_starts_the_20_km_anew() -> None:
    car = disarmed()
    car.drive(19)
    car.now(bonnet_open=True)
    car.now(bonnet_open=False)
    assert not car.drive(19)
    assert car.drive(1)


def test_armed_again_it_wants_the_bonnet_opened_again() -> None:
    car = disarmed()
    assert car.drive(20)
    assert car.now(bonnet_open=False)
    assert not car.now(bonnet_open=True)


@pytest.mark.parametrize("alarm", ["body_controller_lost", "crash"])
@pytest.mark.parametrize("bonnet_open", [True, False])
def test_each_alarm_arms_at_once_bonnet_open_or_closed(alarm: str, bonnet_open: bool) -> None:
    car = disarmed()
    car.now(bonnet_open=bonnet_open)
    assert car.now(**{alarm: True})


@pytest.mark.parametrize(("first", "second"), [("crash", "body_controller_lost"), ("body_controller_lost", "crash")])
def test_one_alarm_that_is_still_there_does_not_hide_the_other(first: str, second: str) -> None:
    car = disarmed()
    assert car.now(**{first: True})
    assert not car.now(bonnet_open=True)
    assert car.now(**{second: True})


@pytest.mark.parametrize("alarm", ["body_controller_lost", "crash"])
def test_an_alarm_that_goes_away_disarms_nothing(alarm: str) -> None:
    car = disarmed()
    car.now(**{alarm: True})
    assert car.now(**{alarm: False})
    assert car.drive(1000)


@pytest.mark.parametrize("alarm", ["body_controller_lost", "crash"])
def test_after_an_alarm_the_bonnet_disarms_as_ever(alarm: str) -> None:
    car = disarmed()
    car.now(**{alarm: True})
    assert car.now(bonnet_open=False)
    assert not car.now(bonnet_open=True)


def test_an_open_bonnet_that_was_there_at_an_alarm_is_no_new_proof() -> None:
    car = Drive(USED)
    car.now(bonnet_open=True)
    assert car.now(crash=True)
    assert car.now(bonnet_open=True)
    assert car.now(bonnet_open=False)


steps = st.one_of(
    st.fixed_dictionaries({"bonnet_open": st.booleans()}),
    st.fixed_dictionaries({"crash": st.booleans()}),
    st.fixed_dictionaries({"body_controller_lost": st.booleans()}),
    st.integers(0, 30),
)


@given(st.lists(steps, max_size=30))
def test_it_is_never_open_without_an_opened_bonnet_in_the_last_20_km(way: list) -> None:
    """The rule in its own words: since the last alarm the bonnet was opened, and it is open or was closed within 20 km."""
    car = Drive(USED)
    opened, closed_at = False, 0
    for step in way:
        before = car.seen
        armed = car.drive(step) if isinstance(step, int) else car.now(**step)
        after = car.seen
        if after.bonnet_open and not before.bonnet_open:
            opened = True
        if before.bonnet_open and not after.bonnet_open:
            closed_at = after.odometer_km
        if not after.bonnet_open and after.odometer_km - closed_at >= 20:
            opened = False
        if (after.crash and not before.crash) or (after.body_controller_lost and not before.body_controller_lost):
            opened = False
        assert armed is not opened


@given(st.lists(st.integers(0, 400), max_size=10))
def test_observing_the_same_values_again_changes_nothing(way: list[int]) -> None:
    car = disarmed()
    for km in way:
        armed = car.drive(km)
        assert car.now() is armed
