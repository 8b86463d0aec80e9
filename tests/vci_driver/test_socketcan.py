"""The socketcan driver on real vcan interfaces: what the kernel does for it, and what happens when the interface goes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from channel_pair import real_world
from vcan_interface import PATIENCE_NS, QUIET_NS, VcanInterface, ip, vcan_interface

from vci_driver.api import ChannelLost, ChannelUnavailable, FramesLost, OtherSender
from vci_driver.drivers.socketcan import SocketCanDriver
from vci_driver.linux_can.frames import pack
from vci_driver.linux_can.raw_channel import SocketCanChannel
from vci_driver.registry import open_channel
from wire.clock import stopwatch
from wire.errors import CarrierFault
from wire.frame import EXTENDED, Frame
from wire.world import World

pytestmark = [pytest.mark.realtime, pytest.mark.vcan]
FRAME = Frame(0x714, b"\x02\x3e\x00")
ERROR_FLAG = 0x2000_0000
S = 10**9

cable = pytest.fixture(vcan_interface)


class Bench:
    """One channel on the interface, what it told, and another program's plain socket beside it."""

    def __init__(self, world: World, cable: VcanInterface, **options: object) -> None:
        self.world = world
        channel = open_channel("socketcan", cable.name, options, world)
        assert isinstance(channel, SocketCanChannel)
        self.channel = channel
        self.other = cable.plain_socket()
        self.other.settimeout(5)
        self.heard: list[Frame] = []
        self.sent: list[Frame] = []
        self.faults: list[CarrierFault] = []
        self.recovered: list[bool] = []
        channel.on_sent = self.sent.append
        channel.on_fault = self.faults.append
        channel.on_recovered = lambda: self.recovered.append(True)

    def until(self, done: Callable[[], bool]) -> bool:
        return self.world.run_until(done, PATIENCE_NS)

    def close(self) -> None:
        self.channel.close()
        self.other.close()


@pytest.fixture
def world() -> Iterator[World]:
    with real_world() as made:
        yield made


@pytest.fixture
def bench(world: World, cable: VcanInterface) -> Iterator[Bench]:
    made = Bench(world, cable)
    yield made
    made.close()


def test_the_kernel_lets_pass_only_what_is_listened_to(bench: Bench) -> None:
    bench.channel.listen([0x77E, EXTENDED | 0x18DAF110], bench.heard.append)
    frames = [Frame(can_id, b"") for can_id in (0x77F, EXTENDED | 0x77E, 0x77E, 0x110, EXTENDED | 0x18DAF110)]
    for frame in frames:
        bench.other.send(pack(frame))
    assert bench.until(lambda: len(bench.heard) == 2)
    assert bench.heard == [frames[2], frames[4]]
    assert bench.channel.counters.received == 2


def test_a_message_of_585_frames_is_drained_in_a_few_wake_ups(bench: Bench) -> None:
    wake_ups = []
    read = bench.channel._read
    bench.world.clock.unregister(bench.channel._socket)
    bench.world.clock.register(bench.channel._socket, lambda: (wake_ups.append(None), read()))
    bench.channel.listen([0x77E], bench.heard.append)
    frames = [Frame(0x77E, number.to_bytes(2, "big")) for number in range(585)]
    for frame in frames:
        bench.other.send(pack(frame))
    assert bench.until(lambda: len(bench.heard) == 585)
    assert bench.heard == frames
    assert len(wake_ups) < 30
    assert bench.faults == []


def test_frames_that_came_faster_than_they_were_read_are_missed_by_exact_number(
    world: World, cable: VcanInterface
) -> None:
    bench = Bench(world, cable, receive_buffer_bytes=1)
    bench.channel.listen([0x77E], bench.heard.append)
    for number in range(500):  # nobody runs the world meanwhile: it is blocked
        bench.other.send(pack(Frame(0x77E, number.to_bytes(2, "big"))))
    assert bench.until(lambda: bool(bench.faults))
    world.run_for(QUIET_NS)
    (fault,) = bench.faults
    assert isinstance(fault, FramesLost)
    assert fault.count == 500 - len(bench.heard) == bench.channel.counters.lost > 400
    assert f"lost {fault.count} frames" in str(fault)
    bench.heard.clear()
    bench.other.send(pack(Frame(0x77E, b"go on")))
    assert bench.until(lambda: bool(bench.heard))
    assert bench.channel.fault is None
    bench.close()


