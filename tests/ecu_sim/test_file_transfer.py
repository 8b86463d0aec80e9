"""RequestFileTransfer 0x38: every mode, the way back after a break, and that no path leads out."""

import zlib

import pytest
from ecu_bench import Ecu, S, refused
from storage_unit import TEXT, changed, unit

from ecu_sim.vehicle_state import PowerEvent

ADD, DELETE, REPLACE, READ, LIST, RESUME = range(1, 7)
TRACE = "/log/trace.txt"


def asked(
    mode: int, path: str, *, size: int | None = None, packed: int | None = None, width: int = 2, form: int = 0
) -> bytes:
    """Return a request; sizes only where the mode has them."""
    raw = path.encode("latin-1")
    request = bytes((0x38, mode)) + len(raw).to_bytes(2, "big") + raw
    if mode not in (DELETE, LIST):
        request += bytes((form,))
    if size is not None:
        sizes = (size, size if packed is None else packed)
        request += bytes((width,)) + b"".join(number.to_bytes(width, "big") for number in sizes)
    return request


def extended() -> Ecu:
    return unit().extended()


def fetched(ecu: Ecu, count: int = 200) -> bytes:
    """Return what an accepted upload brings."""
    data, counter = b"", 1
    while len(data) < count:
        answer = bytes.fromhex(ecu.ask(bytes((0x36, counter))))
        assert answer[:1] == b"\x76", answer.hex(" ")
        data += answer[2:]
        counter = (counter + 1) & 0xFF
    assert ecu.ask("37").startswith("77")
    return data


def read(ecu: Ecu, path: str) -> bytes:
    answer = bytes.fromhex(ecu.ask(asked(READ, path)))
    assert answer[:2] == bytes((0x78, READ)), answer.hex(" ")
    return fetched(ecu, int.from_bytes(answer[-answer[6] :], "big"))


def listed(ecu: Ecu, path: str) -> str:
    answer = bytes.fromhex(ecu.ask(asked(LIST, path)))
    assert answer[:2] == bytes((0x78, LIST)), answer.hex(" ")
    return fetched(ecu, int.from_bytes(answer[-answer[6] :], "big")).decode()


def bring(ecu: Ecu, data: bytes, *, end: bool = True) -> None:
    for counter, at in enumerate(range(0, len(data), 128), start=1):
        assert ecu.ask(bytes((0x36, counter)) + data[at : at + 128]) == f"76 {counter:02X}"
    if end:
        assert ecu.ask("37").startswith("77")


def test_a_file_is_read_with_its_size() -> None:
    ecu = extended()
    assert ecu.ask(asked(READ, TRACE)) == "78 04 01 82 00 00 01 0E 0E"
    assert fetched(ecu, 14) == b"engine started"


def test_a_directory_is_listed_with_what_is_in_it() -> None:
    ecu = extended()
    assert ecu.ask(asked(LIST, "/log")) == "78 05 01 82 00 00 01 0D"
    assert fetched(ecu, 13) == b"trace.txt 14\n"
    assert listed(ecu, "/") == "log/\nsealed/\nsecret/\n"


def test_a_file_is_added_and_is_there_when_it_is_whole() -> None:
    ecu = extended()
    assert ecu.ask(asked(ADD, "/log/new.bin", size=300)) == "78 01 01 82 00"
    bring(ecu, bytes(300), end=False)
    assert ecu.ask(asked(READ, "/log/new.bin")) == refused(0x38, 0x22)
    assert ecu.ask("37").startswith("77")
    assert read(ecu, "/log/new.bin") == bytes(300)
    assert listed(ecu, "/log") == "new.bin 300\ntrace.txt 14\n"


def test_a_file_is_replaced_when_its_successor_is_whole() -> None:
    ecu = extended()
    assert ecu.ask(asked(REPLACE, TRACE, size=3)) == "78 03 01 82 00"
    ecu.ask(b"\x36\x01ab")
    ecu.extended()
    assert read(ecu, TRACE) == b"engine started", "half of it replaces nothing"
    ecu.ask(asked(REPLACE, TRACE, size=3))
    bring(ecu, b"abc")
    assert read(ecu, TRACE) == b"abc"


def test_a_file_is_deleted() -> None:
    ecu = extended()
    assert ecu.ask(asked(DELETE, TRACE)) == "78 02"
    assert ecu.ask(asked(READ, TRACE)) == refused(0x38, 0x31)
    assert ecu.ask(asked(DELETE, TRACE)) == refused(0x38, 0x31)
    assert listed(ecu, "/log") == ""


