"""RequestDownload, RequestUpload, TransferData, RequestTransferExit: the sequence, its counter, and every way out of it."""

import zlib

import pytest
from ecu_bench import MS, Ecu, S, refused
from storage_unit import TEXT, Programmer, changed, unit

from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope

DOWNLOAD = "34 00 12 10 00 {:02X}"
UPLOAD = "35 00 12 10 00 {:02X}"


def begun(request: str, ecu: Ecu | None = None) -> Ecu:
    """Return a unit in the extended session whose transfer was accepted."""
    ecu = ecu or unit().extended()
    assert ecu.ask(request).startswith(("74", "75"))
    return ecu


def block(counter: int, data: bytes) -> bytes:
    return bytes((0x36, counter)) + data


def test_a_download_arrives_and_its_end_is_confirmed_with_a_checksum() -> None:
    ecu = unit().extended()
    assert ecu.ask(DOWNLOAD.format(200)) == "74 10 82"
    data = bytes(range(200))
    assert ecu.ask(block(1, data[:128])) == "76 01"
    assert ecu.ask(block(2, data[128:])) == "76 02"
    assert ecu.ask("37") == "77 " + zlib.crc32(data).to_bytes(4, "big").hex(" ").upper()
    assert ecu.ask("23 12 10 00 C8") == "63 " + data.hex(" ").upper()


def test_an_upload_goes_the_other_way() -> None:
    ecu = unit().extended()
    ecu.ask("3D 12 10 02 02 AB CD")
    assert ecu.ask(UPLOAD.format(130)) == "75 10 82"
    assert ecu.ask("36 01") == "76 01 00 00 AB CD" + " 00" * 124
    assert ecu.ask("36 02") == "76 02 00 00"
    assert ecu.ask("36 02") == "76 02 00 00", "its answer was lost"
    assert ecu.ask("36 03") == refused(0x36, 0x24)
    assert ecu.ask("37").startswith("77")


def test_the_longest_block_is_said_in_as_many_bytes_as_it_needs() -> None:
    ecu = unit(changed(TEXT, "max_block_length: 130", "max_block_length: 0x402")).extended()
    assert ecu.ask(DOWNLOAD.format(1)) == "74 20 04 02"


@pytest.mark.parametrize("sid", [0x34, 0x35])
@pytest.mark.parametrize(
    ("rest", "nrc"),
    [
        ("", 0x13),
        ("00 12 10", 0x13),
        ("00 11 10 01 00", 0x31),
        ("00 12 10 00", 0x13),
        ("00 12 10 00 01 00", 0x13),
        ("01 12 10 00 01", 0x31),
        ("20 12 10 00 01", 0x31),
        ("11 12 10 00 01", 0x31),
        ("00 12 10 00 00", 0x31),
        ("00 12 10 FF 02", 0x31),
        ("00 12 0F FF 01", 0x31),
        ("00 44 FF FF FF FF FF FF FF FF", 0x31),
        ("00 12 11 00 01", 0x31),
    ],
)
def test_a_transfer_is_refused_in_order(sid: int, rest: str, nrc: int) -> None:
    assert unit().extended().ask(f"{sid:02X} {rest}") == refused(sid, nrc)


@pytest.mark.parametrize(
    "request_", ["34", DOWNLOAD.format(1), UPLOAD.format(1), "36 01 00", "36", "37", "38 05 00 01 2F"]
)
def test_the_default_session_has_no_transfers(request_: str) -> None:
    assert unit().ask(request_) == refused(int(request_[:2], 16), 0x7F)


@pytest.mark.parametrize("request_", ["36 01", "36 01 00", "37", "37 00 00 00 00"])
def test_without_a_request_there_is_nothing_to_transfer(request_: str) -> None:
    assert unit().extended().ask(request_) == refused(int(request_[:2], 16), 0x24)


@pytest.mark.parametrize("second", [DOWNLOAD.format(1), UPLOAD.format(1), "38 05 00 01 2F", "38 02 00 01 2F"])
@pytest.mark.parametrize(
    "first", [DOWNLOAD.format(4), UPLOAD.format(4), "38 04 00 0E" + b"/log/trace.txt".hex() + "00"]
)
def test_a_second_transfer_is_refused_while_one_runs(first: str, second: str) -> None:
    ecu = unit().extended()
    assert not ecu.ask(first).startswith("7F")
    assert ecu.ask(second) == refused(int(second[:2], 16), 0x22)


