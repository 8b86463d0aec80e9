"""The link over the kernel's own ISO-TP, against simulated units on vcan: two implementations that no one wrote together."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from channel_pair import real_world
from fake_ecu import CAR, MS, FakeEcu, Script, silent
from vcan_interface import PATIENCE_NS, VcanInterface, vcan_interface

from vci_driver.api import ChannelLost, ChannelUnavailable, RawChannel
from vci_driver.car_map import CarMap, EcuEntry
from vci_driver.kernel_isotp import KernelIsoTp
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import AnswerBroken, AnswerCutOff, NoAnswer, RequestNotSent, RequestNotTaken, StillPending
from vci_driver.link_peer import LinkOptions
from vci_driver.registry import open_channel
from wire.clock import stopwatch
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import EXTENDED, Frame
from wire.isotp_door import IsoTpOptions
from wire.world import World

pytestmark = [pytest.mark.realtime, pytest.mark.kernel_isotp]
PATIENT = LinkOptions(delta_p2_ns=5_000 * MS)
"""Patient where an answer is to come, whatever else the machine does."""
TESTER, UNIT = 0x714, 0x77E
LONG = bytes(number & 0xFF for number in range(4093))
FLOW = b"\x30\x00\x00"
MARK = Frame(0x7FF, b"mark")

cable = pytest.fixture(vcan_interface)


def require_kernel_isotp() -> None:
    """Skip where the kernel has no ISO-TP."""
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_ISOTP).close()
    except (OSError, AttributeError) as error:
        pytest.skip(f"no ISO-TP in this kernel: {error}")


class Rig:
    """A link over the kernel's ISO-TP, and on the same interface a raw channel for units, all in one world."""

    def __init__(self, world: World, cable: VcanInterface) -> None:
        self.world = world
        self.cable = cable
        self.closing: list[Callable[[], None]] = []

    def link(self, options: LinkOptions = PATIENT, car: CarMap = CAR) -> DiagnosticLink:
        transport = KernelIsoTp(self.world, [self.cable.name])
        self.closing.append(transport.close)
        return DiagnosticLink(self.world, (), car, options, transport=transport)

    def raw(self) -> RawChannel:
        channel = open_channel("socketcan", self.cable.name, {}, self.world)
        self.closing.append(channel.close)
        return channel

    def unit(
        self, script: Script, options: IsoTpOptions | None = None, ids: tuple[int, int] = (TESTER, UNIT)
    ) -> FakeEcu:
        return FakeEcu(self.world, self.raw(), *ids, script, options=options)

    def frames(self) -> Callable[[], list[Frame]]:
        """Watch the interface from now on. The call returned waits for all that went over it until then, and gives it.

        The kernel hands the link its answer on one socket and the frames on another: when the link has its answer, the
        last frames may be unread yet. A mark that is sent after them comes after them.
        """
        seen: list[Frame] = []
        self.raw().listen(None, seen.append)
        marks = self.raw()

        def until_now() -> list[Frame]:
            marks.send(MARK)
            assert self.world.run_until(lambda: MARK in seen, PATIENCE_NS)
            return seen[: seen.index(MARK)]

        return until_now

    def peer(self, answer: Callable[[Frame], list[bytes]]) -> None:
        """A unit by hand: for each frame that comes, the frames to send."""
        channel = self.raw()

        def on_frame(frame: Frame) -> None:
            for data in answer(frame):
                channel.send(Frame(UNIT, data))

        channel.listen([TESTER], on_frame)


@pytest.fixture
def rig(cable: VcanInterface) -> Iterator[Rig]:
    require_kernel_isotp()
    with real_world() as world:
        made = Rig(world, cable)
        yield made
        for close in reversed(made.closing):
            close()


# ---- messages


