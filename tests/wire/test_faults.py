"""Fault rules: what strikes when, which rule judges first, and that the same seed strikes the same frames."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import LocalMisuse
from wire.faults import FaultInjector, FaultRule
from wire.frame import EXTENDED, Frame

FRAME = Frame(0x714, bytes(8))


def injector(*rules: FaultRule, seed: int = 1) -> FaultInjector:
    made = FaultInjector(random.Random(seed))
    for rule in rules:
        made.add(rule)
    return made


def outcomes(faults: FaultInjector, times: int = 6, frame: Frame = FRAME) -> list[int]:
    """How often each of `times` frames is heard; -1 for an error frame."""
    verdicts = [faults.judge(now_ns, "obd", frame) for now_ns in range(times)]
    return [-1 if verdict.error else len(verdict.deliveries) for verdict in verdicts]


def test_without_rules_every_frame_is_heard_once_and_at_once() -> None:
    faults = injector()
    verdict = faults.judge(0, "obd", FRAME)
    assert (verdict.error, verdict.deliveries) == (False, [(0, FRAME)])
    assert faults.injected == 0


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        (FaultRule(kind="drop"), [0] * 6),
        (FaultRule(kind="error"), [-1] * 6),
        (FaultRule(kind="duplicate"), [2] * 6),
        (FaultRule(kind="drop", count=2), [0, 0, 1, 1, 1, 1]),
        (FaultRule(kind="drop", count=0), [1] * 6),
        (FaultRule(kind="drop", skip=2, count=1), [1, 1, 0, 1, 1, 1]),
        (FaultRule(kind="drop", from_ns=2, until_ns=4), [1, 1, 0, 0, 1, 1]),
        (FaultRule(kind="drop", from_ns=3, skip=1), [1, 1, 1, 1, 0, 0]),
        (FaultRule(kind="drop", probability=0.0), [1] * 6),
        (FaultRule(kind="drop", bus="obd"), [0] * 6),
        (FaultRule(kind="drop", bus="body"), [1] * 6),
        (FaultRule(kind="drop", can_id=0x714), [0] * 6),
        (FaultRule(kind="drop", can_id=0x77E), [1] * 6),
        (FaultRule(kind="drop", can_id=EXTENDED | 0x714), [1] * 6),
    ],
)
def test_a_rule_strikes_what_it_names(rule: FaultRule, heard: list[int]) -> None:
    faults = injector(rule)
    assert outcomes(faults) == heard
    assert faults.injected == sum(times != 1 for times in heard)


def test_frames_that_do_not_match_count_neither_as_skipped_nor_as_struck() -> None:
    faults = injector(FaultRule(kind="drop", can_id=0x1, skip=1, count=1))
    assert outcomes(faults) == [1] * 6
    assert outcomes(faults, frame=Frame(0x1, b"")) == [1, 0, 1, 1, 1, 1]


def test_rules_add_up_in_the_order_of_their_adding() -> None:
    twice_later = injector(FaultRule(kind="duplicate"), FaultRule(kind="delay", delay_ns=5))
    assert twice_later.judge(0, "obd", FRAME).deliveries == [(5, FRAME), (5, FRAME)]
    longer = injector(FaultRule(kind="delay", delay_ns=5), FaultRule(kind="delay", delay_ns=7))
    assert longer.judge(0, "obd", FRAME).deliveries == [(12, FRAME)]
    four = injector(FaultRule(kind="duplicate"), FaultRule(kind="duplicate"))
    assert len(four.judge(0, "obd", FRAME).deliveries) == 4


def test_what_is_dropped_is_not_judged_further() -> None:
    faults = injector(FaultRule(kind="drop", count=1), FaultRule(kind="error", count=1))
    assert outcomes(faults, 3) == [0, -1, 1]
    assert faults.injected == 2


def test_the_copies_of_a_corrupted_frame_are_damaged_each_for_itself() -> None:
    faults = injector(FaultRule(kind="duplicate"), FaultRule(kind="corrupt"), seed=3)
    copies = [frame.data for _, frame in faults.judge(0, "obd", Frame(0x1, bytes(64), fd=True)).deliveries]
    assert [int.from_bytes(data, "big").bit_count() for data in copies] == [1, 1]
    assert copies[0] != copies[1]


@given(st.binary(max_size=64), st.integers(0, 0x7FF), st.booleans(), st.integers(0, 9))
def test_corruption_flips_one_bit_of_the_data_and_nothing_else(data: bytes, can_id: int, fd: bool, seed: int) -> None:
    frame = Frame(can_id, data, fd, fd)
    ((_, heard),) = injector(FaultRule(kind="corrupt"), seed=seed).judge(0, "obd", frame).deliveries
    assert (heard.can_id, heard.fd, heard.brs, len(heard.data)) == (can_id, fd, fd, len(data))
    flipped = int.from_bytes(heard.data, "big") ^ int.from_bytes(data, "big")
    assert flipped.bit_count() == (1 if data else 0)
    assert frame.data == data


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
def test_chance_depends_on_the_seed_alone(probability: float, seed: int) -> None:
    rule = FaultRule(kind="drop", probability=probability)
    assert outcomes(injector(rule, seed=seed), 50) == outcomes(injector(rule, seed=seed), 50)


def test_chance_keeps_its_probability() -> None:
    heard = outcomes(injector(FaultRule(kind="drop", probability=0.25)), 4000)
    assert 0.22 < heard.count(0) / 4000 < 0.28


def test_rules_taken_out_of_force_strike_no_more() -> None:
    faults = injector(FaultRule(kind="drop"))
    faults.clear()
    assert outcomes(faults) == [1] * 6


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"probability": -0.1}, "between 0 and 1"),
        ({"probability": 1.1}, "between 0 and 1"),
        ({"probability": float("nan")}, "between 0 and 1"),
        ({"kind": "delay"}, "delay_ns"),
        ({"kind": "delay", "delay_ns": -1}, "delay_ns"),
        ({"from_ns": 2, "until_ns": 1}, "window"),
        ({"kind": "explode"}, "no fault 'explode'"),
        ({"skip": -1}, "numbers of frames"),
        ({"count": -1}, "numbers of frames"),
    ],
)
def test_a_rule_that_makes_no_sense_says_why(bad: dict, says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        FaultRule(**{"kind": "drop", **bad})


@pytest.mark.parametrize(
    ("rule", "came"),
    [
        (FaultRule(kind="drop"), "became nothing"),
        (FaultRule(kind="error", count=1), "became nothing"),
        (FaultRule(kind="duplicate"), "became Frame(714#023E00) 0 ns later, Frame(714#023E00) 0 ns later"),
        (FaultRule(kind="delay", delay_ns=5), "became Frame(714#023E00) 5 ns later"),
        (FaultRule(kind="corrupt"), "became Frame(714#"),
    ],
)
def test_every_strike_is_told_with_what_came_of_the_frame(rule: FaultRule, came: str) -> None:
    told: list[tuple[int, str]] = []
    injector = FaultInjector(random.Random(1), on_strike=lambda now_ns, text: told.append((now_ns, text)))
    injector.add(rule)
    injector.judge(7, "obd", Frame(0x714, b"\x02\x3e\x00"))
    ((when, text),) = told
    assert when == 7
    assert text.startswith(f"{rule.kind} on obd: Frame(714#023E00) became")
    assert came in text
