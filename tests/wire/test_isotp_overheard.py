"""Reading along: whole messages come out of frames, whatever else is on the identifier."""

from hypothesis import given
from hypothesis import strategies as st
from talk_file import frames_of

from wire.isotp_overheard import MESSAGE_MAX_BYTES, Overheard, Overhearing
from wire.isotp_pdu import flow_control


def heard(reader: Overhearing, frames: list[bytes]) -> list[Overheard]:
    found = [reader.take(frame, number) for number, frame in enumerate(frames)]
    return [message for message in found if message is not None]


@given(st.binary(min_size=1, max_size=5000), st.sampled_from([8, 12, 64]), st.sampled_from([None, 0x00, 0xAA]))
def test_what_was_sent_is_heard(payload: bytes, dl: int, padding: int | None) -> None:
    frames = frames_of(payload, dl, padding)
    reader = Overhearing()
    (message,) = heard(reader, frames)
    assert message.payload == payload
    assert (message.begun_ns, message.whole_ns) == (0, len(frames) - 1)
    assert not reader.open
    assert reader.broken == 0


@given(st.lists(st.binary(max_size=64), max_size=30))
def test_no_frame_whatever_raises(frames: list[bytes]) -> None:
    reader = Overhearing()
    for message in heard(reader, frames):
        assert message.payload


def test_padding_is_told_and_its_byte_where_it_is_one() -> None:
    (full,) = heard(Overhearing(), [bytes.fromhex("07 22 F1 90 F1 91 F1 92")])
    assert (full.padded, full.filler) == (False, None)
    (filled,) = heard(Overhearing(), [bytes.fromhex("02 3E 00 55 55 55 55 55")])
    assert (filled.padded, filled.filler) == (True, 0x55)
    (mixed,) = heard(Overhearing(), [bytes.fromhex("02 3E 00 01 02 03 04 05")])
    assert (mixed.padded, mixed.filler) == (True, None)


def test_flow_control_between_does_not_disturb() -> None:
    frames = frames_of(bytes(20))
    frames.insert(1, flow_control(0, 0, 0, 0x55))
    assert [message.payload for message in heard(Overhearing(), frames)] == [bytes(20)]


def test_a_frame_that_is_missing_breaks_the_message_and_is_counted() -> None:
    reader, frames = Overhearing(), frames_of(bytes(40))
    assert heard(reader, [*frames[:2], *frames[3:]]) == []
    assert reader.broken == 1


def test_a_message_that_begins_within_another_ends_it() -> None:
    reader = Overhearing()
    frames = [
        frames_of(bytes(40))[0],
        *frames_of(b"\x22\xf1\x90"),
        frames_of(bytes(40))[0],
        *frames_of(bytes(range(30))),
    ]
    assert [message.payload for message in heard(reader, frames)] == [b"\x22\xf1\x90", bytes(range(30))]
    assert reader.broken == 2


def test_a_first_frame_that_promises_more_than_a_message_has_is_not_waited_for() -> None:
    reader = Overhearing()
    heard(reader, [b"\x10\x00" + (MESSAGE_MAX_BYTES + 1).to_bytes(4, "big") + b"\x22\xf1"])
    assert not reader.open
    assert reader.broken == 1


def test_a_message_that_has_begun_is_open() -> None:
    reader = Overhearing()
    heard(reader, frames_of(bytes(40))[:3])
    assert reader.open