def test_a_request_of_one_frame_and_its_answer_padded_as_the_make_does(rig: Rig) -> None:
    frames = rig.frames()
    rig.unit(lambda _: b"\x50\x03\x00\x32\x01\xf4")
    assert rig.link().request("cluster", b"\x10\x03") == b"\x50\x03\x00\x32\x01\xf4"
    assert frames()[0] == Frame(TESTER, b"\x02\x10\x03" + b"\x55" * 5)


def test_a_message_of_4095_bytes_there_and_back(rig: Rig) -> None:
    unit = rig.unit(lambda request: b"\x6e\xf1\x90" if request[0] == 0x2E else b"\x62" + request[1:3] + LONG[:4092])
    link = rig.link()
    assert link.request("cluster", b"\x2e\xf1" + LONG) == b"\x6e\xf1\x90"
    assert unit.heard[0][1] == b"\x2e\xf1" + LONG
    assert link.request("cluster", b"\x22\xf1\x90") == b"\x62\xf1\x90" + LONG[:4092]
    assert link.request("cluster", b"\x22\xf1\x91")[:3] == b"\x62\xf1\x91"


def test_the_kernel_keeps_the_block_size_and_pause_that_the_unit_asks_for(rig: Rig) -> None:
    frames = rig.frames()
    rig.unit(lambda _: b"\x6e\x06\x00", IsoTpOptions(padding=0xAA, block_size=4, stmin=1))
    assert rig.link().request("cluster", b"\x2e\x06\x00" + bytes(100)) == b"\x6e\x06\x00"
    kinds = [frame.data[0] >> 4 for frame in frames()]
    assert kinds == [1, *([3, 2, 2, 2, 2] * 3), 3, 2, 2, 0]


def test_our_own_block_size_and_pause_are_what_the_kernel_asks_for(rig: Rig) -> None:
    frames = rig.frames()
    rig.unit(lambda _: b"\x62\xf1\x90" + bytes(60))
    options = LinkOptions(delta_p2_ns=5_000 * MS, isotp=IsoTpOptions(block_size=3, stmin=0x05, padding=None))
    assert len(rig.link(options).request("cluster", b"\x22\xf1\x90")) == 63
    assert [frame.data for frame in frames() if frame.data[0] >> 4 == 3] == [b"\x30\x03\x05"] * 3


def test_identifiers_of_29_bits(rig: Rig) -> None:
    ids = (EXTENDED | 0x18DA10F1, EXTENDED | 0x18DAF110)
    entry = EcuEntry(name="engine", address=0x10, request_id=ids[0], response_id=ids[1])
    car = CarMap(make="x", gateway="engine", functional_id=EXTENDED | 0x18DB33F1, ecus=(entry,), padding=None)
    rig.unit(lambda _: b"\x62\xf1\x90" + bytes(20), ids=ids)
    assert len(rig.link(car=car).request("engine", b"\x22\xf1\x90")) == 23


def test_frames_of_64_bytes(rig: Rig) -> None:
    frames = rig.frames()
    entry = EcuEntry(name="engine", address=1, request_id=TESTER, response_id=UNIT)
    car = CarMap(make="x", gateway="engine", functional_id=0x700, ecus=(entry,), fd=True, brs=True)
    rig.unit(lambda request: b"\x62" + request[1:3] + LONG[:1000], IsoTpOptions(tx_dl=64, padding=0xAA))
    link = rig.link(car=car)
    assert link.request("engine", b"\x22\xf1\x90") == b"\x62\xf1\x90" + LONG[:1000]
    assert link.request("engine", b"\x22\xf1\x90" + bytes(200))[3:] == LONG[:1000]
    seen = frames()
    assert {len(frame.data) for frame in seen if frame.fd} >= {64}
    assert seen[0].brs


# ---- timing


def test_response_pending_is_waited_through(rig: Rig) -> None:
    rig.unit(lambda _: [(0, b"\x7f\x31\x78"), (300, b"\x71\x01\x02\x03")])
    link = rig.link()
    assert link.request("cluster", b"\x31\x01\x02\x03") == b"\x71\x01\x02\x03"
    assert link.counters.pending == 1


