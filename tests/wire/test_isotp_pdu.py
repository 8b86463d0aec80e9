"""ISO-TP's protocol data units (ISO 15765-2): STmin, length fields, flow control, frame lengths of CAN FD."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import isotp_door as isotp
from wire.frame import FD_LENGTHS, Frame
from wire.isotp_door import FirstFrame, IsoTpOptions, Received
from wire.isotp_pdu import (
    FlowStatus,
    decode_stmin,
    encode_stmin,
    first_frame,
    first_frame_room,
    flow_control,
    padded,
    single_frame,
)
from wire.isotp_stack import IsoTpStack

MS = 10**6
US = 10**3

# ---- STmin (9.6.5.4)


@pytest.mark.parametrize(
    ("byte", "nanoseconds"),
    [
        (0x00, 0),
        (0x01, 1 * MS),
        (0x7F, 127 * MS),
        *[(0xF0 + step, step * 100 * US) for step in range(1, 10)],
        *[(byte, 127 * MS) for byte in (0x80, 0xF0, 0xFA, 0xFF)],
    ],
)
def test_stmin_is_milliseconds_or_hundreds_of_microseconds_and_reserved_means_the_longest(
    byte: int, nanoseconds: int
) -> None:
    assert decode_stmin(byte) == nanoseconds


def test_every_byte_is_some_time_and_what_is_encoded_is_what_is_decoded() -> None:
    for byte in range(256):
        assert 0 <= decode_stmin(byte) <= 127 * MS
        assert decode_stmin(encode_stmin(decode_stmin(byte))) == decode_stmin(byte)


@given(st.integers(0, 127 * MS))
def test_a_time_that_no_byte_has_becomes_the_next_longer_one(stmin_ns: int) -> None:
    told_ns = decode_stmin(encode_stmin(stmin_ns))
    assert told_ns >= stmin_ns
    shorter = [decode_stmin(byte) for byte in range(256) if stmin_ns <= decode_stmin(byte) < told_ns]
    assert not shorter


def test_more_than_127_ms_cannot_be_asked_for_and_less_than_none_is_none() -> None:
    assert encode_stmin(10**12) == 0x7F
    assert encode_stmin(-5) == 0


# ---- single frames


@pytest.mark.parametrize(
    ("size", "dl", "padding", "frame"),
    [
        (1, 8, None, "01 AB"),
        (1, 8, 0x55, "01 AB 55 55 55 55 55 55"),
        (7, 8, None, "07 AB AB AB AB AB AB AB"),
        (8, 8, None, None),
        (7, 64, None, "07 AB AB AB AB AB AB AB"),  # short: no escape below 8 bytes
        (8, 64, None, "00 08 AB AB AB AB AB AB AB AB CC CC"),
        (10, 12, None, "00 0A AB AB AB AB AB AB AB AB AB AB"),
        (11, 12, None, None),
        (11, 64, 0x00, "00 0B AB AB AB AB AB AB AB AB AB AB AB 00 00 00"),
        (62, 64, None, "00 3E" + " AB" * 62),
        (63, 64, None, None),
    ],
)
def test_a_single_frame_holds_what_its_length_allows(
    size: int, dl: int, padding: int | None, frame: str | None
) -> None:
    expected = None if frame is None else bytes.fromhex(frame)
    assert single_frame(b"\xab" * size, dl, padding) == expected


@given(st.binary(min_size=1, max_size=62), st.sampled_from(FD_LENGTHS[8:]), st.sampled_from([None, 0x00, 0xCC]))
def test_frames_have_lengths_that_can_fd_has_and_payload_is_not_changed(
    payload: bytes, dl: int, padding: int | None
) -> None:
    data = single_frame(payload, dl, padding)
    if data is None:
        assert len(payload) > (7 if dl == 8 else dl - 2)
        return
    assert len(data) in FD_LENGTHS
    assert len(data) <= dl
    assert payload in data


def test_padding_fills_classic_frames_when_asked_and_fd_frames_when_they_must() -> None:
    assert padded(b"ab", None) == b"ab"
    assert padded(b"ab", 0x55) == b"ab" + b"\x55" * 6
    assert padded(bytes(8), 0x55) == bytes(8)
    assert padded(bytes(9), None) == bytes(9) + b"\xcc" * 3
    assert padded(bytes(9), 0x00) == bytes(12)


# ---- first frames


@pytest.mark.parametrize(
    ("total", "dl", "room", "head"),
    [
        (8, 8, 6, "10 08"),
        (0x123, 8, 6, "11 23"),
        (4095, 8, 6, "1F FF"),
        (4096, 8, 2, "10 00 00 00 10 00"),
        (0xFFFF_FFFF, 8, 2, "10 00 FF FF FF FF"),
        (63, 64, 62, "10 3F"),
        (4096, 64, 58, "10 00 00 00 10 00"),
    ],
)
def test_a_first_frame_tells_the_length_in_12_bits_up_to_4095_and_in_32_above(
    total: int, dl: int, room: int, head: str
) -> None:
    assert first_frame_room(total, dl) == room
    data = first_frame(total, bytes(room))
    assert data == bytes.fromhex(head) + bytes(room)
    assert len(data) == dl


# ---- flow control


@pytest.mark.parametrize(
    ("status", "data"),
    [(FlowStatus.CONTINUE, "30 08 F3"), (FlowStatus.WAIT, "31 08 F3"), (FlowStatus.OVERFLOW, "32 08 F3")],
)
def test_flow_control_is_status_block_size_and_stmin(status: FlowStatus, data: str) -> None:
    assert flow_control(status, 8, 0xF3, None) == bytes.fromhex(data)
    assert flow_control(status, 8, 0xF3, 0xAA) == bytes.fromhex(data + " AA AA AA AA AA")


# ---- what a receiver makes of lengths that are not as they should be


class Ear:
    def __init__(self) -> None:
        self.stack = IsoTpStack()
        self.stack.add(0, tx_id=0x700, rx_id=0x708, options=IsoTpOptions(rx_buffer_bytes=10_000))

    def hear(self, *frames: str | bytes) -> list[object]:
        """Return the events that these frames make; our own frames go out at once."""
        for frame in frames:
            data = bytes.fromhex(frame) if isinstance(frame, str) else frame
            self.stack.receive(0, Frame(0x708, data, fd=len(data) > 8), 0)
            while self.stack.outputs:
                self.stack.outputs.popleft()
                self.stack.frame_sent(0, 0)
        events = list(self.stack.events)
        self.stack.events.clear()
        return events


def payloads(events: list[object]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Received)]


@pytest.mark.parametrize("length", ["00 00 00 00", "00 00 00 08", "00 00 0F FF"])
def test_a_long_length_that_would_have_fitted_the_short_one_is_ignored(length: str) -> None:
    assert Ear().hear(f"10 00 {length} 01 02") == []


def test_a_long_length_above_4095_is_taken() -> None:
    (event,) = Ear().hear("10 00 00 00 10 00 01 02")
    assert isinstance(event, FirstFrame)
    assert (event.length, event.head) == (4096, b"\x01\x02")


def test_a_length_beyond_any_buffer_is_answered_with_overflow() -> None:
    ear = Ear()
    (event,) = ear.hear("10 00 FF FF FF FF 01 02")
    assert isinstance(event.error, isotp.BufferOverflow)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x05" + bytes(11),  # above 8 bytes a single frame needs the escape
        b"\x00\x0b" + bytes(10),  # longer than the frame
        b"\x00\x00" + bytes(10),
        b"\x10\x08" + bytes(62),  # would have fitted a single frame of this length
        b"\x10\x3e" + bytes(62),
        b"\x10\x14" + bytes(5),  # a first frame is full
    ],
)
def test_fd_frames_whose_length_field_is_wrong_are_ignored(frame: bytes) -> None:
    assert Ear().hear(frame) == []


@pytest.mark.parametrize("size", [9, 10, 11, 13, 17, 33, 62])
def test_a_padded_fd_single_frame_is_cut_to_its_length(size: int) -> None:
    payload = bytes(range(1, size + 1))
    assert payloads(Ear().hear(single_frame(payload, 64, 0xCC))) == [payload]


def test_consecutive_frames_shorter_than_the_first_frame_are_ignored_but_for_the_last() -> None:
    first = b"\x10\x64" + bytes(range(62))
    ear = Ear()
    assert payloads(ear.hear(first, b"\x21" + bytes(31))) == []  # 31 of the 38 that are left
    assert payloads(ear.hear(b"\x21" + bytes(range(62, 100)) + bytes(9))) == [bytes(range(100))]


def test_padding_behind_the_last_byte_does_not_belong_to_the_message() -> None:
    assert payloads(Ear().hear("10 09 01 02 03 04 05 06", "21 07 08 09 AA AA AA AA")) == [bytes(range(1, 10))]


def test_the_sequence_number_wraps_from_f_to_0() -> None:
    message = bytes(number & 0xFF for number in range(6 + 7 * 20))
    frames = [b"\x10" + bytes((len(message),)) + message[:6]]
    for number in range(20):
        start = 6 + 7 * number
        frames.append(bytes((0x20 | (number + 1) & 0xF,)) + message[start : start + 7])
    assert payloads(Ear().hear(*frames)) == [message]


@pytest.mark.parametrize("frame", ["40 01", "8F", "F0 00 00 00 00 00 00 00"])
def test_frame_types_that_the_standard_reserves_are_ignored(frame: str) -> None:
    ear = Ear()
    assert ear.hear(frame) == []
    assert payloads(ear.hear("02 3E 00")) == [b"\x3e\x00"]
