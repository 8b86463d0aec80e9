"""Frames on a byte stream: they come whole and in order however the bytes come; what is no frame is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import ConfigError
from wire.frame import EXTENDED, FD_LENGTHS, Frame
from wire.frame_stream import FLAGS, HEAD, FrameReader, encode

FRAMES = st.builds(
    lambda number, extended, fd, data: Frame(
        (number & 0x1FFF_FFFF | EXTENDED) if extended else number & 0x7FF,
        data[: max(size for size in FD_LENGTHS if size <= len(data))] if fd else data[:8],
        fd,
        fd and bool(number & 1),
    ),
    st.integers(0, 0x1FFF_FFFF),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=64),
)
RECORDS = st.tuples(st.integers(0, 2**64 - 1), FRAMES, st.booleans())


@given(st.lists(RECORDS, max_size=6), st.integers(1, 40))
def test_records_come_back_whole_and_in_order_in_whatever_pieces_the_bytes_come(records: list, piece: int) -> None:
    stream = b"".join(encode(utc_ns, frame, own=own) for utc_ns, frame, own in records)
    reader = FrameReader()
    came = [record for at in range(0, len(stream), piece) for record in reader.take(stream[at : at + piece])]
    assert came == records


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_error_that_says_so(data: bytes) -> None:
    try:
        list(FrameReader().take(data))
    except ConfigError as error:
        assert str(error).startswith("not a stream of frames")  # noqa: PT017 - or no error at all


@pytest.mark.parametrize(
    ("can_id", "flags", "data", "says"),
    [
        (1, FLAGS + 1, b"", "flags 0x08"),
        (0x800, 0, b"", "0x800"),
        (1, 0, bytes(9), "9"),
        (1, 1, bytes(9), "9"),
        (1, 2, bytes(1), "not a stream"),
    ],
)
def test_what_no_bus_carries_is_refused(can_id: int, flags: int, data: bytes, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        list(FrameReader().take(HEAD.pack(0, can_id, flags, len(data)) + data))


def test_frames_before_the_garbage_are_taken_and_none_of_them_twice() -> None:
    reader, good = FrameReader(), Frame(0x123, b"good")
    came = []
    with pytest.raises(ConfigError):
        came.extend(reader.take(encode(1, good) + b"\xff" * 20))
    assert came in ([], [(1, good, False)])
    rest = FrameReader()
    assert [frame for _, frame, _ in rest.take(encode(1, good) + encode(2, good)[:5])] == [good]
    assert [utc_ns for utc_ns, _, _ in rest.take(encode(2, good)[5:])] == [2]
