"""The flash process: what it asks for, and that a unit survives its end at any point and says so."""

import zlib

import pytest
from ecu_bench import MS, Ecu, S, refused
from storage_unit import APPLICATION, PROFILE, TEXT, Programmer, changed, image, unit

from ecu_sim.vehicle_state import PowerEvent

STEPS = sum(1 for _ in Programmer(unit()).requests())
WAYS = ("S3", "session change", "reset", "supply lost", "terminal 15 off", "sleep")
INCOMPLETE = "D0 00 01 2F"


def interrupt(ecu: Ecu, way: str) -> None:
    """End the programming session, and wait until the unit is up again."""
    match way:
        case "S3":
            ecu.run_for(5 * S)
        case "session change":
            assert ecu.ask("10 01").startswith("50 01")
        case "reset":
            assert ecu.ask("11 01") == "51 01"
        case "supply lost":
            ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
            ecu.run_for(S)
            ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
        case "terminal 15 off":
            ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
            ecu.server.power(PowerEvent.TERMINAL_15_ON, ecu.now_ns)
        case _:
            ecu.server.power(PowerEvent.SLEEP, ecu.now_ns)
            ecu.run_for(S)
            ecu.server.power(PowerEvent.WAKE, ecu.now_ns)
    ecu.run_for(S)


def assert_says_incomplete(ecu: Ecu) -> None:
    assert ecu.ask("22 F1 87") == "62 F1 87 " + b"BOOT".hex(" ").upper()
    assert ecu.ask("22 04 04").startswith("62 04 04 01")
    assert INCOMPLETE in ecu.ask("19 02 FF")


def assert_runs(ecu: Ecu, version: str) -> None:
    assert ecu.ask("22 F1 87") == "62 F1 87 " + b"APPLICATION".hex(" ").upper()
    assert ecu.ask("22 F1 89") == "62 F1 89 " + version.encode().hex(" ").upper()
    assert ecu.ask("22 04 04") == "62 04 04 00 01 00 02 00"


def test_a_unit_runs_what_was_flashed_after_the_reset_and_not_before() -> None:
    ecu = unit()
    assert_runs(ecu, "0001")
    Programmer(ecu).run()
    assert ecu.ask("22 F1 89") == "62 F1 89 30 30 30 31"
    interrupt(ecu, "reset")
    assert_runs(ecu, "0002")
    assert "D0 00 01" not in ecu.ask("19 02 FF")


@pytest.mark.parametrize("way", WAYS)
def test_leaving_the_programming_session_starts_the_new_software(way: str) -> None:
    ecu = unit()
    Programmer(ecu).run()
    interrupt(ecu, way)
    assert_runs(ecu, "0002")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps", range(2, STEPS))
def test_a_flash_that_ends_early_leaves_a_unit_that_says_so_and_can_be_repaired(steps: int, way: str) -> None:
    ecu = unit()
    Programmer(ecu).run(steps)
    interrupt(ecu, way)
    assert_says_incomplete(ecu)
    Programmer(ecu, "0003").run()
    interrupt(ecu, "reset")
    assert_runs(ecu, "0003")
    assert "D0 00 01 2E" in ecu.ask("19 02 FF"), "it was there in this cycle, and is no more"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps", [0, 1])
def test_a_flash_that_ends_before_anything_was_erased_changes_nothing(steps: int, way: str) -> None:
    ecu = unit()
    Programmer(ecu).run(steps)
    interrupt(ecu, way)
    assert_runs(ecu, "0001")


@pytest.mark.parametrize("after_ns", [1, 30 * MS, 5 * S, 12 * S - 1])
@pytest.mark.parametrize("way", ["supply lost", "terminal 15 off", "sleep"])
def test_a_unit_that_loses_its_supply_while_it_erases_comes_up_in_the_boot_loader(way: str, after_ns: int) -> None:
    ecu = unit()
    Programmer(ecu).run(1)
    ecu.ask("31 01 FF 00 01")
    ecu.run_for(after_ns)
    assert ecu.server.busy
    interrupt(ecu, way)
    assert_says_incomplete(ecu)
    Programmer(ecu).run()
    interrupt(ecu, "session change")
    assert_runs(ecu, "0002")


