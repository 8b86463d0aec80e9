"""The tester's way of flashing a unit, through the gateway, and what it says when a unit does not go along."""

from collections.abc import Iterator

import pytest
from udsoncan.exceptions import NegativeResponseException

from bench import Bench, FlashBlock, LocalMisuse, VehicleChange
from bench.tester import BenchTester
from vci_driver.flashing import FlashRefused
from wire.uds import Nrc

IMAGE = b"0002" + bytes(0x3FFC)
BLOCK = FlashBlock(number=1, address=0x10000, data=IMAGE)


@pytest.fixture
def tester() -> Iterator[BenchTester]:
    with Bench(seed=4, vehicle="vag-golf") as bench:
        bench.car.change(VehicleChange(bonnet_open=True))
        opened = bench.tester("validated")
        opened.login()
        opened.unlock("infotainment")
        yield opened


def test_a_flash_says_how_much_it_brought(tester: BenchTester) -> None:
    report = tester.flash("infotainment", BLOCK)
    assert (report.ecu, report.transferred, report.finished) == ("infotainment", 0x4000, True)


def test_a_flash_may_leave_off(tester: BenchTester) -> None:
    report = tester.flash("infotainment", BLOCK, stop_after=2)
    assert (report.transferred, report.finished) == (2048, False)


def test_an_image_that_is_shorter_than_its_block_fails_its_check(tester: BenchTester) -> None:
    with pytest.raises(FlashRefused, match="did not check block 1: status 01"):
        tester.flash("infotainment", FlashBlock(number=1, address=0x10000, data=IMAGE[:0x1000]))


def test_a_block_that_the_unit_does_not_have_is_refused(tester: BenchTester) -> None:
    with pytest.raises(NegativeResponseException) as refused:
        tester.flash("infotainment", FlashBlock(number=9, address=0x10000, data=IMAGE))
    assert refused.value.response.code == Nrc.requestOutOfRange


def test_a_flash_needs_a_block(tester: BenchTester) -> None:
    with pytest.raises(LocalMisuse, match="at least one block"):
        tester.flash("infotainment")


@pytest.mark.parametrize(
    ("number", "address", "data"), [(256, 0, b"x"), (-1, 0, b"x"), (1, 0, b""), (1, -1, b"x"), (1, 0xFFFFFFFF, b"xy")]
)
def test_a_block_is_one_that_a_request_can_name(number: int, address: int, data: bytes) -> None:
    with pytest.raises(LocalMisuse):
        FlashBlock(number=number, address=address, data=data)
