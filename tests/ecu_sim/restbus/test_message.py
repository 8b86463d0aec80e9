"""Where signals lie, what a frame holds, and what a checksum notices. cantools judges the places in tests/judges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.restbus.message import CyclicMessage, Signal, checksum_start
from wire.frame import EXTENDED

SPEED = Signal(name="speed", shift=16, size_bits=16, scale=0.01, source="speed_kmh")
COUNT = Signal(name="count", shift=8, size_bits=4)


def message(can_id: int = 0x240, **changes: object) -> CyclicMessage:
    values = {
        "name": "M",
        "can_id": can_id,
        "size": 8,
        "cycle_ns": 50_000_000,
        "node": "A",
        "signals": {"speed": SPEED},
        "counter": COUNT,
        "checksum_at": 0,
    }
    return CyclicMessage(**{**values, **changes})  # type: ignore[arg-type]


def test_a_frame_holds_checksum_counter_and_value() -> None:
    data = message().encode({"speed": 8700}, 11)
    assert data.hex(" ") == f"{message().checksum(data):02x} 0b fc 21 00 00 00 00"


def crc8(data: bytes, start: int) -> int:
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc


def test_the_checksum_is_the_published_crc_8_over_identifier_and_data() -> None:
    assert crc8(b"123456789", 0) == 0xF4  # the check value of CRC-8 (polynomial 0x07) in the catalogues of CRCs
    whole = message(0x3132, counter=None, checksum_at=7, signals={})
    assert whole.checksum(b"3456789?") == crc8(b"123456789", 0xFF)


@given(data=st.binary(min_size=8, max_size=8), bit=st.integers(0, 63), count=st.integers(0, 15))
def test_one_flipped_bit_anywhere_is_noticed(data: bytes, bit: int, count: int) -> None:
    sent = message().encode({"speed": int.from_bytes(data[:2])}, count)
    flipped = bytearray(sent)
    flipped[bit // 8] ^= 1 << bit % 8
    assert flipped[0] != message().checksum(flipped)


def test_another_messages_bytes_have_another_checksum_and_29_bits_are_all_part_of_it() -> None:
    others = {checksum_start(can_id) for can_id in (0x240, 0x241, EXTENDED | 0x240, EXTENDED | 0x10000240)}
    assert len(others) == 4


@given(value=st.floats(-1e6, 1e6))
def test_a_value_beyond_a_signals_ends_stands_at_its_end(value: float) -> None:
    signed = Signal(name="t", shift=0, size_bits=8, signed=True, scale=0.5, offset=-40)
    low, high = signed.raw_range
    raw = signed.to_raw(value)
    assert (low, high) == (-128, 127)
    assert low <= raw <= high
    if signed.to_physical(low) <= value <= signed.to_physical(high):
        assert abs(signed.to_physical(raw) - value) <= 0.25
    assert signed.raw_of(signed.place(raw).to_bytes(8, "little")) == raw


def test_an_unprotected_message_has_only_its_signals() -> None:
    bare = message(counter=None, checksum_at=None)
    assert bare.encode({}, 5) == bytes(8)
    assert bare.counter_end == 1


def test_counter_and_signals_of_both_byte_orders_share_a_message() -> None:
    big = Signal(name="big", shift=0, size_bits=16, big_endian=True)
    counter = Signal(name="count", shift=52, size_bits=4, big_endian=True)
    mixed = message(signals={"speed": SPEED, "big": big}, counter=counter, checksum_at=None)
    assert mixed.encode({"speed": 0x1234, "big": 0xABCD}, 7).hex(" ") == "00 70 34 12 00 00 ab cd"


def test_a_signal_that_nothing_feeds_keeps_its_first_value() -> None:
    silent = Signal(name="silent", shift=40, size_bits=8, initial_raw=0xFE)
    assert message(signals={"silent": silent}).encode({}, 0)[5] == 0xFE
