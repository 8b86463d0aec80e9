"""A gateway that takes certificates without a set clock, by profile: the grant ends all the same, by the gateway's own time."""

import pytest
from locked_unit import CODING, CertificateUnit
from unlock_forge import EPOCH_S, S, ca, chain, leaf, sized

from ecu_sim.unlock.certificate import CertificateOptions
from wire.clock import WallClock
from wire.token import Scope

DAY_S = 24 * 3600
TAKES_ALL = CertificateOptions(unset_clock_refuses=False)
LOST = {"at the epoch": 0, "in 1970": -EPOCH_S, "a century ahead": 100 * 365 * DAY_S}
"""What a clock that lost its battery may say; nobody may believe it."""


def unit_without_clock(offset_s: int = 0) -> CertificateUnit:
    return CertificateUnit(TAKES_ALL, WallClock(offset_s=offset_s, is_set=False))


def lasting(seconds: int, begin_s: int = EPOCH_S) -> bytes:
    """A chain whose diagnostic certificate is valid for so long."""
    return chain(leaf(begin_s=begin_s, end_s=begin_s + seconds))


@pytest.mark.parametrize("pass_time", ["wait", "leap"])
@pytest.mark.parametrize("offset_s", LOST.values(), ids=LOST)
def test_the_grant_lasts_as_long_as_the_certificate_is_valid_counted_from_the_grant(
    offset_s: int, pass_time: str
) -> None:
    """From its begin to its end, whenever that is or was: nobody here can tell. Whether or not a timer ran."""
    unit = unit_without_clock(offset_s)
    unit.wait(500 * S)
    unit.extended()
    unit.unlock(lasting(600, begin_s=EPOCH_S - 50 * DAY_S))
    assert unit.gate.next_deadline() == unit.now_ns + 600 * S
    getattr(unit, pass_time)(600 * S - 1)
    assert unit.open
    getattr(unit, pass_time)(1)
    assert not unit.open
    assert unit.log[-1] == ("locked", "expiry")
    unit.extended()
    assert unit.nrc(CODING) == 0x34


@pytest.mark.parametrize("seconds", [60, 7 * DAY_S])
def test_the_shorter_of_certificate_and_ca_counts(seconds: int) -> None:
    unit = unit_without_clock()
    unit.unlock(chain(leaf(begin_s=EPOCH_S, end_s=EPOCH_S + seconds), ca(begin_s=EPOCH_S, end_s=EPOCH_S + DAY_S)))
    unit.leap(min(seconds, DAY_S) * S - 1)
    assert unit.open
    unit.leap(1)
    assert not unit.open


def test_the_drift_of_a_clock_that_is_not_set_moves_nothing() -> None:
    unit = CertificateUnit(TAKES_ALL, WallClock(drift_ppm=50_000, is_set=False))
    unit.unlock(lasting(3600))
    unit.wait(3600 * S - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_an_enhanced_certificate_shortens_the_grant_and_does_not_prolong_it() -> None:
    for seconds, left_s in ((60, 60), (3600, 500)):
        unit = unit_without_clock()
        unit.unlock(lasting(600))
        unit.wait(100 * S)
        enhanced = chain(leaf(serial=2, scope=Scope.ROUTINES, begin_s=EPOCH_S, end_s=EPOCH_S + seconds))
        granted_ns = unit.now_ns - 100 * S
        assert unit.nrc(b"\x29\x04\x00\x01" + sized(enhanced)) == 0
        end_ns = unit.now_ns + 60 * S if left_s == 60 else granted_ns + 600 * S
        unit.wait(end_ns - 1 - unit.now_ns)
        assert unit.open
        unit.wait(1)
        assert not unit.open


def test_each_grant_counts_for_itself() -> None:
    unit = unit_without_clock()
    unit.unlock(lasting(600))
    unit.wait(500 * S)
    unit.unlock(lasting(600))
    unit.wait(600 * S - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_a_clock_that_is_set_meanwhile_ends_what_has_ended() -> None:
    unit = unit_without_clock()
    unit.unlock(lasting(3600, begin_s=EPOCH_S - 3000))
    unit.wait(100 * S - unit.now_ns)
    unit.clock.is_set = True
    assert unit.open
    unit.wait(501 * S - 1)
    assert unit.open, "the certificate's last second"
    unit.wait(1)
    assert not unit.open


def test_a_clock_that_is_set_meanwhile_prolongs_nothing() -> None:
    """Set to a time before the certificate begins, say."""
    unit = unit_without_clock()
    unit.unlock(lasting(600))
    unit.wait(100 * S)
    unit.clock.is_set, unit.clock.offset_s = True, -DAY_S
    unit.wait(500 * S - 1)
    assert unit.open
    unit.wait(1)
    assert not unit.open


@pytest.mark.parametrize("options", [TAKES_ALL, CertificateOptions()], ids=["takes all", "default"])
@pytest.mark.parametrize("offset_s", LOST.values(), ids=LOST)
def test_a_clock_that_is_lost_meanwhile_leaves_the_end_where_it_was(options: CertificateOptions, offset_s: int) -> None:
    unit = CertificateUnit(options, WallClock())
    unit.unlock(lasting(600, begin_s=EPOCH_S - 200))
    unit.wait(100 * S)
    unit.clock.is_set, unit.clock.offset_s = False, offset_s
    unit.wait(401 * S - 1 - unit.now_ns)
    assert unit.open
    unit.wait(1)
    assert not unit.open
