"""ResponseOnEvent 0x86: set up, start, events of each type, windows, storing, and what ends them."""

from typing import Any

import pytest
from acting_unit import ALL_SERVICES, acting
from ecu_bench import MS, Ecu, S, refused
from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.profile import Access, Did, ServiceRule
from ecu_sim.response_on_event import Comparison
from ecu_sim.service_options import EventOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope

SPEED = "22 10 03"


def events(**changes: Any) -> Ecu:
    return acting(**changes).extended()


def set_code(ecu: Ecu, code: int, status: int) -> None:
    """Let a trouble code have a status, as its monitor would."""
    ecu.server.memory.dtcs.states[code].status = status


def later(ecu: Ecu, duration_ns: int = 100 * MS) -> list[str]:
    return [text for _, text in ecu.run_for(duration_ns)]


# ---- one event from its set-up to its end


def test_a_changed_identifier_is_answered_with_what_was_set_up() -> None:
    ecu = events()
    assert ecu.ask(f"86 03 02 10 03 {SPEED}") == "C6 03 00 02 10 03 22 10 03"
    ecu.vehicle.speed_kmh = 10
    assert later(ecu, 1 * S) == [], "not started yet"
    assert ecu.ask("86 05 02") == "C6 05 00 02"
    assert later(ecu, 1 * S) == [], "what is so already is no event"
    ecu.vehicle.speed_kmh = 88
    assert later(ecu) == ["62 10 03 00 58"]
    assert later(ecu, 1 * S) == []
    ecu.vehicle.speed_kmh = 0
    assert later(ecu) == ["62 10 03 00 00"]
    assert ecu.ask("86 00 02") == "C6 00 00 02"
    ecu.vehicle.speed_kmh = 50
    assert later(ecu, 1 * S) == []


def test_a_window_ends_with_the_number_of_events() -> None:
    ecu = events()
    ecu.ask(f"86 03 03 10 03 {SPEED}")
    ecu.ask("86 05 03")
    for speed in (10, 20):
        ecu.vehicle.speed_kmh = speed
        ecu.run_for(200 * MS)
    left = 5 * S - ecu.now_ns
    ecu.ask("3E 00")
    assert ecu.run_for(left) == [(5 * S, "C6 03 02 03 10 03 22 10 03")]
    ecu.vehicle.speed_kmh = 30
    ecu.ask("3E 00")
    assert later(ecu, 1 * S) == []
    assert ecu.ask("86 04 02") == "C6 04 00"


def test_active_events_are_reported() -> None:
    ecu = events()
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 01 04 08 19 02 08")
    assert ecu.ask("86 04 02") == "C6 04 00", "set up is not active"
    ecu.ask("86 05 02")
    assert ecu.ask("86 04 02") == "C6 04 02 03 02 10 03 22 10 03 01 04 08 19 02 08"


def test_there_is_one_event_of_each_type() -> None:
    ecu = events()
    ecu.ask(f"86 03 03 10 03 {SPEED}")
    ecu.ask("86 05 02")
    ecu.ask("86 03 02 10 04 22 F1 87")
    assert ecu.ask("86 04 02") == "C6 04 00", "the new one waits for its start"
    ecu.ask("86 05 02")
    ecu.vehicle.speed_kmh = 10
    assert later(ecu, 4 * S) == []
    ecu.vehicle.bonnet_open = True
    assert [text[:8] for text in later(ecu)] == ["62 F1 87"]
    ecu.ask("3E 00")
    assert later(ecu, 4 * S) == [], "the window of the first is gone with it"


def test_clearing_takes_everything_away() -> None:
    ecu = events()
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 05 02")
    assert ecu.ask("86 06 02") == "C6 06 00 02"
    ecu.vehicle.speed_kmh = 10
    assert later(ecu, 1 * S) == []
    assert ecu.ask("86 05 02") == refused(0x86, 0x24)


# ---- the types