def test_an_empty_file_needs_no_data() -> None:
    ecu = extended()
    ecu.ask(asked(ADD, "/log/empty", size=0))
    assert ecu.ask("36 01 00") == refused(0x36, 0x24)
    assert ecu.ask("37").startswith("77")
    assert ecu.ask(asked(READ, "/log/empty")) == "78 04 01 82 00 00 01 00 00"


def test_files_outlive_the_supply() -> None:
    ecu = extended()
    ecu.ask(asked(ADD, "/log/a", size=2))
    bring(ecu, b"ab")
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(S)
    assert read(ecu.extended(), "/log/a") == b"ab"


@pytest.mark.parametrize("blocks", [0, 1, 2])
@pytest.mark.parametrize("way", ["session", "S3", "reset", "supply"])
def test_a_file_that_was_broken_off_goes_on_where_it_ended(way: str, blocks: int) -> None:
    ecu, data = extended(), bytes(range(250))
    ecu.ask(asked(ADD, "/log/big", size=250))
    for counter in range(1, blocks + 1):
        assert ecu.ask(bytes((0x36, counter)) + data[100 * (counter - 1) : 100 * counter]) == f"76 {counter:02X}"
    match way:
        case "session":
            ecu.ask("10 01")
        case "S3":
            ecu.run_for(5 * S)
        case "reset":
            ecu.ask("11 01")
        case _:
            ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
            ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(S)
    ecu.extended()
    assert ecu.ask(asked(READ, "/log/big")) == refused(0x38, 0x31)
    position = 100 * blocks
    assert ecu.ask(asked(RESUME, "/log/big", size=250)) == f"78 06 01 82 00 00 00 00 00 00 00 00 {position:02X}"
    bring(ecu, data[position:])
    assert read(ecu, "/log/big") == data


@pytest.mark.parametrize(
    "request_",
    [
        asked(RESUME, "/log/other", size=10),
        asked(RESUME, "/log/part", size=11),
        asked(RESUME, "/log/part", size=10, packed=9, form=0x10),
        asked(RESUME, TRACE, size=14),
    ],
)
def test_only_what_was_announced_so_can_be_resumed(request_: bytes) -> None:
    ecu = extended()
    ecu.ask(asked(ADD, "/log/part", size=10))
    ecu.ask(b"\x36\x01abc")
    assert ecu.extended().ask(request_) == refused(0x38, 0x70)


def test_a_file_that_is_added_anew_begins_anew() -> None:
    ecu = extended()
    ecu.ask(asked(ADD, "/log/part", size=10))
    ecu.ask(b"\x36\x01abc")
    ecu.extended().ask(asked(ADD, "/log/part", size=3))
    bring(ecu, b"xyz")
    assert read(ecu, "/log/part") == b"xyz"


def test_the_first_edition_knows_no_resuming() -> None:
    ecu = unit(edition=2013).extended()
    assert ecu.ask(asked(RESUME, "/log/part", size=10)) == refused(0x38, 0x31)


def test_files_may_come_and_go_compressed() -> None:
    ecu, data = extended(), b"abc" * 100
    packed = zlib.compress(data)
    assert ecu.ask(asked(ADD, "/log/z", size=300, packed=len(packed), form=0x10)) == "78 01 01 82 10"
    bring(ecu, packed)
    answer = ecu.ask(asked(READ, "/log/z", form=0x10))
    assert answer == f"78 04 01 82 10 00 02 01 2C 00 {len(packed):02X}"
    assert zlib.decompress(fetched(ecu, len(packed))) == data


def test_a_file_that_is_longer_than_announced_is_broken_off() -> None:
    ecu, packed = extended(), zlib.compress(b"abc" * 100)
    ecu.ask(asked(ADD, "/log/z", size=300, packed=4, form=0x10))
    assert ecu.ask(b"\x36\x01" + packed) == refused(0x36, 0x71)
    assert ecu.ask("37") == refused(0x37, 0x24)


LEADING_OUT = [
    "log/a",
    "/log/../secret/key",
    "/log/..",
    "/log/.",
    "/./log/a",
    "/log//a",
    "/log/",
    "//",
    "/log/.hidden",
    "/log\\a",
    "/log/a:b",
    "/log/a b",
    "/log/a*",
    "/log/\x00",
    "/log/a\x00.txt",
    "/log/a\n",
    "/log/\xe9",
    "C:/log/a",
    "/log/" + "a" * 36,
]


@pytest.mark.parametrize("path", LEADING_OUT)
@pytest.mark.parametrize("mode", [ADD, DELETE, REPLACE, READ, LIST, RESUME])
def test_no_path_leads_out(mode: int, path: str) -> None:
    size = 1 if mode in (ADD, REPLACE, RESUME) else None
    assert extended().ask(asked(mode, path, size=size)) == refused(0x38, 0x31)