def test_a_block_that_was_cut_off_while_it_was_programmed_has_to_be_erased_again() -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    programmer.run(3)
    ecu.ask(b"\x36\x01" + programmer.blocks[0][2][:128])
    assert ecu.server.busy
    interrupt(ecu, "supply lost")
    assert_says_incomplete(ecu)
    programmer.enter()
    programmer.ask("2E F1 5A 26 01 02")
    assert programmer.ask("34 00 44 00 10 00 00 00 00 04 00") == refused(0x34, 0x70)
    assert programmer.ask("34 00 44 00 10 00 80 00 00 03 80").startswith("74"), "behind it, cells are blank still"


def test_erasing_takes_time_and_the_unit_says_so() -> None:
    ecu = unit()
    Programmer(ecu).run(1)
    assert ecu.ask("31 01 FF 00 01") == ""
    answers = ecu.run_for(13 * S)
    assert [answer for _, answer in answers] == [refused(0x31, 0x78)] * 3 + ["71 01 FF 00 00"]
    assert answers[-1][0] == 12 * S


@pytest.mark.parametrize(
    ("before", "nrc"),
    [
        ((), 0x22),
        (("10 03",), 0x22),
        (("10 03", "85 02"), 0x22),
        (("10 03", "28 03 01"), 0x22),
        (("10 03", "85 02", "28 03 01", "10 01"), 0x22),
    ],
)
def test_the_programming_session_wants_its_preconditions(before: tuple[str, ...], nrc: int) -> None:
    ecu = unit()
    for request in before:
        assert not ecu.ask(request).startswith("7F")
    assert ecu.ask("10 02") == refused(0x10, nrc)


def test_the_programming_session_wants_a_car_that_stands() -> None:
    ecu = unit()
    for request in ("10 03", "85 02", "28 03 01"):
        ecu.ask(request)
    ecu.vehicle.speed_kmh = 3
    assert ecu.ask("10 02") == refused(0x10, 0x88)
    ecu.vehicle.speed_kmh = 0
    assert ecu.ask("10 02").startswith("50 02")
    ecu.ask("85 01")
    assert ecu.ask("10 02").startswith("50 02"), "who is in it is in it"


def entered(profile: object = PROFILE) -> tuple[Ecu, Programmer]:
    ecu = unit(profile)  # type: ignore[arg-type]
    programmer = Programmer(ecu)
    programmer.enter()
    return ecu, programmer


def test_nothing_is_erased_or_loaded_before_somebody_has_said_who_programs() -> None:
    _, programmer = entered()
    assert programmer.ask("31 01 FF 00 01") == refused(0x31, 0x22)
    assert programmer.ask("34 00 44 00 10 00 00 00 00 04 00") == refused(0x34, 0x22)
    assert programmer.ask("31 01 FF 01").startswith("71"), "a check changes nothing"


def test_flash_is_loaded_only_where_it_was_erased() -> None:
    _, programmer = entered()
    programmer.ask("2E F1 5A 26 01 02")
    assert programmer.ask("34 00 44 00 10 00 00 00 00 04 00") == refused(0x34, 0x70)
    programmer.ask("31 01 FF 00 02")
    assert programmer.ask("34 00 44 00 10 00 00 00 00 04 00") == refused(0x34, 0x70), "the other block was erased"
    assert programmer.ask("34 00 44 00 20 00 00 00 00 01 00").startswith("74")