def test_a_trouble_code_that_gets_a_masked_bit_is_an_event() -> None:
    ecu = events()
    ecu.ask("86 01 02 01 19 01 01")
    ecu.ask("86 05 02")
    set_code(ecu, 0xB10A15, 0x0C)
    assert later(ecu) == [], "another bit"
    set_code(ecu, 0xB10A15, 0x09)
    assert later(ecu) == ["59 01 FF 01 00 03"]
    set_code(ecu, 0xB10A15, 0x08)
    assert later(ecu) == [], "it went away"


def test_the_record_of_the_code_itself_is_reported() -> None:
    """The answer is service 0x19's, a refusal too: this unit keeps no extended data yet, or has it."""
    ecu = events()
    assert ecu.ask("86 09 02 01 06 FF 19") == "C6 09 00 02 01 06 FF 19"
    ecu.ask("86 05 02")
    set_code(ecu, 0xB10A15, 0x09)
    (answer,) = later(ecu)
    assert answer.startswith(("59 06 B1 0A 15", "7F 19 "))


@pytest.mark.parametrize(("report", "status"), [("0D", 0x09), ("0E", 0x0C)])
def test_most_recent_codes_are_reported_one_by_one(report: str, status: int) -> None:
    ecu = events()
    set_code(ecu, 0xB10A15, 0x00)
    set_code(ecu, 0x029900, 0x00)
    assert ecu.ask(f"86 08 02 {report}") == f"C6 08 00 02 {report}"
    ecu.ask("86 05 02")
    set_code(ecu, 0xB10A15, status)
    set_code(ecu, 0x029900, status)
    answers = later(ecu)
    assert len(answers) == 2
    assert all(answer.startswith((f"59 {report}", "7F 19 ")) for answer in answers)


COMPARE = "86 07 02 10 03 {logic} {reference} {hysteresis} {place} 22 10 03"
SIXTEEN_BITS = "40 18"  # 16 bits from bit 24 of the answer on, without sign


@pytest.mark.parametrize(
    ("logic", "before", "then"), [("01", 100, 99), ("02", 100, 101), ("03", 99, 100), ("04", 100, 101)]
)
def test_a_comparison_is_an_event_when_it_becomes_true(logic: str, before: int, then: int) -> None:
    ecu = events()
    ecu.vehicle.speed_kmh = before
    request = COMPARE.format(logic=logic, reference="00 00 00 64", hysteresis="00", place=SIXTEEN_BITS)
    assert ecu.ask(request).startswith("C6 07 00 02")
    ecu.ask("86 05 02")
    assert later(ecu, 500 * MS) == []
    ecu.vehicle.speed_kmh = then
    assert len(later(ecu, 500 * MS)) == 1, "once, and not again while it stays true"


def test_hysteresis_keeps_a_value_that_trembles_quiet() -> None:
    ecu = events()
    ecu.ask(COMPARE.format(logic="02", reference="00 00 00 64", hysteresis="0A", place=SIXTEEN_BITS))
    ecu.ask("86 05 02")
    heard = []
    for speed in (101, 99, 101, 91, 101, 90, 101):
        ecu.vehicle.speed_kmh = speed
        heard.append(len(later(ecu)))
    assert heard == [1, 0, 0, 0, 0, 0, 1], "only beyond 10 per cent it counts again"


@given(st.integers(-(2**15), 2**15 - 1), st.integers(0, 3))
def test_a_value_is_found_in_the_answer_by_its_place_and_sign(value: int, shift: int) -> None:
    record = bytes.fromhex("10 03 01 00 00 00 00 00") + (0x8000 | 16 << 10 | 24 + 8 * shift).to_bytes(2, "big")
    answer = b"\x62\x10\x03" + bytes(shift) + value.to_bytes(2, "big", signed=True) + b"\xff"
    assert Comparison.decode(record).value(answer) == value


def test_a_length_of_zero_means_32_bits() -> None:
    comparison = Comparison.decode(bytes.fromhex("10 03 01 FF FF FF FF 00 80 18"))
    assert (comparison.length, comparison.reference, comparison.signed) == (32, -1, True)


