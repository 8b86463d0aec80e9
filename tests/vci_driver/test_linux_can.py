"""Linux's CAN as far as it needs no kernel that has it: codec, filters, error frames, pace, and every way a socket fails."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest
from channel_pair import real_world
from fake_can_socket import FRAME, VCAN, Desk
from hypothesis import given
from hypothesis import strategies as st

from vci_driver.api import ChannelClosed, ChannelLost, ChannelUnavailable, FramesLost, InterfaceMissing, OtherSender
from vci_driver.drivers import socketcan
from vci_driver.linux_can import backlog, interfaces
from vci_driver.linux_can.error_frames import read_error
from vci_driver.linux_can.frames import CAN_RAW_FILTER, FILTERS_MAX, filters, pack, unpack
from vci_driver.linux_can.interfaces import Interface, InterfaceWatch, read_links
from vci_driver.linux_can.raw_socket import MSG_CONFIRM
from vci_driver.linux_can.read_pace import HOLD_OFF_MAX, READ_BURST, ReadPace
from vci_driver.registry import open_channel
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import EXTENDED, FD_LENGTHS, Frame
from wire.world import World

MS = 10**6
IDS = st.one_of(st.integers(0, 0x7FF), st.integers(0, 0x1FFFFFFF).map(lambda number: number | EXTENDED))
CLASSIC_FRAMES = st.builds(Frame, IDS, st.binary(max_size=8))
FD_FRAMES = st.builds(
    Frame,
    IDS,
    st.sampled_from(FD_LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.just(True),
    st.booleans(),
)
ERROR_FLAG = 0x2000_0000


# ---- frames and filters


@given(st.one_of(CLASSIC_FRAMES, FD_FRAMES))
def test_a_frame_is_read_as_it_was_written(frame: Frame) -> None:
    raw = pack(frame)
    assert len(raw) == (72 if frame.fd else 16)
    assert unpack(raw) == frame


def test_a_frame_lies_in_memory_as_the_kernel_has_it() -> None:
    assert pack(Frame(0x123, b"\x01\x02")) == struct.pack("=I", 0x123) + b"\x02\0\0\0" + b"\x01\x02" + bytes(6)
    fd = pack(Frame(EXTENDED | 0x18DA10F1, bytes(12), True, True))
    assert fd == struct.pack("=I", 0x98DA10F1) + b"\x0c\x01\0\0" + bytes(64)


def test_a_classic_frame_of_nine_bytes_says_so_for_the_kernel_to_refuse() -> None:
    assert pack(Frame(1, bytes(9)))[4] == 9


@given(st.sets(IDS, max_size=40), IDS, st.booleans())
def test_the_filters_let_exactly_the_wanted_identifiers_pass(wanted: set[int], can_id: int, remote: bool) -> None:
    seen = can_id | (0x4000_0000 if remote else 0)
    rules = struct.iter_unpack("=II", filters(wanted))
    assert any(seen & mask == rule & mask for rule, mask in rules) == (can_id in wanted and not remote)


@pytest.mark.parametrize("wanted", [None, range(FILTERS_MAX + 1)])
def test_all_or_more_than_a_socket_can_filter_lets_all_pass_but_remote_frames(wanted: object) -> None:
    ((rule, mask),) = struct.iter_unpack("=II", filters(wanted))
    assert all(can_id & mask == rule for can_id in (0, 0x7FF, EXTENDED | 0x1FFFFFFF))
    assert (0x714 | 0x4000_0000) & mask != rule
    assert filters(()) == b""


# ---- error frames


@pytest.mark.parametrize(
    ("classes", "data", "kinds"),
    [
        (0x40, b"", ("bus-off",)),
        (0x100, bytes(8), ("restarted",)),
        (0x04, b"\0\x01", ("receive overflow",)),
        (0x04, b"\0\x30", ("error passive, receiving", "error passive, sending")),
        (0x04, b"\0\x0c", ("error warning, receiving", "error warning, sending")),
        (0x02 | 0x20, bytes(8), ("lost arbitration", "no acknowledgement")),
        (0x04, b"", ("unspecified",)),
        (0x200, bytes(8), ("unspecified",)),
    ],
)
def test_an_error_frame_is_read_into_words(classes: int, data: bytes, kinds: tuple[str, ...]) -> None:
    report = read_error(ERROR_FLAG | classes, data)
    assert report.kinds == kinds
    assert report.bus_off == ("bus-off" in kinds)
    assert report.restarted == ("restarted" in kinds)
    assert report.rx_overflow == ("receive overflow" in kinds)


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))
def test_no_error_frame_is_too_strange_to_read(classes: int, data: bytes) -> None:
    assert read_error(ERROR_FLAG | classes, data).kinds


# ---- how many reads


def reads_for(pace: ReadPace, waiting: int) -> tuple[int, int]:
    """One wake-up with so many frames waiting: (frames read, reads that found nothing)."""
    planned = pace.plan()
    found = min(planned, waiting)
    if planned > 1:
        pace.learn(planned, found)
    return found, int(found < planned)


def test_between_request_and_answer_one_read_in_seventeen_finds_nothing_at_most() -> None:
    pace = ReadPace()
    for _ in range(100):
        reads_for(pace, 1)
    in_vain = sum(reads_for(pace, 1)[1] for _ in range(170))
    assert in_vain <= 10


def test_a_burst_is_read_in_a_few_wake_ups_even_after_long_quiet() -> None:
    pace = ReadPace()
    for _ in range(100):
        reads_for(pace, 1)
    left, wake_ups = 585, 0
    while left:
        found, _ = reads_for(pace, left)
        left -= found
        wake_ups += 1
    assert wake_ups <= HOLD_OFF_MAX + 6


def test_no_wake_up_reads_more_than_its_share() -> None:
    pace = ReadPace()
    assert max(reads_for(pace, 10**6)[0] for _ in range(50)) == READ_BURST


@given(st.lists(st.integers(1, 300), max_size=200))
def test_a_wake_up_always_reads_something(waiting: list[int]) -> None:
    pace = ReadPace()
    assert all(1 <= reads_for(pace, count)[0] <= READ_BURST for count in waiting)


# ---- the kernel's news of interfaces


def link(kind: int, name: bytes, *, flags: int, info: bytes = b"", hardware: int = 280) -> bytes:
    def attribute(number: int, value: bytes) -> bytes:
        return (struct.pack("=HH", len(value) + 4, number) + value).ljust(len(value) + 7 & ~3, b"\0")

    body = struct.pack("=BxHiII", 0, hardware, 5, flags, 0)
    body += attribute(3, name + b"\0") + attribute(4, struct.pack("=I", 16)) + attribute(18, info)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_news_of_a_controller_tell_its_state_and_bit_rate() -> None:
    told = struct.pack("=HH", 8, 4) + struct.pack("=I", 3) + struct.pack("=HHI", 8, 1, 500_000)
    info = struct.pack("=HH", 8, 1) + b"can\0" + struct.pack("=HH", 4 + len(told), 2) + told
    (news,) = read_links(link(16, b"can0", flags=1, info=info))
    expected = Interface(name="can0", index=5, can=True, up=True, mtu=16, kind="can", state="bus-off", bitrate=500_000)
    assert news == expected
    assert not news.virtual


def test_a_removal_is_told_apart_and_other_messages_are_left_out() -> None:
    data = link(20, b"x", flags=0) + link(17, b"vcan0", flags=0) + link(16, b"eth0", flags=1, hardware=1)
    gone, ethernet = read_links(data)
    assert (gone.name, gone.gone, gone.up) == ("vcan0", True, False)
    assert (ethernet.name, ethernet.can) == ("eth0", False)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_news_that_are_cut_short_or_garbled_are_no_reason_to_fail(noise: bytes, cut: int) -> None:
    list(read_links(noise))
    list(read_links((link(16, b"can0", flags=1) + noise)[:cut]))


def test_this_machine_has_a_loopback_and_it_is_no_can_interface() -> None:
    loopback = next(interface for interface in interfaces.interfaces() if interface.name == "lo")
    assert not loopback.can


def test_where_news_were_lost_the_watch_looks_how_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    class Overrun:
        def recv(self, size: int) -> bytes:
            raise OSError(errno.ENOBUFS, "No buffer space available")

        def close(self) -> None: ...

    for name, gone in (("lo", False), ("vcan99", True)):
        watch = InterfaceWatch(name)
        assert watch.news() == []
        watch.close()
        watch.socket = Overrun()
        assert [news.gone for news in watch.news()] == [gone]

    def no_answer() -> tuple[Interface, ...]:
        raise TimeoutError

    monkeypatch.setattr(interfaces, "interfaces", no_answer)
    assert watch.news() == []


# ---- a channel on a socket that fails


@pytest.fixture
def world() -> Iterator[World]:
    with real_world() as made:
        yield made


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    made = Desk(world)
    yield made
    made.channel.close()


def test_a_delivered_frame_is_confirmed_in_the_world_and_not_inside_send(desk: Desk) -> None:
    desk.channel.send(FRAME)
    assert (desk.sent, desk.socket.out) == ([], [pack(FRAME)])
    desk.turn()
    assert desk.sent == [FRAME]


def test_a_steady_exchange_costs_one_read_for_each_frame(desk: Desk) -> None:
    desk.channel.listen([0x77E], desk.heard.append)
    for _ in range(100):
        desk.socket.into(pack(Frame(0x77E, b"")))
        desk.turn()
    desk.socket.reads = 0
    for _ in range(170):
        desk.socket.into(pack(Frame(0x77E, b"")))
        desk.turn()
    assert len(desk.heard) == 270
    assert desk.socket.reads <= 180


def test_filters_follow_listeners_and_own_identifiers_and_stay_out_of_the_way_of_a_frame(desk: Desk) -> None:
    desk.channel.listen([0x77E], desk.heard.append)
    desk.channel.send(FRAME)
    desk.channel.send(FRAME)
    told = [value for _, name, value in desk.socket.options if name == CAN_RAW_FILTER]
    assert told == [b"", filters([0x77E]), filters([0x714, 0x77E])]


def test_a_full_transmit_queue_is_tried_again_and_no_frame_overtakes_another(desk: Desk) -> None:
    desk.socket.send_errors.extend([errno.ENOBUFS, errno.EAGAIN, 0, errno.ENOBUFS])
    frames = [Frame(0x714, bytes((number,))) for number in range(4)]
    for frame in frames:
        desk.channel.send(frame)
    desk.turn()
    assert desk.sent == []
    assert desk.world.run_until(lambda: len(desk.sent) == 4, 10**10)
    assert desk.sent == frames
    assert desk.socket.out == [pack(frame) for frame in frames]
    assert (desk.channel.counters.retries, desk.channel.counters.sent, desk.faults) == (3, 4, [])
    desk.channel.send(FRAME)
    assert desk.socket.out[-1] == pack(FRAME)


def test_a_queue_that_stays_full_is_not_tried_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "RETRY_LIMIT_NS", 5 * MS)
    monkeypatch.setattr(backlog, "BACKLOG_MAX", 2)
    desk.socket.send_errors.extend([errno.ENOBUFS] * 10_000)
    for _ in range(3):
        desk.channel.send(FRAME)
    assert desk.world.run_until(lambda: desk.channel.counters.given_up == 3, 10**10)
    desk.socket.send_errors.clear()
    desk.channel.send(FRAME)
    assert desk.world.run_until(lambda: desk.sent == [FRAME], 10**10)
    assert desk.faults == []


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENETDOWN, "went down"), (errno.ENXIO, "is gone"), (errno.ENODEV, "is gone")]
)
def test_an_interface_that_is_away_when_something_is_sent_is_told_once(desk: Desk, number: int, says: str) -> None:
    desk.socket.send_errors.append(number)
    for _ in range(3):
        desk.channel.send(FRAME)
    desk.turn()
    (fault,) = desk.faults
    assert isinstance(fault, ChannelLost)
    assert f"socketcan:vcan7 {says}" in str(fault)
    assert desk.sent == []
    assert desk.channel.last_rx_timestamp_ns is None


def test_an_interface_that_goes_while_a_frame_waits_for_room_takes_that_with_it(desk: Desk) -> None:
    desk.socket.send_errors.extend([errno.ENOBUFS, errno.ENETDOWN])
    desk.channel.send(FRAME)
    desk.channel.send(FRAME)
    assert desk.world.run_until(lambda: bool(desk.faults), 10**10)
    desk.world.run_for(5 * MS)
    assert (len(desk.faults), desk.sent, desk.socket.out) == (1, [], [])


def test_a_frame_that_the_kernel_refuses_is_told_and_the_channel_goes_on(desk: Desk) -> None:
    desk.socket.send_errors.append(errno.EINVAL)
    desk.channel.send(FRAME)
    desk.channel.send(FRAME)
    desk.turn()
    assert [type(fault) for fault in desk.faults] == [CarrierFault]
    assert "did not take Frame(714#023E00): Invalid argument" in str(desk.faults[0])
    assert desk.sent == [FRAME]
    assert desk.channel.counters.errors == {"not sent: Invalid argument": 1}


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENETDOWN, "went down"), (errno.ENODEV, "is gone"), (errno.EIO, "cannot be used")]
)
def test_a_socket_that_fails_while_reading_is_told_once(desk: Desk, number: int, says: str) -> None:
    desk.socket.recv_error = number
    desk.socket.into(pack(FRAME))
    desk.turn()
    desk.turn()
    assert [type(fault) for fault in desk.faults] == [ChannelLost]
    assert says in str(desk.faults[0])


def test_an_interface_that_goes_and_comes_back_is_used_again(desk: Desk) -> None:
    desk.channel.listen([0x77E], desk.heard.append)
    desk.watch.tell(replace(VCAN, up=False))
    desk.turn()
    assert "went down" in str(desk.faults[0])
    desk.channel.send(FRAME)
    desk.watch.tell(replace(VCAN, gone=True), replace(VCAN, up=False), replace(VCAN, index=9))
    desk.turn()
    assert (len(desk.faults), desk.recovered, len(desk.sockets)) == (1, [True], 2)
    assert desk.sockets[0].closed
    desk.socket.into(pack(Frame(0x77E, b"")))
    desk.channel.send(FRAME)
    desk.turn()
    assert (len(desk.heard), desk.sent, desk.socket.out) == (1, [FRAME], [pack(FRAME)])
    assert (101, CAN_RAW_FILTER, filters([0x77E])) in desk.socket.options


def test_an_interface_that_is_up_but_cannot_be_opened_stays_lost_until_it_can(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.watch.tell(replace(VCAN, gone=True))
    desk.connect_error = errno.EPERM
    desk.watch.tell(VCAN)
    desk.turn()
    assert (desk.recovered, "cannot be opened: Operation not permitted" in caplog.text) == ([], True)
    desk.connect_error = None
    desk.watch.tell(VCAN)
    desk.turn()
    assert desk.recovered == [True]


def test_a_socket_that_cannot_be_set_up_is_closed_and_the_error_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("fake_can_socket.FakeCanSocket.setsockopt", refuse)
    with pytest.raises(OSError, match="Invalid argument"):
        desk.channel._open_socket(VCAN)
    assert [made.closed for made in desk.sockets] == [False, True]


def test_a_buffer_that_may_not_exceed_the_system_limit_is_asked_for_within_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[object] = []

    def setsockopt(self: object, level: int, name: int, value: object) -> None:
        if name == 33:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        if name == socket.SO_RCVBUF:
            forced.append(value)

    monkeypatch.setattr("fake_can_socket.FakeCanSocket.setsockopt", setsockopt)
    Desk(world).channel.close()
    assert forced == [1 << 20]


def test_filters_that_the_kernel_does_not_take_any_more_mean_a_lost_channel(desk: Desk) -> None:
    desk.socket.option_errors[CAN_RAW_FILTER] = errno.ENODEV
    desk.channel.send(FRAME)
    assert "is gone" in str(desk.faults[0])
    desk.channel.listen([1], desk.heard.append)
    assert desk.socket.out == []


def test_frames_that_the_kernel_dropped_are_told_with_their_number_once_a_burst(desk: Desk) -> None:
    desk.channel.listen([0x77E], desk.heard.append)
    for drops in (5, 5, 12):
        desk.socket.drops = drops
        for _ in range(40):
            desk.socket.into(pack(Frame(0x77E, b"")))
            desk.turn()
    assert [(type(fault), fault.count) for fault in desk.faults] == [(FramesLost, 5), (FramesLost, 7)]
    assert desk.channel.counters.lost == 12
    assert desk.channel.fault is None
    desk.socket.meminfo_error = errno.ENOPROTOOPT  # an old kernel counts, but does not tell
    desk.socket.into(pack(Frame(0x77E, b"")))
    desk.turn()


def test_bus_off_and_restart_are_a_lost_and_a_recovered_channel(desk: Desk) -> None:
    desk.channel.listen(None, desk.heard.append)
    desk.socket.into(pack(Frame(ERROR_FLAG | 0x40, bytes(8))))
    desk.socket.into(pack(Frame(1, b"")))
    desk.turn()
    desk.channel.send(FRAME)
    assert "bus-off" in str(desk.faults[0])
    assert (desk.heard, desk.socket.out) == ([], [])
    desk.socket.into(pack(Frame(ERROR_FLAG | 0x100, bytes(8))))
    desk.socket.into(pack(Frame(ERROR_FLAG | 0x100, bytes(8))))
    desk.socket.into(pack(Frame(2, b"")))
    assert desk.world.run_until(lambda: bool(desk.heard), 10**10)
    assert (desk.recovered, desk.heard) == ([True], [Frame(2, b"")])
    assert desk.channel.counters.errors == {"bus-off": 1, "restarted": 2}


def test_errors_that_do_not_end_the_traffic_are_counted_and_remote_frames_ignored(desk: Desk) -> None:
    desk.channel.listen(None, desk.heard.append)
    for raw in (Frame(ERROR_FLAG | 4, b"\0\x20"), Frame(ERROR_FLAG | 2, bytes(8)), Frame(0x4000_0001, b"")):
        desk.socket.into(pack(raw))
    desk.turn()
    assert desk.faults == []
    desk.socket.into(pack(Frame(ERROR_FLAG | 4, b"\0\x01")))
    assert desk.world.run_until(lambda: bool(desk.faults), 10**10)
    assert [(type(fault), fault.count) for fault in desk.faults] == [(FramesLost, 0)]
    assert desk.channel.counters.errors == {"error passive, sending": 1, "lost arbitration": 1, "receive overflow": 1}
    assert desk.heard == []


def test_another_sender_with_our_identifier_is_told_once_and_counted(desk: Desk) -> None:
    desk.channel.listen(None, desk.heard.append)
    desk.channel.send(FRAME)
    desk.turn()
    for _ in range(3):
        desk.socket.into(pack(FRAME))
    assert desk.world.run_until(lambda: len(desk.heard) == 3, 10**10)
    assert [type(fault) for fault in desk.faults] == [OtherSender]
    assert "our identifier 714" in str(desk.faults[0])
    assert (desk.channel.counters.other_senders, desk.sent) == (3, [FRAME])


def test_with_echo_the_controller_confirms_and_others_do_not(world: World) -> None:
    desk = Desk(world, replace(VCAN, kind="can"))
    desk.channel.listen(None, desk.heard.append)
    desk.socket.told = [(1, 35, struct.pack("=qq", 1_700_000_000, 5))]
    desk.channel.send(FRAME)
    desk.socket.into(pack(FRAME))
    desk.turn()
    assert (desk.sent, desk.heard, type(desk.faults[0])) == ([], [FRAME], OtherSender)
    assert desk.channel.last_rx_timestamp_ns == 1_700_000_000 * 10**9 + 5
    desk.socket.into(pack(FRAME), MSG_CONFIRM)
    desk.turn()
    assert (desk.sent, len(desk.heard)) == ([FRAME], 1)
    desk.socket.into(pack(FRAME), MSG_CONFIRM)  # of a frame sent before a loss, say
    desk.turn()
    assert desk.sent == [FRAME]
    desk.channel.close()


def test_an_echo_that_was_lost_does_not_hold_up_those_after_it(world: World) -> None:
    desk = Desk(world, echo=True)
    first, second = Frame(0x714, b"\x01"), Frame(0x714, b"\x02")
    desk.channel.send(first)
    desk.channel.send(second)
    desk.socket.into(pack(second), MSG_CONFIRM)
    desk.turn()
    assert desk.sent == [second]
    desk.channel.on_sent = None
    desk.channel.send(first)
    desk.socket.into(pack(first), MSG_CONFIRM)
    desk.turn()
    desk.socket.into(pack(first))
    desk.turn()
    assert desk.channel.last_rx_timestamp_ns is None  # the fake tells none
    desk.channel.close()


def test_an_fd_frame_on_a_classic_interface_is_told_once_and_not_sent(world: World) -> None:
    desk = Desk(world, replace(VCAN, mtu=16))
    for _ in range(2):
        desk.channel.send(Frame(0x714, bytes(12), fd=True))
    (fault,) = desk.faults
    assert "carries classic CAN only" in str(fault)
    assert "ip link set vcan7 mtu 72" in str(fault)
    desk.channel.send(FRAME)
    desk.turn()
    assert desk.sent == [FRAME]
    assert desk.channel.counters.errors == {"FD frame on a classic interface": 2}
    desk.channel.close()


def test_a_listener_may_close_the_channel_in_the_middle_of_a_burst(desk: Desk) -> None:
    desk.channel.listen([1], lambda _: desk.channel.close())
    desk.channel.listen([2], desk.heard.append)
    desk.channel.send(FRAME)
    desk.turn()
    desk.socket.into(pack(Frame(1, b"")))
    desk.socket.into(pack(Frame(2, b"")))
    desk.watch.tell(replace(VCAN, up=False))
    desk.turn()
    assert (desk.heard, desk.faults) == ([], [])
    with pytest.raises(ChannelClosed, match="vcan7"):
        desk.channel.send(FRAME)
    with pytest.raises(ChannelClosed, match="vcan7"):
        desk.channel.send(Frame(0x7FF, b""))
    with pytest.raises(NotOnThisCarrier, match="voltage"):
        desk.channel.supply_voltage_mv()


def test_news_that_come_with_the_closing_are_not_acted_upon(desk: Desk) -> None:
    desk.channel.on_recovered = desk.channel.close
    desk.watch.tell(replace(VCAN, up=False))
    desk.watch.tell(VCAN, replace(VCAN, up=False))
    desk.turn()
    assert len(desk.faults) == 1


def test_a_frame_that_nobody_waits_for_is_sent_all_the_same(desk: Desk) -> None:
    desk.channel.send(FRAME)
    desk.channel.on_sent = None
    desk.channel.send(FRAME)
    desk.turn()
    assert (desk.sent, len(desk.socket.out)) == ([], 2)


def test_an_fd_frame_waits_for_room_like_any_other(desk: Desk) -> None:
    desk.socket.send_errors.append(errno.ENOBUFS)
    frame = Frame(0x714, bytes(12), fd=True)
    desk.channel.send(frame)
    assert desk.world.run_until(lambda: desk.sent == [frame], 10**10)
    desk.channel.send(frame)
    assert len(desk.socket.out) == 2


def test_what_was_readable_when_the_interface_went_is_not_read_any_more(desk: Desk) -> None:
    desk.channel.listen(None, desk.heard.append)
    desk.watch.tell(replace(VCAN, up=False))
    desk.socket.into(pack(FRAME))
    desk.turn()
    assert (desk.heard, len(desk.faults)) == ([], 1)
    desk.channel.close()
    desk.channel.close()
    desk.channel.listen([1], desk.heard.append)


# ---- opening


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ecko": True}, "no option 'ecko'. Did you mean 'echo'. It has echo, receive_buffer_bytes"),
        ({"bitrate": 500_000}, "no option 'bitrate'. It has"),
        ({"echo": "yes"}, "true, false or 'auto', not 'yes'"),
        ({"receive_buffer_bytes": 0}, "a number from 1 to"),
        ({"receive_buffer_bytes": True}, "a number from 1 to"),
        ({"receive_buffer_bytes": "4 MiB"}, "a number from 1 to"),
    ],
)
def test_options_that_it_does_not_know_are_refused_by_name(world: World, options: dict, says: str) -> None:
    with pytest.raises(LocalMisuse, match=says.replace("?", "[?]").replace(". It", ".*It")):
        open_channel("socketcan", "vcan0", options, world)


def test_a_controller_has_no_place_in_virtual_time() -> None:
    with pytest.raises(NotOnThisCarrier, match="real time"):
        open_channel("socketcan", "vcan0", {}, World())


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [
        (errno.EAFNOSUPPORT, InterfaceMissing, "no CAN sockets: load them with 'modprobe can_raw'"),
        (errno.EPROTONOSUPPORT, InterfaceMissing, "modprobe can_raw"),
        (errno.EPERM, ChannelUnavailable, "may not open CAN sockets"),
        (errno.EMFILE, ChannelUnavailable, "no CAN socket to be had"),
    ],
)
def test_a_system_that_gives_no_can_socket_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int, error: type, says: str
) -> None:
    def refuse(*_: object) -> object:
        raise OSError(number, "refused")

    monkeypatch.setattr(socketcan.socket, "socket", refuse)
    with pytest.raises(error, match=says):
        open_channel("socketcan", "vcan0", {}, world)


def test_a_system_other_than_linux_is_sent_to_python_can(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socketcan.socket, "AF_CAN")
    monkeypatch.delattr(socketcan.socket, "AF_NETLINK")
    with pytest.raises(InterfaceMissing, match="use the driver python_can"):
        open_channel("socketcan", "vcan0", {}, world)
    assert socketcan.SocketCanDriver().detect() == ()


@pytest.mark.parametrize(
    ("channel", "there", "says"),
    [
        ("can0", [], "there is none: plug an adapter in, or make one"),
        ("vcan1", [VCAN], "Did you mean 'vcan7'. Of CAN interfaces there are vcan7"),
        ("eth0", [replace(VCAN, name="eth0", can=False)], "not a CAN interface"),
        ("vcan7", [replace(VCAN, up=False)], "is down: 'ip link set vcan7 up'"),
        ("can0", [replace(VCAN, name="can0", kind="can", up=False)], "ip link set can0 up type can bitrate 500000"),
    ],
)
def test_an_interface_that_cannot_be_used_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, channel: str, there: list[Interface], says: str
) -> None:
    monkeypatch.setattr(socketcan, "interfaces", lambda: tuple(there))
    with pytest.raises(ChannelUnavailable, match=says.replace("?", "[?]")):
        socketcan.usable(channel)


def test_looking_lists_can_interfaces_with_their_state(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = replace(VCAN, name="can0", kind="can", mtu=16, state="error-active", bitrate=500_000)
    monkeypatch.setattr(socketcan, "can_interfaces", lambda: (controller, replace(VCAN, up=False, kind="")))
    first, second = socketcan.SocketCanDriver().detect()
    assert (first.driver, first.channel) == ("socketcan", "can0")
    assert first.description == "SocketCAN can0: can, up, error-active, 500000 bit/s, classic"
    assert second.description == "SocketCAN vcan7: CAN, down, FD"
