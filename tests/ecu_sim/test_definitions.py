"""DynamicallyDefineDataIdentifier 0x2C: definitions from pieces, their limits, and that they open nothing."""

from dataclasses import replace

import pytest
from acting_unit import acting
from ecu_bench import MS, PROFILE, Ecu, S, refused

from ecu_sim.profile import Access
from ecu_sim.service_options import DefinitionOptions
from ecu_sim.storage.options import Kind, MemoryOptions, Region
from wire.token import Scope


def test_a_definition_is_read_like_any_identifier() -> None:
    ecu = acting()
    assert ecu.ask("2C 01 F3 01 F1 90 01 03 F1 87 02 04") == "6C 01 F3 01"
    assert ecu.ask("22 F3 01") == "62 F3 01 57 56 57 48 30 39 32"
    assert ecu.ask("22 F1 87 F3 01").endswith("F3 01 57 56 57 48 30 39 32")


def test_a_second_request_adds_to_it() -> None:
    ecu = acting()
    ecu.ask("2C 01 F3 01 F1 90 01 01")
    assert ecu.ask("2C 01 F3 01 10 02 01 02") == "6C 01 F3 01"
    assert ecu.ask("22 F3 01") == "62 F3 01 57 31 38"
    ecu.vehicle.supply_mv = 14_000
    assert ecu.ask("22 F3 01") == "62 F3 01 57 36 B0", "pieces are read when it is read"


def test_one_or_all_are_cleared() -> None:
    ecu = acting()
    for number in ("F3 01", "F3 02", "F2 10"):
        assert ecu.ask(f"2C 01 {number} F1 90 01 01") == f"6C 01 {number}"
    assert ecu.ask("2C 03 F3 01") == "6C 03 F3 01"
    assert ecu.ask("22 F3 01") == refused(0x22, 0x31)
    assert ecu.ask("22 F3 02") == "62 F3 02 57"
    assert ecu.ask("2C 03") == "6C 03"
    assert ecu.ask("22 F3 02 F2 10") == refused(0x22, 0x31)
    assert ecu.ask("2C 03 F3 02") == refused(0x2C, 0x31), "it is not defined any more"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("2C", 0x13),
        ("2C 00", 0x12),
        ("2C 04", 0x12),
        ("2C 01", 0x13),
        ("2C 01 F3 01", 0x13),
        ("2C 01 F3 01 F1 90 01", 0x13),
        ("2C 01 F3 01 F1 90 01 01 F1", 0x13),
        ("2C 03 F3", 0x13),
        ("2C 03 F3 01 00", 0x13),
        ("2C 01 F4 00 F1 90 01 01", 0x31),  # not a dynamic number
        ("2C 01 F2 01 F1 90 01 01", 0x31),  # the profile's own
        ("2C 01 F3 01 99 99 01 01", 0x31),
        ("2C 01 F3 01 F1 90 00 01", 0x31),  # positions count from 1
        ("2C 01 F3 01 F1 90 01 00", 0x31),
        ("2C 01 F3 01 F1 90 11 02", 0x31),  # beyond its 17 bytes
        ("2C 01 F3 01 06 02 01 01", 0x31),  # cannot be read
        ("2C 01 F3 01 06 04 01 01", 0x31),  # of another session
        ("2C 01 F3 01 F1 90 01 01 06 03 01 01", 0x33),
        ("2C 01 F3 01 F2 05 01 01", 0x33),  # locked
        ("2C 01 F3 01 F2 08 01 01", 0x38),
        ("2C 02 F3 01 11 00 10", 0x7E),  # memory is not for the default session
    ],
)
def test_a_refused_definition_defines_nothing(request_: str, nrc: int) -> None:
    ecu = acting(locked=True)
    assert ecu.ask(request_) == refused(0x2C, nrc)
    assert ecu.server.state.definitions == {}


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("2C 02 F3 01", 0x13),
        ("2C 02 F3 01 11", 0x13),
        ("2C 02 F3 01 11 00 10 00", 0x13),
        ("2C 02 F3 01 00 00 10", 0x31),
        ("2C 02 F3 01 16 00 00 00 00 00 00 10", 0x31),
        ("2C 02 F3 01 51 00 00 00 00 00 10", 0x31),
        ("2C 02 F4 01 11 00 10", 0x31),
        ("2C 02 F3 01 14 00 00 00 00 01", 0x31),  # this unit has no memory
    ],
)
def test_memory_is_asked_for_length_format_and_place(request_: str, nrc: int) -> None:
    assert acting().extended().ask(request_) == refused(0x2C, nrc)


def test_memory_is_read_when_the_definition_is() -> None:
    region = Region(name="ram", address=0x100, size=16, kind=Kind.RAM, read=Access(scope=Scope.ROUTINES))
    options = MemoryOptions(regions={"ram": region}, formats=frozenset((0x12,)))
    ecu = acting(replace(PROFILE, memory=options), locked=True).extended()
    assert ecu.gate is not None
    assert ecu.ask("2C 02 F3 01 12 01 02 02") == refused(0x2C, 0x33)
    ecu.gate.opened = Scope.ROUTINES
    assert ecu.ask("2C 02 F3 01 12 01 02 02 01 00 01") == "6C 02 F3 01"
    whole = ecu.ask("22 F3 01")
    assert len(bytes.fromhex(whole)) == 3 + 3
    ecu.gate.opened = Scope(0)
    assert ecu.ask("22 F3 01") == refused(0x22, 0x33)


