"""The python-can driver where it fails: what cannot be opened says why, what breaks later is told once and never raises."""

from __future__ import annotations

import os
import queue
import socket
import sys
from collections.abc import Iterator

import can
import pytest
from channel_pair import multicast_port, real_world

from vci_driver.api import ChannelClosed, ChannelLost, ChannelUnavailable, FramesLost, InterfaceMissing
from vci_driver.drivers.dropped import DropCounter
from vci_driver.drivers.python_can import MAX_AWAITING_ECHO, PythonCanChannel, PythonCanDriver
from vci_driver.registry import open_channel
from wire.clock import stopwatch
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import EXTENDED, Frame
from wire.world import World

FRAME = Frame(0x714, b"\x02\x3e\x00")
S = 10**9


class BrokenBus(can.BusABC):
    """A bus in the tester's hands: it breaks when told to, and hears what the test puts into `inbox`."""

    def __init__(self) -> None:
        super().__init__(channel="broken")
        self.inbox: queue.Queue = queue.Queue()
        self.outbox: list[can.Message] = []
        self.send_error: Exception | None = None
        self.shutdown_error: Exception | None = None

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.outbox.append(msg)

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        try:
            item = self.inbox.get(timeout=timeout)
        except queue.Empty:
            return None, False
        if isinstance(item, Exception):
            raise item
        return item, False

    def shutdown(self) -> None:
        super().shutdown()
        if self.shutdown_error is not None:
            raise self.shutdown_error


class Desk:
    def __init__(self, world: World, *, echo: bool = False) -> None:
        self.world = world
        self.bus = BrokenBus()
        self.channel = PythonCanChannel(self.bus, world, "broken:0", echo=echo)
        self.faults: list[CarrierFault] = []
        self.sent: list[Frame] = []
        self.heard: list[Frame] = []
        self.channel.on_fault = self.faults.append
        self.channel.on_sent = self.sent.append
        self.channel.listen(None, self.heard.append)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with real_world() as world:
        made = Desk(world)
        yield made
        made.channel.close()


@pytest.fixture
def world() -> Iterator[World]:
    with real_world() as made:
        yield made


