"""A recording of hours: bounded on disk and in memory, readable while it grows, and never in the world's way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from command_line import environment
from trace_records import EPOCH_UTC_S, FORMATS, HAS_NAMES, PRECISION_NS, until_refused

import wire.trace_recorder
from wire.can_bus import CanBus
from wire.carried_bus import CarriedBus
from wire.clock import NS_PER_S, RealClock
from wire.errors import ConfigError, LocalMisuse
from wire.frame import EXTENDED, Frame
from wire.trace import Trace
from wire.trace_files import BLF_CONTAINER_BYTES
from wire.trace_read import read_trace
from wire.trace_recorder import (
    BATCH_NS,
    FILE_MIN_BYTES,
    SLICE,
    SLICE_GAP_NS,
    WAITING_MAX,
    RecorderOptions,
    RecordingStopped,
    TraceRecorder,
)
from wire.world import World

MS = 1_000_000
MIB = 1024 * 1024


class Rig:
    """Two buses in virtual time with a sender each, and a recorder on both. `sent`: (now_ns, bus, frame)."""

    def __init__(self, folder: Path, name: str = "candump", *, world: World | None = None, **options: int) -> None:
        self.world = World() if world is None else world
        self.buses = {bus: CanBus(self.world, bus, fd=True) for bus in ("obd", "body")}
        self.ports = {}
        self.sent: list[tuple[int, str, Frame]] = []
        self.faults: list[RecordingStopped] = []
        chosen = RecorderOptions(folder=folder, trace_format=name, **options)
        self.recorder = TraceRecorder(self.world, chosen, self.faults.append)
        for bus_name, bus in self.buses.items():
            self.ports[bus_name] = bus.attach("sender")
            bus.attach("listener")
            self.recorder.attach(bus)
            bus.tap(lambda now_ns, bus, frame, _sender: self.sent.append((now_ns, bus.name, frame)))

    def send(self, count: int, gap_ns: int = MS) -> None:
        """Send so many frames, one every `gap_ns`, on the buses in turn."""
        for number in range(count):
            fd = number % 3 == 0
            frame = Frame(EXTENDED | number if number % 2 else number & 0x7FF, bytes(64 if fd else number % 9), fd, fd)
            self.ports[("obd", "body")[number % 2]].send(frame)
            self.world.run_for(gap_ns)

    def expected(self, name: str) -> list[tuple[int, str, Frame]]:
        step_ns, channels = PRECISION_NS[name], {"obd": "1", "body": "2"}
        return [
            (EPOCH_UTC_S * NS_PER_S + now_ns // step_ns * step_ns, bus if name in HAS_NAMES else channels[bus], frame)
            for now_ns, bus, frame in self.sent
        ]


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@pytest.fixture(params=list(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    return request.param


# ---- what is recorded


def test_every_frame_is_in_the_files_in_order_and_each_file_is_readable_by_itself(name: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path, name, max_file_bytes=FILE_MIN_BYTES, max_files=100)
    rig.send(3000)
    rig.recorder.close()
    files = sorted(tmp_path.iterdir())
    assert tuple(files) == rig.recorder.files
    assert len(files) >= 3
    assert [entry for path in files for entry in read_trace(path)] == rig.expected(name)
    assert all(FILE_MIN_BYTES * 0.9 < path.stat().st_size <= FILE_MIN_BYTES for path in files[:-1])
    assert rig.recorder.records_written == 3000
    assert rig.faults == []


def test_a_recording_can_be_read_while_it_grows(name: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path, name)
    rig.send(1000)
    rig.world.run_for(2 * BATCH_NS)
    read, refused = until_refused(rig.recorder.files[-1])
    wanted = rig.expected(name)
    if name == "blf":
        assert refused is not None
        assert len(wanted) - BLF_CONTAINER_BYTES // 48 <= len(read)
        assert read == wanted[: len(read)]
    else:
        assert refused is None
        assert read == wanted
    rig.recorder.close()


def test_files_are_named_by_the_time_of_their_first_frame_and_sort_by_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_file_bytes=FILE_MIN_BYTES)
    rig.world.run_for(90 * 60 * NS_PER_S)
    rig.send(1500)
    rig.world.run_for(24 * 3600 * NS_PER_S)
    rig.send(1500)
    rig.recorder.close()
    names = [path.name for path in rig.recorder.files]
    assert names[0] == "trace-20260101T013000Z-000001.log"
    assert names[-1].startswith("trace-20260102T0130")
    assert names == sorted(names)
    for path in rig.recorder.files:
        begins_utc_s = next(read_trace(path))[0] // NS_PER_S
        assert f"{(begins_utc_s - EPOCH_UTC_S) // 3600 % 24:02}" == path.name.split("T")[1][:2]


class SilentCarrier:
    """A wire elsewhere, on which others send with `bring`."""

    def __init__(self) -> None:
        self.on_sent: Callable[[Frame], None] | None = None
        self._listeners: list[tuple[set[int] | None, Callable[[Frame], None]]] = []

    def send(self, frame: Frame) -> None:
        raise AssertionError("nobody here sends")

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        self._listeners.append((None if can_ids is None else set(can_ids), listener))

    def bring(self, frame: Frame) -> None:
        for can_ids, listener in self._listeners:
            if can_ids is None or frame.can_id in can_ids:
                listener(frame)


def test_on_a_carried_bus_what_nobody_listens_to_is_recorded_as_well(tmp_path: Path) -> None:
    world, carrier = World(), SilentCarrier()
    bus = CarriedBus(world, "obd", carrier)
    bus.attach("unit").listen([0x700], lambda _: None)
    recorder = TraceRecorder(world, RecorderOptions(folder=tmp_path))
    recorder.attach(bus)
    for can_id in (0x700, 0x123):
        carrier.bring(Frame(can_id, b""))
        world.run_for(MS)
    recorder.close()
    assert [frame.can_id for _, _, frame in read_trace(recorder.files[-1])] == [0x700, 0x123]


def test_nothing_sent_is_no_file(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "new" / "folder")
    rig.world.run_for(NS_PER_S)
    rig.recorder.close()
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_a_recorder_does_not_change_the_digest_of_the_run(tmp_path: Path) -> None:
    def digest(*, recorded: bool) -> str:
        world, trace = World(seed=3), Trace()
        bus = CanBus(world, "obd")
        port = bus.attach("sender")
        bus.attach("listener")
        trace.attach(bus)
        recorder = TraceRecorder(world, RecorderOptions(folder=tmp_path))
        if recorded:
            recorder.attach(bus)
        for number in range(500):
            port.send(Frame(number, b"\x01"))
            world.run_for(MS)
        recorder.close()
        assert recorder.records_written == (500 if recorded else 0)
        return trace.digest()

    assert digest(recorded=True) == digest(recorded=False)


# ---- bounds


def test_only_the_newest_files_stay_and_the_disk_use_is_what_was_said(name: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path, name, max_file_bytes=FILE_MIN_BYTES, max_files=3)
    assert rig.recorder.options.max_disk_bytes == 3 * FILE_MIN_BYTES
    most = 0
    for _ in range(60):
        rig.send(150)
        most = max(most, disk_bytes(tmp_path))
    rig.recorder.close()
    files = sorted(tmp_path.iterdir())
    assert tuple(files) == rig.recorder.files
    assert len(files) == 3
    assert 2 * FILE_MIN_BYTES < most <= 3 * FILE_MIN_BYTES
    read = [entry for path in files for entry in read_trace(path)]
    assert read == rig.expected(name)[-len(read) :]


def test_files_of_earlier_runs_count_and_go_first_and_others_are_left_alone(tmp_path: Path) -> None:
    earlier = [tmp_path / f"trace-20{year}0101T000000Z-000001.log" for year in (24, 25, 99)]
    others = [
        tmp_path / text for text in ("trace.log", "trace-notes.log", "trace-20240101T000000Z-000001.asc", "x.log")
    ]
    for path in (*earlier, *others):
        path.write_text("")
    rig = Rig(tmp_path, max_file_bytes=FILE_MIN_BYTES, max_files=2)
    rig.send(10)
    rig.recorder.close()
    kept = [path for path in tmp_path.iterdir() if path not in others]
    # of the earlier ones the last by name stays, though its clock was ahead; what is recorded now is newer than all
    assert sorted(kept) == sorted([earlier[2], rig.recorder.files[-1]])
    assert all(path.exists() for path in others)
    assert len(list(read_trace(rig.recorder.files[-1]))) == 10


def test_the_same_run_again_writes_the_same_files_again(tmp_path: Path) -> None:
    def run() -> dict[str, bytes]:
        rig = Rig(tmp_path, "blf", max_file_bytes=FILE_MIN_BYTES)
        rig.send(1500)
        rig.recorder.close()
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first = run()
    assert len(first) > 1
    assert run() == first


def test_a_file_of_one_only_is_possible(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_file_bytes=FILE_MIN_BYTES, max_files=1)
    rig.send(2000)
    rig.recorder.close()
    assert list(tmp_path.iterdir()) == list(rig.recorder.files)
    assert disk_bytes(tmp_path) <= FILE_MIN_BYTES


def test_frames_wait_for_their_batch_and_a_burst_is_written_slice_by_slice(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send(2 * SLICE + 10, gap_ns=MS // 2)
    waited_ns = rig.world.now_ns - rig.sent[0][0]
    assert rig.recorder.records_written == 0
    assert list(tmp_path.iterdir()) == []
    rig.world.run_for(BATCH_NS - waited_ns)
    assert rig.recorder.records_written == SLICE
    rig.world.run_for(SLICE_GAP_NS)
    assert rig.recorder.records_written == 2 * SLICE
    rig.world.run_for(SLICE_GAP_NS)
    assert rig.recorder.records_written == 2 * SLICE + 10
    rig.recorder.close()


def test_an_idle_bus_costs_no_timer(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send(1)
    rig.world.run_for(NS_PER_S)
    assert rig.world._heap == []
    rig.recorder.close()


def test_memory_is_bounded_and_no_frame_is_lost_to_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WAITING_MAX > 4 * 4000  # four seconds of a full classic bus
    monkeypatch.setattr(wire.trace_recorder, "WAITING_MAX", 100)
    rig = Rig(tmp_path)
    most = 0
    for _ in range(200):
        rig.send(1, gap_ns=MS // 2)
        most = max(most, len(rig.recorder._waiting))
    assert most < 100
    assert rig.recorder.records_written > 0
    rig.recorder.close()
    assert list(read_trace(rig.recorder.files[-1])) == rig.expected("candump")


# ---- the end


def test_close_writes_what_is_waiting_leaves_the_buses_and_may_be_called_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send(5 * SLICE, gap_ns=MS // 10)
    rig.recorder.close()
    rig.recorder.close()
    written = rig.recorder.files[-1].read_bytes()
    recorded = len(rig.sent)
    rig.send(10)
    rig.world.run_for(NS_PER_S)
    assert rig.recorder.files[-1].read_bytes() == written
    assert len(list(read_trace(rig.recorder.files[-1]))) == recorded
    assert all(len(bus._taps) == 1 for bus in rig.buses.values())


def test_a_bus_that_comes_after_the_first_file_or_after_the_end_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send(1)
    late = CanBus(rig.world, "late")
    rig.world.run_for(2 * BATCH_NS)
    with pytest.raises(LocalMisuse, match="attach 'late' before the first frame"):
        rig.recorder.attach(late)
    rig.recorder.close()
    unused = TraceRecorder(rig.world, RecorderOptions(folder=tmp_path))
    unused.close()
    with pytest.raises(LocalMisuse, match="attach 'late'"):
        unused.attach(late)


# ---- a disk that fails


def _full(folder: Path) -> None:
    (folder / "trace-20260101T000000Z-000001.log").symlink_to("/dev/full")


def _gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", [".log", ".asc", ".blf", ".pcapng"])
def test_a_full_disk_ends_the_recording_once_by_name_and_the_world_goes_on(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"trace-20260101T000000Z-000001{suffix}"
    file.symlink_to("/dev/full")
    name = next(name for name, kind in FORMATS.items() if kind.suffix == suffix)
    rig = Rig(tmp_path, name, max_files=5)
    rig.send(1000)
    rig.world.run_for(NS_PER_S)
    assert len(rig.sent) == 1000  # taps beside it missed none
    assert [str(fault) for fault in rig.faults] == [str(rig.recorder.fault)]
    fault = rig.faults[0]
    assert fault.path == file
    assert f"{file}: recording stopped: No space left on device; up to {fault.lost} frames were not written" in str(
        fault
    )
    assert 0 < fault.lost < 1000
    assert all(len(bus._taps) == 1 for bus in rig.buses.values())
    assert rig.recorder._waiting == []
    rig.recorder.close()
    assert len(rig.faults) == 1


def test_a_full_disk_that_shows_at_the_end_only_is_told_as_well(tmp_path: Path) -> None:
    _full(tmp_path)
    rig = Rig(tmp_path)
    rig.send(10)
    rig.recorder.close()
    assert [fault.lost for fault in rig.faults] == [10]
    rig.recorder.close()
    assert len(rig.faults) == 1


def test_a_full_disk_met_inside_a_tap_hides_no_frame_from_the_other_taps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.trace_recorder, "WAITING_MAX", 1)
    (tmp_path / "trace-20260101T000000Z-000001.blf").symlink_to("/dev/full")
    rig = Rig(tmp_path, "blf")
    rig.send(1000, gap_ns=MS // 10 * 9)
    assert rig.recorder.fault is not None
    assert len(rig.sent) == 1000
    assert all(len(bus._taps) == 1 for bus in rig.buses.values())


def test_what_another_bus_brings_in_the_instant_of_the_fault_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.trace_recorder, "WAITING_MAX", 1)
    rig = Rig(tmp_path / "traces")
    _gone(tmp_path / "traces")
    for port in rig.ports.values():
        port.send(Frame(0x123, b"\x01"))
    rig.world.run_for(NS_PER_S)
    assert rig.sent[0][0] == rig.sent[1][0]
    assert [fault.lost for fault in rig.faults] == [1]
    assert rig.recorder._waiting == []


def test_a_folder_that_vanishes_ends_the_recording_within_a_batch(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    rig = Rig(folder)
    rig.send(500)
    _gone(folder)
    rig.send(500)
    assert [fault.path.parent for fault in rig.faults] == [folder]
    assert "recording stopped: the file or its folder is gone" in str(rig.faults[0])
    assert len(rig.sent) == 1000
    rig.recorder.close()
    assert not folder.exists()


def test_a_folder_that_vanishes_before_the_first_frame_does_too(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    rig = Rig(folder)
    _gone(folder)
    rig.send(500)
    assert "recording stopped: No such file or directory" in str(rig.recorder.fault)
    assert len(rig.faults) == 1


def test_without_anybody_to_tell_the_fault_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "traces")
    rig.recorder.on_fault = None
    _gone(tmp_path / "traces")
    rig.send(500)
    assert rig.recorder.fault is not None


def test_an_old_file_that_cannot_be_deleted_ends_the_recording_before_the_bound_is_broken(tmp_path: Path) -> None:
    (tmp_path / "trace-20240101T000000Z-000001.log").mkdir()
    rig = Rig(tmp_path, max_files=1)
    rig.send(500)
    assert len(rig.faults) == 1
    assert len(list(tmp_path.iterdir())) == 1


# ---- what is refused at once


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trace_format": "pcap"}, "unknown trace format 'pcap'; did you mean 'pcapng'?"),
        ({"max_file_bytes": FILE_MIN_BYTES - 1}, f"a trace file needs {FILE_MIN_BYTES} bytes or more, not 65535"),
        ({"max_files": 0}, "at least one trace file must be kept, not 0"),
        ({"stem": ""}, "'' cannot begin a file's name"),
        ({"stem": "a/b"}, "'a/b' cannot begin a file's name"),
        ({"stem": "a\0b"}, "'a\\x00b' cannot begin a file's name"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(options: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        RecorderOptions(folder=tmp_path, **options)
    assert str(refused.value) == says


def _a_file(path: Path) -> Path:
    path.write_text("")
    return path


def _below_a_file(path: Path) -> Path:
    path.write_text("")
    return path / "traces"


@pytest.mark.parametrize(
    ("folder", "says"),
    [(_a_file, "is a file, a folder is needed"), (_below_a_file, "no folder for traces: Not a directory")],
)
def test_a_folder_that_cannot_be_is_refused_at_once(folder: Callable[[Path], Path], says: str, tmp_path: Path) -> None:
    where = folder(tmp_path / "here")
    with pytest.raises(ConfigError) as refused:
        TraceRecorder(World(), RecorderOptions(folder=where))
    assert str(refused.value) == f"{where}: {says}"


def test_a_folder_that_nobody_may_write_to_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wire.trace_recorder.os.access", lambda *_: False)  # to root, permissions say nothing
    with pytest.raises(ConfigError, match="no traces can be written into this folder: permission denied"):
        TraceRecorder(World(), RecorderOptions(folder=tmp_path))


# ---- in real time


@pytest.mark.parametrize("name", ["asc", "blf"])
def test_what_takes_long_to_load_is_loaded_before_the_world_runs(name: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from wire.trace_recorder import *; from wire.world import World\n"
        "assert 'can' not in sys.modules\n"
        f"TraceRecorder(World(), RecorderOptions(folder=Path('traces'), trace_format={name!r}))\n"
        "before = set(sys.modules)\n"
        "from wire.trace_files import FORMATS\n"
        f"writer = FORMATS[{name!r}].writer(Path('x'), ['obd'], 0)\n"
        "writer.write((0, 0, 1, 0, b''))\n"
        "writer.close()\n"
        "print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] == 'can'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.realtime
def test_it_records_in_real_time_and_dates_its_frames_as_the_clock_does(tmp_path: Path) -> None:
    clock = RealClock()
    try:
        rig = Rig(tmp_path, "pcapng", world=World(clock=clock))
        rig.send(30, gap_ns=10 * MS)
        assert rig.recorder.records_written > 0
        rig.recorder.close()
        begins_ns = clock.epoch_utc_s() * NS_PER_S
        read = [entry for path in rig.recorder.files for entry in read_trace(path)]
        assert [(when_ns - begins_ns, bus, frame) for when_ns, bus, frame in read] == rig.sent
        assert len(read) == 30
    finally:
        clock.close()