def test_a_unit_that_promises_and_says_nothing_more_has_had_p2_star(rig: Rig) -> None:
    rig.unit(lambda _: b"\x7f\x31\x78")
    options = LinkOptions(delta_p2_ns=3_000 * MS, p2_star_ns=0)
    with pytest.raises(StillPending, match="within P2"):
        rig.link(options).request("cluster", b"\x31\x01\x02\x03")


def test_silence_is_no_answer_after_p2_from_the_request_s_last_frame(rig: Rig) -> None:
    rig.unit(silent)
    link = rig.link(LinkOptions(p2_ns=150 * MS, delta_p2_ns=0))
    for request in (b"\x10\x03", b"\x2e\x06\x00" + bytes(300)):
        with pytest.raises(NoAnswer, match="did not answer") as failed:
            link.request("cluster", request)
        assert type(failed.value) is NoAnswer
        assert 150 * MS <= failed.value.waited_ns < 5_000 * MS


def test_p2_ends_with_the_first_frame_of_an_answer_however_long_that_takes(rig: Rig) -> None:
    rig.unit(lambda _: b"\x62\xf1\x90" + bytes(200))
    options = LinkOptions(p2_ns=1_000 * MS, delta_p2_ns=0, isotp=IsoTpOptions(stmin=0x32))
    passed = stopwatch()
    assert len(rig.link(options).request("cluster", b"\x22\xf1\x90")) == 203
    assert passed() > 1.4  # 29 consecutive frames, 50 ms apart


# ---- a peer that breaks the protocol


def first_frame_then(*frames: bytes) -> Callable[[Frame], list[bytes]]:
    def answer(frame: Frame) -> list[bytes]:
        kind = frame.data[0] >> 4
        return [b"\x10\x14\x62\xf1\x90abc"] if kind == 0 else list(frames) if kind == 3 else []

    return answer


def test_a_wrong_sequence_number_breaks_the_answer(rig: Rig) -> None:
    rig.peer(first_frame_then(b"\x21defghij", b"\x23klmnopq"))
    with pytest.raises(AnswerBroken, match="out of turn"):
        rig.link().request("cluster", b"\x22\xf1\x90")


def test_a_consecutive_frame_that_does_not_come_cuts_the_answer_off(rig: Rig) -> None:
    rig.peer(first_frame_then(b"\x21defghij"))
    with pytest.raises(AnswerCutOff, match="N_Cr"):
        rig.link().request("cluster", b"\x22\xf1\x90")


def test_a_new_message_in_the_middle_of_an_answer_is_what_the_answer_is(rig: Rig) -> None:
    rig.peer(first_frame_then(b"\x21defghij", b"\x03\x7f\x22\x31"))
    link = rig.link()
    with pytest.raises(AnswerBroken, match="before the old one was complete"):
        link.request("cluster", b"\x22\xf1\x90")
    rig.peer(lambda _: [b"\x02\x7e\x00"])
    assert link.request("cluster", b"\x3e\x00") == b"\x7e\x00"


def test_an_answer_longer_than_the_kernel_takes_is_broken_and_not_waited_for(rig: Rig) -> None:
    rig.peer(lambda frame: [b"\x10\x00\x00\x00\xff\xff\x62\xf1"] if frame.data[0] == 3 else [])
    with pytest.raises(AnswerBroken, match="65535 bytes does not fit"):
        rig.link().request("cluster", b"\x22\xf1\x90")


@pytest.mark.parametrize(
    ("flow", "error", "says"),
    [
        (None, RequestNotTaken, "N_Bs"),
        (b"\x32\x00\x00", AnswerBroken, "cannot take"),
        (b"\x35\x00\x00", AnswerBroken, "not one of 0, 1, 2"),
        (b"\x30", AnswerBroken, "malformed"),
    ],
    ids=["silence", "overflow", "unknown status", "cut short"],
)
def test_a_request_whose_flow_control_fails_says_why(
    rig: Rig, flow: bytes | None, error: type[Exception], says: str
) -> None:
    rig.peer(lambda frame: [flow] if flow is not None and frame.data[0] >> 4 == 1 else [])
    link = rig.link()
    with pytest.raises(error, match=says):
        link.request("cluster", b"\x2e\x06\x00" + bytes(60))
    rig.peer(lambda frame: [b"\x02\x7e\x00"] if frame.data[:2] == b"\x02\x3e" else [])
    assert link.request("cluster", b"\x3e\x00") == b"\x7e\x00"


