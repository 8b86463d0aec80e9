"""ReadDataByPeriodicIdentifier 0x2A: exact periods, limits, and an end whenever nobody may read any more."""

import pytest
from acting_unit import UUDT, acting, values
from ecu_bench import MS, Ecu, S, refused

from ecu_sim.service_options import PeriodicOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope


def at(answers: list[tuple[int, str]], since_ns: int) -> list[tuple[int, str]]:
    return [((now_ns - since_ns) // MS, text) for now_ns, text in answers]


def test_values_come_at_whole_periods_counted_from_the_request() -> None:
    ecu = acting().extended()
    assert ecu.ask("2A 03 01") == "6A"
    answers = at(ecu.run_for(101 * MS), 0)
    assert answers == [(at_ms, "6A 01 11 22 33") for at_ms in (25, 50, 75, 100)]


@pytest.mark.parametrize(("mode", "period_ms"), [(1, 1000), (2, 200), (3, 25)])
def test_each_rate_has_its_period(mode: int, period_ms: int) -> None:
    ecu = acting().extended()
    ecu.ask(f"2A {mode:02X} 01")
    times = [at_ms for at_ms, _ in at(ecu.run_for(4 * S), 0)]
    assert times == list(range(period_ms, 4001, period_ms))


def test_nothing_drifts_where_a_timer_is_late() -> None:
    ecu = acting().extended()
    ecu.ask("2A 03 01")
    for late_ms in (27, 55, 80):
        ecu.now_ns = late_ms * MS
        ecu.server.handle_timer(ecu.now_ns)
        ecu.take()
    assert ecu.server.next_deadline() == 100 * MS
    ecu.now_ns = 320 * MS  # so late that several are left out
    ecu.server.handle_timer(ecu.now_ns)
    assert len(ecu.take()) == 1
    assert ecu.server.next_deadline() == 325 * MS


def test_values_are_read_when_they_are_sent() -> None:
    ecu = acting().extended()
    ecu.ask("2A 02 02")
    ecu.run_for(100 * MS)
    ecu.vehicle.speed_kmh = 88
    assert [text for _, text in ecu.run_for(100 * MS)] == ["6A 02 00 58"]


def test_several_run_at_once_and_one_or_all_are_stopped() -> None:
    ecu = acting().extended()
    assert ecu.ask("2A 02 01 02 F0") == "6A", "one that is not known is left out while others are"
    assert [text[:5] for _, text in ecu.run_for(200 * MS)] == ["6A 01", "6A 02"]
    assert ecu.ask("2A 04 01") == "6A"
    assert ecu.ask("2A 04 01") == "6A", "stopped already"
    assert [text[:5] for _, text in ecu.run_for(200 * MS)] == ["6A 02"]
    assert ecu.ask("2A 04") == "6A"
    assert ecu.run_for(2 * S) == []


def test_another_rate_replaces_the_first() -> None:
    ecu = acting().extended()
    ecu.ask("2A 03 01")
    ecu.run_for(60 * MS)
    ecu.ask("2A 02 01")
    assert [at_ms for at_ms, _ in at(ecu.run_for(1 * S), 60 * MS)] == [200, 400, 600, 800, 1000]


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("2A", 0x13),
        ("2A 01", 0x13),
        ("2A 01 01 02 03 04 05", 0x13),  # more than stand in one request
        ("2A 00 01", 0x31),
        ("2A 05 01", 0x31),
        ("2A 05", 0x13),
        ("2A 01 F0", 0x31),
        ("2A 01 06", 0x31),  # of another session
        ("2A 01 07", 0x31),  # cannot be read at all
        ("2A 01 04", 0x33),
        ("2A 01 01 04", 0x33),
        ("2A 01 05", 0x33),
        ("2A 01 08", 0x38),
        ("2A 04 F0", 0x31),
    ],
)
def test_a_refused_request_schedules_nothing(request_: str, nrc: int) -> None:
    ecu = acting(locked=True).extended()
    assert ecu.ask(request_) == refused(0x2A, nrc)
    assert ecu.run_for(3 * S) == []


def test_the_service_is_not_there_in_the_default_session() -> None:
    assert acting().ask("2A 01 01") == refused(0x2A, 0x7F)


