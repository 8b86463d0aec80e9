"""Traces of any origin read back, or refused in words: never a traceback, never a frame that was not there."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from can import Message
from can.io import BLFWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_records import EPOCH_UTC_S, SHAPED, expected, many, until_refused, write

from wire.errors import ConfigError
from wire.frame import EXTENDED, Frame, checked
from wire.trace_files import FORMATS
from wire.trace_read import read_trace
from wire.trace_read_blocks import BLOCK_MAX_BYTES
from wire.trace_read_text import LINE_MAX_BYTES

EPOCH_NS = EPOCH_UTC_S * 10**9
RECORDS = [*SHAPED, *many(30)]


@pytest.fixture(params=list(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    return request.param


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str, bytes | str], list]:
    """Return what is in a file of this suffix and content."""

    def reading(suffix: str, content: bytes | str) -> list:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read_trace(path))

    return reading


Reading = Callable[[str, "bytes | str"], list]


# ---- what is cut off or broken


def test_a_file_cut_anywhere_gives_the_frames_before_the_cut_and_no_other(name: str, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", name, RECORDS)
    content, wanted = whole.read_bytes(), expected(name, RECORDS)
    path = tmp_path / f"cut{whole.suffix}"
    quiet = 0
    for size in range(len(content)):
        path.write_bytes(content[:size])
        got, refused = until_refused(path)
        quiet += refused is None
        assert got == wanted[: len(got)]
    ends = {"candump": len(RECORDS), "pcapng": len(RECORDS) + 3, "blf": 0}
    if name in ends:  # an ASC may end after any line, and anywhere in the lines that carry no frame
        assert quiet == ends[name]


@settings(max_examples=300)
@given(st.sampled_from(list(FORMATS)), st.binary(max_size=400), st.booleans())
def test_random_bytes_are_a_config_error_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes, with_head: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"random{FORMATS[name].suffix}"
    head = write(path, name, SHAPED[:2]).read_bytes() if with_head else b""
    path.write_bytes(head + content)
    _reads_or_refuses(path)


@pytest.mark.parametrize("seed", range(8))
def test_changed_bytes_are_a_config_error_or_other_frames_that_can_stand_on_a_bus(
    name: str, seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    content = write(tmp_path / "whole", name, RECORDS).read_bytes()
    path = tmp_path / f"changed{FORMATS[name].suffix}"
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(changed))
            changed[at] = rng.choice((0, 0xFF, rng.randrange(256), changed[at] ^ 1 << rng.randrange(8)))
        path.write_bytes(changed)
        _reads_or_refuses(path)


def _reads_or_refuses(path: Path) -> None:
    got, refused = until_refused(path)
    for when_ns, bus, frame in got:
        assert isinstance(when_ns, int)
        assert bus
        assert checked(frame) is frame
    assert refused is None or str(refused).startswith(str(path))


# ---- files by name


@pytest.mark.parametrize("suffix", [".trc", ".pcap", ""])
def test_a_suffix_that_is_no_formats_is_refused_at_once(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no trace format has this suffix; there are: \.log, \.asc, \.blf, \.pcapng"):
        read_trace(tmp_path / f"x{suffix}")


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    path = write(tmp_path / "x", "asc", SHAPED).rename(tmp_path / "X.ASC")
    assert len(list(read_trace(path))) == len(SHAPED)


def test_a_file_that_is_not_there_or_a_folder_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{FORMATS[name].suffix}"
    with pytest.raises(ConfigError, match=r"x\.\w+: cannot be read: No such file"):
        next(read_trace(path))
    path.mkdir()
    with pytest.raises(ConfigError, match=r"x\.\w+: cannot be read: Is a directory"):
        next(read_trace(path))


def test_a_file_is_read_frame_by_frame_and_closed_when_nobody_wants_more(name: str, tmp_path: Path) -> None:
    frames = read_trace(write(tmp_path / "x", name, RECORDS))
    assert next(frames) == expected(name, RECORDS)[0]
    frames.close()  # an open file would be a warning, and that an error


# ---- candump


def test_lines_of_other_candumps_are_read(read: Reading) -> None:
    text = (
        "(1436509052.249713) vcan0 044#2A366C2BBA\n"
        "\n"
        "(0000000001.5) can0 123#0102 R\n"
        "(2.000000001)  can0  00000012##5AABB T\r\n"  # newer ones mark FD in the flags: 4; BRS is 1
        "(3.000000) can0 123#1122334455667788_E\n"  # a classic frame of DLC 14
        "(4.000000) can0 123#R\n(5.000000) can0 123#R8\n(6.000000) can0 20000080#0000000000000000\n"
    )
    assert read(".log", text) == [
        (1_436_509_052_249_713_000, "vcan0", Frame(0x44, bytes.fromhex("2A366C2BBA"))),
        (1_500_000_000, "can0", Frame(0x123, b"\x01\x02")),
        (2_000_000_001, "can0", Frame(EXTENDED | 0x12, b"\xaa\xbb", fd=True, brs=True)),
        (3_000_000_000, "can0", Frame(0x123, bytes.fromhex("1122334455667788"))),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hello\n", "no frame as candump writes it"),
        ("(1.0) can0 123#1\n", "no frame as candump writes it"),
        ("(1.0) can0 1234#11\n", "no frame as candump writes it"),
        ("(1.0) can0 123#11 R T\n", "no frame as candump writes it"),
        ("(1.0) can0 123#112233445566778899\n", "a classic CAN frame carries at most 8 bytes, not 9"),
        ("(1.0) can0 123##0" + 9 * "11" + "\n", "a CAN FD frame cannot carry 9 bytes"),
        ("(1.0) can0 800#11\n", "does not fit its 11 bits"),
        ("(1.0) can0 FFFFFFFF#11\n", "does not fit 29 bits"),
        ("(1.0) can0 123#11", "the last line is cut off; if it is not, end it with a line break"),
        ("(999999999999.0) can0 123#11\n", "no frame as candump writes it"),
        ("x" * (LINE_MAX_BYTES + 1), f"a line of more than {LINE_MAX_BYTES} bytes"),
    ],
)
def test_a_wrong_line_of_a_log_is_named(read: Reading, line: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(".log", "(0.5) can0 001#\n" + line)
    assert says in str(refused.value)
    assert refused.value.line == 2


# ---- ASC

ASC = "date Thu Jan 01 12:00:00.000 am 2026\nbase hex  timestamps absolute\n"


def test_an_asc_as_others_write_it_is_read_and_what_is_no_frame_passed_over(read: Reading) -> None:
    text = (
        "date Don Mai 15 14:30:00.250 2025\n"
        "// version 9.0.0\n"
        "base hex  timestamps absolute\n"
        "internal events logged\n"
        "Begin Triggerblock Don Mai 15 14:30:00.250 2025\n"
        "   0.000000 Start of measurement\n"
        "   0.010000 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.00%\n"
        "   0.015991 CAN 1 Status:chip status error active\n"
        "   0.020000 1  123             Tx   d 8 01 02 03 04 05 06 07 08  Length = 240000 BitCount = 124 ID = 291\n"
        "   0.030000 2  18DA10F1x       Rx   d F 11 22 33 44 55 66 77 88\n"
        "   0.040000 1  123             TxRq d 2 01 02\n"
        "   0.050000 1  123             Rx   r 8\n"
        "   0.060000 1  ErrorFrame\n"
        "   0.070000 CANFD   1 Rx        124  GatewayInfo                     1 0 9 12 00 01 02 03 04 05 06 07 08 09 0a 0b "
        "  130000  130   303000 0 0 0 0 0\n"
        "   0.080000 CANFD   2 Tx    1FFFFFFFx                                 0 0 0  0   0 0 1000 0 0 0 0 0\n"
        "   0.090000 CANFD   1 Rx   ErrorFrame                                  0 0 0\n"
        "   0.100000 L1 12 Rx 2 00 00\n"
        "End TriggerBlock\n"
    )
    begins_ns = 1_747_319_400_250_000_000
    assert read(".asc", text) == [
        (begins_ns + 20_000_000, "1", Frame(0x123, bytes(range(1, 9)))),
        (begins_ns + 30_000_000, "2", Frame(EXTENDED | 0x18DA10F1, bytes.fromhex("1122334455667788"))),
        (begins_ns + 70_000_000, "1", Frame(0x124, bytes(range(12)), fd=True, brs=True)),
        (begins_ns + 80_000_000, "2", Frame(EXTENDED | 0x1FFFFFFF, b"", fd=True)),
    ]


def test_decimal_numbers_are_read_as_such(read: Reading) -> None:
    text = ASC.replace("hex", "dec") + "0.5 1 291 Rx d 3 1 16 255\n"
    assert read(".asc", text) == [(EPOCH_NS + 500_000_000, "1", Frame(0x123, b"\x01\x10\xff"))]


@pytest.mark.parametrize(
    "date", ["date jeu. janv. 1 2026", "date Thu Jan 32 12:00:00 2026", "date Xyz Abc 01 12:00:00 2026"]
)
def test_a_date_that_nobody_understands_costs_the_date_and_no_frame(read: Reading, date: str) -> None:
    assert read(".asc", f"{date}\nbase hex\n1.0 1 123 Rx d 0\n") == [(10**9, "1", Frame(0x123, b""))]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "no ASC file: it begins with a line 'date ...'"),
        ("0.5 1 123 Rx d 0\n", 1, "no ASC file"),
        ("date x\n0.5 1 123 Rx d 0\n", 2, "no ASC file"),
        (
            ASC.replace("absolute", "relative"),
            2,
            "times are relative to the line before; save the file with absolute times",
        ),
        (ASC + "0.5 1 123 Rx d 2 01\n", 3, "a frame is cut off: 1 bytes of 2"),
        (ASC + "0.5 1 123 Rx d 2 01 2", 3, "a data byte is wrong or cut off: '01 2'"),
        (ASC + "0.5 1 123 Rx d 2 01 0g\n", 3, "'0g' is no data byte"),
        (ASC + "0.5 1 123 Rx d 1 100\n", 3, "a data byte is wrong or cut off: '100'"),
        (ASC.replace("hex", "dec") + "0.5 1 123 Rx d 1 256\n", 3, "a data byte is wrong or cut off: '256'"),
        (ASC + "0.5 1 123 Rx d\n", 3, "a frame is cut off: expected 'channel id Rx d length data'"),
        (ASC + "0.5 1 123 Rx\n", 3, "a frame is cut off"),
        (ASC + "0.5 1 Name Rx d 0\n", 3, "'Name' is no identifier"),
        (ASC + "0.5 1 800 Rx d 0\n", 3, "does not fit its 11 bits"),
        (ASC + "0.5 1 123 Rx d zz\n", 3, "'zz' is no length"),
        (ASC + "0.5 CANFD x Rx 123 0 0 0 0\n", 3, "'x' is no channel"),
        (
            ASC + "0.5 CANFD 1 Rx 123 0 0 0\n",
            3,
            "a frame is cut off: expected 'CANFD channel Rx id brs esi dlc length data'",
        ),
        (ASC + "0.5 CANFD 1 Rx 123 0 0 9 9 1 2 3 4 5 6 7 8 9\n", 3, "a data byte is wrong or cut off"),
        (ASC + "0.5 CANFD 1 Rx 123 0 0 9 9" + " 11" * 9 + "\n", 3, "a CAN FD frame cannot carry 9 bytes"),
        (ASC + "0.5 1 12", 3, "the last line is cut off"),
        (ASC + "0.5 1 " + "1" * LINE_MAX_BYTES, 3, f"a line of more than {LINE_MAX_BYTES} bytes"),
    ],
)
def test_a_wrong_line_of_an_asc_is_named(read: Reading, text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(".asc", text)
    assert says in str(refused.value)
    assert refused.value.line == line


# ---- BLF


def blf(*objects: bytes, method: int = 0, size: int | None = None) -> bytes:
    """Return a file of one container that holds these objects."""
    content = b"".join(objects)
    packed = zlib.compress(content) if method == 2 else content
    body = struct.pack("<H6xI4x", method, len(content) if size is None else size) + packed
    container = struct.pack("<4sHHII", b"LOBJ", 16, 1, 16 + len(body), 10) + body
    return BLF_HEAD + container + bytes(len(container) % 4)


BLF_HEAD = struct.pack("<4sI8xQ16x8H16x72x", b"LOGG", 144, 0, 2026, 1, 4, 1, 0, 0, 0, 0)


def obj(kind: int, body: bytes, *, version: int = 1, unit: int = 2, stamp: int = 5, size: int | None = None) -> bytes:
    head_size = 32 if version == 1 else 40
    whole = head_size + len(body) if size is None else size
    head = struct.pack("<4sHHIIIIQ", b"LOBJ", head_size, version, whole, kind, unit, 0, stamp)
    return head.ljust(head_size, b"\0") + body


CLASSIC = struct.pack("<HBBI8s", 1, 0, 2, 0x123, b"\x01\x02")
FD_64 = struct.pack("<BBBBIIIIIIIHBBI", 2, 9, 12, 0, 0x8000_0012, 0, 0x3000, 0, 0, 0, 0, 0, 0, 0, 0) + bytes(
    range(1, 10)
)


def test_a_blf_as_others_write_it_is_read(read: Reading) -> None:
    remote = struct.pack("<HBBI8s", 1, 0x80, 8, 0x123, b"")
    fd_remote = FD_64[:12] + struct.pack("<I", 0x10) + FD_64[16:]
    objects = [
        obj(1, CLASSIC, unit=1, stamp=7),  # time in units of 10 us
        obj(86, struct.pack("<HBBI8s", 1, 1, 15, 0x7FF, bytes(range(8))) + b"more!!!!"),  # a classic frame of DLC 15
        obj(101, FD_64, version=2, stamp=9) + b"\0\0\0",  # zeros at the end left out, padding
        obj(1, remote),
        obj(101, fd_remote) + b"\0\0\0",
        obj(73, b"an error frame"),
        obj(999, b""),
    ]
    wanted = [
        (EPOCH_NS + 70_000, "1", Frame(0x123, b"\x01\x02")),
        (EPOCH_NS + 5, "1", Frame(0x7FF, bytes(range(8)))),
        (EPOCH_NS + 9, "2", Frame(EXTENDED | 0x12, bytes([*range(1, 10), 0, 0, 0]), fd=True, brs=True)),
    ]
    assert read(".blf", blf(*objects)) == wanted
    beside = obj(1, CLASSIC)  # not in a container, where frames belong
    assert read(".blf", BLF_HEAD + beside + blf(*objects)[len(BLF_HEAD) :]) == wanted
    assert read(".blf", blf(*objects, method=2)) == wanted


def test_a_blf_that_python_can_compressed_is_read(read: Reading) -> None:
    out = io.BytesIO()
    writer = BLFWriter(out, max_container_size=200)
    writer.stop, stop = (lambda: None), writer.stop
    for number in range(100):
        data = bytes(number % 9)
        writer(Message(timestamp=EPOCH_UTC_S + number, arbitration_id=number, is_extended_id=False, data=data))
    out.close = lambda: None  # type: ignore[method-assign]
    stop()
    assert read(".blf", out.getvalue()) == [
        (EPOCH_NS + number * 10**9, "1", Frame(number, bytes(number % 9))) for number in range(100)
    ]


def test_a_start_that_is_no_date_counts_from_zero(read: Reading) -> None:
    content = blf(obj(1, CLASSIC))
    assert read(".blf", content[:40] + bytes(16) + content[56:])[0][0] == 5


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no BLF file: it begins with 'LOGG' and a head"),
        (b"LOGG", "no BLF file"),
        (bytes(200), "no BLF file"),
        (struct.pack("<4sI", b"LOGG", 8) + bytes(136), "a head of 8 bytes is wrong"),
        (BLF_HEAD + b"LOB", "the head of the last container is not whole"),
        (BLF_HEAD + bytes(16), "no container at byte 144"),
        (BLF_HEAD + struct.pack("<4sHHII", b"LOBJ", 16, 1, 0, 10), "no container at byte 144"),
        (BLF_HEAD + struct.pack("<4sHHII", b"LOBJ", 16, 1, 2**31, 10), "no container at byte 144"),
        (BLF_HEAD + struct.pack("<4sHHII", b"LOBJ", 16, 1, 17, 10) + b"x\0", "a container has no head"),
        (blf(obj(1, CLASSIC))[:-1], "the last container is not whole"),
        (blf(method=1), r"a container is compressed in a way \(1\) that is not known"),
        (blf(obj(1, CLASSIC), method=2, size=2**31), "a container that unpacks to 2147483648 bytes is wrong"),
        (blf(obj(1, CLASSIC), method=2, size=3), "a container holds other than the 3 bytes that it names"),
        (blf(obj(1, CLASSIC), method=2, size=300), "a container holds other than the 300 bytes that it names"),
        (blf(obj(1, CLASSIC), method=2).replace(b"\x78", b"\xff"), "a container cannot be unpacked"),
        (blf(obj(1, CLASSIC), bytes(8)), "no object where the one before ends"),
        (blf(obj(1, CLASSIC, size=0)), "an object of 0 bytes with a head of 32 is wrong"),
        (blf(obj(999, b"", size=0)), "an object of 0 bytes"),
        (blf(obj(1, CLASSIC, size=BLOCK_MAX_BYTES + 1)), "is wrong"),
        (blf(obj(1, CLASSIC, size=100)), "the last object is not whole"),
        (blf(obj(1, CLASSIC[:6])), "an object of kind 1 is too short for its fields"),
        (blf(obj(1, CLASSIC[:9])), "a frame is cut off: 1 bytes of 2"),
        (blf(obj(1, CLASSIC.replace(b"\x23\x01\0\0", b"\0\x08\0\0"))), "does not fit its 11 bits"),
        (
            blf(obj(1, CLASSIC)).replace(b"\x90\0\0\0" + bytes(16), b"\x90\0\0\0" + bytes(8) + b"\xff" + bytes(7)),
            "of 255",
        ),
    ],
)
def test_a_wrong_blf_says_what_is_wrong(read: Reading, content: bytes, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(".blf", content)


# ---- pcapng


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(options: bytes = b"", link_type: int = 227) -> bytes:
    return block(1, struct.pack("<HHI", link_type, 0, 0) + options)


def packet(stamp: int, body: bytes, *, number: int = 0, original: int | None = None) -> bytes:
    size = len(body) if original is None else original
    return block(6, struct.pack("<IIIII", number, stamp >> 32, stamp & 0xFFFF_FFFF, len(body), size) + body)


def socketcan(can_id: int, data: bytes, flags: int = 0, size: int | None = None) -> bytes:
    return struct.pack(">IBB2x", can_id, len(data) if size is None else size, flags) + data


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
FRAME = socketcan(0x123, b"\x01\x02")


def test_a_pcapng_as_others_write_it_is_read(read: Reading) -> None:
    content = (
        SECTION
        + interface(option(2, b"can0"))  # microseconds, where nothing else is said
        + interface(option(9, b"\x83") + option(14, struct.pack("<q", 10)) + option(0, b"") + b"after the end")
        + block(5, b"statistics")
        + packet(1_500_000, FRAME)
        + packet(12, socketcan(EXTENDED | 5, bytes(20), flags=4 | 1), number=1)  # eighths of a second, ten seconds on
        + packet(2_000_000, socketcan(0x124, bytes(64), size=8))  # 72 bytes are a CAN FD frame, flag or not
        + packet(2, socketcan(0x123 | 0x4000_0000, b"", size=8))  # remote
        + packet(3, socketcan(0x2000_0080, bytes(8)))  # error
        + SECTION
        + interface()
        + packet(1, FRAME)
    )
    assert read(".pcapng", content) == [
        (1_500_000_000, "can0", Frame(0x123, b"\x01\x02")),
        (11_500_000_000, "2", Frame(EXTENDED | 5, bytes(20), fd=True, brs=True)),
        (2_000_000_000, "can0", Frame(0x124, bytes(8), fd=True)),
        (1000, "1", Frame(0x123, b"\x01\x02")),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no pcapng file: it is empty"),
        (bytes(100), "no pcapng file: it begins with a section header"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "no pcapng file"),
        (b"\n", "no pcapng file"),
        (SECTION[:6], "the file is cut off: the block at byte 0 is not whole"),
        (SECTION[:10], "is not whole|cannot have"),
        (
            block(0x0A0D0D0A, struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1), ">"),
            "the section is big endian; write the file anew on this machine with editcap -F pcapng",
        ),
        (block(0x0A0D0D0A, bytes(16)), "the section header at byte 0 has no byte order"),
        (SECTION + interface(link_type=1), r"interface '1' has link type 1, not 227 \(CAN\)"),
        (SECTION + interface(option(2, b"eth0"), 113), "interface 'eth0' has link type 113"),
        (SECTION + block(1, b""), "interface 1 is too short for its fields"),
        (SECTION + interface(struct.pack("<HH", 2, 100)), "option 2 of an interface is longer than its block"),
        (SECTION + packet(1, FRAME), "a packet names interface 0, the section has 0"),
        (SECTION + interface() + block(6, bytes(8)), "a packet is too short for its fields"),
        (SECTION + interface() + packet(1, FRAME, original=72), "a packet is cut off: 10 bytes of 72"),
        (SECTION + interface() + packet(1, b"1234"), "a packet is cut off: 4 bytes of 8"),
        (SECTION + interface() + packet(1, socketcan(1, b"", size=3)), "a frame is cut off: 0 bytes of 3"),
        (SECTION + interface() + packet(1, socketcan(0x800, b"")), "does not fit its 11 bits"),
        (SECTION + interface() + packet(1, socketcan(1, bytes(9), flags=4)), "a CAN FD frame cannot carry 9 bytes"),
        (SECTION + interface() + block(3, bytes(20)), "packets of block type 3 are not read"),
        (SECTION + interface() + packet(1, FRAME)[:-5], "the block at byte 48 is not whole"),
        (SECTION + interface() + packet(1, FRAME)[:-4] + bytes(4), "ends with another size than it begins with"),
        (SECTION + struct.pack("<II", 5, 0), "the block at byte 28 cannot have 0 bytes"),
        (SECTION + struct.pack("<II", 5, 14), "the block at byte 28 cannot have 14 bytes"),
        (SECTION + struct.pack("<II", 5, 2**32 - 4), "the block at byte 28 cannot have"),
    ],
)
def test_a_wrong_pcapng_says_what_is_wrong(read: Reading, content: bytes, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read(".pcapng", content)