def test_a_unit_that_asks_to_wait_too_often_is_given_up_on(rig: Rig) -> None:
    rig.peer(lambda frame: [b"\x31\x00\x00"] * 4 if frame.data[0] >> 4 == 1 else [])
    options = LinkOptions(delta_p2_ns=5_000 * MS, isotp=IsoTpOptions(max_wait_frames=3))
    with pytest.raises(AnswerBroken, match="more than 3 wait frames"):
        rig.link(options).request("cluster", b"\x2e\x06\x00" + bytes(60))


# ---- to all units, and to keep sessions


def test_a_functional_request_is_answered_by_each_unit(rig: Rig) -> None:
    rig.unit(lambda _: b"\x7e\x00")
    rig.unit(lambda _: [(0, b"\x7f\x3e\x78"), (50, b"\x7e\x00")], ids=(0x7E0, 0x7E8))
    link = rig.link(LinkOptions(delta_p2_ns=1_500 * MS))
    assert sorted(link.send_functional(b"\x3e\x00")) == [("cluster", b"\x7e\x00"), ("engine", b"\x7e\x00")]


def test_the_keep_alive_goes_out_to_all_or_to_one(rig: Rig) -> None:
    unit = rig.unit(silent)
    link = rig.link(LinkOptions(keep_alive_ns=100 * MS))
    link.keep_alive()
    assert rig.world.run_until(lambda: len(unit.heard_functional) >= 3, PATIENCE_NS)
    link.keep_alive(targets=["cluster"])
    assert rig.world.run_until(lambda: len(unit.heard) >= 3, PATIENCE_NS)
    assert {payload for _, payload in unit.heard} == {b"\x3e\x80"}


def test_requests_to_two_units_at_a_time_do_not_mix(rig: Rig) -> None:
    rig.unit(lambda request: b"\x62" + request[1:3] + b"c" * 200)
    rig.unit(lambda request: b"\x62" + request[1:3] + b"e" * 200, ids=(0x7E0, 0x7E8))
    link = rig.link()
    peers = [link.begin("cluster", b"\x22\x00\x01"), link.begin("engine", b"\x22\x00\x02")]
    assert [link.wait(peer)[2:] for peer in peers] == [b"\x01" + b"c" * 200, b"\x02" + b"e" * 200]


# ---- the interface


def test_an_interface_that_goes_down_in_the_middle_is_told_by_name_and_usable_again_after(rig: Rig) -> None:
    rig.unit(lambda request: rig.cable.down() if request[0] == 0x31 else b"\x7e\x00")
    link = rig.link()
    passed = stopwatch()
    with pytest.raises(ChannelLost, match=f"{rig.cable.name}: the interface went down"):
        link.request("cluster", b"\x31\x01\x02\x03")
    assert passed() < 10  # and not the 120 s of all patience
    with pytest.raises(ChannelLost):
        link.request("cluster", b"\x3e\x00")
    link.recover()
    with pytest.raises(RequestNotSent, match="the interface is away"):
        link.request("cluster", b"\x3e\x00")
    rig.cable.up()
    rig.world.run_for(50 * MS)
    link.recover()
    assert link.request("cluster", b"\x3e\x00") == b"\x7e\x00"


