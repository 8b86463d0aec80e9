"""Traces as files that other people's tools read: candump logs, Vector ASC and BLF, and pcapng that Wireshark opens.

A writer takes records as they come and holds next to nothing back, so a file may grow for hours. The same records give the
same bytes on any machine and at any date: times are bench time on the bench's own epoch, in UTC.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from wire.errors import ConfigError
from wire.frame import EXTENDED, EXTENDED_MASK, format_can_id
from wire.names import suggestion
from wire.trace import FrameRecord, Trace

if TYPE_CHECKING:
    from can import Message

RECORD_MAX_BYTES = 512
"""No record takes more in any format, the end of the file included, its bus's name apart (an ASC line of 64 bytes: 350)."""
BLF_CONTAINER_BYTES = 8192
"""Some 170 frames: so much of a BLF file is in memory and lost when the process is killed. Vector's 128 KiB could be hours."""
LINKTYPE_CAN_SOCKETCAN = 227
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_OPT_IF_NAME, _OPT_IF_TSRESOL = 2, 9
_CANFD_BRS, _CANFD_FDF = 0x01, 0x04
_BLF_START_TIME_AT = 40
_BLF_SYSTEMTIME = struct.Struct("<8H")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class TraceWriter(Protocol):
    """One open file. Whatever the disk says is an `OSError`; after one, `close` is all that may be called."""

    @property
    def size_bytes(self) -> int:
        """How large the file is once all that was written has reached it."""

    def write(self, record: FrameRecord) -> None:
        """Take a record; not earlier than the one before."""

    def flush(self) -> None:
        """Hand what the format allows to the operating system, so that others can read it."""

    def close(self) -> None:
        """End the file as its format wants it. The file is closed even when the disk refuses."""


class CandumpWriter:
    """The format of `candump -l`: `(seconds.microseconds) bus id#data`, FD frames as `id##flags data`."""

    def __init__(self, path: Path, buses: Sequence[str], epoch_utc_s: int) -> None:
        self.size_bytes = 0
        self._buses = [_word(name) for name in buses]
        self._epoch_utc_s = epoch_utc_s
        self._file = _create(path, b"")

    def write(self, record: FrameRecord) -> None:
        """Write one line."""
        now_ns, bus, can_id, flags, data = record
        micros = now_ns // 1000
        stamp = f"{self._epoch_utc_s + micros // 1_000_000:010d}.{micros % 1_000_000:06d}"
        mark = f"##{flags >> 1:X}" if flags & 1 else "#"
        line = f"({stamp}) {self._buses[bus]} {format_can_id(can_id)}{mark}{data.hex().upper()}\n".encode()
        self.size_bytes += len(line)
        self._file.write(line)

    def flush(self) -> None:
        """Hand whole lines to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file: a log has no end mark."""
        self._file.close()


class PcapngWriter:
    """pcapng: one interface a bus, SocketCAN link type, time in nanoseconds."""

    def __init__(self, path: Path, buses: Sequence[str], epoch_utc_s: int) -> None:
        self._epoch_ns = epoch_utc_s * 1_000_000_000
        head = _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        for name in buses:
            options = _option(_OPT_IF_NAME, name.encode(errors="replace")) + _option(_OPT_IF_TSRESOL, b"\x09")
            head += _block(_INTERFACE, struct.pack("<HHI", LINKTYPE_CAN_SOCKETCAN, 0, 0) + options + _option(0, b""))
        self.size_bytes = len(head)
        self._file = _create(path, head)

    def write(self, record: FrameRecord) -> None:
        """Write one packet."""
        now_ns, bus, can_id, flags, data = record
        fd_flags = _CANFD_FDF | (_CANFD_BRS if flags & 2 else 0) if flags & 1 else 0
        # SocketCAN: identifier big endian with the EFF flag in bit 31, length, FD flags, two reserved bytes, data
        body = struct.pack(">IBBBB", can_id & (EXTENDED | EXTENDED_MASK), len(data), fd_flags, 0, 0) + data
        stamp = self._epoch_ns + now_ns
        head = struct.pack("<IIIII", bus, stamp >> 32, stamp & 0xFFFF_FFFF, len(body), len(body))
        self.size_bytes += self._file.write(_block(_PACKET, head + _padded(body)))

    def flush(self) -> None:
        """Hand whole packets to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file: a section of unknown length has no end mark."""
        self._file.close()