def test_the_longest_path_is_fine() -> None:
    assert extended().ask(asked(ADD, "/log/" + "a" * 35, size=1)).startswith("78 01")


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("38", 0x13),
        ("38 04 00 01", 0x13),
        ("38 00 00 01 2F 00", 0x31),
        ("38 07 00 01 2F 00", 0x31),
        ("38 FF 00 01 2F 00", 0x31),
        ("38 04 00 00 00", 0x31),
        ("38 04 00 05 2F 6C 6F 67", 0x13),
        ("38 04 FF FF 2F 6C 6F 67", 0x13),
        ("38 04 00 04 2F 6C 6F 67", 0x13),
        ("38 04 00 04 2F 6C 6F 67 00 00", 0x13),
        ("38 05 00 04 2F 6C 6F 67 00", 0x13),
        ("38 01 00 06 2F 6C 6F 67 2F 61", 0x13),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00", 0x13),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00 01 01", 0x13),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00 01 01 01 01", 0x13),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00 00", 0x31),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00 09" + " 00" * 18, 0x31),
        ("38 01 00 06 2F 6C 6F 67 2F 61 00 01 01 02", 0x31),
        ("38 01 00 06 2F 6C 6F 67 2F 61 10 01 01 00", 0x31),
        ("38 01 00 06 2F 6C 6F 67 2F 61 20 01 01 01", 0x31),
        ("38 01 00 06 2F 6C 6F 67 2F 61 01 01 01 01", 0x31),
        (asked(ADD, "/nowhere/a", size=1).hex(), 0x31),
        (asked(ADD, "/log", size=1).hex(), 0x31),
        (asked(DELETE, "/log").hex(), 0x31),
        (asked(LIST, TRACE).hex(), 0x31),
        (asked(LIST, "/nowhere").hex(), 0x31),
        (asked(READ, "/log/none").hex(), 0x31),
        (asked(REPLACE, "/log/none", size=1).hex(), 0x31),
        (asked(ADD, "/a", size=1).hex(), 0x31),
        (asked(READ, "/sealed/a").hex(), 0x31),
        (asked(LIST, "/sealed").hex(), 0x31),
        (asked(READ, "/secret/key").hex(), 0x33),
        (asked(READ, "/secret/none").hex(), 0x31),
        (asked(LIST, "/secret").hex(), 0x33),
        (asked(DELETE, "/secret/key").hex(), 0x33),
        (asked(ADD, TRACE, size=1).hex(), 0x70),
        (asked(ADD, "/log/a", size=985).hex(), 0x70),
        (asked(REPLACE, TRACE, size=985).hex(), 0x70),
        (asked(ADD, "/log/a", size=(1 << 64) - 1, width=8).hex(), 0x70),
    ],
)
def test_a_file_request_is_refused_in_order(request_: str, nrc: int) -> None:
    assert extended().ask(request_) == refused(0x38, nrc)


def test_what_was_announced_takes_its_room_at_once() -> None:
    ecu = extended()
    assert ecu.ask(asked(ADD, "/log/a", size=984)).startswith("78")
    ecu.extended()
    assert ecu.ask(asked(ADD, "/log/b", size=1)) == refused(0x38, 0x70), "the part of the other keeps it"
    assert ecu.ask(asked(ADD, "/log/a", size=984)).startswith("78"), "its own part gives way"


def test_a_unit_holds_only_so_many_files() -> None:
    ecu = extended()
    for name in "abcd":
        ecu.ask(asked(ADD, f"/log/{name}", size=1))
        bring(ecu, b"x")
    assert ecu.ask(asked(ADD, "/log/e", size=1)) == refused(0x38, 0x70)
    ecu.ask(asked(DELETE, "/log/a"))
    assert ecu.ask(asked(ADD, "/log/e", size=1)).startswith("78 01")


def test_a_directory_is_written_in_its_sessions_alone() -> None:
    profile = changed(TEXT, "/log: {read: , write: {sessions: [3]}}", "/log: {read: , write: {sessions: [2]}}")
    assert unit(profile).extended().ask(asked(DELETE, TRACE)) == refused(0x38, 0x31)


def test_a_level_that_closes_stops_a_file_on_its_way() -> None:
    ecu = extended()
    ecu.open_level(0x11)
    assert ecu.ask(asked(READ, "/secret/key")).startswith("78 04")
    ecu.server.state.open_level = None
    assert ecu.ask("36 01") == refused(0x36, 0x33)


def test_a_unit_without_files_knows_no_path() -> None:
    profile = changed(TEXT, TEXT[TEXT.index("files:") : TEXT.index("flash:")], "")
    assert unit(profile).extended().ask(asked(LIST, "/")) == refused(0x38, 0x31)
