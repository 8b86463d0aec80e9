"""What a unit says by itself passes the gateway where a tester asked for it, and nothing else does."""

from __future__ import annotations

import pytest
from gateway_rig import MS, Rig, after
from hypothesis import given
from hypothesis import strategies as st

from sgw_sim.unsolicited import Expected
from wire.frame import Frame

SET_UP = bytes.fromhex("86 03 02 10 03 22 10 03")
START, STOP, CLEAR = bytes.fromhex("86 05 02"), bytes.fromhex("86 00 02"), bytes.fromhex("86 06 02")
EVENT = bytes.fromhex("62 10 03 00 58")
LONG_EVENT = b"\x62\x10\x03" + bytes(60)
VALUE = bytes.fromhex("6A 01 11 22 33")


def agreeable(payload: bytes) -> bytes:
    """Answer as a unit with both services does."""
    if payload[0] == 0x86:
        return bytes((0xC6, payload[1], 0, payload[2])) + payload[3:]
    return b"\x6a" if payload[0] == 0x2A else bytes((payload[0] + 0x40,)) + payload[1:]


def rig(**changes: object) -> Rig:
    made = Rig(default=agreeable, **changes)
    made.disarm()
    return made


def says(made: Rig, payload: bytes, unit: str = "cluster", wait_ns: int = 100 * MS) -> list[bytes]:
    """Let a unit say something; return what the tester hears of it."""
    before = len(made.tester.answers[unit])
    made.units[unit].say(payload)
    made.world.run_for(wait_ns)
    return made.tester.texts(unit)[before:]


def subscribed(**changes: object) -> Rig:
    made = rig(**changes)
    for request in (SET_UP, START):
        assert made.ask("cluster", request) == [agreeable(request)]
    made.world.run_for(3000 * MS)
    return made


@pytest.mark.parametrize("said", [EVENT, LONG_EVENT, b"\x7f\x22\x33", bytes.fromhex("C6 03 01 02 10 03 22 10 03")])
def test_an_event_passes_once_it_was_set_up_and_started(said: bytes) -> None:
    made = rig()
    assert says(made, said) == []
    made.ask("cluster", SET_UP)
    made.world.run_for(2000 * MS)
    assert says(made, said) == [], "set up is not started"
    assert says(subscribed(), said) == [said]


@pytest.mark.parametrize("said", [b"\x59\x02\xff", VALUE, b"\x7f\x19\x33", b"\x50\x03\x00\x32\x01\xf4"])
def test_other_services_are_discarded_as_ever(said: bytes) -> None:
    made = subscribed()
    assert says(made, said) == []
    assert made.gateway.log[-1].verdict == "discarded"


def test_another_units_events_are_its_own() -> None:
    assert says(subscribed(), EVENT, "engine") == []


@pytest.mark.parametrize("end", [STOP, CLEAR, b"\x10\x03", b"\x10\x01", b"\x11\x01", bytes.fromhex("86 80 02")])
def test_what_ends_events_ends_their_way_through(end: bytes) -> None:
    made = subscribed()
    made.ask("cluster", end)
    made.world.run_for(3000 * MS)
    assert says(made, EVENT) == []


def test_a_stored_event_goes_on_after_a_session_change() -> None:
    made = rig()
    made.ask("cluster", SET_UP)
    made.ask("cluster", bytes.fromhex("86 45 02"))
    made.ask("cluster", b"\x10\x01")
    made.world.run_for(3000 * MS)
    assert says(made, EVENT) == [EVENT]
    made.ask("cluster", bytes.fromhex("86 40 02"))
    made.ask("cluster", b"\x10\x03")
    made.world.run_for(3000 * MS)
    assert says(made, EVENT) == []


def test_what_the_unit_refused_opens_nothing() -> None:
    made = Rig(default=lambda payload: bytes((0x7F, payload[0], 0x31)))
    made.disarm()
    for request in (SET_UP, START, b"\x2a\x01\x01"):
        made.ask("cluster", request)
    made.world.run_for(3000 * MS)
    assert says(made, EVENT) == []
    assert says(made, VALUE) == []