class AscWriter:
    """Vector's text format, by python-can: time in microseconds from the date in the head, channels from 1 in the order of buses.

    python-can takes the date of the head from this machine's clock, time zone and locale. That head is thrown away: ours is
    the epoch in UTC, and names the buses.
    """

    def __init__(self, path: Path, buses: Sequence[str], epoch_utc_s: int) -> None:
        from can.io.asc import ASCWriter  # noqa: PLC0415 - `wire` is quick to import

        self._text = io.StringIO()
        self._asc = ASCWriter(self._text)
        self._asc.header_written = True  # and so `started` stays 0: times are written as they are given
        self._text_so_far()
        date = _asc_date(epoch_utc_s)
        names = "".join(f"// channel {number}: {_word(name)}\n" for number, name in enumerate(buses, 1))
        head = (
            f"date {date}\nbase hex  timestamps absolute\ninternal events logged\n{names}"
            f"Begin Triggerblock {date}\n 0.000000 Start of measurement\n"
        ).encode()
        self.size_bytes = len(head)
        self._file = _create(path, head)

    def write(self, record: FrameRecord) -> None:
        """Write one line."""
        self._asc.on_message_received(_message(record, record[0] // 1000 / 1_000_000))
        self._write_text()

    def flush(self) -> None:
        """Hand whole lines to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write the end mark and close the file."""
        with self._file:
            self._text.write("End TriggerBlock\n")
            self._write_text()

    def _write_text(self) -> None:
        self.size_bytes += self._file.write(self._text_so_far().encode())

    def _text_so_far(self) -> str:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text


class BlfWriter:
    """Vector's binary format, by python-can: time in nanoseconds from the start in the head, channels from 1.

    Not compressed: what zlib makes of the same bytes differs from one build of it to another.
    """

    def __init__(self, path: Path, buses: Sequence[str], epoch_utc_s: int) -> None:
        from can.io.blf import BLFWriter, timestamp_to_systemtime  # noqa: PLC0415 - `wire` is quick to import

        del buses  # the format that python-can writes has numbers alone
        self._epoch_utc_s = epoch_utc_s
        self._last_ns = 0
        head = io.BytesIO()
        self._blf = BLFWriter(head, compression_level=0, max_container_size=BLF_CONTAINER_BYTES)
        self._blf.start_timestamp = 0.0  # frames carry their time since the epoch: a float of UTC holds no nanoseconds
        head.seek(
            _BLF_START_TIME_AT
        )  # python-can completes the head on closing only; a file that is cut off has its date
        head.write(_BLF_SYSTEMTIME.pack(*timestamp_to_systemtime(float(epoch_utc_s))))
        self._blf.file = self._file = _create(path, head.getvalue())

    @property
    def size_bytes(self) -> int:
        """The file, and the container that is being filled."""
        return self._blf.file_size()

    def write(self, record: FrameRecord) -> None:
        """Put a frame into the container, and the container into the file when it is full."""
        self._last_ns = record[0]
        # python-can cuts off below the nanosecond: half a one more, and a float is exact for 13 days
        self._blf.on_message_received(_message(record, (record[0] + 0.5) / 1_000_000_000))

    def flush(self) -> None:
        """Hand full containers to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write the last container, complete the head, close the file."""
        with self._file:
            self._blf.start_timestamp = float(self._epoch_utc_s)
            self._blf.stop_timestamp = self._epoch_utc_s + self._last_ns // 1_000_000 / 1000
            self._blf.stop()


class TraceFormat(NamedTuple):
    """`writer`: called with path, names of the buses and the epoch in UTC seconds. `library`: what it imports when it is made."""

    suffix: str
    writer: Callable[[Path, Sequence[str], int], TraceWriter]
    library: str | None = None


FORMATS: dict[str, TraceFormat] = {
    "candump": TraceFormat(".log", CandumpWriter),
    "asc": TraceFormat(".asc", AscWriter, "can.io"),
    "blf": TraceFormat(".blf", BlfWriter, "can.io"),
    "pcapng": TraceFormat(".pcapng", PcapngWriter),
}
ALL_FORMATS = tuple(FORMATS)


def read_formats(text: str) -> tuple[str, ...]:
    """Return the formats that `text` names, commas between them; raise `ConfigError` with a suggestion."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"unknown trace format {name!r}{suggestion(name, FORMATS)}")
    return names


def write_all(
    trace: Trace, folder: Path, stem: str, epoch_utc_s: int, formats: Sequence[str] = ALL_FORMATS
) -> tuple[Path, ...]:
    """Write all kept frames into `folder`, one file a format; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(_write_one(trace, folder, stem, epoch_utc_s, FORMATS[name]) for name in formats)


def _write_one(trace: Trace, folder: Path, stem: str, epoch_utc_s: int, kind: TraceFormat) -> Path:
    path = folder / f"{stem}{kind.suffix}"
    writer = kind.writer(path, trace.buses, epoch_utc_s)
    try:
        for record in trace.kept():
            writer.write(record)
    finally:
        writer.close()
    return path


def _create(path: Path, head: bytes) -> BinaryIO:
    """Open a new file with its head; a disk that refuses leaves none open."""
    file = path.open("wb")
    try:
        file.write(head)
    except OSError:
        with contextlib.suppress(OSError):
            file.close()
        raise
    return file


def _message(record: FrameRecord, stamp_s: float) -> Message:
    """Return a record as python-can has it; it counts channels from 0 and writes them from 1."""
    from can import Message  # noqa: PLC0415 - see above; the second time this is a look into a table

    _, bus, can_id, flags, data = record
    return Message(
        timestamp=stamp_s,
        arbitration_id=can_id & EXTENDED_MASK,
        is_extended_id=can_id >= EXTENDED,
        channel=bus,
        data=data,
        is_fd=bool(flags & 1),
        bitrate_switch=bool(flags & 2),
    )


def _asc_date(utc_s: int) -> str:
    """Write a date as Vector does in English, whatever the locale. Readers take one without am or pm for German."""
    when = datetime.fromtimestamp(utc_s, tz=UTC)
    clock = f"{when.hour % 12 or 12:02}:{when:%M:%S}.000 {'am' if when.hour < 12 else 'pm'}"
    return f"{_DAYS[when.weekday()]} {_MONTHS[when.month - 1]} {when:%d} {clock} {when.year}"


def _word(name: str) -> str:
    """Return a bus's name as one word: candump's columns are parted by spaces."""
    return "".join(sign if sign.isprintable() and not sign.isspace() else "_" for sign in name) or "_"


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
