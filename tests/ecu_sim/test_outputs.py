"""InputOutputControlByIdentifier 0x2F: taking over an output, part by part, and how it goes back to the unit."""

import pytest
from acting_unit import ALL_SERVICES, acting
from ecu_bench import MS, Ecu, S, refused
from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.profile import Access
from ecu_sim.service_options import Output
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope


def test_an_output_is_adjusted_frozen_set_to_its_default_and_given_back() -> None:
    ecu = acting().extended()
    assert ecu.ask("22 0B 01") == "62 0B 01 10"
    assert ecu.ask("2F 0B 01 03 40") == "6F 0B 01 03 40"
    assert ecu.ask("22 0B 01") == "62 0B 01 40"
    assert ecu.ask("2F 0B 01 02") == "6F 0B 01 02 40"
    assert ecu.ask("2F 0B 01 01") == "6F 0B 01 01 00"
    assert ecu.ask("22 0B 01") == "62 0B 01 00"
    assert ecu.ask("2F 0B 01 00") == "6F 0B 01 00 10"
    assert ecu.ask("22 0B 01") == "62 0B 01 10"


def test_a_mask_bit_stands_for_a_part_from_the_most_significant_one_on() -> None:
    ecu = acting().extended()
    assert ecu.ask("2F 0B 02 03 00 80") == "6F 0B 02 03 25", "of A5 the first bit is taken over"
    assert ecu.ask("2F 0B 02 03 FF 01") == "6F 0B 02 03 25"
    assert ecu.ask("2F 0B 02 03 FF 02") == "6F 0B 02 03 27"
    assert ecu.ask("2F 0B 02 01 0F") == "6F 0B 02 01 2F", "the low half goes to its default"
    assert ecu.ask("2F 0B 02 00 80") == "6F 0B 02 00 AF", "the first bit is the unit's own again"
    assert ecu.ask("2F 0B 02 00") == "6F 0B 02 00 A5", "without a mask: all of it"


def test_parts_may_have_any_width() -> None:
    ecu = acting(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert ecu.ask("2F 0B 03 03 FF FF FF 40") == "6F 0B 03 03 1F FF 56"
    assert ecu.ask("2F 0B 03 03 AB CD EF A0") == "6F 0B 03 03 AF FF EF"


@given(st.binary(min_size=4, max_size=4), st.integers(0, 255), st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_a_mask_of_all_parts_names_all_their_bits_and_of_none_none(value: bytes, mask: int, parts: list[int]) -> None:
    output = Output(did=1, value=value, default=bytes(4), access=Access(), read=Access(), parts=tuple(parts))
    assert output.bits_of(b"\x00") == 0
    assert output.bits_of(b"\xff").bit_count() == sum(parts)
    chosen = output.bits_of(bytes((mask,)))
    assert chosen.bit_count() == sum(width for number, width in enumerate(parts) if mask & 0x80 >> number)


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("2F", 0x13),
        ("2F 0B 01", 0x13),
        ("2F 0B 99", 0x13),
        ("2F 0B 99 00", 0x31),
        ("2F F1 90 00", 0x31),  # data, and no output
        ("2F 0B 01 04", 0x31),
        ("2F 0B 01 FF 40", 0x31),
        ("2F 0B 04 00", 0x33),  # level
        ("2F 0B 04 02", 0x33),
        ("2F 0B 01 03", 0x13),
        ("2F 0B 01 03 40 40", 0x13),
        ("2F 0B 01 00 40", 0x13),
        ("2F 0B 02 03 40", 0x13),  # the mask is missing
        ("2F 0B 02 00 80 80", 0x13),
        ("2F 0B 01 03 65", 0x31),  # more than its highest state
        ("2F 0B 03 03 00 00 00 80", 0x33),  # locked
        ("2F 0B 03 09", 0x33),
    ],
)
def test_a_refused_request_takes_nothing_over(request_: str, nrc: int) -> None:
    ecu = acting(locked=True).extended()
    assert ecu.ask(request_) == refused(0x2F, nrc)
    assert ecu.server.state.controls == {}


def test_an_option_that_the_output_lacks_is_out_of_range_once_it_is_released() -> None:
    ecu = acting().extended().open_level(3)
    assert ecu.ask("2F 0B 04 02") == refused(0x2F, 0x31)
    assert ecu.ask("2F 0B 04 03 07") == "6F 0B 04 03 07"


def test_an_output_of_another_session_does_not_exist_and_the_service_not_in_the_default_session() -> None:
    ecu = acting()
    assert ecu.ask("2F 0B 01 00") == refused(0x2F, 0x7F)
    ecu.ask("10 02")
    assert ecu.ask("2F 0B 02 00") == refused(0x2F, 0x31)
    assert ecu.ask("2F 0B 01 00") == "6F 0B 01 00 10"


