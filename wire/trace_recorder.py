"""Records buses into files while the world runs, for hours, in bounded disk and memory.

Frames are batched; a world timer writes them, a slice at a time, so that no callback takes long. Files turn over by size, each
readable by itself, and only the newest stay. A disk that is full or gone ends the recording, is told once, and the world goes on.
Nothing is forced onto the disk (no fsync): what a power cut takes is what the operating system had not written yet.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wire.can_bus import CanBus
from wire.carried_bus import CarriedBus
from wire.clock import NS_PER_MS, NS_PER_S
from wire.errors import BenchError, ConfigError, LocalMisuse
from wire.frame import Frame
from wire.names import suggestion
from wire.trace_files import FORMATS, RECORD_MAX_BYTES, TraceWriter
from wire.world import World

FILE_MIN_BYTES = 64 * 1024
"""Smaller files would be mostly heads, and turn over many times a second on a busy bus."""
BATCH_NS = 200 * NS_PER_MS
"""The first frame of a batch waits so long to be written: a reader that follows the file hardly notices."""
SLICE = 64
"""Records written in one callback: less than a millisecond in the slowest format (ASC, some 10 us each)."""
SLICE_GAP_NS = NS_PER_MS
"""Between two slices, so that whatever is due and whatever was received has its turn; 64,000 frames/s are written still."""
WAITING_MAX = 16_384
"""Records in memory, some 3 MB: four seconds of a full 500 kbit/s bus. Beyond that a slice is written at once: none is lost."""


class RecordingStopped(BenchError):
    """The recording ended because of the disk. `path`: the file or folder; `lost`: frames that were taken and may be missing."""

    def __init__(self, path: Path, problem: str, lost: int) -> None:
        super().__init__(
            f"{path}: recording stopped: {problem}; up to {lost} frames were not written; "
            "make room or choose another folder, and start it again"
        )
        self.path = path
        self.lost = lost


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """Where to, and how much. Disk use is at most `max_file_bytes` times `max_files`, files of earlier runs with this stem
    included: the oldest are deleted.
    """

    folder: Path
    stem: str = "trace"
    trace_format: str = "candump"
    max_file_bytes: int = 64 * 1024 * 1024
    max_files: int = 16

    def __post_init__(self) -> None:
        if self.trace_format not in FORMATS:
            raise ConfigError(f"unknown trace format {self.trace_format!r}{suggestion(self.trace_format, FORMATS)}")
        if self.max_file_bytes < FILE_MIN_BYTES:
            raise ConfigError(f"a trace file needs {FILE_MIN_BYTES} bytes or more, not {self.max_file_bytes}")
        if self.max_files < 1:
            raise ConfigError(f"at least one trace file must be kept, not {self.max_files}")
        if not self.stem or not self.stem.isprintable() or Path(self.stem).name != self.stem:
            raise ConfigError(f"{self.stem!r} cannot begin a file's name")

    @property
    def max_disk_bytes(self) -> int:
        """The most that the files take together."""
        return self.max_file_bytes * self.max_files


class TraceRecorder:
    """Attach buses, then let the world run; `close` writes what is waiting. A file is named by the UTC second of its first
    frame and a count, `trace-20260101T000000Z-000001.log`, so that names sort in the order of time.

    `on_fault` is told once why the recording ended before `close`; `fault` keeps it.
    """

    def __init__(
        self, world: World, options: RecorderOptions, on_fault: Callable[[RecordingStopped], None] | None = None
    ) -> None:
        """Raise `ConfigError` when the folder cannot be made or written to."""
        self.options = options
        self.on_fault = on_fault
        self.fault: RecordingStopped | None = None
        self.records_written = 0
        self._world = world
        self._epoch_utc_s = world.clock.epoch_utc_s()
        self._timer = world.timer("trace recorder", self._write_some)
        self._waiting: list[tuple[int, int, Frame]] = []
        self._buses: list[CanBus] = []
        self._taps: list[Callable[[int, CanBus, Frame, str], None]] = []
        self._writer: TraceWriter | None = None
        self._path = options.folder
        self._record_max = RECORD_MAX_BYTES
        self._count = 0
        self._unflushed = 0
        self._over = False
        self._files = self._earlier_files()
        library = FORMATS[options.trace_format].library
        if library is not None:  # now, and not in the world with the first frame: it takes 200 ms
            importlib.import_module(library)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are kept, oldest first; the last is the one that grows."""
        return tuple(self._files)

    def attach(self, bus: CanBus) -> None:
        """Record every frame of a bus, and have a carried one hear all. All buses first: a file's head names them."""
        if self._count or self._over:
            raise LocalMisuse(f"attach {bus.name!r} before the first frame: the head of a trace file names its buses")
        number, waiting, timer = len(self._buses), self._waiting, self._timer

        def tap(now_ns: int, _bus: CanBus, frame: Frame, _sender: str) -> None:
            if self._over:
                return
            waiting.append((now_ns, number, frame))
            if timer.deadline_ns is None:
                timer.set(now_ns + BATCH_NS)
            if len(waiting) >= WAITING_MAX:
                self._write_slice()

        bus.tap(tap)
        if isinstance(bus, CarriedBus):
            bus.hear_all()
        self._buses.append(bus)
        self._taps.append(tap)
        self._record_max = max(self._record_max, RECORD_MAX_BYTES + len(bus.name.encode(errors="replace")))

    def close(self) -> None:
        """Write what is waiting, end the file, leave the buses; closing twice does nothing. A fault goes to `on_fault`."""
        with self._world.hold:
            while self._waiting:
                self._write_slice()
            if self._writer is not None:
                self._guarded(self._end_file)
            self._over = True
            self._leave()

    # ---- in the world

    def _write_some(self, now_ns: int) -> None:
        self._write_slice()
        if self._waiting:
            self._timer.set(now_ns + SLICE_GAP_NS)
        elif self._writer is not None:
            self._guarded(self._flush)

    def _write_slice(self) -> None:
        self._guarded(self._write_waiting)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do what may meet the disk: it never raises into the world."""
        try:
            work()
        except OSError as error:
            self._stop(error.strerror or str(error))

    def _write_waiting(self) -> None:
        waiting = self._waiting
        written = 0
        try:
            for now_ns, bus, frame in waiting[:SLICE]:
                writer = self._writer
                if writer is None or writer.size_bytes + self._record_max > self.options.max_file_bytes:
                    writer = self._next_file(now_ns)
                writer.write((now_ns, bus, frame.can_id, frame.fd + 2 * frame.brs, frame.data))
                written += 1
        finally:
            del waiting[:written]
            self.records_written += written
            self._unflushed += written

    def _flush(self) -> None:
        """Hand the batch to the operating system, and see that it is still a file that people can find."""
        assert self._writer is not None
        self._writer.flush()
        self._unflushed = 0
        if not self._path.exists():
            raise FileNotFoundError(0, "the file or its folder is gone")

    def _stop(self, problem: str) -> None:
        """End for good: release everything, tell it once."""
        self._over = True
        lost = self._unflushed + len(self._waiting)
        self._waiting.clear()
        self._timer.set(None)
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):  # what it could not write before, it cannot now
                writer.close()
        self.fault = RecordingStopped(self._path, problem, lost)
        self._world.call_at(self._world.now_ns, self._leave)  # not now: a bus may be walking through its taps
        if self.on_fault is not None:
            self.on_fault(self.fault)

    def _leave(self) -> None:
        self._timer.set(None)
        for bus, tap in zip(self._buses, self._taps, strict=True):
            bus.untap(tap)
        self._buses, self._taps = [], []

    # ---- files

    def _earlier_files(self) -> list[Path]:
        """Make the folder; return the files of earlier runs in it, oldest first."""
        options = self.options
        pattern = re.compile(
            rf"{re.escape(options.stem)}-\d{{8}}T\d{{6}}Z-\d{{6,}}\{FORMATS[options.trace_format].suffix}"
        )
        try:
            options.folder.mkdir(parents=True, exist_ok=True)
            found = sorted(path for path in options.folder.iterdir() if pattern.fullmatch(path.name))
        except FileExistsError:
            raise ConfigError("is a file, a folder is needed", path=str(options.folder)) from None
        except OSError as error:
            raise ConfigError(f"no folder for traces: {error.strerror or error}", path=str(options.folder)) from None
        if not os.access(options.folder, os.W_OK | os.X_OK):
            raise ConfigError("no traces can be written into this folder: permission denied", path=str(options.folder))
        return found

    def _next_file(self, now_ns: int) -> TraceWriter:
        """End the file, delete the oldest that are too many, open the next."""
        self._end_file()
        self._count += 1
        kind = FORMATS[self.options.trace_format]
        begins = datetime.fromtimestamp(self._epoch_utc_s + now_ns // NS_PER_S, tz=UTC)
        self._path = self.options.folder / f"{self.options.stem}-{begins:%Y%m%dT%H%M%SZ}-{self._count:06}{kind.suffix}"
        self._files = [path for path in self._files if path != self._path]
        while len(self._files) >= self.options.max_files:
            self._files[0].unlink(missing_ok=True)
            del self._files[0]
        self._writer = kind.writer(self._path, [bus.name for bus in self._buses], self._epoch_utc_s)
        self._files.append(self._path)
        return self._writer

    def _end_file(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            self._unflushed = 0