def test_real_hardware_has_no_place_in_virtual_time() -> None:
    with pytest.raises(NotOnThisCarrier, match="real time"):
        open_channel("python_can", "can0", {"interface": "virtual"}, World())


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, LocalMisuse, "needs the option interface"),
        ({"interface": 5}, LocalMisuse, "needs the option interface"),
        ({"interface": "socket-can"}, InterfaceMissing, "Did you mean 'socketcan'"),
        ({"interface": "zzz"}, InterfaceMissing, "It has .*socketcan"),
        ({"interface": "virtual", "echo": "yes"}, LocalMisuse, "true or false"),
        ({"interface": "udp_multicast", "hop_limit": "far"}, (LocalMisuse, ChannelUnavailable), "udp_multicast"),
        ({"interface": "socketcand"}, LocalMisuse, "does not take these options"),
        ({"interface": "udp_multicast", "port": 43113}, ChannelUnavailable, "cannot be opened"),
        ({"interface": "socketcan"}, ChannelUnavailable, "cannot be opened"),
        ({"interface": "slcan"}, CarrierFault, "slcan:nowhere"),
        ({"interface": "kvaser"}, CarrierFault, "kvaser:nowhere"),
        ({"interface": "pcan"}, CarrierFault, "pcan:nowhere"),
        ({"interface": "vector"}, CarrierFault, "vector:nowhere"),
    ],
    ids=lambda value: str(value.get("interface")) if isinstance(value, dict) else None,
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_cannot_be_opened_says_why_by_name(world: World, options: dict, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        open_channel("python_can", "nowhere", options, world)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_pcan_without_its_library_is_a_missing_interface(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("can.interfaces.pcan.basic.find_library", lambda name: None)
    with pytest.raises(
        InterfaceMissing, match=r"pcan:PCAN_USBBUS1: .*library not found.*; install the adapter's library"
    ):
        open_channel("python_can", "PCAN_USBBUS1", {"interface": "pcan"}, world)


@pytest.mark.parametrize(
    "error", [can.CanInitializationError("the value of a handle is invalid"), OSError(16, "Device or resource busy")]
)
def test_pcan_with_its_library_and_without_an_adapter_is_a_missing_channel(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def no_adapter(**_: object) -> can.BusABC:
        raise error

    monkeypatch.setattr("can.Bus", no_adapter)
    with pytest.raises(ChannelUnavailable, match="PCAN_USBBUS1 cannot be opened"):
        open_channel("python_can", "PCAN_USBBUS1", {"interface": "pcan"}, world)


@pytest.mark.realtime
def test_a_bus_that_breaks_while_sending_is_told_once_and_swallows_the_rest(desk: Desk) -> None:
    desk.bus.send_error = can.CanOperationError("unplugged")
    desk.channel.send(FRAME)
    desk.channel.send(FRAME)
    desk.world.run_for(0)
    assert [type(fault) for fault in desk.faults] == [ChannelLost]
    assert "broken:0" in str(desk.faults[0])
    assert "unplugged" in str(desk.faults[0])
    assert desk.sent == []


@pytest.mark.realtime
@pytest.mark.parametrize(
    "error", [can.CanOperationError("unplugged"), OSError(19, "No such device"), ValueError("bad")]
)
def test_a_bus_that_breaks_while_reading_is_told_once(desk: Desk, error: Exception) -> None:
    desk.bus.inbox.put(error)
    assert desk.world.run_until(lambda: bool(desk.faults), 5 * S)
    assert [type(fault) for fault in desk.faults] == [ChannelLost]
    assert "still plugged in" in str(desk.faults[0])


@pytest.mark.realtime
def test_after_a_fault_nothing_more_is_heard(desk: Desk) -> None:
    desk.bus.send_error = can.CanOperationError("unplugged")
    desk.channel.send(FRAME)
    desk.bus.inbox.put(can.Message(arbitration_id=1, is_extended_id=False))
    desk.world.run_for(S // 50)
    assert desk.heard == []


@pytest.mark.realtime
def test_error_frames_and_remote_frames_are_not_data(desk: Desk) -> None:
    desk.bus.inbox.put(can.Message(arbitration_id=1, is_error_frame=True, is_extended_id=False))
    desk.bus.inbox.put(can.Message(arbitration_id=2, is_remote_frame=True, dlc=8, is_extended_id=False))
    desk.bus.inbox.put(can.Message(arbitration_id=3, data=b"x", is_extended_id=True, timestamp=1.5))
    assert desk.world.run_until(lambda: bool(desk.heard), 5 * S)
    assert desk.heard == [Frame(EXTENDED | 3, b"x")]
    assert desk.channel.last_rx_timestamp_ns == 1_500_000_000


@pytest.mark.realtime
def test_a_frame_is_confirmed_in_the_world_not_inside_send(desk: Desk) -> None:
    desk.channel.send(FRAME)
    assert desk.sent == []
    desk.world.run_for(0)
    assert desk.sent == [FRAME]


@pytest.mark.realtime
def test_with_echo_the_bus_confirms_and_a_stranger_with_other_data_does_not(world: World) -> None:
    desk = Desk(world, echo=True)
    desk.channel.send(FRAME)
    desk.bus.inbox.put(can.Message(arbitration_id=0x714, data=b"\x02\x3e\x80", is_extended_id=False))
    assert world.run_until(lambda: bool(desk.heard), 5 * S)
    assert desk.sent == []
    desk.bus.inbox.put(can.Message(arbitration_id=0x714, data=FRAME.data, is_extended_id=False))
    assert world.run_until(lambda: bool(desk.sent), 5 * S)
    assert desk.sent == [FRAME]
    assert len(desk.heard) == 1
    desk.channel.close()


@pytest.mark.realtime
def test_an_echo_that_never_comes_is_a_fault_that_says_what_to_do(world: World) -> None:
    desk = Desk(world, echo=True)
    for number in range(MAX_AWAITING_ECHO + 1):
        desk.channel.send(Frame(0x1, number.to_bytes(2, "big")))
    assert "open it with the option echo=False" in str(desk.faults[0])
    desk.channel.close()


@pytest.mark.realtime
def test_an_adapter_that_cannot_say_good_bye_is_an_error_unless_it_was_lost_before(world: World) -> None:
    desk = Desk(world)
    desk.bus.shutdown_error = OSError("stuck")
    with pytest.raises(ChannelLost, match="did not close: stuck"):
        desk.channel.close()
    desk.channel.close()
    lost = Desk(world)
    lost.bus.send_error = lost.bus.shutdown_error = can.CanOperationError("gone")
    lost.channel.send(FRAME)
    lost.channel.close()
    with pytest.raises(ChannelClosed):
        lost.channel.send(FRAME)


@pytest.mark.realtime
def test_closing_from_inside_the_world_does_not_hang(desk: Desk) -> None:
    passed = stopwatch()
    desk.channel.on_sent = lambda _: desk.channel.close()
    desk.channel.send(FRAME)
    desk.world.run_for(0)
    assert passed() < 3
    with pytest.raises(ChannelClosed):
        desk.channel.send(FRAME)


@pytest.mark.realtime
def test_a_callback_that_raises_stops_the_world_not_the_reading_thread_in_silence(desk: Desk) -> None:
    def fail(frame: Frame) -> None:
        raise ValueError("boom")

    desk.channel.listen([3], fail)
    desk.bus.inbox.put(can.Message(arbitration_id=3, is_extended_id=False))
    with pytest.raises(Exception, match="boom"):
        desk.world.run_for(5 * S)


@pytest.mark.realtime
def test_two_worlds_on_one_multicast_group_do_not_disturb_each_other(world: World) -> None:
    port = multicast_port()
    options = {"interface": "udp_multicast", "port": port}
    try:
        one = open_channel("python_can", "239.74.163.2", options, world)
    except ChannelUnavailable as error:
        pytest.skip(f"no UDP multicast on this machine: {error}")
    with real_world() as other_world:
        two = open_channel("python_can", "239.74.163.2", options, other_world)
        heard: list[Frame] = []
        two.listen(None, heard.append)
        one.send(FRAME)
        if not other_world.run_until(lambda: bool(heard), 2 * S):
            pytest.skip("no UDP multicast on this machine: a datagram did not come back")
        assert heard == [FRAME]
        two.close()
    one.close()


def test_an_interface_that_breaks_while_it_looks_keeps_no_other_from_being_found(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def look(names: list[str]) -> list[dict[str, object]]:
        if names == ["kvaser"]:
            raise ZeroDivisionError
        return [{"interface": names[0], "channel": "one"}] if names == ["virtual"] else []

    monkeypatch.setattr(can, "detect_available_configs", look)
    assert [channel.channel for channel in PythonCanDriver().detect()] == ["one"]
    assert "'kvaser' broke" in caplog.text


# ---- frames that the kernel dropped


class DatagramBus(BrokenBus):
    """A bus on a socket, as python-can's are: what nobody reads in time the kernel drops."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.connect(self.socket.getsockname())

    def arrive(self, number: int) -> None:
        self.far.send(number.to_bytes(4, "big"))

    def fileno(self) -> int:
        return self.socket.fileno()

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        try:
            data = self.socket.recv(8)
        except BlockingIOError:
            return None, False
        return can.Message(arbitration_id=7, data=data, is_extended_id=False), False

    def shutdown(self) -> None:
        super().shutdown()
        self.socket.close()
        self.far.close()


@pytest.mark.realtime
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts what it drops")
def test_what_the_kernel_dropped_is_told_with_its_number_and_late_echoes_still_confirm(world: World) -> None:
    bus = DatagramBus()
    bus.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    channel = PythonCanChannel(bus, world, "datagram:0", echo=True)
    bus.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the channel asked for more
    told: list[tuple[str, object]] = []
    channel.on_fault = lambda fault: told.append(("fault", fault))
    channel.on_sent = lambda frame: told.append(("sent", int.from_bytes(frame.data, "big")))
    channel.listen(None, lambda frame: told.append(("heard", frame)))
    for number in range(100):
        channel.send(Frame(7, number.to_bytes(4, "big")))
        bus.arrive(number)
    assert world.run_until(lambda: any(kind == "fault" for kind, _ in told), 5 * S)
    arrived = sum(kind == "sent" for kind, _ in told)
    (fault,) = [fault for kind, fault in told if kind == "fault"]
    assert isinstance(fault, FramesLost)
    assert 0 < arrived < 100
    assert fault.count == 100 - arrived
    assert f"datagram:0: the system dropped {fault.count} frames" in str(fault)
    bus.arrive(99)  # the echo of the last one proves all before it
    assert world.run_until(lambda: ("sent", 99) in told, 5 * S)
    assert [number for kind, number in told if kind == "sent"] == list(range(100))
    assert not any(kind == "heard" for kind, _ in told)
    bus.arrive(99)  # and from then on only the next in turn is one's own
    assert world.run_until(lambda: any(kind == "heard" for kind, _ in told), 5 * S)
    channel.close()


def test_what_is_no_socket_or_cannot_be_counted_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    for descriptor in (None, reading):
        counter = DropCounter(descriptor)
        assert counter.take() == 0
        counter.close()
    os.close(reading)
    os.close(writing)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as watched:
        counting = DropCounter(watched.fileno())
        monkeypatch.setattr("vci_driver.drivers.dropped.MEMINFO_LEN", 3)  # as an older kernel answers
        assert counting.take() == 0
        assert DropCounter(watched.fileno()).take() == 0
        counting.close()
        counting.close()


@pytest.mark.realtime
def test_a_channel_that_carries_classic_frames_only_refuses_the_others(world: World) -> None:
    channel = PythonCanChannel(BrokenBus(), world, "broken:0", echo=False, fd=False)
    with pytest.raises(LocalMisuse, match="broken:0 carries classic CAN only"):
        channel.send(Frame(1, bytes(12), fd=True))
    channel.send(FRAME)
    channel.close()


@pytest.mark.parametrize(
    ("option", "says"), [("recieve_own_messages", "Did you mean 'receive_own_messages'"), ("zz", "has no option 'zz'")]
)
def test_a_misspelt_option_of_a_known_interface_is_refused(world: World, option: str, says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        open_channel("python_can", "x", {"interface": "virtual", option: 1}, world)