def test_a_suppressed_start_counts_as_agreed_to() -> None:
    made = rig(scripts={"cluster": lambda payload: [] if payload[1] & 0x80 else [(0, agreeable(payload))]})
    made.ask("cluster", SET_UP)
    made.ask("cluster", bytes.fromhex("86 85 02"))
    made.world.run_for(3000 * MS)
    assert says(made, EVENT) == [EVENT]


def test_an_event_in_the_middle_of_a_request_to_the_same_service_costs_no_answer() -> None:
    made = subscribed()
    made.units["cluster"].script = after(200, lambda payload: b"\x62" + payload[1:] + b"!")
    made.tester.send("cluster", b"\x22\xf1\x90")
    made.world.run_for(50 * MS)
    assert says(made, EVENT, wait_ns=1000 * MS) == [EVENT, b"\x62\xf1\x90!"]


def test_periodic_messages_pass_until_they_are_stopped() -> None:
    made = rig()
    assert says(made, VALUE) == []
    made.ask("cluster", b"\x2a\x02\x01\x02")
    made.world.run_for(3000 * MS)
    assert says(made, VALUE) == [VALUE]
    made.ask("cluster", b"\x2a\x04\x02")
    made.world.run_for(3000 * MS)
    assert says(made, VALUE) == [VALUE], "one of them runs still"
    made.ask("cluster", b"\x10\x03")
    made.world.run_for(3000 * MS)
    assert says(made, VALUE) == [VALUE], "another session keeps them"
    made.ask("cluster", b"\x2a\x04")
    made.world.run_for(3000 * MS)
    assert says(made, VALUE) == []


@pytest.mark.parametrize(("way", "passes"), [("never", False), ("always", True), ("learnt", True)])
def test_a_profile_may_forward_always_or_never(way: str, passes: bool) -> None:
    assert says(subscribed(unsolicited=way), EVENT) == ([EVENT] if passes else [])
    assert says(rig(unsolicited=way), EVENT) == ([EVENT] if way == "always" else [])


def test_a_gateway_without_supply_forgets_what_it_expected() -> None:
    made = subscribed()
    made.gateway.lose_supply()
    assert says(made, EVENT) == []


# ---- frames of their own


def test_frames_of_periodic_data_are_carried_over_as_they_are() -> None:
    made = Rig(frame_ids={"cluster": (0x6A0, 0x6A1)})
    for number in range(3):
        made.units["cluster"].port.send(Frame(0x6A0 + number % 2, bytes((number, 0xAA))))
    made.units["cluster"].port.send(Frame(0x6A2, b"\x01"))
    made.world.run_for(10 * MS)
    assert [(can_id, data) for _, can_id, data in made.outside.frames] == [
        (0x6A0, b"\x00\xaa"),
        (0x6A0, b"\x02\xaa"),
        (0x6A1, b"\x01\xaa"),
    ]


def test_a_flood_of_them_fills_no_memory() -> None:
    made = Rig(frame_ids={"cluster": (0x6A0,)}, inner_bitrate=1_000_000)
    for _ in range(500):
        made.units["cluster"].port.send(Frame(0x6A0, bytes(8)))
    made.world.run_for(1000 * MS)
    assert 200 < len(made.outside.of(0x6A0)) <= 500
    assert made.gateway._lane.dropped == 500 - len(made.outside.of(0x6A0))


def test_the_gateways_own_frames_go_to_the_tester() -> None:
    made = Rig()
    made.server.frames.append((0x6B0, b"\x01\x02"))
    made.gateway.handle_timer(made.world.now_ns)
    assert made.gateway.outputs[-1][1].data == b"\x01\x02"


@given(st.lists(st.binary(min_size=1, max_size=14), max_size=20), st.binary(min_size=1, max_size=4))
def test_whatever_passes_nothing_raises_and_without_0x86_or_0x2A_nothing_is_expected(
    talk: list[bytes], head: bytes
) -> None:
    expected = Expected()
    for index, payload in enumerate(talk):
        (expected.asked if index % 2 else expected.answered)(payload)
    covered = expected.covers(head)
    assert not covered or any(payload[0] in (0x86, 0x2A) for payload in talk[1::2])