def test_a_profile_may_refuse_it_in_another_word() -> None:
    profile = changed(TEXT, "max_block_length: 130", "max_block_length: 130\n  busy_nrc: uploadDownloadNotAccepted")
    assert begun(DOWNLOAD.format(4), unit(profile).extended()).ask(DOWNLOAD.format(4)) == refused(0x34, 0x70)


def test_a_profile_may_let_a_new_request_take_the_place_of_the_old_transfer() -> None:
    profile = changed(TEXT, "max_block_length: 130", "max_block_length: 130\n  during_transfer: restart")
    ecu = begun(DOWNLOAD.format(8), unit(profile).extended())
    ecu.ask(block(1, b"1234"))
    assert ecu.ask("34 00 12 10 10 04").startswith("74")
    assert ecu.ask(block(2, b"5678")) == refused(0x36, 0x73), "it counts from 1 again"
    assert ecu.ask(block(1, b"5678")) == "76 01"
    assert ecu.ask("23 12 10 10 04") == "63 35 36 37 38"
    ecu.ask("37")
    add = "38 01 00 06 2F 6C 6F 67 2F 61 00 01 04 04"
    assert ecu.ask(add).startswith("78 01")
    assert ecu.ask("38 02 00 0E" + b"/log/trace.txt".hex()) == "78 02"
    assert ecu.ask(block(1, b"5678")) == refused(0x36, 0x24), "a deletion ends it too"


def test_a_refused_request_does_not_end_a_transfer() -> None:
    ecu = begun(DOWNLOAD.format(8))
    ecu.ask(block(1, b"1234"))
    for request in ("34", DOWNLOAD.format(8), "36", "36 01", "37", "10 44", "99"):
        assert ecu.ask(request).startswith("7F")
    assert ecu.ask(block(2, b"5678")) == "76 02"
    assert ecu.ask("37").startswith("77")


def test_the_counter_starts_at_1_and_wraps_from_ff_to_00() -> None:
    ecu = unit(changed(TEXT, "max_block_length: 130", "max_block_length: 3")).extended()
    begun("34 00 24 00 00 30 00 02 10", ecu)
    assert ecu.ask_and_wait("36 00 00", 0) == [refused(0x36, 0x73)], "not even a repetition"
    for counter in range(1, 0x211):
        assert (
            ecu.ask_and_wait(bytes((0x36, counter & 0xFF, counter & 0xFF)).hex(" "), S)[-1]
            == f"76 {counter & 0xFF:02X}"
        )
    assert ecu.ask("37").startswith("77")


def test_a_wrong_counter_is_refused_and_the_right_one_goes_on() -> None:
    ecu = begun(DOWNLOAD.format(12))
    assert ecu.ask(block(2, b"abcd")) == refused(0x36, 0x73)
    assert ecu.ask(block(1, b"abcd")) == "76 01"
    for counter in (0, 3, 0xFF):
        assert ecu.ask(block(counter, b"efgh")) == refused(0x36, 0x73)
    assert ecu.ask(block(2, b"efgh")) == "76 02"


def test_a_repetition_of_the_last_block_is_answered_and_not_written_again() -> None:
    ecu = begun(DOWNLOAD.format(8))
    ecu.ask(block(1, b"abcd"))
    assert ecu.ask(block(1, b"XXXX")) == "76 01"
    assert ecu.ask(block(2, b"efgh")) == "76 02"
    assert ecu.ask(block(2, b"YYYY")) == "76 02", "even when all has come"
    assert ecu.ask("23 12 10 00 08") == "63 " + b"abcdefgh".hex(" ").upper()
    assert ecu.ask("37").endswith(zlib.crc32(b"abcdefgh").to_bytes(4, "big").hex(" ").upper())


def test_blocks_are_neither_empty_nor_longer_than_announced() -> None:
    ecu = begun(DOWNLOAD.format(200))
    assert ecu.ask("36 01") == refused(0x36, 0x13)
    assert ecu.ask(block(1, bytes(129))) == refused(0x36, 0x13)
    assert ecu.ask(block(1, bytes(128))) == "76 01"
    upload = begun(UPLOAD.format(8))
    assert upload.ask("36 01 00") == refused(0x36, 0x13)


