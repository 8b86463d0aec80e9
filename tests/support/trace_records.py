"""Records to write into trace files: of every shape, and as hypothesis makes them up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from wire.errors import ConfigError
from wire.frame import EXTENDED, EXTENDED_MASK, FD_LENGTHS, Frame
from wire.trace import FrameRecord
from wire.trace_files import FORMATS
from wire.trace_read import read_trace

EPOCH_UTC_S = 1_767_225_600
BUSES = ("obd", "body", "power-train")
HOUR_NS = 3_600_000_000_000
PRECISION_NS = {"candump": 1000, "asc": 1000, "blf": 1, "pcapng": 1}
"""What a format's times are counted in; the rest is cut off."""
HAS_NAMES = ("candump", "pcapng")
SHAPES = (
    Frame(0x700, b"\x02\x3e\x80"),
    Frame(0x000, b""),
    Frame(0x7FF, bytes(range(8))),
    Frame(EXTENDED | 0x18DA10F1, b"\x01\x02"),
    Frame(EXTENDED | 0x12, b"\xff"),  # 29 bits, though the number would fit 11
    Frame(EXTENDED, b""),
    Frame(0x123, bytes(range(64)), fd=True, brs=True),
    Frame(0x124, bytes(12), fd=True),
    Frame(0x125, b"", fd=True),
    Frame(EXTENDED | 0x1FFF_FFFF, b"", fd=True, brs=True),
)


def record(now_ns: int, bus: int, frame: Frame) -> FrameRecord:
    return now_ns, bus, frame.can_id, frame.fd + 2 * frame.brs, frame.data


def frame_of(taken: FrameRecord) -> Frame:
    _, _, can_id, flags, data = taken
    return Frame(can_id, data, bool(flags & 1), bool(flags & 2))


SHAPED = [record(number * 1_234_567_891, number % len(BUSES), frame) for number, frame in enumerate(SHAPES)]
"""Every shape of frame, over some ten seconds."""

_ids = st.one_of(st.integers(0, 0x7FF), st.integers(EXTENDED, EXTENDED | EXTENDED_MASK))
_fd_data = st.sampled_from(FD_LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size))
frames = st.one_of(
    st.builds(Frame, _ids, st.binary(max_size=8)),
    st.builds(Frame, _ids, _fd_data, st.just(value=True), st.booleans()),
)
recordings = st.lists(
    st.builds(record, st.integers(0, 12 * HOUR_NS), st.integers(0, len(BUSES) - 1), frames), max_size=30
).map(lambda found: sorted(found, key=lambda taken: taken[0]))


def many(count: int, seed: int = 1) -> list[FrameRecord]:
    """Return a lot of frames, the same every time."""
    rng, now_ns, found = random.Random(seed), 0, []
    for _ in range(count):
        now_ns += rng.randrange(1, 10_000_000)
        can_id = rng.randrange(0x800) if rng.random() < 0.5 else EXTENDED | rng.randrange(EXTENDED_MASK + 1)
        fd = rng.random() < 0.5
        data = rng.randbytes(rng.choice(FD_LENGTHS) if fd else rng.randrange(9))
        found.append(record(now_ns, rng.randrange(len(BUSES)), Frame(can_id, data, fd, fd and rng.random() < 0.5)))
    return found


def write(path: Path, name: str, records: Sequence[FrameRecord], buses: Sequence[str] = BUSES) -> Path:
    """Write one file of this format."""
    kind = FORMATS[name]
    path = path.with_suffix(kind.suffix)
    writer = kind.writer(path, buses, EPOCH_UTC_S)
    for taken in records:
        writer.write(taken)
    writer.close()
    return path


def until_refused(path: Path) -> tuple[list[tuple[int, str, Frame]], ConfigError | None]:
    """Return the frames that a file gives, and what it is refused with, if it is."""
    found: list[tuple[int, str, Frame]] = []
    try:
        found.extend(read_trace(path))
    except ConfigError as error:
        return found, error
    return found, None


def expected(name: str, records: Sequence[FrameRecord], buses: Sequence[str] = BUSES) -> list[tuple[int, str, Frame]]:
    """Return what reads back from a file of this format."""
    step_ns = PRECISION_NS[name]
    return [
        (
            EPOCH_UTC_S * 1_000_000_000 + taken[0] // step_ns * step_ns,
            buses[taken[1]] if name in HAS_NAMES else str(taken[1] + 1),
            frame_of(taken),
        )
        for taken in records
    ]
