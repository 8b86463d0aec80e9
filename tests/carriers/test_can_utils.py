"""can-utils bear witness on a real interface: they understand what we send, we understand what they send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import can_utils
import pytest
from can.io import CanutilsLogReader
from vcan_pair import ChannelPair, vcan_pair

from wire.can_bus import CanBus
from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.trace import Trace
from wire.trace_files import write_all
from wire.world import World

pytestmark = [pytest.mark.vcan, pytest.mark.judge("can-utils"), pytest.mark.realtime]
SPELLED = {
    "714#023E00": Frame(0x714, b"\x02\x3e\x00"),
    "000#": Frame(0x000, b""),
    "7FF#0001020304050607": Frame(0x7FF, bytes(range(8))),
    "18DA10F1#0102": Frame(EXTENDED | 0x18DA10F1, b"\x01\x02"),
    "000007FF#01": Frame(EXTENDED | 0x7FF, b"\x01"),  # 29 bits, though the number would fit 11
    "123##0" + "00" * 12: Frame(0x123, bytes(12), fd=True),
    "123##1" + "5A" * 64: Frame(0x123, b"\x5a" * 64, fd=True, brs=True),
    "18DAF110##1FF": Frame(EXTENDED | 0x18DAF110, b"\xff", fd=True, brs=True),
}
"""Frames as can-utils spell them."""


@pytest.fixture(params=["socketcan", "python_can"])
def pair(request: pytest.FixtureRequest) -> Iterator[ChannelPair]:
    with vcan_pair(request.param) as opened:
        yield opened


@pytest.mark.parametrize(("spelled", "frame"), SPELLED.items(), ids=str)
def test_what_cansend_sends_our_channel_hears(pair: ChannelPair, spelled: str, frame: Frame) -> None:
    pair.listen_to_all()
    can_utils.run("cansend", "vcan0", spelled)
    assert pair.until(lambda: bool(pair.heard))
    assert pair.heard == [frame]
    assert pair.sent == [], "a foreign frame was taken for the confirmation of one's own"


def test_a_remote_request_is_passed_over_and_the_next_frame_is_heard(pair: ChannelPair) -> None:
    pair.listen_to_all()
    can_utils.run("cansend", "vcan0", "714#R")
    can_utils.run("cansend", "vcan0", "714#01")
    assert pair.until(lambda: bool(pair.heard))
    assert pair.heard == [Frame(0x714, b"\x01")]


def test_what_our_channel_sends_candump_prints(pair: ChannelPair) -> None:
    with can_utils.listening(pair.world, "candump", "-L", "-n", str(len(SPELLED)), "vcan0") as candump:
        pair.send_each(list(SPELLED.values()))
        lines = can_utils.ended(candump).splitlines()
    assert [line.split()[1] for line in lines] == ["vcan0"] * len(SPELLED)
    assert spelled_in(lines) == list(SPELLED)


def test_what_one_interface_carries_another_does_not(pair: ChannelPair) -> None:
    pair.listen_to_all()
    can_utils.run("cansend", "vcan1", "714#01")
    can_utils.run("cansend", "vcan0", "715#02")
    assert pair.until(lambda: bool(pair.heard))
    assert pair.heard == [Frame(0x715, b"\x02")]


def test_canplayer_plays_a_trace_of_ours_and_candump_records_the_same_frames(pair: ChannelPair, tmp_path: Path) -> None:
    log = traced(list(SPELLED.values()), tmp_path)
    pair.listen_to_all()
    with can_utils.listening(pair.world, "candump", "-l", "-n", str(len(SPELLED)), "vcan0", cwd=tmp_path) as candump:
        can_utils.run("canplayer", "-I", str(log), "vcan0=obd")
        can_utils.ended(candump)
    (recorded,) = tmp_path.glob("candump-*.log")
    assert spelled_in(recorded.read_text().splitlines()) == list(SPELLED)
    assert spelled_in(log.read_text().splitlines()) == list(SPELLED)
    assert pair.until(lambda: len(pair.heard) == len(SPELLED))
    assert pair.heard == list(SPELLED.values())


def test_a_log_that_candump_recorded_reads_like_one_of_ours(pair: ChannelPair, tmp_path: Path) -> None:
    with can_utils.listening(pair.world, "candump", "-l", "-n", str(len(SPELLED)), "vcan0", cwd=tmp_path) as candump:
        pair.send_each(list(SPELLED.values()))
        can_utils.ended(candump)
    (recorded,) = tmp_path.glob("candump-*.log")
    ours = traced(list(SPELLED.values()), tmp_path)
    assert read_by_python_can(recorded) == read_by_python_can(ours)


def traced(frames: list[Frame], folder: Path) -> Path:
    """Send frames on a virtual bus; return the candump log of its trace."""
    world = World()
    bus, trace = CanBus(world, "obd", fd=True), Trace(keep=True)
    sender = bus.attach("sender")
    bus.attach("listener")
    trace.attach(bus)
    for number, frame in enumerate(frames):
        world.call_at(number * 2_000_000, lambda frame=frame: sender.send(frame))
    world.run_for(10**9)
    return next(path for path in write_all(trace, folder, "ours", 1_767_225_600) if path.suffix == ".log")


def spelled_in(lines: list[str]) -> list[str]:
    """Return the frames of a candump log, without the flag that kernels from 6.0 on put on every FD frame (CANFD_FDF, 4)."""
    return [re.sub(r"(?<=##)[4567]", lambda flags: str(int(flags[0]) - 4), line.split()[2]) for line in lines]


def read_by_python_can(log: Path) -> list[tuple[int, bool, bytes, bool, bool]]:
    with CanutilsLogReader(log) as reader:
        return [
            (
                message.arbitration_id & EXTENDED_MASK,
                message.is_extended_id,
                bytes(message.data),
                message.is_fd,
                message.bitrate_switch,
            )
            for message in reader
        ]
