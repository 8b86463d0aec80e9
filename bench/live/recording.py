"""What a served car records: every bus of it, in one or more formats, for as long as it stands; the newest files are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.topology import Car
from wire.trace_recorder import RecorderOptions, RecordingStopped, TraceRecorder

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILES = 16
"""A gigabyte in all for each format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Traces into `folder`, in these formats; of each format at most `max_files` of `max_file_bytes` are kept."""

    folder: Path
    formats: tuple[str, ...]
    max_file_bytes: int = MAX_FILE_BYTES
    max_files: int = MAX_FILES

    def begin(self, car: Car, on_fault: Callable[[RecordingStopped], None]) -> list[TraceRecorder]:
        """Record all buses of a car. Raises `ConfigError` for a folder that cannot be written to."""
        recorders = []
        for name in self.formats:
            options = RecorderOptions(
                folder=self.folder,
                stem=car.spec.name,
                trace_format=name,
                max_file_bytes=self.max_file_bytes,
                max_files=self.max_files,
            )
            recorder = TraceRecorder(car.world, options, on_fault)
            for bus in car.buses.values():
                recorder.attach(bus)
            recorders.append(recorder)
        return recorders