def test_nothing_is_granted_without_the_level() -> None:
    ecu = unit()
    for request in ("10 03", "85 02", "28 03 01", "10 02", "2E F1 5A 26 01 02"):
        ecu.ask(request)
    for request in (
        "31 01 FF 00 01",
        "34 00 44 00 10 00 00 00 00 04 00",
        "35 00 44 00 10 00 00 00 00 04 00",
        "31 01 FF 01",
    ):
        assert ecu.ask(request) == refused(int(request[:2], 16), 0x33)
    assert ecu.ask("36 01 00") == refused(0x36, 0x24)


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("31 01 FF 00", 0x13),
        ("31 01 FF 00 01 00", 0x13),
        ("31 01 FF 00 03", 0x31),
        ("31 02 FF 00", 0x12),
        ("31 03 FF 00", 0x12),
        ("31 01 02 02 01", 0x13),
        ("31 01 02 02 09 00 00 00 00", 0x31),
        ("31 01 FF 01 00", 0x13),
    ],
)
def test_a_routine_of_the_flash_process_refuses_a_wrong_option(request_: str, nrc: int) -> None:
    _, programmer = entered()
    programmer.ask("2E F1 5A 26 01 02")
    assert programmer.ask(request_) == refused(0x31, nrc)


def test_a_check_before_its_turn_is_out_of_sequence() -> None:
    _, programmer = entered()
    programmer.ask("2E F1 5A 26 01 02")
    programmer.ask("31 01 FF 00 01")
    assert programmer.ask("31 01 02 02 01 00 00 00 00") == refused(0x31, 0x24), "nothing was loaded"
    assert programmer.ask("31 01 FF 01") == refused(0x31, 0x24)


def test_routines_wait_until_a_transfer_is_over() -> None:
    _, programmer = entered()
    programmer.ask("2E F1 5A 26 01 02")
    programmer.ask("31 01 FF 00 01")
    programmer.ask("34 00 44 00 10 00 00 00 00 04 00")
    for request in ("31 01 FF 00 02", "31 01 02 02 01 00 00 00 00", "31 01 FF 01"):
        assert programmer.ask(request) == refused(0x31, 0x22)


def test_a_wrong_checksum_keeps_the_software_incomplete() -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    requests = list(programmer.requests())
    check = next(at for at, request in enumerate(requests) if request.startswith(b"\x31\x01\x02\x02"))
    programmer.run(check)
    assert programmer.ask("31 01 02 02 01 DE AD BE EF") == "71 01 02 02 01"
    assert programmer.ask("31 01 FF 01") == refused(0x31, 0x24)
    interrupt(ecu, "reset")
    assert_says_incomplete(ecu)


def test_blocks_of_different_versions_do_not_fit_together() -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    programmer.blocks = programmer.blocks[:1]
    programmer.enter()
    answers = [programmer.ask(request) for request in programmer.requests()]
    assert answers[-1] == "71 01 FF 01 01"
    interrupt(ecu, "reset")
    assert_says_incomplete(ecu)


def test_checksums_may_be_asked_of_software_that_was_not_touched() -> None:
    ecu, programmer = entered()
    data = b"0001" + b"\xff" * 0x3FC
    assert programmer.ask(bytes.fromhex("31 01 02 02 01") + zlib.crc32(data).to_bytes(4, "big")) == "71 01 02 02 00"
    interrupt(ecu, "session change")
    assert_runs(ecu, "0001")


def test_a_profile_may_erase_by_address_and_check_with_sha_256() -> None:
    profile = changed(TEXT, "fingerprint: 0xF15A", "erase_by: area\n  checksum: sha-256")
    ecu, programmer = entered(profile)
    for request, nrc in (
        ("31 01 FF 00", 0x13),
        ("31 01 FF 00 44 00 10 00 00 00 00 04", 0x13),
        ("31 01 FF 00 11 00 01", 0x31),
        ("31 01 FF 00 12 10 00 10", 0x31),
        ("31 01 FF 00 44 00 10 00 00 00 00 04 01", 0x31),
        ("31 01 02 02 01 00 00 00 00", 0x13),
    ):
        assert programmer.ask(request) == refused(0x31, nrc), request
    assert programmer.ask("31 01 FF 00 44 00 10 00 00 00 00 02 00") == "71 01 FF 00 00"
    assert programmer.ask("34 00 44 00 10 00 00 00 00 04 00") == refused(0x34, 0x70), "half of it"
    assert programmer.ask("34 00 44 00 10 00 00 00 00 02 00").startswith("74")
    assert ecu.server.memory.storage.regions["application"].read(0, 4) == b"\xff" * 4