def test_a_definition_is_made_of_no_other_definition() -> None:
    ecu = acting()
    ecu.ask("2C 01 F3 01 F1 90 01 01")
    assert ecu.ask("2C 01 F3 02 F3 01 01 01") == refused(0x2C, 0x31)


def test_limits_of_the_unit_are_out_of_range() -> None:
    ecu = acting(definitions=DefinitionOptions(count=2, pieces=3))
    assert ecu.ask("2C 01 F3 01" + " F1 90 01 01" * 4) == refused(0x2C, 0x31)
    assert ecu.ask("2C 01 F3 01" + " F1 90 01 01" * 3) == "6C 01 F3 01"
    assert ecu.ask("2C 01 F3 01 F1 90 01 01") == refused(0x2C, 0x31)
    assert ecu.ask("2C 01 F3 02 F1 90 01 01") == "6C 01 F3 02"
    assert ecu.ask("2C 01 F3 03 F1 90 01 01") == refused(0x2C, 0x31)


def test_a_definition_that_no_answer_could_hold_is_refused() -> None:
    ecu = acting(definitions=DefinitionOptions(pieces=255))
    assert ecu.ask("2C 01 F3 01" + " 07 00 01 28" * 102) == "6C 01 F3 01"
    assert ecu.ask("2C 01 F3 01 07 00 01 28") == refused(0x2C, 0x31)


# ---- it opens nothing


def test_whoever_may_not_read_a_source_may_not_read_what_is_made_of_it() -> None:
    ecu = acting(locked=True).extended()
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS
    assert ecu.ask("2C 01 F3 01 F2 05 01 01 F1 90 01 01") == "6C 01 F3 01"
    assert ecu.ask("22 F3 01") == "62 F3 01 05 57"
    ecu.gate.opened = Scope(0)
    assert ecu.ask("22 F3 01") == refused(0x22, 0x33)
    assert ecu.ask("22 F1 90 F3 01") == refused(0x22, 0x33), "one that is closed refuses all"


def test_outside_the_session_of_a_source_a_definition_is_as_unknown() -> None:
    ecu = acting().extended()
    assert ecu.ask("2C 01 F3 01 06 04 01 01") == "6C 01 F3 01"
    assert ecu.ask("22 F3 01") == "62 F3 01 08"
    ecu.ask("10 02")
    assert ecu.ask("22 F3 01") == refused(0x22, 0x31)


def test_a_level_that_closed_closes_what_is_made_of_its_data() -> None:
    ecu = acting().extended().open_level(5)
    ecu.ask("2C 01 F3 01 06 03 01 01")
    assert ecu.ask("22 F3 01") == "62 F3 01 07"
    ecu.ask("10 03")
    assert ecu.ask("22 F3 01") == refused(0x22, 0x33)


# ---- periodic, and how long it lives


def test_a_definition_under_f2_is_sent_periodically_until_it_is_cleared() -> None:
    ecu = acting().extended()
    ecu.ask("2C 01 F2 10 F1 90 01 02")
    assert ecu.ask("2A 02 10") == "6A"
    assert [text for _, text in ecu.run_for(200 * MS)] == ["6A 10 57 56"]
    ecu.ask("2C 03 F2 10")
    assert ecu.run_for(1 * S) == []
    assert ecu.ask("2A 02 10") == refused(0x2A, 0x31)


def test_definitions_outlive_the_session_and_end_with_a_reset() -> None:
    ecu = acting()
    ecu.ask("2C 01 F3 01 F1 90 01 01")
    ecu.ask("10 03")
    ecu.ask("10 01")
    assert ecu.ask("22 F3 01") == "62 F3 01 57"
    ecu.ask("11 01")
    ecu.run_for(1 * S)
    assert ecu.ask("22 F3 01") == refused(0x22, 0x31)


def test_where_the_profile_keeps_them_they_outlive_the_supply() -> None:
    kept = DefinitionOptions(kept=True)
    ecu = acting(definitions=kept)
    ecu.ask("2C 01 F3 01 F1 90 01 01")
    ecu.ask("11 01")
    ecu.run_for(1 * S)
    assert ecu.ask("22 F3 01") == "62 F3 01 57"
    again: Ecu = acting(definitions=kept, memory=ecu.server.memory)
    assert again.ask("22 F3 01") == "62 F3 01 57"


def test_an_unknown_source_to_all_units_meets_silence() -> None:
    assert acting().ask("2C 01 F3 01 99 99 01 01", functional=True) == ""
    assert acting().ask("2C 81 F3 01 F1 90 01 01") == "", "the suppress bit hides the positive answer"
