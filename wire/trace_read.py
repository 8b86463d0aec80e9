"""Reads traces back, ours and other people's: candump, Vector ASC and BLF, pcapng.

Frames come one by one, so a file may be larger than memory. What `Frame` cannot say is left out: error frames, remote
frames, and whatever else such a file holds. A file that is wrong is a `ConfigError`; frames before the wrong place have come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from wire.errors import ConfigError
from wire.frame import Frame
from wire.trace_malformed import Malformed
from wire.trace_read_blocks import read_blf, read_pcapng
from wire.trace_read_text import read_asc, read_candump

TraceFrame = tuple[int, str, Frame]
"""(time in ns since 1970 UTC, bus, frame). `bus`: the name where the file has one (candump, pcapng), else the number of the
channel from 1 (ASC, BLF). Where a file has no date, time counts from its start.
"""

_READERS: dict[str, Callable[[BinaryIO], Iterator[TraceFrame]]] = {
    ".log": read_candump,
    ".asc": read_asc,
    ".blf": read_blf,
    ".pcapng": read_pcapng,
}


def read_trace(path: Path) -> Iterator[TraceFrame]:
    """Return the frames of a file in its order; its suffix says which format it has.

    Raises `ConfigError`: at once for a suffix that is none of ours, on the way for what is wrong in the file.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"no trace format has this suffix; there are: {', '.join(_READERS)}", path=str(path))
    return _frames(path, reader)


def _frames(path: Path, reader: Callable[[BinaryIO], Iterator[TraceFrame]]) -> Iterator[TraceFrame]:
    try:
        with path.open("rb") as file:
            yield from reader(file)
    except Malformed as wrong:
        raise ConfigError(str(wrong), path=str(path), line=wrong.line) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=str(path)) from None