def test_the_timer_of_the_2013_edition_is_exact() -> None:
    ecu = events(edition=2013)
    assert ecu.ask(f"86 02 03 02 {SPEED}") == "C6 02 00 03 02 22 10 03"
    ecu.ask("86 05 03")
    heard = ecu.run_for(1 * S)
    ecu.ask("3E 00")
    heard += ecu.run_for(4 * S)
    assert [now_ns // MS for now_ns, text in heard if text.startswith("62")] == list(range(200, 5000, 200))
    assert heard[-1] == (5 * S, "C6 02 18 03 02 22 10 03"), "the window ends before what is due at its end"
    assert later(ecu, 1 * S) == []


# ---- what is refused


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("86", 0x13),
        ("86 03", 0x13),
        ("86 02 02 01 22 F1 90", 0x12),
        ("86 0A 02", 0x12),
        ("86 02 02", 0x12),  # the timer is of 2013
        ("86 43 02 10 03 22 10 03", 0x12),  # since 2020 only start and stop store
        ("86 00 02 00", 0x13),
        ("86 03 02 10 03", 0x13),  # nothing to respond to
        ("86 01 02 08", 0x13),
        ("86 08 02", 0x13),
        ("86 09 02 01 18 FF", 0x13),
        ("86 07 02 10 03 01 00 00 00 64 00 40 18", 0x13),
        ("86 03 05 10 03 22 10 03", 0x31),  # no such window here
        ("86 45 03", 0x31),  # only what has no end is stored
        ("86 01 02 00 19 01 01", 0x31),
        ("86 03 02 99 99 22 10 03", 0x31),
        ("86 03 02 F3 01 22 10 03", 0x31),
        ("86 03 02 06 02 22 10 03", 0x31),  # cannot be read
        ("86 08 02 02", 0x31),
        ("86 09 02 01 02 FF 19", 0x31),
        ("86 09 02 01 06 FF 22 F1 90", 0x31),
        ("86 03 02 10 03 2E F1 99 26 01 02", 0x31),
        ("86 03 02 10 03 2F 0B 01 00", 0x31),  # of 2013
        ("86 01 02 08 19 82 08", 0x31),  # an answer that is suppressed is none
        ("86 07 02 10 03 05 00 00 00 64 00 40 18 22 10 03", 0x31),
        ("86 07 02 10 03 01 00 00 00 64 65 40 18 22 10 03", 0x31),
        ("86 07 02 10 03 01 00 00 00 64 00 40 19 22 10 03", 0x31),
        ("86 07 02 10 03 01 00 00 00 64 00 40 08 22 10 03", 0x31),
        ("86 03 02 06 03 22 10 03", 0x33),
        ("86 05 02", 0x24),
    ],
)
def test_a_refused_set_up_sets_nothing_up(request_: str, nrc: int) -> None:
    ecu = events()
    assert ecu.ask(request_) == refused(0x86, nrc)
    assert ecu.server.state.events == {}


def test_the_service_is_for_sessions_of_its_own_unless_a_profile_opens_it() -> None:
    assert acting().ask("86 04 02") == refused(0x86, 0x7F)
    opened = {**ALL_SERVICES, 0x86: ServiceRule(access=Access(sessions=frozenset((1, 3))))}
    ecu = acting(services=opened)
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 05 02")
    ecu.vehicle.speed_kmh = 9
    assert later(ecu, 60 * S) == ["62 10 03 00 09"]


def test_the_suppress_bit_hides_the_answer_and_not_the_event() -> None:
    ecu = events()
    assert ecu.ask(f"86 83 02 10 03 {SPEED}") == ""
    assert ecu.ask("86 85 02") == ""
    ecu.vehicle.speed_kmh = 9
    assert later(ecu) == ["62 10 03 00 09"]


# ---- the answer is judged when it is given