def test_a_condition_is_asked_last() -> None:
    ecu = acting(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    ecu.vehicle.speed_kmh = 5
    assert ecu.ask("2F 0B 03 09") == refused(0x2F, 0x31)
    assert ecu.ask("2F 0B 03 03 00") == refused(0x2F, 0x13)
    assert ecu.ask("2F 0B 03 03 00 00 00 80") == refused(0x2F, 0x88)


# ---- back to the unit


def held() -> Ecu:
    ecu = acting().extended()
    assert ecu.ask("2F 0B 01 03 40") == "6F 0B 01 03 40"
    return ecu


def test_the_default_session_gives_it_back() -> None:
    ecu = held()
    ecu.ask("10 01")
    assert ecu.ask("22 0B 01") == "62 0B 01 10"


def test_the_end_of_s3_gives_it_back_at_that_instant() -> None:
    ecu = held()
    ecu.run_for(5 * S - 1)
    assert ecu.server.state.controls
    ecu.run_for(1)
    assert not ecu.server.state.controls


@pytest.mark.parametrize("event", [PowerEvent.TERMINAL_15_OFF, PowerEvent.SLEEP, PowerEvent.BATTERY_LOST])
def test_whatever_ends_the_session_gives_it_back(event: PowerEvent) -> None:
    ecu = held()
    ecu.server.power(event, ecu.now_ns)
    assert not ecu.server.state.controls


def test_a_reset_gives_it_back() -> None:
    ecu = held()
    assert ecu.ask("11 03") == "51 03"
    assert not ecu.server.state.controls


def test_another_session_keeps_what_is_there_too_and_ends_what_hung_on_a_level() -> None:
    ecu = held()
    ecu.open_level(3)
    assert ecu.ask("2F 0B 02 03 00 FF") == "6F 0B 02 03 00"
    assert ecu.ask("2F 0B 04 03 07") == "6F 0B 04 03 07"
    ecu.ask("10 03")
    assert set(ecu.server.state.controls) == {0x0B01, 0x0B02}, "the same session again closes the level"
    ecu.ask("10 02")
    assert set(ecu.server.state.controls) == {0x0B01}


def test_a_level_that_is_closed_by_another_one_gives_it_back() -> None:
    ecu = acting().extended().open_level(3)
    ecu.ask("2F 0B 04 03 07")
    ecu.open_level(5)
    assert ecu.ask("22 0B 04") == "62 0B 04 00"


def test_a_lock_that_closes_on_command_gives_it_back_with_that_answer() -> None:
    ecu = acting(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert ecu.ask("2F 0B 03 03 FF FF FF E0") == "6F 0B 03 03 FF FF FF"
    ecu.gate.opened = Scope(0)
    ecu.ask("3E 00")
    assert not ecu.server.state.controls
    assert "unit's own again" in ecu.server.log[-1].text


def test_a_grant_that_runs_out_gives_it_back_at_that_instant() -> None:
    """The lock's own deadline wakes the unit: nobody has to ask it anything."""
    ecu = acting(locked=True).extended()
    gate = ecu.gate
    assert gate is not None
    gate.opened = Scope.OUTPUT_TESTS
    ecu.ask("2F 0B 03 03 FF FF FF E0")
    end_ns = 3 * S + 7 * MS

    def close(now_ns: int) -> None:
        if now_ns >= end_ns:
            gate.opened = Scope(0)

    gate.next_deadline = lambda: end_ns if gate.opened else None  # type: ignore[method-assign]
    gate.handle_timer = close  # type: ignore[method-assign]
    ecu.run_for(end_ns - 1)
    assert ecu.server.state.controls
    ecu.run_for(1)
    assert not ecu.server.state.controls


def test_what_a_secured_request_took_over_stands_without_a_grant() -> None:
    from ecu_sim.services.request import Request

    secured = Output(
        did=0x0B05, value=b"\x00", default=b"\x00", access=Access(scope=Scope.OUTPUT_TESTS, secured=True), read=Access()
    )
    ecu = acting(locked=True, outputs={0x0B05: secured}).extended()
    assert ecu.ask("2F 0B 05 03 01") == refused(0x2F, 0x38)
    request = Request(bytes.fromhex("2F 0B 05 03 01"), functional=False, now_ns=0, secured=True)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert ecu.server.perform(request) == bytes.fromhex("6F 0B 05 03 01")
    ecu.gate.opened = Scope(0)
    ecu.ask("3E 00")
    assert ecu.ask("22 0B 05") == "62 0B 05 01"
    ecu.ask("10 01")
    assert ecu.ask("22 0B 05") == "62 0B 05 00"


def test_an_output_can_be_sent_periodically() -> None:
    output = Output(did=0xF2B0, value=b"\x10", default=b"\x00", access=Access(), read=Access())
    ecu = acting(outputs={0xF2B0: output}).extended()
    ecu.ask("2A 02 B0")
    ecu.ask("2F F2 B0 03 77")
    assert [text for _, text in ecu.run_for(200 * MS)] == ["6A B0 77"]


def test_the_whole_service_may_be_locked() -> None:
    from ecu_sim.profile import ServiceRule

    services = {**ALL_SERVICES, 0x2F: ServiceRule(access=Access(scope=Scope.OUTPUT_TESTS))}
    ecu = acting(locked=True, services=services).extended()
    assert ecu.ask("2F 0B 01 00") == refused(0x2F, 0x33)
