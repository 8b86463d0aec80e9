"""How answers come back through the gateway: cut-through, own flow control on each side, and in time or not at all."""

from __future__ import annotations

import itertools

import pytest
from fake_ecu import silent
from gateway_rig import MS, Rig, after, positive
from hypothesis import given
from hypothesis import strategies as st

from wire.isotp_door import IsoTpOptions

READ = b"\x22\xf1\x90"
P2_NS, P2_STAR_NS = 50 * MS, 5000 * MS
LONG = b"\x62" + bytes(index & 0xFF for index in range(4094))
PENDING = b"\x7f\x22\x78"


# ---- long answers


@given(st.integers(1, 70) | st.integers(71, 4095), st.sampled_from([0, 1, 3, 8]), st.sampled_from([0, 1, 0xF5]))
def test_an_answer_of_any_length_comes_back_whole(size: int, block_size: int, stmin: int) -> None:
    rig = Rig(default=lambda _: LONG[:size], tester=IsoTpOptions(block_size=block_size, stmin=stmin))
    assert rig.ask("cluster", READ, 10_000 * MS) == [LONG[:size]]


def test_the_first_frame_goes_out_before_the_inner_transfer_is_complete() -> None:
    rig = Rig(default=lambda _: LONG)
    assert rig.ask("cluster", READ, 2000 * MS) == [LONG]
    inner_end = rig.inside[1].of(0x77E)[-1][0]
    first = rig.outside.of(0x77E)[0]
    assert first[1][0] >> 4 == 1
    assert first[0] < rig.inside[1].of(0x77E)[2][0]
    assert first[0] < inner_end


@pytest.mark.parametrize("think_ms", [0, 20, 45])
def test_p2_to_the_first_frame_holds_for_4095_bytes(think_ms: int) -> None:
    """The unit's own P2 is 50 ms; the gateway adds its profile's 1 ms and the frames' own way, and no more."""
    rig = Rig(default=after(think_ms, lambda _: LONG))
    asked = rig.world.now_ns
    assert rig.ask("cluster", READ, 5000 * MS) == [LONG]
    assert rig.tester.began["cluster"][0][0] - asked < think_ms * MS + 4 * MS
    assert rig.tester.answers["cluster"][0][0] - asked > P2_NS * 2


@pytest.mark.parametrize("unit", [IsoTpOptions(padding=0xAA), IsoTpOptions()])
def test_a_slow_unit_is_followed_frame_by_frame(unit: IsoTpOptions) -> None:
    rig = Rig(default=lambda _: LONG[:300], unit=unit, inside=IsoTpOptions(stmin=5))
    assert rig.ask("cluster", READ, 2000 * MS) == [LONG[:300]]
    times = [at_ns for at_ns, data in rig.outside.of(0x77E) if data[0] >> 4 == 2]
    assert all(later - earlier >= 4 * MS for earlier, later in itertools.pairwise(times))


def test_a_tester_slower_than_the_unit_gets_everything_at_its_own_pace() -> None:
    rig = Rig(default=lambda _: LONG[:300], tester=IsoTpOptions(stmin=10, block_size=4))
    assert rig.ask("cluster", READ, 2000 * MS) == [LONG[:300]]
    inner_end = rig.inside[1].of(0x77E)[-1][0]
    assert inner_end < 60 * MS < rig.tester.answers["cluster"][0][0]


def test_each_side_has_flow_control_of_its_own() -> None:
    """The tester's STmin and block size stay outside, the gateway announces its own inside."""
    rig = Rig(
        default=lambda _: LONG[:200],
        tester=IsoTpOptions(block_size=4, stmin=7),
        inside=IsoTpOptions(block_size=9, stmin=2),
    )
    assert rig.ask("cluster", READ, 2000 * MS) == [LONG[:200]]
    assert {data for _, data in rig.outside.of(0x714) if data[0] >> 4 == 3} == {bytes.fromhex("30 04 07")}
    assert {data for _, data in rig.inside[1].of(0x714) if data[0] >> 4 == 3} == {bytes.fromhex("30 09 02")}


@pytest.mark.parametrize("side", ["tester", "outside", "inside", "unit"])
def test_wait_frames_on_either_side_are_kept_to(side: str) -> None:
    patient = {side: IsoTpOptions(wait_frames=3, block_size=8, stmin=1)}
    rig = Rig(default=lambda payload: positive(payload) + LONG[:60], **patient)
    request = b"\x22" + bytes(100)
    assert rig.ask("cluster", request, 20_000 * MS)[-1] == positive(request) + LONG[:60]
    assert not rig.tester.failures


@pytest.mark.parametrize("size", [3, 7, 8, 20, 62, 63, 64, 300])
def test_frames_may_be_longer_outside_than_inside(size: int) -> None:
    fd = IsoTpOptions(tx_dl=64)
    rig = Rig(default=lambda _: LONG[:size], fd_outside=True, outside=fd, tester=fd)
    assert rig.ask("cluster", READ, 1000 * MS) == [LONG[:size]]