def test_an_answer_that_is_refused_then_is_sent_as_a_refusal() -> None:
    ecu = events(locked=True)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    ecu.ask("86 03 02 10 03 22 F2 05")
    ecu.ask("86 05 02")
    ecu.vehicle.speed_kmh = 1
    assert later(ecu) == ["62 F2 05 05"]
    ecu.gate.opened = Scope(0)
    ecu.vehicle.speed_kmh = 2
    assert later(ecu) == [refused(0x22, 0x33)]


def test_an_answer_that_is_too_long_is_sent_as_a_refusal() -> None:
    ecu = events(max_answer_bytes=16)
    ecu.ask("86 03 02 10 03 22 F1 90")
    ecu.ask("86 05 02")
    ecu.vehicle.speed_kmh = 1
    assert later(ecu) == [refused(0x22, 0x14)]


def test_what_may_not_be_read_any_more_is_not_watched() -> None:
    dids = {0x0A01: Did(did=0x0A01, source="speed", read=Access(scope=Scope.OUTPUT_TESTS)), 0xF187: Did(did=0xF187)}
    ecu = events(locked=True, dids=dids, scaling={})
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert ecu.ask("86 03 02 0A 01 22 F1 87").startswith("C6 03")
    assert ecu.ask("86 07 02 0A 01 02 00 00 00 01 00 40 18 22 F1 87").startswith("C6 07")
    ecu.ask("86 05 02")
    ecu.gate.opened = Scope(0)
    ecu.vehicle.speed_kmh = 50
    assert later(ecu, 1 * S) == []


