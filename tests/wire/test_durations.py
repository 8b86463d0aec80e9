"""Durations as people write them: every unit, fractions, signs, and sentences for what is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.durations import MAX_NS, UNITS_NS, read_duration

S = 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0 s", 0),
        ("1 ns", 1),
        ("1 us", 1_000),
        ("300 ms", 300_000_000),
        ("2.5 s", 2_500_000_000),
        ("90 min", 5400 * S),
        ("1.5 h", 5400 * S),
        ("90min", 5400 * S),
        ("  90   min  ", 5400 * S),
        ("+3 s", 3 * S),
        ("0.000000001 s", 1),
        ("0.1 s", 100_000_000),  # exact, not 0.1 as a float
        ("4.35 s", 4_350_000_000),
        ("720 h", 30 * 24 * 3600 * S),
        ("1 h 30 min", 5400 * S),
        ("89min59.5s", 5399 * S + S // 2),
    ],
)
def test_a_duration_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert read_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "90",
        "min",
        "90 minutes",
        "90 Min",
        "1,5 s",
        ".5 s",
        "5. s",
        "1e3 s",
        "1 s -2 ms",
        "--1 s",
        "9 m",
        "1_0 s",
    ],
)
def test_text_that_is_no_duration_is_told_what_would_be_right(value: str) -> None:
    with pytest.raises(ValueError, match="as in '90 min'"):
        read_duration(value)


@pytest.mark.parametrize("value", [90, 1.5, None, True, [], {}, b"1 s"])
def test_a_number_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        read_duration(value)


def test_time_does_not_run_backwards_unless_it_may() -> None:
    with pytest.raises(ValueError, match="backwards"):
        read_duration("-1 s")
    assert read_duration("-1 s", signed=True) == -S
    assert read_duration("+1 s", signed=True) == S


@pytest.mark.parametrize("value", ["721 h", "-721 h", "99999999999999999999 h", "9" * 400 + " ns"])
def test_more_than_a_month_is_a_typing_error(value: str) -> None:
    with pytest.raises(ValueError, match="30 days"):
        read_duration(value, signed=True)


@pytest.mark.parametrize("value", ["9" * 5000 + " s", "0." + "9" * 5000 + " s", "9" * 641 + " ns"])
def test_more_digits_than_a_number_has_get_the_same_sentence_which_stays_short(value: str) -> None:
    with pytest.raises(ValueError, match="as in '90 min'") as refusal:
        read_duration(value)
    assert len(str(refusal.value)) < 200


@given(st.integers(0, MAX_NS), st.sampled_from(list(UNITS_NS)))
def test_what_is_written_is_what_is_read(nanoseconds: int, unit: str) -> None:
    unit_ns = UNITS_NS[unit]
    whole, rest = divmod(nanoseconds, unit_ns)
    digits = len(str(unit_ns)) - 1
    if unit in ("min", "h"):
        rest, digits = 0, 0  # no finite decimal fraction
    fraction = f".{rest:0{digits}d}" if digits else ""
    assert read_duration(f"{whole}{fraction} {unit}") == whole * unit_ns + rest


@given(st.text(max_size=30))
def test_arbitrary_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(read_duration(text, signed=True)) <= MAX_NS