def test_cells_that_fail_are_named_and_end_the_transfer() -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    programmer.run(3)
    ecu.server.memory.storage.wear_out("application", 130, 1)
    data = programmer.blocks[0][2]
    assert programmer.ask(b"\x36\x01" + data[:128]) == "76 01"
    assert programmer.ask(b"\x36\x02" + data[128:256]) == refused(0x36, 0x72)
    assert programmer.ask(b"\x36\x02" + data[128:256]) == refused(0x36, 0x24)
    assert programmer.ask("31 01 FF 00 01") == refused(0x31, 0x72)
    assert programmer.ask("31 01 FF 00 02") == "71 01 FF 00 00"
    interrupt(ecu, "session change")
    assert_says_incomplete(ecu)


@pytest.mark.parametrize(("supply_mv", "nrc"), [(10_500, 0x93), (15_500, 0x92)])
def test_a_supply_that_leaves_its_range_stops_the_programming_there(supply_mv: int, nrc: int) -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    programmer.run(3)
    data = programmer.blocks[0][2]
    ecu.vehicle.supply_mv = supply_mv
    assert programmer.ask(b"\x36\x01" + data[:128]) == refused(0x36, nrc)
    ecu.vehicle.supply_mv = 13_000
    ecu.ask(b"\x36\x01" + data[:128])
    ecu.vehicle.supply_mv = supply_mv
    assert [answer for _, answer in ecu.run_for(S)] == [refused(0x36, nrc)], "asked again when the work is done"


def test_the_boot_loader_offers_what_its_profile_says_and_no_more() -> None:
    ecu = unit()
    Programmer(ecu).run(2)
    interrupt(ecu, "reset")
    for request in ("28 03 01", "85 02", "38 05 00 01 2F", "23 12 10 00 04"):
        assert ecu.ask(request) == refused(int(request[:2], 16), 0x11)
    assert ecu.ask("10 03") == refused(0x10, 0x12)
    assert ecu.ask("22 F1 89") == refused(0x22, 0x31)
    assert ecu.ask("2E F1 87 00") == refused(0x2E, 0x31)


def test_a_unit_that_was_built_with_half_its_software_comes_up_in_its_boot_loader() -> None:
    ecu = unit()
    Programmer(ecu).run(4)
    later = unit(memory=ecu.server.memory)
    assert_says_incomplete(later)


def test_a_boot_loader_that_tells_versions_has_none_to_tell() -> None:
    profile = changed(
        TEXT, "      F187: {text: BOOT}", "      F187: {text: BOOT}\n      F189: {version_of: application}"
    )
    ecu = unit(profile)
    Programmer(ecu).run(2)
    interrupt(ecu, "reset")
    assert ecu.ask("22 F1 89") == "62 F1 89 00 00 00 00"


def test_without_a_boot_loader_the_application_stays_and_tells_its_state() -> None:
    profile = changed(TEXT, TEXT[TEXT.index("  boot_loader:") :], "")
    ecu = unit(profile)
    Programmer(ecu).run(2)
    interrupt(ecu, "reset")
    assert ecu.ask("22 04 04") == "62 04 04 01 01 02 02 00"


def test_what_was_flashed_can_be_read_back() -> None:
    ecu = unit()
    Programmer(ecu).run()
    assert ecu.ask("23 44 00 10 00 00 00 00 00 08") == "63 " + image("0002")[:8].hex(" ").upper()
    assert APPLICATION == 0x100000