def test_an_interface_that_is_set_down_and_up_is_lost_and_recovered(bench: Bench, cable: VcanInterface) -> None:
    bench.channel.listen([0x77E], bench.heard.append)
    bench.channel.send(FRAME)
    assert bench.until(lambda: bench.sent == [FRAME])
    cable.down()
    assert bench.until(lambda: bool(bench.faults))
    assert f"{cable.name} went down" in str(bench.faults[0])
    bench.channel.send(FRAME)
    bench.world.run_for(QUIET_NS)
    assert (len(bench.faults), len(bench.sent), bench.recovered) == (1, 1, [])
    cable.up()
    assert bench.until(lambda: bench.recovered == [True])
    with pytest.raises(OSError, match="down"):  # its own notice that the interface was away
        bench.other.recv(72)
    bench.channel.send(FRAME)
    assert bench.until(lambda: len(bench.sent) == 2)
    assert [bench.other.recv(72) for _ in range(2)] == [pack(FRAME)] * 2
    bench.other.send(pack(Frame(0x77E, b"")))
    assert bench.until(lambda: bool(bench.heard))


def test_sending_into_an_interface_that_just_went_down_neither_raises_nor_hangs(
    bench: Bench, cable: VcanInterface
) -> None:
    bench.channel.send(FRAME)
    passed = stopwatch()
    cable.down()
    for _ in range(3):
        bench.channel.send(FRAME)
    assert [type(fault) for fault in bench.faults] == [ChannelLost]
    assert passed() < 5
    bench.world.run_for(QUIET_NS)
    assert len(bench.faults) == 1


def test_an_interface_that_is_removed_and_made_anew_is_used_again(bench: Bench, cable: VcanInterface) -> None:
    bench.channel.listen([0x77E], bench.heard.append)
    cable.delete()
    assert bench.until(lambda: bool(bench.faults))
    bench.world.run_for(QUIET_NS)
    assert [type(fault) for fault in bench.faults] == [ChannelLost]
    cable.add(mtu=16)
    assert bench.until(lambda: bench.recovered == [True])
    with cable.plain_socket() as other:
        other.send(pack(Frame(0x77E, b"")))
        assert bench.until(lambda: bool(bench.heard))
    bench.channel.send(Frame(0x714, bytes(12), fd=True))
    assert "carries classic CAN only" in str(bench.faults[1])
    cable.down()
    ip("set", cable.name, "mtu", "72", "up")
    assert bench.until(lambda: len(bench.recovered) == 2)
    bench.channel.send(Frame(0x714, bytes(12), fd=True))
    assert bench.until(lambda: bool(bench.sent))


def test_the_echo_of_the_interface_confirms_where_it_is_asked_for(world: World, cable: VcanInterface) -> None:
    bench = Bench(world, cable, echo=True)
    bench.channel.listen(None, bench.heard.append)
    frames = [Frame(0x714, bytes((number,))) for number in range(20)]
    for frame in frames:
        bench.channel.send(frame)
    assert bench.sent == []
    assert bench.until(lambda: len(bench.sent) == 20)
    assert (bench.sent, bench.heard) == (frames, [])
    bench.other.send(pack(FRAME))
    assert bench.until(lambda: bool(bench.heard))
    assert len(bench.sent) == 20
    assert bench.channel.last_rx_timestamp_ns is not None
    bench.close()


@pytest.mark.parametrize("echo", [True, False])
def test_another_program_with_our_identifier_is_noticed_though_nobody_listens_to_it(
    world: World, cable: VcanInterface, echo: bool
) -> None:
    bench = Bench(world, cable, echo=echo)
    bench.channel.send(FRAME)
    assert bench.until(lambda: bool(bench.sent))
    for _ in range(3):
        bench.other.send(pack(FRAME))
    assert bench.until(lambda: bench.channel.counters.other_senders == 3)
    assert [type(fault) for fault in bench.faults] == [OtherSender]
    assert bench.sent == [FRAME]
    bench.close()


def test_error_frames_of_the_controller_are_told_and_counted(bench: Bench) -> None:
    bench.channel.listen([0x77E], bench.heard.append)
    for classes, data in ((4, b"\0\x20"), (2, bytes(8)), (4, b"\0\x01")):
        bench.other.send(pack(Frame(ERROR_FLAG | classes, data.ljust(8, b"\0"))))
    assert bench.until(lambda: bool(bench.faults))
    assert isinstance(bench.faults[0], FramesLost)
    bench.other.send(pack(Frame(ERROR_FLAG | 0x40, bytes(8))))
    assert bench.until(lambda: bench.channel.fault is not None)
    bench.channel.send(FRAME)
    bench.other.send(pack(Frame(0x77E, b"")))
    bench.world.run_for(QUIET_NS)
    assert (bench.sent, bench.heard) == ([], [])
    assert "bus-off" in str(bench.faults[1])
    bench.other.send(pack(Frame(ERROR_FLAG | 0x100, bytes(8))))
    assert bench.until(lambda: bench.recovered == [True])
    bench.channel.send(FRAME)
    assert bench.until(lambda: bench.sent == [FRAME])
    counted = {"error passive, sending", "lost arbitration", "receive overflow", "bus-off", "restarted"}
    assert bench.channel.counters.errors == dict.fromkeys(counted, 1)