def test_a_tester_that_sends_no_flow_control_costs_nothing_but_its_own_answer() -> None:
    rig = Rig(default=lambda _: LONG[:300])
    rig.tester.send("cluster", READ)
    rig.world.run_until(lambda: bool(rig.tester.began["cluster"]), 100 * MS)
    rig.tester.give_up()
    rig.world.run_for(3000 * MS)
    assert rig.ask("cluster", READ) == [LONG[:300]]


def test_a_unit_that_stops_in_the_middle_ends_the_answer_and_not_the_route() -> None:
    rig = Rig(default=lambda _: LONG[:300])
    cluster = rig.inner[1]
    rig.tester.send("cluster", READ)
    rig.world.run_until(lambda: len(rig.inside[1].of(0x77E)) > 5, 100 * MS)
    rig.units["cluster"]._stack.drop()
    rig.world.run_for(5000 * MS)
    assert cluster.frames_sent < 20
    assert rig.tester.texts("cluster") == []
    assert rig.ask("cluster", READ, 200 * MS) == [LONG[:300]]


# ---- 0x78, silence and lateness


def test_0x78_from_the_unit_passes_and_keeps_the_route_open() -> None:
    script = [(40, PENDING), (4900, PENDING), (9800, PENDING), (14_000, b"\x62\xf1\x90ok")]
    rig = Rig(default=lambda _: script)
    assert rig.ask("cluster", READ, 20_000 * MS) == [PENDING] * 3 + [b"\x62\xf1\x90ok"]


def test_a_long_answer_right_behind_0x78_is_not_lost() -> None:
    """The 0x78 still waits for a busy OBD bus when the first frame of the answer comes."""
    rig = Rig(scripts={"engine": lambda _: [(20, PENDING), (20.3, LONG[:100])], "cluster": lambda _: LONG})
    rig.tester.send("cluster", READ)  # its frames have priority over the engine's
    rig.tester.send("engine", READ)
    rig.world.run_for(2000 * MS)
    assert rig.tester.texts("engine") == [PENDING, LONG[:100]]
    assert rig.tester.texts("cluster") == [LONG]


def test_a_silent_unit_stays_silent() -> None:
    rig = Rig(default=silent)
    assert rig.ask("cluster", READ, 10_000 * MS) == []
    assert rig.outside.of(0x77E) == []


def test_a_unit_that_is_not_there_stays_silent_for_a_long_request_too() -> None:
    """Nobody inside gives flow control: the gateway has nobody to speak for."""
    rig = Rig(absent=("cluster",))
    assert rig.ask("cluster", b"\x22" + bytes(100), 10_000 * MS) == []
    assert rig.ask("cluster", READ, 1000 * MS) == []


def test_an_answer_after_the_window_is_discarded_and_logged() -> None:
    rig = Rig(default=after(1500), answer_window_ns=1000 * MS)
    assert rig.ask("cluster", READ, 3000 * MS) == []
    assert [record.verdict for record in rig.gateway.log] == ["allow", "discarded"]


@pytest.mark.parametrize("answer", [b"\x62\xf1\x90", LONG[:50]])
def test_what_nobody_asked_for_stays_inside(answer: bytes) -> None:
    rig = Rig(default=positive)
    rig.units["cluster"].say(answer)
    rig.world.run_for(1000 * MS)
    assert not rig.outside.frames
    assert rig.ask("cluster", READ) == [b"\x62\xf1\x90"]


def test_only_one_answer_belongs_to_a_request() -> None:
    rig = Rig(default=lambda _: [(1, b"\x62\xf1\x90one"), (20, b"\x62\xf1\x90two")])
    assert rig.ask("cluster", READ) == [b"\x62\xf1\x90one"]


def test_a_late_answer_to_an_older_request_does_not_stand_in_for_the_new_one() -> None:
    rig = Rig(default=lambda payload: [(30 if payload[0] == 0x22 else 50, positive(payload))])
    rig.tester.send("cluster", READ)
    rig.world.run_for(10 * MS)
    assert rig.ask("cluster", b"\x19\x02\xff") == [b"\x59\x02\xff"]


@pytest.mark.parametrize("cut_at_ms", [5, 12, 25, 60])
def test_a_new_request_in_the_middle_of_a_long_answer_is_answered(cut_at_ms: int) -> None:
    rig = Rig(default=lambda payload: LONG[:300] if payload == READ else positive(payload))
    rig.tester.send("cluster", READ)
    rig.world.run_for(cut_at_ms * MS)
    rig.tester.give_up()
    assert rig.ask("cluster", b"\x19\x02\xff", 500 * MS)[-1] == b"\x59\x02\xff"
    assert rig.ask("cluster", READ, 500 * MS) == [LONG[:300]]


