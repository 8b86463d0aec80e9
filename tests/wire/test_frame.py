"""Frames: what can stand on a bus, what cannot and why, equality, and how people read one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import LocalMisuse
from wire.frame import EXTENDED, FD_LENGTHS, FD_PADDED_LENGTH, Frame, checked, format_can_id


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x000, b""),
        Frame(0x7FF, bytes(8)),
        Frame(EXTENDED, b""),
        Frame(EXTENDED | 0x1FFF_FFFF, bytes(8)),
        *[Frame(0x1, bytes(size), fd=True) for size in FD_LENGTHS],
        Frame(0x1, bytes(64), fd=True, brs=True),
    ],
    ids=repr,
)
def test_a_frame_that_can_stand_on_a_bus_passes_unchanged(frame: Frame) -> None:
    assert checked(frame) is frame


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (Frame(0x800, b""), "0x800 does not fit its 11 bits"),
        (Frame(-1, b""), "does not fit its 11 bits"),
        (Frame(EXTENDED | 0x2000_0000, b""), "does not fit its 29 bits"),
        (Frame(0x1_0000_0000, b""), "does not fit"),
        (Frame(0x1, bytes(9)), "at most 8 bytes, not 9; set fd=True"),
        (Frame(0x1, bytes(8), fd=False, brs=True), "CAN FD frames only"),
        (Frame(0x1, bytes(9), fd=True), "cannot carry 9 bytes"),
        (Frame(0x1, bytes(63), fd=True), "cannot carry 63 bytes"),
        (Frame(0x1, bytes(65), fd=True), "cannot carry 65 bytes"),
    ],
)
def test_a_frame_that_cannot_is_refused_and_told_why(frame: Frame, says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        checked(frame)


def test_the_lengths_of_can_fd_are_those_of_iso_11898_1() -> None:
    assert (*range(9), 12, 16, 20, 24, 32, 48, 64) == FD_LENGTHS


def test_every_length_up_to_64_is_padded_to_the_next_that_can_fd_has() -> None:
    assert len(FD_PADDED_LENGTH) == 65
    for size, padded in enumerate(FD_PADDED_LENGTH):
        assert padded in FD_LENGTHS
        assert padded >= size
        assert not [length for length in FD_LENGTHS if size <= length < padded]


frames = st.builds(
    Frame,
    st.one_of(st.integers(0, 0x7FF), st.integers(EXTENDED, EXTENDED | 0x1FFF_FFFF)),
    st.binary(max_size=8),
    st.booleans(),
    st.booleans(),
)


@given(frames)
def test_equal_frames_are_equal_and_hash_alike(frame: Frame) -> None:
    copy = Frame(frame.can_id, bytes(frame.data), frame.fd, frame.brs)
    assert copy == frame
    assert hash(copy) == hash(frame)
    assert len({copy, frame}) == 1


@given(frames)
def test_frames_that_differ_in_one_thing_are_different(frame: Frame) -> None:
    others = [
        Frame(frame.can_id ^ 1, frame.data, frame.fd, frame.brs),
        Frame(frame.can_id ^ EXTENDED, frame.data, frame.fd, frame.brs),
        Frame(frame.can_id, frame.data + b"\0", frame.fd, frame.brs),
        Frame(frame.can_id, frame.data, not frame.fd, frame.brs),
        Frame(frame.can_id, frame.data, frame.fd, not frame.brs),
    ]
    assert frame not in others


def test_a_frame_is_not_equal_to_something_else() -> None:
    assert Frame(0x1, b"") != (0x1, b"", False, False)
    assert Frame(0x1, b"") != b""


@pytest.mark.parametrize(
    ("can_id", "text"),
    [(0x0, "000"), (0x12, "012"), (0x7FF, "7FF"), (EXTENDED | 0x12, "00000012"), (EXTENDED | 0x18DA10F1, "18DA10F1")],
)
def test_identifiers_are_written_as_candump_writes_them(can_id: int, text: str) -> None:
    assert format_can_id(can_id) == text


def test_a_frame_shows_itself_as_cansend_takes_it() -> None:
    assert "714#02F1" in repr(Frame(0x714, b"\x02\xf1"))
    assert "18DA10F1##" in repr(Frame(EXTENDED | 0x18DA10F1, b"\x02", fd=True))


def test_whether_an_identifier_has_29_bits_is_its_bit_31() -> None:
    assert Frame(EXTENDED | 0x1, b"").extended
    assert not Frame(0x1, b"").extended