def test_each_frame_has_the_kernel_s_stamp(bench: Bench) -> None:
    stamps: list[int | None] = []
    bench.channel.listen([0x77E], lambda _: stamps.append(bench.channel.last_rx_timestamp_ns))
    assert bench.channel.last_rx_timestamp_ns is None
    for _ in range(3):
        bench.other.send(pack(Frame(0x77E, b"")))
    assert bench.until(lambda: len(stamps) == 3)
    assert None not in stamps
    assert stamps == sorted(stamps)
    now_ns = (bench.world.clock.epoch_utc_s() * S) + bench.world.clock.now_ns()
    assert 0 <= now_ns - stamps[0] < 60 * S
    assert bench.channel.last_rx_timestamp_ns == stamps[2]


def test_a_channel_that_was_never_closed_by_its_interface_closes_while_that_is_down(
    bench: Bench, cable: VcanInterface
) -> None:
    cable.down()
    bench.channel.close()
    bench.world.run_for(QUIET_NS)
    assert bench.faults == []


# ---- opening


def test_an_interface_that_is_not_there_is_said_so_with_one_that_is(world: World, cable: VcanInterface) -> None:
    with pytest.raises(
        ChannelUnavailable, match=f"no CAN interface is called '{cable.name}y'. Did you mean '{cable.name}'"
    ):
        open_channel("socketcan", f"{cable.name}y", {}, world)


def test_an_interface_that_is_down_or_no_can_interface_says_what_to_do(world: World, cable: VcanInterface) -> None:
    cable.down()
    with pytest.raises(ChannelUnavailable, match=f"'ip link set {cable.name} up'"):
        open_channel("socketcan", cable.name, {}, world)
    with pytest.raises(ChannelUnavailable, match="'lo' is a network interface, but not a CAN interface"):
        open_channel("socketcan", "lo", {}, world)


def test_an_interface_that_goes_while_it_is_opened_is_unavailable(
    world: World, cable: VcanInterface, monkeypatch: pytest.MonkeyPatch
) -> None:
    usable = SocketCanDriver.open.__globals__["usable"]

    def usable_for_the_last_time(name: str) -> object:
        found = usable(name)
        cable.delete()
        return found

    monkeypatch.setitem(SocketCanDriver.open.__globals__, "usable", usable_for_the_last_time)
    with pytest.raises(ChannelUnavailable, match=f"ip link show {cable.name}"):
        open_channel("socketcan", cable.name, {}, world)


def test_looking_finds_the_interface_and_tells_whether_it_is_up(cable: VcanInterface) -> None:
    def description() -> str:
        return {found.channel: found.description for found in SocketCanDriver().detect()}[cable.name]

    assert description() == f"SocketCAN {cable.name}: vcan, up, FD"
    cable.down()
    assert description() == f"SocketCAN {cable.name}: vcan, down, FD"


def test_vxcan_confirms_at_once_too(world: World) -> None:
    try:
        ip("add", "sgwvx0", "type", "vxcan", "peer", "name", "sgwvx1")
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"no vxcan: {error}")
    try:
        for name in ("sgwvx0", "sgwvx1"):
            ip("set", name, "up")
        sent: list[Frame] = []
        heard: list[Frame] = []
        one = open_channel("socketcan", "sgwvx0", {}, world)
        two = open_channel("socketcan", "sgwvx1", {}, world)
        one.on_sent = sent.append
        two.listen([0x714], heard.append)
        one.send(FRAME)
        assert world.run_until(lambda: bool(sent and heard), PATIENCE_NS)
        one.close()
        two.close()
    finally:
        ip("delete", "sgwvx0")


def test_a_plain_program_and_we_understand_each_other(bench: Bench) -> None:
    bench.channel.listen([0x77E], bench.heard.append)
    bench.channel.send(FRAME)
    assert bench.other.recv(16) == b"\x14\x07\0\0\x03\0\0\0\x02\x3e\0" + bytes(5)
    bench.other.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
    bench.channel.send(Frame(0x714, bytes(range(12)), fd=True, brs=True))
    raw = bench.other.recv(72)
    assert (raw[4], raw[5] & 1, raw[8:20]) == (12, 1, bytes(range(12)))