def test_a_new_request_while_the_old_one_is_still_on_its_way_inside_is_answered() -> None:
    rig = Rig(default=positive, unit=IsoTpOptions(stmin=20))
    rig.tester.send("cluster", b"\x22" + bytes(200))
    rig.world.run_for(100 * MS)
    assert rig.ask("cluster", b"\x19\x02\xff", 100 * MS)[-1] == b"\x59\x02\xff"


def test_tester_present_to_the_unit_itself_does_not_end_what_it_is_doing() -> None:
    """A careful tester keeps the session while a routine works for seconds."""
    script = {READ: [(40, PENDING), (3000, b"\x62\xf1\x90ok")]}
    rig = Rig(default=lambda request: script.get(request, ()))
    rig.tester.send("cluster", READ)
    rig.world.run_for(2000 * MS)
    rig.tester.send("cluster", b"\x3e\x80")
    rig.world.run_for(2000 * MS)
    assert rig.tester.texts("cluster") == [PENDING, b"\x62\xf1\x90ok"]
    assert rig.inside[1].messages(0x714) == [READ, b"\x3e\x80"]


def test_tester_present_does_not_cut_a_long_answer() -> None:
    rig = Rig(default=lambda payload: LONG[:1000] if payload == READ else ())
    rig.tester.send("cluster", READ)
    rig.world.run_for(30 * MS)
    rig.tester.send("cluster", b"\x3e\x80")
    rig.world.run_for(500 * MS)
    assert rig.tester.texts("cluster") == [LONG[:1000]]


# ---- patience asked for in the target's name


def test_a_request_held_beyond_p2_gets_0x78_in_the_targets_name() -> None:
    rig = Rig(default=positive, hold_ns=200 * MS)
    asked = rig.world.now_ns
    assert rig.ask("cluster", READ, 500 * MS) == [b"\x7f\x22\x78", b"\x62\xf1\x90"]
    assert rig.tester.answers["cluster"][0][0] - asked < P2_NS


def test_a_request_held_beyond_p2_star_gets_0x78_again_in_time() -> None:
    rig = Rig(default=positive, hold_ns=12_000 * MS)
    assert rig.ask("cluster", READ, 13_000 * MS) == [b"\x7f\x22\x78"] * 3 + [b"\x62\xf1\x90"]
    times = [at_ns for at_ns, _ in rig.tester.answers["cluster"]]
    assert all(later - earlier < P2_STAR_NS for earlier, later in itertools.pairwise(times))


def test_a_gateway_that_does_not_ask_for_patience_is_a_profile_value() -> None:
    rig = Rig(default=positive, hold_ns=200 * MS, pending_for_target=False)
    assert rig.ask("cluster", READ, 500 * MS) == [b"\x62\xf1\x90"]


@pytest.mark.parametrize(
    "slow", [{"unit": IsoTpOptions(stmin=40)}, {"inner_bitrate": 10_000}, {"unit": IsoTpOptions(wait_frames=3)}]
)
def test_a_request_that_takes_long_to_get_inside_gets_0x78_in_the_targets_name(slow: dict) -> None:
    """The tester has said all it has to say and waits for P2; the gateway is still telling the unit."""
    rig = Rig(default=positive, **slow)
    request = b"\x22" + bytes(60)
    heard = rig.ask("cluster", request, 5000 * MS)
    assert heard == [b"\x7f\x22\x78", positive(request)]
    last = max(at_ns for at_ns, data in rig.outside.of(0x714) if data[0] >> 4 != 3)
    assert rig.tester.answers["cluster"][0][0] - last < P2_NS


def test_a_request_that_takes_seconds_to_get_inside_is_still_answered() -> None:
    rig = Rig(default=positive, unit=IsoTpOptions(stmin=100))
    request = b"\x22" + bytes(1000)
    assert rig.ask("cluster", request, 60_000 * MS)[-1] == positive(request)
    times = [at_ns for at_ns, _ in rig.tester.answers["cluster"]]
    assert all(later - earlier < P2_STAR_NS for earlier, later in itertools.pairwise(times[:-1]))


def test_no_patience_is_asked_for_where_no_answer_is_due() -> None:
    """After 0x78 an answer must come; the unit knows nothing of ours and keeps its suppressed answer to itself."""
    rig = Rig(default=silent, hold_ns=200 * MS)
    assert rig.ask("cluster", b"\x10\x83", 1000 * MS) == []


def test_a_blocked_request_is_refused_at_once_however_long_allowed_ones_are_held() -> None:
    rig = Rig(default=positive, hold_ns=200 * MS)
    assert rig.ask("cluster", b"\x27\x03", 10 * MS) == [b"\x7f\x27\x33"]
