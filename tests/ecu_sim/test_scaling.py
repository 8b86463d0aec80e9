"""ReadScalingDataByIdentifier 0x24, and that scaling bytes mean what they were made of."""

from decimal import Decimal

import pytest
from acting_unit import acting
from ecu_bench import refused
from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.scaling import (
    WITH_EXTENSION,
    ScalingEntry,
    ScalingKind,
    decode_real,
    decode_scaling,
    encode_real,
    encode_scaling,
)


def test_the_vehicle_speed_of_public_examples() -> None:
    assert acting().ask("24 10 03") == "64 10 03 01 95 00 E0 4B 00 1E A1 30"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("24", 0x13),
        ("24 10", 0x13),
        ("24 10 03 10 03", 0x13),
        ("24 99 99", 0x31),
        ("24 F1 90", 0x31),  # there, but without scaling
        ("24 06 04", 0x31),  # of another session
        ("24 06 03", 0x33),
    ],
)
def test_a_refused_request_names_the_first_reason(request_: str, nrc: int) -> None:
    assert acting().ask(request_) == refused(0x24, nrc)


def test_an_output_has_scaling_too_and_a_long_answer_is_refused() -> None:
    assert acting().ask("24 0B 01") == "64 0B 01 01"
    assert acting(max_answer_bytes=8).ask("24 10 03") == refused(0x24, 0x14)


ENTRIES = st.one_of(
    st.builds(ScalingEntry, st.sampled_from(sorted(set(ScalingKind) - WITH_EXTENSION)), st.integers(0, 15)),
    st.builds(
        lambda kind, extension: ScalingEntry(kind, 0, extension),
        st.sampled_from(sorted(WITH_EXTENSION)),
        st.binary(max_size=15),
    ),
)


@given(st.lists(ENTRIES, max_size=6))
def test_entries_come_back_as_they_were(entries: list[ScalingEntry]) -> None:
    assert list(decode_scaling(encode_scaling(entries))) == entries


@given(st.integers(-2048, 2047), st.integers(-8, 7))
def test_every_number_that_two_bytes_hold_comes_back(mantissa: int, exponent: int) -> None:
    number = Decimal(mantissa).scaleb(exponent)
    assert decode_real(encode_real(str(number))) == number


@pytest.mark.parametrize(("text", "data"), [("0.75", "E0 4B"), ("30", "00 1E"), ("-1", "0F FF"), ("0", "00 00")])
def test_two_byte_numbers_as_public_examples_have_them(text: str, data: str) -> None:
    assert encode_real(text) == bytes.fromhex(data)


@pytest.mark.parametrize("text", ["2048.5", "1E12", "1E-12", "3.14159", "NaN", "Infinity", "fast"])
def test_what_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|fit"):
        encode_real(text)


def test_a_count_that_does_not_fit_and_a_record_that_is_cut_off_are_refused() -> None:
    with pytest.raises(ValueError, match="counts to 15"):
        ScalingEntry(ScalingKind.ASCII, 17).encode()
    with pytest.raises(ValueError, match="cut off"):
        decode_scaling(b"\x95\x00\xe0")
    with pytest.raises(ValueError, match="not a valid"):
        decode_scaling(b"\xf0")
