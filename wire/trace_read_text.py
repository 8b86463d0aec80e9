"""Reads candump logs and Vector ASC, line by line and strictly: a frame that is cut off is an error, never a shorter frame.

Why not python-can's readers: they take times through a float of UTC, an empty FD frame of ASC for a remote frame and missing
data for no data, know no relative times in ASC, and fail on broken lines with whatever Python says. They judge in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from wire.frame import EXTENDED_MASK, Frame
from wire.trace_malformed import Malformed, read_frame

LINE_MAX_BYTES = 65_536
"""A frame takes some 400; an ASC may hold long events. Anything longer is no text."""
SECONDS_DIGITS = 11
"""Some thousand years: more is no time."""
_CUT = "the last line is cut off"
_ERROR_FLAG = 0x2000_0000
_CANDUMP = re.compile(
    rf"\((\d{{1,{SECONDS_DIGITS}}})\.(\d{{1,9}})\) +(\S+) +([0-9A-F]{{8}}|[0-9A-F]{{3}})#"
    r"(?:(R[0-9A-F]?)|(?:#([0-9A-F]))?((?:[0-9A-F]{2})*))(?:_[9A-F])?(?: +[RT])?",
    re.ASCII | re.IGNORECASE,
)
_ASC_TIME = re.compile(rf"(\d{{1,{SECONDS_DIGITS}}})\.(\d{{1,9}})", re.ASCII)
_ASC_DATE = re.compile(
    r"date\s+\w+\s+(\w+)\s+(\d{1,2})\s+(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\s+([ap])m)?\s+(\d{4})",
    re.IGNORECASE,
)
_ASC_BASE = re.compile(r"base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_GERMAN_MONTHS = {"mär": "mar", "mrz": "mar", "mai": "may", "okt": "oct", "dez": "dec"}


def read_candump(file: BinaryIO) -> Iterator[tuple[int, str, Frame]]:
    """Read the format of `candump -l` and `candump -L`."""
    for number, line, whole in _lines(file):
        if not whole:
            raise Malformed(f"{_CUT}; if it is not, end it with a line break", number)
        if not line:
            continue
        found = _CANDUMP.fullmatch(line)
        if found is None:
            raise Malformed("no frame as candump writes it: (seconds.fraction) bus id#data", number)
        seconds, fraction, bus, can_id, remote, fd_flags, data = found.groups()
        identifier = int(can_id, 16)
        if remote is not None or (identifier & _ERROR_FLAG and identifier & ~_ERROR_FLAG <= EXTENDED_MASK):
            continue
        fd = fd_flags is not None
        with _AtLine(number):
            frame = read_frame(
                identifier,
                bytes.fromhex(data),
                extended=len(can_id) > 3,
                fd=fd,
                brs=fd and bool(int(fd_flags, 16) & 1),
            )
        yield _ns(seconds, fraction), bus, frame


def read_asc(file: BinaryIO) -> Iterator[tuple[int, str, Frame]]:
    """Read Vector ASC with absolute times. Its date has no time zone and is taken for UTC."""
    lines = _lines(file)
    epoch_ns, base = _asc_head(lines)
    for number, line, whole in lines:
        words = line.split()
        time = _ASC_TIME.fullmatch(words[0]) if words else None
        if time is None:
            continue
        with _AtLine(number):
            if words[1:2] == ["CANFD"]:
                found = _asc_fd(words[2:], base)
            elif len(words) > 3 and words[1].isdecimal() and words[3] in ("Rx", "Tx"):
                found = _asc_classic(words[1:], base)
            elif whole:
                continue
            else:
                raise Malformed(_CUT)
        if found is not None:
            yield epoch_ns + _ns(time[1], time[2]), *found


def _asc_head(lines: Iterator[tuple[int, str, bool]]) -> tuple[int, int]:
    """Return (the date in ns since 1970, the base of numbers)."""
    epoch_ns: int | None = None
    number = 1
    for number, line, _ in lines:
        if not line or line.startswith("//"):
            continue
        if epoch_ns is None:
            if not line.lower().startswith("date "):
                break
            epoch_ns = _asc_epoch_ns(line)
            continue
        found = _ASC_BASE.match(line)
        if found is None:
            break
        if (found[2] or "").lower() == "relative":
            raise Malformed("times are relative to the line before; save the file with absolute times", number)
        return epoch_ns, 16 if found[1].lower() == "hex" else 10
    raise Malformed("no ASC file: it begins with a line 'date ...' and a line 'base hex timestamps absolute'", number)


def _asc_epoch_ns(line: str) -> int:
    """Return the date in ns since 1970; 0 where it stands in a language that we do not know: frames do not need it."""
    found = _ASC_DATE.match(line)
    if found is None:
        return 0
    name, day, hour, minute, second, fraction, half, year = found.groups()
    month = _GERMAN_MONTHS.get(name.lower(), name.lower())
    if month not in _MONTHS:
        return 0
    of_day = int(hour) if half is None else int(hour) % 12 + (12 if half.lower() == "p" else 0)
    try:
        when = datetime(int(year), _MONTHS.index(month) + 1, int(day), of_day, int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, round(when.timestamp())) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _asc_classic(words: list[str], base: int) -> tuple[str, Frame] | None:
    """Read `channel id Rx d length data...`; None for a remote frame."""
    if words[3:4] == ["r"]:
        return None
    if words[3:4] != ["d"] or len(words) < 5:
        raise Malformed("a frame is cut off: expected 'channel id Rx d length data'")
    size = min(8, _number(words[4], base, "length"))  # a DLC of 9 to 15 means 8 bytes in classic CAN
    return _channel(words[0]), _asc_frame(words[1], words[5:], size, base)


def _asc_fd(words: list[str], base: int) -> tuple[str, Frame] | None:
    """Read `channel Rx id [name] brs esi dlc length data...`; None for an error frame. FD has no remote frames."""
    if words[2:3] and words[2].lower().startswith("errorframe"):
        return None
    bits = words[3:] if words[3:4] in (["0"], ["1"]) else words[4:]
    if len(bits) < 4:
        raise Malformed("a frame is cut off: expected 'CANFD channel Rx id brs esi dlc length data'")
    size = _number(bits[3], 10, "length")
    return _channel(words[0]), _asc_frame(words[2], bits[4:], size, base, fd=True, brs=bits[0] == "1")


def _asc_frame(identifier: str, data: list[str], size: int, base: int, *, fd: bool = False, brs: bool = False) -> Frame:
    if len(data) < size:
        raise Malformed(f"a frame is cut off: {len(data)} bytes of {size}")
    extended = identifier[-1:] in ("x", "X")
    number = _number(identifier[:-1] if extended else identifier, base, "identifier")
    values = [_number(word, base, "data byte") for word in data[:size]]
    if any(value > 0xFF for value in values) or (base == 16 and any(len(word) != 2 for word in data[:size])):
        raise Malformed(f"a data byte is wrong or cut off: {' '.join(data[:size])!r}")
    return read_frame(number, bytes(values), extended=extended, fd=fd, brs=brs)


def _channel(word: str) -> str:
    return str(_number(word, 10, "channel"))


def _number(word: str, base: int, what: str) -> int:
    if len(word) > 10 or not word.isascii() or not word.isalnum():
        raise Malformed(f"{word[:20]!r} is no {what}")
    try:
        return int(word, base)
    except ValueError:
        raise Malformed(f"{word!r} is no {what}") from None


def _ns(seconds: str, fraction: str) -> int:
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _lines(file: BinaryIO) -> Iterator[tuple[int, str, bool]]:
    """Yield (number from 1, stripped text, whether it ended with a line break)."""
    number = 0
    while raw := file.readline(LINE_MAX_BYTES):
        number += 1
        whole = raw.endswith(b"\n")
        if not whole and len(raw) == LINE_MAX_BYTES:
            raise Malformed(f"a line of more than {LINE_MAX_BYTES} bytes: this is no text", number)
        yield number, raw.decode(errors="replace").strip(), whole


class _AtLine:
    """Adds the line to what is found wrong in it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Malformed) and error.line is None:
            error.line = self._number
