"""The contract's own machinery: what it skips it says, what hangs it ends, and no check leaves anything open."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from vci_driver.api import ChannelLost, ChannelUnavailable, FoundChannel, FramesLost
from vci_driver.channel import BaseChannel
from vci_driver.contract import CHECKS, VIRTUAL, Check, Place, Setup, Verdict, open_rig, run_check, run_contract
from vci_driver.contract_rig import CannotCheck, Rig
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.world import World

BY_NAME = {check.name: check for check in CHECKS}


class Wire(BaseChannel):
    """A channel to nowhere, or to another that the test joins it with."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.other: Wire | None = None
        self.closes = 0

    def _transmit(self, frame: Frame) -> None:
        self.confirm_soon(frame)
        if self.other is not None:
            other = self.other
            self.world.call_at(self.world.now_ns, lambda: other.deliver(frame))

    def _shut(self) -> None:
        self.closes += 1


class WireDriver:
    """Opens wires; what it opened is in `opened`."""

    name = "wire"

    def __init__(self) -> None:
        self.opened: list[Wire] = []

    def open(self, channel: str, options: Mapping[str, object], world: World) -> Wire:
        if channel == "missing":
            raise ChannelUnavailable("there is no such wire")
        self.opened.append(Wire(world, f"wire:{channel}"))
        if len(self.opened) % 2 == 0:
            self.opened[-1].other, self.opened[-2].other = self.opened[-2:]
        return self.opened[-1]

    def detect(self) -> tuple[FoundChannel, ...]:
        return ()


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> WireDriver:
    driver = WireDriver()
    for module in ("vci_driver.registry", "vci_driver.contract_channel"):
        monkeypatch.setattr(f"{module}.driver", lambda _: driver)
    return driver


def setup(peer: str | None = "two", **more: object) -> Setup:
    two = None if peer is None else Place(driver="wire", channel=peer)
    return Setup(one=Place(driver="wire", channel="one"), peer=two, virtual=True, **more)


def check_of(run: object) -> Check:
    return Check(name="own", run=run)


def test_a_check_that_passes_fails_or_cannot_be_made_is_told_apart(wires: WireDriver) -> None:
    def cannot(_: Rig) -> None:
        raise CannotCheck("no way")

    def not_here(_: Rig) -> None:
        raise NotOnThisCarrier("not here")

    def wrong(_: Rig) -> None:
        raise ZeroDivisionError("oh")

    for run, verdict, reason in (
        (lambda rig: None, Verdict.PASSED, ""),
        (cannot, Verdict.SKIPPED, "no way"),
        (not_here, Verdict.SKIPPED, "not here"),
        (wrong, Verdict.FAILED, "raised ZeroDivisionError: oh"),
        (
            lambda rig: rig.peer_faults.append(CarrierFault("x")),
            Verdict.FAILED,
            "told a fault where nothing went wrong",
        ),
    ):
        result = run_check(setup(), check_of(run))
        assert (result.verdict, result.reason[: len(reason)]) == (verdict, reason)
    assert all(wire.closes == 1 for wire in wires.opened)


def test_a_driver_that_hangs_is_given_up_and_the_rest_is_not_tried(wires: WireDriver) -> None:
    ends = threading.Event()
    hangs = check_of(lambda rig: ends.wait(30))
    first, second = run_contract(setup(), [hangs, BY_NAME["name"]], hang_s=0.2)
    ends.set()
    assert (first.verdict, first.reason) == (Verdict.FAILED, "did not return within 0.2 s: the driver hangs")
    assert (second.verdict, second.reason) == (Verdict.SKIPPED, "own hangs")


def test_when_the_second_channel_cannot_be_opened_the_first_is_closed(wires: WireDriver) -> None:
    with pytest.raises(ChannelUnavailable), open_rig(setup("missing")):
        pass
    assert [wire.closes for wire in wires.opened] == [1]