def test_a_busy_unit_looks_again_when_it_is_done() -> None:
    ecu = events()
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 05 02")
    assert ecu.ask("2E 07 01 00") == ""
    ecu.vehicle.speed_kmh = 5
    heard = ecu.run_for(400 * MS)
    assert [(now_ns // MS, text[:2]) for now_ns, text in heard] == [(40, "7F"), (200, "6E"), (200, "62")]


def test_a_busy_unit_lets_a_tick_of_its_timer_pass() -> None:
    ecu = events(edition=2013)
    ecu.ask(f"86 02 02 02 {SPEED}")
    ecu.ask("86 05 02")
    ecu.run_for(150 * MS)
    ecu.ask("2E 07 01 00")
    heard = [now_ns // MS for now_ns, text in ecu.run_for(500 * MS) if text.startswith("62")]
    assert heard == [400, 600]


def test_events_keep_no_session_alive_and_end_with_it() -> None:
    ecu = events(edition=2013)
    ecu.ask(f"86 02 02 02 {SPEED}")
    ecu.ask("86 05 02")
    heard = ecu.run_for(20 * S)
    assert heard[-1][0] <= 5 * S
    assert ecu.session == 1


@pytest.mark.parametrize("end", ["10 03", "10 02", "10 01"])
def test_every_change_of_session_stops_events_that_are_not_stored(end: str) -> None:
    ecu = events()
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 05 02")
    ecu.ask(end)
    ecu.vehicle.speed_kmh = 9
    assert later(ecu, 1 * S) == []
    if end != "10 01":
        assert ecu.ask("86 05 02") == "C6 05 00 02", "they are still set up"


def test_the_ignition_window_ends_with_terminal_15() -> None:
    ecu = events()
    ecu.ask(f"86 03 07 10 03 {SPEED}")
    assert ecu.ask("86 01 06 08 19 01 08").startswith("C6 01 00 06")
    ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
    assert set(ecu.server.state.events) == {1}
    assert events(edition=2013).ask(f"86 03 07 10 03 {SPEED}") == refused(0x86, 0x31)


# ---- stored


def stored() -> Ecu:
    ecu = events()
    ecu.ask(f"86 03 02 10 03 {SPEED}")
    ecu.ask("86 01 03 08 19 01 08")
    assert ecu.ask("86 45 02") == "C6 45 00 02"
    return ecu


def changes(ecu: Ecu) -> list[str]:
    ecu.vehicle.speed_kmh += 1
    return [text[:8] for text in later(ecu)]


def test_a_stored_event_runs_again_in_the_default_session() -> None:
    ecu = stored()
    assert changes(ecu) == ["62 10 03"]
    ecu.ask("10 03")
    assert changes(ecu) == []
    ecu.ask("10 01")
    assert changes(ecu) == ["62 10 03"]
    assert set(ecu.server.state.events) == {3}, "what has an end is not stored"


def test_a_stored_event_runs_again_after_s3() -> None:
    ecu = stored()
    ecu.run_for(6 * S)
    assert ecu.session == 1
    assert changes(ecu) == ["62 10 03"]


def test_a_stored_event_survives_reset_and_loss_of_supply() -> None:
    ecu = stored()
    ecu.ask("11 01")
    ecu.vehicle.speed_kmh = 77
    assert later(ecu, 400 * MS) == [], "it is down"
    ecu.run_for(200 * MS)
    assert changes(ecu) == ["62 10 03"]
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    assert later(ecu, 1 * S) == []
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(600 * MS)
    assert changes(ecu) == ["62 10 03"]
    again = acting(memory=ecu.server.memory)
    assert again.server.memory.events


def test_a_stored_event_sleeps_with_the_unit() -> None:
    ecu = stored()
    ecu.server.power(PowerEvent.SLEEP, ecu.now_ns)
    assert changes(ecu) == []
    ecu.server.power(PowerEvent.WAKE, ecu.now_ns)
    assert changes(ecu) == ["62 10 03"]


@pytest.mark.parametrize("request_", ["86 40 02", "86 06 02"])
def test_stop_with_the_storage_bit_and_clear_forget_it(request_: str) -> None:
    ecu = stored()
    assert ecu.ask(request_).startswith("C6")
    ecu.ask("10 01")
    assert changes(ecu) == []
    assert ecu.server.memory.events == {}


def test_stop_without_the_storage_bit_stops_only_for_now() -> None:
    ecu = stored()
    ecu.ask("86 00 02")
    assert changes(ecu) == []
    ecu.ask("10 01")
    assert changes(ecu) == ["62 10 03"]


def test_in_the_2013_edition_a_set_up_may_ask_to_be_stored() -> None:
    ecu = events(edition=2013)
    assert ecu.ask(f"86 43 02 10 03 {SPEED}") == "C6 43 00 02 10 03 22 10 03"
    ecu.ask("86 01 02 08 19 01 08")
    assert ecu.ask(f"86 42 03 02 {SPEED}") == refused(0x86, 0x31)
    ecu.ask("86 05 02")
    assert ecu.ask("86 04 02") == "C6 04 02 43 02 10 03 22 10 03 01 02 08 19 01 08"
    ecu.ask("10 01")
    assert changes(ecu) == ["62 10 03"]
    assert set(ecu.server.memory.events) == {3}


def test_in_the_2013_edition_an_event_may_act() -> None:
    ecu = events(edition=2013)
    ecu.ask("86 03 02 10 03 2F 0B 01 03 40")
    ecu.ask("86 05 02")
    ecu.vehicle.speed_kmh = 1
    assert later(ecu) == ["6F 0B 01 03 40"]
    assert ecu.ask("22 0B 01") == "62 0B 01 40"


def test_a_profile_says_what_an_event_may_be_answered_with() -> None:
    ecu = events(events=EventOptions(respond=frozenset((0x22,))))
    assert ecu.ask("86 03 02 10 03 19 01 FF") == refused(0x86, 0x31)
    assert ecu.ask(f"86 03 02 10 03 {SPEED}").startswith("C6")


def test_a_count_stays_in_its_byte() -> None:
    ecu = events(edition=2013, events=EventOptions(windows_ns={3: 10 * S}, rates_ns={3: 10 * MS}))
    ecu.ask(f"86 02 03 03 {SPEED}")
    ecu.ask("86 05 03")
    ecu.run_for(4 * S)
    ecu.ask("3E 00")
    ecu.run_for(4 * S)
    ecu.ask("3E 00")
    assert ecu.run_for(4 * S)[-1][1].startswith("C6 02 FF 03")