def test_more_data_than_announced_breaks_the_transfer_off() -> None:
    ecu = begun(DOWNLOAD.format(6))
    ecu.ask(block(1, b"abcd"))
    assert ecu.ask(block(2, b"efg")) == refused(0x36, 0x71)
    assert ecu.ask("23 12 10 04 02") == "63 00 00"
    assert ecu.ask(block(2, b"ef")) == refused(0x36, 0x24)


def test_after_all_data_no_more_is_taken() -> None:
    ecu = begun(DOWNLOAD.format(4))
    ecu.ask(block(1, b"abcd"))
    assert ecu.ask(block(2, b"e")) == refused(0x36, 0x24)
    assert ecu.ask("37").startswith("77")


def test_an_end_that_comes_too_early_is_out_of_sequence_and_ends_nothing() -> None:
    ecu = begun(DOWNLOAD.format(8))
    assert ecu.ask("37") == refused(0x37, 0x24)
    ecu.ask(block(1, b"abcd"))
    assert ecu.ask("37") == refused(0x37, 0x24)
    ecu.ask(block(2, b"efgh"))
    assert ecu.ask("37 00") == refused(0x37, 0x13)
    assert ecu.ask("37").startswith("77")
    assert ecu.ask("37") == refused(0x37, 0x24)


def test_a_profile_may_want_the_checksum_of_the_tester() -> None:
    profile = changed(TEXT, "exit_answer: crc-32", "exit_request: crc-32")
    ecu = begun(DOWNLOAD.format(4), unit(profile).extended())
    ecu.ask(block(1, b"abcd"))
    assert ecu.ask("37") == refused(0x37, 0x13)
    assert ecu.ask("37 00 00 00 00") == refused(0x37, 0x31)
    assert ecu.ask(b"\x37" + zlib.crc32(b"abcd").to_bytes(4, "big")) == "77"


@pytest.mark.parametrize("way", ["10 01", "10 03", "10 02 in vain", "11 01", "S3", "supply", "terminal 15", "sleep"])
def test_a_transfer_ends_with_its_session(way: str) -> None:
    ecu = begun(DOWNLOAD.format(8))
    ecu.ask(block(1, b"abcd"))
    match way:
        case "S3":
            ecu.run_for(5 * S)
        case "supply":
            ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
            ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
        case "terminal 15":
            ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
        case "sleep":
            ecu.server.power(PowerEvent.SLEEP, ecu.now_ns)
            ecu.server.power(PowerEvent.WAKE, ecu.now_ns)
        case "10 02 in vain":
            assert ecu.ask("10 02") == refused(0x10, 0x22)
            assert ecu.ask(block(2, b"efgh")) == "76 02", "a refused change of the session is none"
            return
        case _:
            ecu.ask(way)
    ecu.run_for(S)
    ecu.extended()
    assert ecu.ask(block(2, b"efgh")) == refused(0x36, 0x24)
    assert ecu.ask(DOWNLOAD.format(8)).startswith("74"), "and a new one begins"


def test_the_unit_logs_what_was_broken_off() -> None:
    ecu = begun(DOWNLOAD.format(8))
    ecu.ask(block(1, b"abcd"))
    ecu.ask("10 01")
    assert any("broken off after 4 of 8 bytes: session change" in record.text for record in ecu.server.log)


def test_tester_present_keeps_a_slow_transfer_alive() -> None:
    ecu = begun(DOWNLOAD.format(8))
    ecu.ask(block(1, b"abcd"))
    for _ in range(5):
        ecu.run_for(3 * S)
        ecu.ask("3E 80")
    assert ecu.ask(block(2, b"efgh")) == "76 02"


def test_slow_memory_is_programmed_when_the_time_is_over() -> None:
    ecu = begun("34 00 24 00 00 30 00 00 80")
    assert ecu.ask(block(1, b"z" * 128)) == ""
    assert ecu.ask("23 12 30 00 01") == refused(0x23, 0x21)
    assert [answer for _, answer in ecu.run_for(S)] == [refused(0x36, 0x78), "76 01"]
    assert ecu.now_ns >= 125 * MS
    assert ecu.ask("23 12 30 7F 01") == "63 7A"


