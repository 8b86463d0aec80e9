"""ReadMemoryByAddress 0x23 and WriteMemoryByAddress 0x3D."""

import pytest
from ecu_bench import MS, S, refused
from storage_unit import TEXT, changed, unit

from ecu_sim.storage.cells import PAGE, Cells
from ecu_sim.storage.options import Kind, Region
from ecu_sim.vehicle_state import PowerEvent


def test_memory_is_read_with_every_format_that_the_unit_takes() -> None:
    ecu = unit()
    ecu.ask("10 03")
    ecu.open_level(0x11)
    for request in ("23 44 00 00 11 04 00 00 00 02", "23 24 00 00 11 04 00 02", "23 12 11 04 02"):
        assert ecu.ask(request) == "63 CA FE", request


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("23", 0x13),
        ("23 12 10", 0x13),
        ("23 11 10 01", 0x31),
        ("23 00 10 01", 0x31),
        ("23 FF 10 01", 0x31),
        ("23 33 10 01", 0x31),
        ("23 12 10 00", 0x13),
        ("23 12 10 00 01 00", 0x13),
        ("23 44 00 00 10 00 00 00 01", 0x13),
        ("23 12 10 00 00", 0x31),
        ("23 12 0F FF 01", 0x31),
        ("23 12 0F FF 02", 0x31),
        ("23 12 10 FF 02", 0x31),
        ("23 12 10 F0 20", 0x31),
        ("23 12 12 00 01", 0x31),
        ("23 44 00 00 10 00 FF FF FF FF", 0x31),
        ("23 44 FF FF FF FF 00 00 00 02", 0x31),
        ("23 44 00 20 00 00 00 00 00 01", 0x31),
        ("23 12 11 00 01", 0x33),
    ],
)
def test_a_read_is_refused_in_order(request_: str, nrc: int) -> None:
    assert unit().ask(request_) == refused(0x23, nrc)


def test_an_area_outside_its_sessions_is_out_of_range() -> None:
    assert unit().ask("23 44 00 10 00 00 00 00 00 04") == refused(0x23, 0x31)
    assert unit().extended().ask("23 44 00 10 00 00 00 00 00 04") == "63 30 30 30 31"


def test_an_answer_that_is_too_long_is_not_sent() -> None:
    ecu = unit(max_answer_bytes=20)
    assert ecu.ask("23 12 10 00 13") == "63" + " 00" * 19
    assert ecu.ask("23 12 10 00 14") == refused(0x23, 0x14)


def test_what_is_written_is_read() -> None:
    ecu = unit().extended()
    assert ecu.ask("3D 12 10 FE 02 AB CD") == "7D 12 10 FE 02"
    assert ecu.ask("23 12 10 FD 03") == "63 00 AB CD"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("3D", 0x13),
        ("3D 12 10 00", 0x13),
        ("3D 22 10 00 00 01 00", 0x31),
        ("3D 12 10 00 01", 0x13),
        ("3D 12 10 00 01 00 00", 0x13),
        ("3D 12 10 00 02 00", 0x13),
        ("3D 44 00 00 10 00 FF FF FF FF 00", 0x13),
        ("3D 12 10 00 00", 0x31),
        ("3D 12 10 FF 02 00 00", 0x31),
        ("3D 12 0F FF 01 00", 0x31),
        ("3D 44 00 10 00 00 00 00 00 01 00", 0x31),
        ("3D 12 10 00 01 00", 0x31),
        ("3D 12 11 00 01 00", 0x33),
    ],
)
def test_a_write_is_refused_in_order(request_: str, nrc: int) -> None:
    """RAM is written in the extended session alone."""
    assert unit().ask(request_) == refused(0x3D, nrc)


def test_ram_forgets_with_a_reset_and_eeprom_does_not() -> None:
    ecu = unit().extended()
    ecu.ask("3D 12 10 00 01 55")
    ecu.ask_and_wait("3D 44 00 00 30 00 00 00 00 01 66")
    ecu.ask_and_wait("11 01")
    assert ecu.ask("23 12 10 00 01") == "63 00"
    assert ecu.ask("23 44 00 00 30 00 00 00 00 01") == "63 66"


def test_writing_takes_its_time_and_is_not_done_when_the_supply_goes() -> None:
    ecu = unit()
    request = "3D 24 00 00 30 00 01 00" + " 77" * 0x100
    answers = ecu.ask_and_wait(request)
    assert answers == [refused(0x3D, 0x78), "7D 24 00 00 30 00 01 00"]
    ecu.ask(request.replace("77", "88"))
    ecu.run_for(200 * MS)
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(S)
    assert ecu.ask("23 24 00 00 30 00 00 02") == "63 77 77"


def test_cells_that_fail_are_named() -> None:
    ecu = unit().extended()
    ecu.server.memory.storage.wear_out("ram", 4, 2)
    assert ecu.ask("3D 12 10 00 08 00 00 00 00 00 00 00 00") == refused(0x3D, 0x72)
    assert ecu.ask("3D 12 10 04 01 00") == refused(0x3D, 0x72)
    assert ecu.ask("3D 12 10 06 01 00") == "7D 12 10 06 01"


@pytest.mark.parametrize(
    ("request_", "silent"), [("23 12 12 00 01", True), ("23 11 10 01", True), ("23", False), ("23 12 11 00 01", False)]
)
def test_to_everybody_a_unit_does_not_say_that_it_has_no_such_memory(request_: str, silent: bool) -> None:
    assert (unit().ask(request_, functional=True) == "") is silent


def test_a_unit_without_memory_takes_no_address() -> None:
    ecu = unit(changed(TEXT, "formats: [0x44, 0x24, 0x12]", "formats: [0x44]"))
    assert ecu.ask("23 12 10 00 01") == refused(0x23, 0x31)


def test_a_locked_region_is_refused_with_the_locks_code() -> None:
    profile = changed(
        TEXT, "read: {security: 0x11}\n      write: {security: 0x11}\n    slow", "read: {scope: coding}\n    slow"
    )
    ecu = unit(profile, locked=True, refusal_nrc=0x34)
    assert ecu.ask("23 12 11 00 01") == refused(0x23, 0x34)


def region(size: int, kind: Kind = Kind.FLASH) -> Region:
    return Region(name="r", address=0, size=size, kind=kind)


def test_four_mebibytes_cost_nothing_until_they_are_written() -> None:
    cells = Cells(region(4 << 20))
    assert cells.read(0, 16) == b"\xff" * 16
    assert cells.pages == 0
    cells.write(PAGE - 2, b"abcd")
    assert cells.pages == 2
    assert cells.read(PAGE - 3, 6) == b"\xffabcd\xff"
    cells.erase(0, 4 << 20)
    assert cells.pages == 0


def test_erasing_part_of_a_page_leaves_the_rest() -> None:
    cells = Cells(region(2 * PAGE))
    cells.write(0, b"x" * 2 * PAGE)
    cells.erase(PAGE - 4, 8)
    assert cells.read(PAGE - 6, 12) == b"xx" + b"\xff" * 8 + b"xx"
    assert cells.is_blank(PAGE - 4, 8)
    assert not cells.is_blank(PAGE - 5, 9)
    cells.erase(PAGE + 4, 4)
    assert cells.is_blank(PAGE - 4, 12), "two stretches side by side"
    cells.write(PAGE, b"y")
    assert not cells.is_blank(PAGE - 4, 12)
    assert cells.is_blank(PAGE - 4, 4)
    assert cells.is_blank(PAGE + 1, 7)
