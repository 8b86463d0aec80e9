"""Trace files as other people's tools read them: python-can, scapy, Wireshark's tshark and can-utils, and our own reader."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import can
import can.io.asc
import pytest
from hypothesis import given, settings
from outside_guard import guarded
from scapy.layers.can import CAN, CANFD, CandumpReader
from scapy.utils import PcapNgReader
from trace_records import (
    BUSES,
    EPOCH_UTC_S,
    PRECISION_NS,
    SHAPED,
    SHAPES,
    expected,
    frame_of,
    many,
    record,
    recordings,
    until_refused,
    write,
)

from wire.errors import ConfigError
from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.trace import FrameRecord, Trace
from wire.trace_files import BLF_CONTAINER_BYTES, FORMATS, RECORD_MAX_BYTES, read_formats, write_all
from wire.trace_read import read_trace

Read = list[tuple[int, str, Frame]]
MANY = many(2000)


@pytest.fixture(params=list(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    return request.param


def by_python_can(path: Path) -> Iterator[tuple[float, str, Frame]]:
    """Yield (seconds, bus, frame) as python-can reads them."""
    with can.LogReader(path) as reader:
        for message in reader:
            assert message.is_rx
            # its ASC reader takes an empty FD frame for a remote frame, which FD has not
            assert message.is_fd or not message.is_remote_frame
            can_id = message.arbitration_id | (EXTENDED if message.is_extended_id else 0)
            channel = message.channel if isinstance(message.channel, str) else str(message.channel + 1)
            frame = Frame(can_id, bytes(message.data), message.is_fd, message.bitrate_switch)
            yield message.timestamp, channel, frame


def by_scapy(path: Path) -> Read:
    """Return what scapy takes from a pcapng file."""
    found = []
    with PcapNgReader(str(path)) as reader:
        for packet in reader:
            assert isinstance(packet, CAN | CANFD)
            fd = bool(getattr(packet, "fd_flags", 0) & 0x04)
            can_id = packet.identifier | (EXTENDED if packet.flags.extended else 0)
            frame = Frame(can_id, bytes(packet.data), fd, fd and bool(packet.fd_flags & 0x01))
            found.append((round(packet.time * 10**9), packet.sniffed_on, frame))
    return found


# ---- our reader, and python-can's and scapy's, on whatever can be recorded


@settings(max_examples=60)
@given(recordings)
def test_any_recording_reads_back_to_the_same_frames_buses_and_times(
    tmp_path_factory: pytest.TempPathFactory, records: list[FrameRecord]
) -> None:
    folder = tmp_path_factory.mktemp("traces")
    for name in FORMATS:
        assert list(read_trace(write(folder / "x", name, records))) == expected(name, records), name


@pytest.mark.judge("python-can")
@settings(max_examples=60)
@given(recordings)
def test_python_can_reads_any_recording(tmp_path_factory: pytest.TempPathFactory, records: list[FrameRecord]) -> None:
    folder = tmp_path_factory.mktemp("traces")
    for name in ("candump", "asc", "blf"):
        read = list(by_python_can(write(folder / "x", name, records)))
        wanted = expected(name, records)
        assert [entry[1:] for entry in read] == [entry[1:] for entry in wanted], name
        begins_s = 0 if name == "asc" else EPOCH_UTC_S  # it reads ASC's times as they stand, from the start
        for (stamp_s, *_), (now_ns, *_) in zip(read, records, strict=True):
            assert abs(stamp_s - begins_s - now_ns / 1e9) < 2e-6, name


@pytest.mark.judge("scapy's readers")
@settings(max_examples=60)
@given(recordings)
def test_scapy_reads_any_pcapng(tmp_path_factory: pytest.TempPathFactory, records: list[FrameRecord]) -> None:
    path = write(tmp_path_factory.mktemp("pcapng") / "x", "pcapng", records)
    assert by_scapy(path) == expected("pcapng", records)


@pytest.mark.judge("scapy's readers")
def test_scapy_reads_a_candump_log(tmp_path: Path) -> None:
    """But for what is FD: of a log, scapy takes every frame of eight bytes for one."""
    with CandumpReader(str(write(tmp_path / "x", "candump", MANY))) as reader:
        read = [
            (round(packet.time * 10**6), packet.identifier, bool(packet.flags.extended), bytes(packet.data))
            for packet in reader
        ]
    assert read == [
        (when_ns // 1000, frame.can_id & EXTENDED_MASK, frame.extended, frame.data)
        for when_ns, _, frame in expected("candump", MANY)
    ]


def test_many_frames_fill_many_containers_and_read_back(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", name, MANY)
    assert path.stat().st_size > 4 * BLF_CONTAINER_BYTES
    assert list(read_trace(path)) == expected(name, MANY)


# ---- programs that the machine may not have


def run(*command: str | Path, **environment: str) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "TZ": "UTC", **environment}
    )
    return done.stdout


@pytest.mark.judge("tshark")
@pytest.mark.parametrize("records", [SHAPED, MANY], ids=["every shape", "many"])
@pytest.mark.parametrize("name", ["candump", "blf", "pcapng"])
def test_tshark_reads_the_same_frames(name: str, records: Sequence[FrameRecord], tmp_path: Path) -> None:
    path = write(tmp_path / "x", name, records)
    fields = ["frame.time_epoch", "frame.interface_name", "can.id", "can.flags.xtd", "can.len", "data.data"]
    said = run("tshark", "-r", path, "-T", "fields", *[part for field in fields for part in ("-e", field)])
    lines = said.splitlines()
    assert len(lines) == len(records)
    for line, (when_ns, bus, frame) in zip(lines, expected(name, records), strict=True):
        stamp, interface, can_id, extended, size, data = line.split("\t")
        seconds, _, fraction = stamp.partition(".")
        assert int(seconds) * 10**9 + int(fraction.ljust(9, "0")) == when_ns
        if name != "candump":  # tshark 4.0 tells no interfaces of a log, and calls those of BLF CAN-1, CAN-2
            assert interface.endswith(bus)
        assert int(can_id, 0) == frame.can_id & EXTENDED_MASK
        assert (extended in ("1", "True")) == frame.extended
        assert int(size) == len(frame.data)
        assert bytes.fromhex(data.replace(":", "")) == frame.data


@pytest.mark.judge("can-utils")
@pytest.mark.parametrize("records", [SHAPED, MANY], ids=["every shape", "many"])
def test_asc2log_makes_the_same_log_of_our_asc(records: Sequence[FrameRecord], tmp_path: Path) -> None:
    log = tmp_path / "from-asc.log"
    log.write_text(run("asc2log", "-I", write(tmp_path / "x", "asc", records)))
    read, wanted = list(read_trace(log)), expected("candump", records)
    assert [(bus, frame) for _, bus, frame in read] == [(f"can{BUSES.index(bus)}", frame) for _, bus, frame in wanted]
    # where its locales are not installed it takes today's date, so times count from the first frame
    assert [when_ns - read[0][0] for when_ns, *_ in read] == [when_ns - wanted[0][0] for when_ns, *_ in wanted]


@pytest.mark.judge("can-utils")
@pytest.mark.parametrize("records", [SHAPED, MANY], ids=["every shape", "many"])
def test_log2asc_makes_an_asc_of_our_log_that_we_read(records: Sequence[FrameRecord], tmp_path: Path) -> None:
    asc = tmp_path / "from-log.asc"
    asc.write_text(run("log2asc", "-I", write(tmp_path / "x", "candump", records), *BUSES))
    read, wanted = list(read_trace(asc)), expected("asc", records)
    assert [(bus, frame) for _, bus, frame in read] == [(bus, frame) for _, bus, frame in wanted]
    assert [when_ns - read[0][0] for when_ns, *_ in read] == [when_ns - wanted[0][0] for when_ns, *_ in wanted]


# ---- the same bytes, on any machine, at any date

BYTES = {
    "candump": "74b53dbf9b7190183ca31698a405e820afd6eaa051c0cfc7a4dbe4460170ec80",
    "asc": "1a860679f8d769cc4b442e89f6e9a0dfefdddd5297db5ed7050c3df960fb2309",
    "blf": "0c06c993c3215e353377d638762db7e21b6622e342146fb242e13348d5dd1cda",
    "pcapng": "f30fe95f56ad2b29ea7e2f8db2fbe06094e95a53462ffc6300c4e42df6cb6786",
}


def test_the_bytes_of_every_format_are_what_they_always_were(name: str, tmp_path: Path) -> None:
    """python-can writes two of them: should another version write other bytes, this is where it shows."""
    assert hashlib.sha256(write(tmp_path / "x", name, SHAPED).read_bytes()).hexdigest() == BYTES[name]


def test_neither_clock_nor_time_zone_shows_in_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AnotherDay(can.io.asc.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(1999, 12, 31, 23, 59, 59)

    here = write(tmp_path / "here", name, SHAPED).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(can.io.asc, "datetime", AnotherDay)
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        there = write(tmp_path / "there", name, SHAPED).read_bytes()
    time.tzset()
    assert there == here


def test_writing_reaches_for_nothing_outside(name: str, tmp_path: Path) -> None:
    with guarded() as guard:
        write(tmp_path / "x", name, SHAPED)
    assert guard.reached == set()


# ---- lines and heads, as a person sees them


def test_candump_lines_are_those_of_candump_itself(tmp_path: Path) -> None:
    shapes = [SHAPES[0], SHAPES[3], SHAPES[7]]
    log = write(tmp_path / "x", "candump", [record(n * 10**9 + 999, n % 2, frame) for n, frame in enumerate(shapes)])
    assert log.read_text("ascii").splitlines() == [
        "(1767225600.000000) obd 700#023E80",
        "(1767225601.000000) body 18DA10F1#0102",
        "(1767225602.000000) obd 124##0000000000000000000000000",  # two marks, one digit of flags, then the data
    ]


def test_the_head_of_an_asc_says_the_epoch_in_utc_and_names_the_channels(tmp_path: Path) -> None:
    lines = write(tmp_path / "x", "asc", SHAPED).read_text("ascii").splitlines()
    assert lines[:7] == [
        "date Thu Jan 01 12:00:00.000 am 2026",
        "base hex  timestamps absolute",
        "internal events logged",
        "// channel 1: obd",
        "// channel 2: body",
        "// channel 3: power-train",
        "Begin Triggerblock Thu Jan 01 12:00:00.000 am 2026",
    ]
    assert lines[-1] == "End TriggerBlock"


@pytest.mark.parametrize(("hour", "says"), [(0, "12:00:00.000 am"), (11, "11:00:00.000 am"), (12, "12:00:00.000 pm")])
def test_an_asc_of_any_hour_reads_back_to_that_hour(hour: int, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.asc"
    epoch_utc_s = EPOCH_UTC_S + hour * 3600
    writer = FORMATS["asc"].writer(path, ["obd"], epoch_utc_s)
    writer.write(SHAPED[0])
    writer.close()
    assert says in path.read_text()
    assert next(read_trace(path))[0] == epoch_utc_s * 10**9


@pytest.mark.parametrize("bus", ["body can", "a\nb", "", "Türen", "\udc80"])
def test_a_bus_may_have_any_name(name: str, bus: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", name, SHAPED[:1], [bus])
    read = list(read_trace(path))
    assert [frame for _, _, frame in read] == [frame_of(SHAPED[0])]
    if name == "candump":
        assert read[0][1] == {"body can": "body_can", "a\nb": "a_b", "": "_", "Türen": "Türen"}.get(bus, "_")


# ---- writing, and its refusals


def test_the_size_that_a_writer_tells_is_the_files_and_no_record_is_larger_than_is_said(
    name: str, tmp_path: Path
) -> None:
    kind = FORMATS[name]
    path = tmp_path / f"x{kind.suffix}"
    writer = kind.writer(path, BUSES, EPOCH_UTC_S)
    largest = 0
    for number in range(300):
        before = writer.size_bytes
        writer.write(record(10**15 + number, 2, Frame(EXTENDED | EXTENDED_MASK, b"\xff" * 64, fd=True, brs=True)))
        largest = max(largest, writer.size_bytes - before)
    before = writer.size_bytes
    writer.close()
    size = path.stat().st_size
    assert largest + size - before <= RECORD_MAX_BYTES
    assert size >= before


def test_what_is_flushed_others_can_read_while_the_file_grows(name: str, tmp_path: Path) -> None:
    kind = FORMATS[name]
    path = tmp_path / f"x{kind.suffix}"
    writer = kind.writer(path, BUSES, EPOCH_UTC_S)
    for taken in MANY:
        writer.write(taken)
    writer.flush()
    (read, refused), wanted = until_refused(path), expected(name, MANY)
    writer.close()
    assert read == wanted[: len(read)]
    missing = len(wanted) - len(read)
    if name == "blf":  # its open container
        assert "cut off" in str(refused)
        assert 0 < missing <= BLF_CONTAINER_BYTES // 48
    else:
        assert missing == 0
        assert refused is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("buses", [BUSES, [f"bus {number:05}" for number in range(1000)]], ids=["few", "many buses"])
def test_a_full_disk_is_an_oserror_and_leaves_no_file_open(name: str, buses: Sequence[str], tmp_path: Path) -> None:
    path = tmp_path / f"x{FORMATS[name].suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        _write_and_close(path, name, buses)


def _write_and_close(path: Path, name: str, buses: Sequence[str]) -> None:
    writer = FORMATS[name].writer(path, buses, EPOCH_UTC_S)
    try:
        for taken in MANY:
            writer.write(taken)
    finally:
        writer.close()


def test_all_formats_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    paths = write_all(_trace(), tmp_path / "new" / "folder", "golf-7", EPOCH_UTC_S)
    assert [path.name for path in paths] == ["golf-7.log", "golf-7.asc", "golf-7.blf", "golf-7.pcapng"]
    assert [[entry[2] for entry in read_trace(path)] for path in paths] == [list(map(frame_of, SHAPED))] * 4


def test_only_the_formats_that_are_wanted_are_written(tmp_path: Path) -> None:
    paths = write_all(_trace(), tmp_path, "golf-7", EPOCH_UTC_S, ("blf", "candump"))
    assert [path.name for path in paths] == ["golf-7.blf", "golf-7.log"]
    assert len(list(tmp_path.iterdir())) == 2


def _trace() -> Trace:
    trace = Trace(keep=True)
    trace.buses, trace.frames = list(BUSES), list(SHAPED)
    return trace


def test_an_empty_trace_is_a_file_that_everybody_can_open(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", name, [])
    assert list(read_trace(path)) == []
    if name != "pcapng":
        assert list(by_python_can(path)) == []
    else:
        assert by_scapy(path) == []


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("blf", ("blf",)),
        ("candump,asc,blf,pcapng", ("candump", "asc", "blf", "pcapng")),
        (" pcapng , asc,asc", ("pcapng", "asc")),
    ],
)
def test_formats_are_named_with_commas_between(text: str, formats: tuple[str, ...]) -> None:
    assert read_formats(text) == formats


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pcap", "unknown trace format 'pcap'; did you mean 'pcapng'?"),
        ("asc,", "unknown trace format ''; there are: candump, asc, blf, pcapng"),
        ("", "unknown trace format ''; there are: candump, asc, blf, pcapng"),
    ],
)
def test_an_unknown_format_is_refused_with_those_that_there_are(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_formats(text)
    assert str(refused.value) == says


def test_precision_is_told_of_every_format() -> None:
    assert set(PRECISION_NS) == set(FORMATS)