def test_whether_can_fd_passes_is_asked_of_both_channels_or_said(
    wires: WireDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_check(setup(), BY_NAME["fd-frames"]).reason == "classic CAN only"
    assert run_check(setup(), BY_NAME["fd-refused"]).verdict is Verdict.PASSED
    monkeypatch.setattr(Wire, "fd", True)
    assert run_check(setup(), BY_NAME["fd-frames"]).verdict is Verdict.PASSED
    assert run_check(setup(fd=False), BY_NAME["fd-frames"]).reason == "classic CAN only"
    monkeypatch.setattr(Wire, "fd", None)
    assert "does not say" in run_check(setup(), BY_NAME["fd-frames"]).reason


def test_what_was_lost_and_told_makes_a_burst_pass_and_another_fault_does_not(
    wires: WireDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for fault, verdict in ((FramesLost("some", 3), Verdict.PASSED), (CarrierFault("odd"), Verdict.FAILED)):
        monkeypatch.setattr(Wire, "deliver", lambda wire, _, fault=fault: wire.tell(fault))
        assert run_check(setup(), BY_NAME["burst"]).verdict is verdict


@pytest.mark.parametrize(
    ("voltage", "verdict"), [(12_500, Verdict.PASSED), (-1, Verdict.FAILED), (90_000, Verdict.FAILED)]
)
def test_a_voltage_is_in_millivolts(
    wires: WireDriver, monkeypatch: pytest.MonkeyPatch, voltage: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(Wire, "supply_voltage_mv", lambda _: voltage)
    assert run_check(setup(), BY_NAME["voltage"]).verdict is verdict


def test_a_driver_that_leaves_options_to_others_says_so_and_is_not_blamed(wires: WireDriver) -> None:
    assert run_check(setup(), BY_NAME["unknown-option"]).verdict is Verdict.FAILED
    wires.options_unchecked = "the vendor's library takes any option"
    result = run_check(setup(), BY_NAME["unknown-option"])
    assert (result.verdict, result.reason) == (Verdict.SKIPPED, "the vendor's library takes any option")


def test_what_is_detected_is_opened_only_if_it_is_the_channel_under_test(
    wires: WireDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for channel, verdict in (("one", Verdict.PASSED), ("far", Verdict.SKIPPED)):
        found = (FoundChannel(driver="wire", channel=channel, description="a wire"),)
        monkeypatch.setattr(WireDriver, "detect", lambda _, found=found: found)
        before = len(wires.opened)
        assert run_check(setup(), BY_NAME["detect"]).verdict is verdict
        assert len(wires.opened) - before == (3 if channel == "one" else 2)
    for found in (
        FoundChannel(driver="other", channel="one", description="a wire"),
        FoundChannel(driver="wire", channel="one", description=""),
    ):
        monkeypatch.setattr(WireDriver, "detect", lambda _, found=found: (found,))
        assert run_check(setup(), BY_NAME["detect"]).verdict is Verdict.FAILED


def test_a_reason_that_is_a_traceback_or_nothing_is_no_sentence(
    wires: WireDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("", "two\nlines", "long" * 300):
        monkeypatch.setattr(Wire, "supply_voltage_mv", lambda _, text=text: _raise(NotOnThisCarrier(text)))
        assert run_check(setup(), BY_NAME["voltage"]).verdict is Verdict.FAILED


def _raise(error: Exception) -> int:
    raise error


def test_the_plug_is_pulled_and_put_back_as_the_setup_says(wires: WireDriver) -> None:
    done: list[str] = []

    def pull(channel: object) -> None:
        assert isinstance(channel, Wire)
        done.append("pulled")
        channel.lose(f"{channel.name}: gone")

    result = run_check(setup(unplug=pull, replug=lambda: done.append("back")), BY_NAME["lost-once"])
    assert (result.verdict, done) == (Verdict.PASSED, ["pulled", "back"])


def test_the_virtual_drivers_setup_needs_nothing_else() -> None:
    assert not [result for result in run_contract(VIRTUAL) if result.verdict is Verdict.FAILED]


# ---- the common part of channels


def test_a_channel_without_an_adapter_cannot_send_and_one_that_is_lost_is_silent() -> None:
    world = World()
    with pytest.raises(NotImplementedError):
        BaseChannel(world, "bare").send(Frame(1, b""))
    wire = Wire(world, "wire:one")
    faults: list[CarrierFault] = []
    wire.lose("nobody hears this")
    wire = Wire(world, "wire:one")
    wire.tell(FramesLost("nobody"))
    wire.on_fault = faults.append
    wire.tell(FramesLost("one"))
    wire.lose(ChannelLost("two"))
    wire.lose("three")
    wire.tell(FramesLost("four"))
    wire.send(Frame(1, b""))
    assert [str(fault) for fault in faults] == ["one", "two"]
    with pytest.raises(LocalMisuse, match="wire:one carries classic CAN only"):
        wire.send(Frame(1, bytes(12), fd=True))