@pytest.mark.parametrize("packed_at_once", [True, False])
def test_compressed_data_is_unpacked_on_its_way(packed_at_once: bool) -> None:
    ecu = begun("34 10 12 10 00 FF")
    data = bytes(at % 5 for at in range(255))
    packed = zlib.compress(data)
    parts = [packed] if packed_at_once else [packed[at : at + 1] for at in range(len(packed))]
    for counter, part in enumerate(parts, start=1):
        assert ecu.ask(block(counter, part)) == f"76 {counter:02X}"
    assert ecu.ask("37").startswith("77")
    assert ecu.ask("23 12 10 00 FF") == "63 " + data.hex(" ").upper()


def test_an_upload_may_be_compressed() -> None:
    ecu = begun("35 10 12 10 00 FF")
    answer = bytes.fromhex(ecu.ask("36 01"))
    assert zlib.decompress(answer[2:]) == bytes(255)
    assert ecu.ask("37").startswith("77")


def test_data_that_does_not_unpack_is_refused_and_the_block_may_come_again() -> None:
    ecu = begun("34 10 12 10 00 04")
    assert ecu.ask(block(1, b"no zlib at all")) == refused(0x36, 0x31)
    packed = zlib.compress(b"abcd")
    assert ecu.ask(block(1, packed + b"rest")) == refused(0x36, 0x31)
    assert ecu.ask(block(1, packed[:-1])) == "76 01"
    assert ecu.ask("37") == refused(0x37, 0x24), "all bytes are there, and the stream has no end"
    assert ecu.ask(block(2, packed[-1:])) == "76 02"
    assert ecu.ask(block(3, b"\x00")) == refused(0x36, 0x24)
    assert ecu.ask("37").startswith("77")


def test_a_stream_that_goes_on_after_its_end_is_refused() -> None:
    ecu = begun("34 10 12 10 00 08")
    packed = zlib.compress(b"abcd")
    assert ecu.ask(block(1, packed)) == "76 01"
    assert ecu.ask(block(2, packed)) == refused(0x36, 0x31)


def test_a_bomb_is_not_unpacked() -> None:
    ecu = begun("34 10 12 10 00 10")
    assert ecu.ask(block(1, zlib.compress(bytes(10_000)))) == refused(0x36, 0x71)


def test_blocks_keep_the_alignment_of_the_memory() -> None:
    ecu = unit()
    Programmer(ecu).run(3)
    assert Programmer(ecu).ask(block(1, bytes(12))) == refused(0x36, 0x31)
    assert Programmer(ecu).ask(block(1, bytes(16))) == "76 01"


LOCKED = changed(
    TEXT, "download: {sessions: [2, 3]}, upload: }", "download: {scope: parametrisation}, upload: {scope: coding}}"
)


def test_a_grant_that_ends_stops_a_transfer_at_the_next_block() -> None:
    ecu = unit(LOCKED, locked=True).extended()
    assert ecu.ask(DOWNLOAD.format(8)) == refused(0x34, 0x33)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.PARAMETRISATION
    assert ecu.ask(UPLOAD.format(8)) == refused(0x35, 0x33), "a grant for something else"
    assert ecu.ask(DOWNLOAD.format(8)).startswith("74")
    assert ecu.ask(block(1, b"abcd")) == "76 01"
    ecu.gate.opened = Scope(0)
    assert ecu.ask(block(2, b"efgh")) == refused(0x36, 0x33)
    assert ecu.ask("37") == refused(0x37, 0x24)
    ecu.gate.opened = Scope.PARAMETRISATION
    assert ecu.ask(block(2, b"efgh")) == "76 02"
    ecu.gate.opened = Scope(0)
    assert ecu.ask("37") == refused(0x37, 0x33)


def test_the_security_level_is_asked_at_each_block_too() -> None:
    ecu = unit()
    programmer = Programmer(ecu)
    programmer.run(3)
    ecu.server.state.open_level = None
    assert programmer.ask(block(1, bytes(128))) == refused(0x36, 0x33)


@pytest.mark.parametrize(("request_", "silent"), [("34 00 12 12 00 01", True), ("36 01 00", False), ("34", False)])
def test_to_everybody_a_unit_does_not_say_that_it_has_no_such_memory(request_: str, silent: bool) -> None:
    assert (unit().extended().ask(request_, functional=True) == "") is silent