def test_an_interface_that_is_removed_and_made_anew_is_used_again(rig: Rig) -> None:
    rig.unit(lambda _: b"\x7e\x00")
    link = rig.link()
    rig.cable.delete()
    rig.world.run_for(50 * MS)
    assert isinstance(link.fault, CarrierFault)
    rig.cable.add()
    rig.world.run_for(50 * MS)
    link.recover()
    assert link.request("cluster", b"\x3e\x00") == b"\x7e\x00"


def test_bus_off_fails_what_is_under_way(rig: Rig) -> None:
    rig.unit(silent)
    link = rig.link()
    peer = link.begin("cluster", b"\x3e\x00")
    with rig.cable.plain_socket() as other:
        other.send(b"\x40\x00\x00\x20\x08\0\0\0" + bytes(8))
    with pytest.raises(ChannelLost, match="bus-off"):
        link.wait(peer)


# ---- what the kernel cannot do


@pytest.mark.parametrize(
    "options",
    [
        IsoTpOptions(n_bs_ns=500 * MS),
        IsoTpOptions(n_cr_ns=150 * MS),
        IsoTpOptions(wait_frames=2),
        IsoTpOptions(rx_buffer_bytes=100_000),
    ],
    ids=["N_Bs", "N_Cr", "waits", "buffer"],
)
def test_options_that_the_kernel_cannot_obey_are_not_on_this_carrier(rig: Rig, options: IsoTpOptions) -> None:
    with pytest.raises(NotOnThisCarrier, match="kernel's ISO-TP"):
        rig.link(LinkOptions(isotp=options))


def test_more_than_it_is_made_for_is_refused(rig: Rig) -> None:
    transport = KernelIsoTp(rig.world, [rig.cable.name])
    rig.closing.append(transport.close)
    channel = transport.add(0, tx_id=TESTER, rx_id=UNIT, options=IsoTpOptions())
    for payload in (b"", bytes(8201)):
        with pytest.raises(LocalMisuse, match="1 to 8200 bytes"):
            transport.send(channel, payload, 0)
    with pytest.raises(LocalMisuse, match="already has a channel"):
        transport.add(0, tx_id=0x715, rx_id=UNIT, options=IsoTpOptions())
    with pytest.raises(NotOnThisCarrier, match="listen alone"):
        transport.add(0, tx_id=None, rx_id=0x700, options=IsoTpOptions())
    with pytest.raises(ChannelUnavailable, match="no CAN interface is called"):
        KernelIsoTp(rig.world, [rig.cable.name, "nocan0"])
    rig.cable.down()
    with pytest.raises(ChannelUnavailable, match="is down"):
        KernelIsoTp(rig.world, [rig.cable.name])


def test_messages_wait_for_each_other_and_an_abort_ends_the_one_under_way(rig: Rig) -> None:
    unit = rig.unit(silent)
    transport = KernelIsoTp(rig.world, [rig.cable.name])
    rig.closing.append(transport.close)
    channel = transport.add(0, tx_id=TESTER, rx_id=UNIT, options=IsoTpOptions())
    for number in range(3):
        transport.send(channel, bytes((number,)) * 20, rig.world.now_ns)
    assert rig.world.run_until(lambda: len(unit.heard) == 3, PATIENCE_NS)
    assert [payload[0] for _, payload in unit.heard] == [0, 1, 2]
    transport.events.clear()
    transport.send(channel, bytes(2000), rig.world.now_ns)
    transport.abort(channel, rig.world.now_ns)
    transport.abort(channel, rig.world.now_ns)
    transport.send(channel, b"\x3e\x00", rig.world.now_ns)
    assert rig.world.run_until(lambda: len(transport.events) == 2, PATIENCE_NS)
    assert rig.world.run_until(lambda: unit.heard[-1][1] == b"\x3e\x00", PATIENCE_NS)
    kinds = [type(event).__name__ for event in transport.events]
    assert kinds == ["Failed", "Sent"]
    transport.close()
    transport.close()


def test_virtual_time_is_not_for_the_kernel() -> None:
    with pytest.raises(NotOnThisCarrier, match="real time"):
        KernelIsoTp(World(), ["vcan0"])