@pytest.mark.parametrize("options", [PeriodicOptions(periods_ns={1: S})])
def test_a_rate_that_the_unit_does_not_have_is_out_of_range(options: PeriodicOptions) -> None:
    ecu = acting(periodic=options).extended()
    assert ecu.ask("2A 03 01") == refused(0x2A, 0x31)
    assert ecu.ask("2A 01 01") == "6A"


def test_the_schedule_has_a_limit_and_what_runs_already_needs_no_room() -> None:
    ecu = acting().extended()
    ecu.ask("2C 01 F2 10 F1 90 01 02")
    assert ecu.ask("2A 02 01 02 03") == "6A"
    assert ecu.ask("2A 02 10") == refused(0x2A, 0x31)
    assert ecu.ask("2A 03 01 02") == "6A"
    assert ecu.ask("2A 04 03") == "6A"
    assert ecu.ask("2A 02 10") == "6A"


# ---- frames of their own


def test_uudt_frames_carry_the_identifier_and_the_data_under_identifiers_of_their_own() -> None:
    ecu = acting(periodic=UUDT).extended()
    assert ecu.ask("2A 02 01 02") == "6A"
    assert values(ecu, 200 * MS) == [(200, 0x6A0, "01 11 22 33"), (200, 0x6A1, "02 00 00")]
    assert ecu.take() == []


def test_what_is_longer_than_a_frame_is_refused_at_the_request() -> None:
    ecu = acting(periodic=UUDT).extended()
    assert ecu.ask("2A 02 03") == refused(0x2A, 0x14)
    assert ecu.ask("2A 02 01 03") == refused(0x2A, 0x14)
    assert ecu.ask("2A 04 03") == "6A", "stopping needs no frame"
    assert acting(max_answer_bytes=21).extended().ask("2A 02 03") == refused(0x2A, 0x14)


def test_a_place_that_became_free_is_taken_again() -> None:
    ecu = acting(periodic=UUDT).extended()
    ecu.ask("2A 02 01 02")
    ecu.ask("2A 04 01")
    ecu.ask("2C 01 F2 10 F1 90 01 02")
    ecu.ask("2A 02 10")
    assert [(can_id, text[:2]) for _, can_id, text in values(ecu, 200 * MS)] == [(0x6A1, "02"), (0x6A0, "10")]


# ---- when it ends


def running(**changes: object) -> Ecu:
    ecu = acting(**changes).extended()
    assert ecu.ask("2A 03 01") == "6A"
    assert len(ecu.run_for(50 * MS)) == 2
    return ecu


def test_the_default_session_ends_it() -> None:
    ecu = running()
    ecu.ask("10 01")
    assert ecu.run_for(1 * S) == []


def test_the_end_of_s3_ends_it_and_values_keep_no_session_alive() -> None:
    ecu = running()
    times = [now_ns // MS for now_ns, _ in ecu.run_for(20 * S)]
    assert times[-1] in (5000 - 25, 5000)
    assert ecu.session == 1


def test_a_reset_and_loss_of_supply_end_it() -> None:
    ecu = running()
    assert ecu.ask("11 01") == "51 01"
    assert ecu.run_for(2 * S) == []
    ecu = running()
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns + S)
    assert ecu.run_for(2 * S) == []


def test_sleep_ends_it() -> None:
    ecu = running()
    ecu.server.power(PowerEvent.SLEEP, ecu.now_ns)
    assert ecu.run_for(2 * S) == []


def test_another_session_keeps_what_may_be_read_there_too() -> None:
    ecu = acting().extended()
    ecu.open_level(3)
    ecu.ask("2A 02 01 04")
    ecu.ask("10 02")
    assert [text[:5] for _, text in ecu.run_for(200 * MS)] == ["6A 01"], "the level of 04 closed with the session"


def test_a_lock_that_closes_ends_what_it_released() -> None:
    ecu = acting(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    ecu.ask("2A 02 05 01")
    ecu.run_for(200 * MS)
    ecu.gate.opened = Scope(0)
    assert [text[:5] for _, text in ecu.run_for(400 * MS)] == ["6A 01", "6A 01"]
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert [text[:5] for _, text in ecu.run_for(200 * MS)] == ["6A 01"], "it does not come back by itself"


def test_values_go_on_while_the_unit_works_on_a_request() -> None:
    ecu = running()
    assert ecu.ask("2E 07 00" + " 00" * 40) == ""
    assert len([text for _, text in ecu.run_for(1 * S) if text.startswith("6A")]) == 40
