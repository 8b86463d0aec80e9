"""Trace files as other people's tools read them: python-can reads our candump logs, scapy and tshark our pcapng."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from can.io import CanutilsLogReader
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.can import CAN
from scapy.utils import PcapNgReader

from wire.can_bus import CanBus
from wire.frame import EXTENDED, EXTENDED_MASK, FD_LENGTHS, Frame
from wire.trace import BATCH, Trace
from wire.trace_files import write_all, write_candump, write_pcapng
from wire.world import World

EPOCH_UTC_S = 1_767_225_600
LINKTYPE_CAN_SOCKETCAN = 227
FRAMES = [
    ("obd", Frame(0x700, b"\x02\x3e\x80")),
    ("obd", Frame(0x000, b"")),
    ("body", Frame(0x7FF, bytes(range(8)))),
    ("obd", Frame(EXTENDED | 0x18DA10F1, b"\x01\x02")),
    ("obd", Frame(EXTENDED | 0x12, b"\xff")),  # 29 bits, though the number would fit 11
    ("body", Frame(0x123, bytes(range(64)), fd=True, brs=True)),
    ("body", Frame(0x124, bytes(12), fd=True)),
    ("body", Frame(EXTENDED | 0x1FFF_FFFF, b"", fd=True, brs=True)),
]


class Recording:
    """Frames sent on two buses, and the trace of them. `sent`: (now_ns, bus, frame)."""

    def __init__(self, frames: list[tuple[str, Frame]], *, keep: bool = True, gap_ns: int = 1_234_567) -> None:
        self.world = World()
        self.trace = Trace(keep=keep)
        self.sent: list[tuple[int, str, Frame]] = []
        buses = {name: CanBus(self.world, name, fd=True) for name in ("obd", "body")}
        ports = {name: bus.attach("sender") for name, bus in buses.items()}
        for bus in buses.values():
            bus.attach("listener")
            self.trace.attach(bus)
            bus.tap(lambda now_ns, bus, frame, _sender: self.sent.append((now_ns, bus.name, frame)))
        for number, (name, frame) in enumerate(frames):
            self.world.call_at(number * gap_ns, lambda name=name, frame=frame: ports[name].send(frame))
        self.world.run_for(len(frames) * gap_ns + 10**9)


frames = st.one_of(
    st.builds(
        Frame,
        st.one_of(st.integers(0, 0x7FF), st.integers(EXTENDED, EXTENDED | EXTENDED_MASK)),
        st.binary(max_size=8),
    ),
    st.builds(
        Frame,
        st.one_of(st.integers(0, 0x7FF), st.integers(EXTENDED, EXTENDED | EXTENDED_MASK)),
        st.sampled_from(FD_LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
        st.just(value=True),
        st.booleans(),
    ),
)
recordings = st.lists(st.tuples(st.sampled_from(["obd", "body"]), frames), max_size=30)


def candump_read(path: Path) -> list[tuple[float, str, Frame]]:
    with CanutilsLogReader(path) as reader:
        return [
            (
                message.timestamp,
                message.channel,
                Frame(
                    message.arbitration_id | (EXTENDED if message.is_extended_id else 0),
                    bytes(message.data),
                    message.is_fd,
                    message.bitrate_switch,
                ),
            )
            for message in reader
        ]


def pcapng_read(path: Path) -> list[tuple[int, str, Frame]]:
    """Return (time in ns since 1970, interface, frame), all as scapy takes them from the file."""
    found = []
    with PcapNgReader(str(path)) as reader:
        for packet in reader:
            assert isinstance(packet, CAN)
            fd = bool(getattr(packet, "fd_flags", 0) & 0x04)
            can_id = packet.identifier | (EXTENDED if packet.flags.extended else 0)
            brs = fd and bool(packet.fd_flags & 0x01)
            frame = Frame(can_id, bytes(packet.data), fd, brs)
            found.append((round(packet.time * 10**9), packet.sniffed_on, frame))
    return found


@pytest.mark.judge
def test_python_can_reads_a_candump_log_to_the_same_frames_and_times(tmp_path: Path) -> None:
    recording = Recording(FRAMES)
    write_candump(recording.trace, tmp_path / "x.log", EPOCH_UTC_S)
    read = candump_read(tmp_path / "x.log")
    assert [(name, frame) for _, name, frame in read] == [(name, frame) for _, name, frame in recording.sent]
    for (stamp, *_), (now_ns, *_) in zip(read, recording.sent, strict=True):
        assert abs(stamp - EPOCH_UTC_S - now_ns / 1e9) < 2e-6  # microseconds in the file


@pytest.mark.judge
@settings(max_examples=60)
@given(recordings)
def test_python_can_reads_any_candump_log(tmp_path_factory: pytest.TempPathFactory, wanted: list) -> None:
    recording = Recording(wanted)
    path = tmp_path_factory.mktemp("candump") / "x.log"
    write_candump(recording.trace, path, EPOCH_UTC_S)
    assert [(name, frame) for _, name, frame in candump_read(path)] == [(n, f) for _, n, f in recording.sent]


@pytest.mark.judge
def test_scapy_reads_pcapng_to_the_same_frames_and_times(tmp_path: Path) -> None:
    recording = Recording(FRAMES)
    write_pcapng(recording.trace, tmp_path / "x.pcapng", EPOCH_UTC_S)
    read = pcapng_read(tmp_path / "x.pcapng")
    assert read == [(EPOCH_UTC_S * 10**9 + now_ns, name, frame) for now_ns, name, frame in recording.sent]


@pytest.mark.judge
@settings(max_examples=60)
@given(recordings)
def test_scapy_reads_any_pcapng(tmp_path_factory: pytest.TempPathFactory, wanted: list) -> None:
    recording = Recording(wanted)
    path = tmp_path_factory.mktemp("pcapng") / "x.pcapng"
    write_pcapng(recording.trace, path, EPOCH_UTC_S)
    assert pcapng_read(path) == [(EPOCH_UTC_S * 10**9 + t, name, frame) for t, name, frame in recording.sent]


@pytest.mark.judge
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_pcapng_to_the_same_frames(tmp_path: Path) -> None:
    recording = Recording(FRAMES)
    path = tmp_path / "x.pcapng"
    write_pcapng(recording.trace, path, EPOCH_UTC_S)
    fields = ["frame.time_epoch", "frame.interface_name", "can.id", "can.flags.xtd", "can.len"]
    command = ["tshark", "-r", str(path), "-T", "fields", *[part for field in fields for part in ("-e", field)]]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert len(lines) == len(recording.sent)
    for line, (now_ns, name, frame) in zip(lines, recording.sent, strict=True):
        stamp, interface, can_id, extended, size = line.split("\t")
        seconds, _, fraction = stamp.partition(".")
        assert int(seconds) * 10**9 + int(fraction.ljust(9, "0")) == EPOCH_UTC_S * 10**9 + now_ns
        assert interface == name
        assert int(can_id, 0) == frame.can_id & EXTENDED_MASK
        assert (extended in ("1", "True")) == frame.extended
        assert int(size) == len(frame.data)


def test_candump_lines_are_those_of_candump_itself(tmp_path: Path) -> None:
    recording = Recording(FRAMES[:1] + FRAMES[3:4] + FRAMES[6:7], gap_ns=10**9)
    write_candump(recording.trace, tmp_path / "x.log", EPOCH_UTC_S)
    lines = (tmp_path / "x.log").read_text("ascii").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "obd 700#023E80",
        "obd 18DA10F1#0102",
        "body 124##0000000000000000000000000",  # two marks, one digit of flags, then the data
    ]
    assert lines[0].startswith("(1767225600.000")
    assert lines[1].startswith("(1767225601.000")


def test_the_digest_does_not_depend_on_what_is_kept() -> None:
    kept, forgotten = Recording(FRAMES), Recording(FRAMES, keep=False)
    assert kept.trace.digest() == forgotten.trace.digest()
    assert kept.trace.count == forgotten.trace.count == len(FRAMES)
    assert len(kept.trace.kept()) == len(FRAMES)
    assert not forgotten.trace.kept()


@given(recordings, recordings)
def test_the_digest_tells_recordings_apart(one: list, two: list) -> None:
    first, second = Recording(one), Recording(two)
    assert (first.trace.digest() == second.trace.digest()) == (first.sent == second.sent)


def test_asking_for_the_digest_on_the_way_changes_nothing() -> None:
    def digest(ask_every: int) -> str:
        trace, world = Trace(), World()
        bus = CanBus(world, "obd")
        port = bus.attach("a")
        bus.attach("b")
        trace.attach(bus)
        for number in range(BATCH + 100):
            port.send(Frame(0x100, number.to_bytes(2, "big")))
            world.run_for(10**6)
            if number % ask_every == 0:
                trace.digest()
        assert trace.digest() == trace.digest()
        assert trace.count == BATCH + 100
        return trace.digest()

    assert digest(7) == digest(10**6)


@pytest.mark.parametrize("change", [(2, "audit", b"issued"), (1, "phone", b"issued"), (1, "audit", b"refused"), None])
def test_notes_are_part_of_the_digest(change: tuple | None) -> None:
    def digest(note: tuple | None) -> str:
        trace = Trace()
        if note is not None:
            trace.note(*note)
        return trace.digest()

    assert digest((1, "audit", b"issued")) == digest((1, "audit", b"issued"))
    assert digest(change) != digest((1, "audit", b"issued"))


def test_both_files_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    paths = write_all(Recording(FRAMES).trace, tmp_path / "new" / "folder", "golf-7", EPOCH_UTC_S)
    assert [path.name for path in paths] == ["golf-7.log", "golf-7.pcapng"]
    assert all(path.stat().st_size for path in paths)


def test_an_empty_trace_is_an_empty_log_and_a_readable_pcapng(tmp_path: Path) -> None:
    log, pcapng = write_all(Recording([]).trace, tmp_path, "empty", EPOCH_UTC_S)
    assert log.read_text() == ""
    assert pcapng_read(pcapng) == []
