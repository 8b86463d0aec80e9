"""Reads the binary formats, block by block and strictly: Vector BLF, and pcapng with CAN in it.

Sizes that a file claims are bounded before anything is read or unpacked by them. Why not python-can's BLF reader: an object
of size zero keeps it busy for ever, and it takes times through a float of UTC. It judges in the tests.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple

from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.trace_malformed import Malformed, read_frame

BLOCK_MAX_BYTES = 16 * 1024 * 1024
"""No block or object of a CAN trace comes near: BLF containers hold 128 KiB as a rule, pcapng packets 100 bytes."""


# ---- BLF: a head, then containers that hold objects, which may run on from one container into the next

_BLF_HEAD = struct.Struct("<4sI8xQ16x8H16x")  # signature, size, ..., size of the file, ..., start, (end)
_BLF_OBJECT = struct.Struct("<4sHHII")  # signature, size of the head, its version, size, kind
_BLF_STAMP = struct.Struct("<I4xQ")  # unit, ..., time: the same place in both versions of the head
_BLF_CONTAINER = struct.Struct("<H6xI4x")  # compression, size unpacked
_BLF_CAN = struct.Struct("<HBBI")  # channel, flags, DLC, identifier; then 8 bytes
_BLF_CAN_FD = struct.Struct("<HBxI5xBB5x")  # channel, flags, identifier, FD flags, valid bytes; then the data
_BLF_CAN_FD_64 = struct.Struct("<BxBxI4xI24x")  # channel, valid bytes, identifier, FD flags; then the data
_CONTAINER, _CAN, _CAN_2, _CAN_FD, _CAN_FD_64 = 10, 1, 86, 100, 101
_BLF_REMOTE = 0x80
_STORED, _DEFLATED = 0, 2
_UNIT_10_US = 1


class _Found(NamedTuple):
    channel: int
    identifier: int
    size: int
    data: bytes
    fd: bool = False
    brs: bool = False
    remote: bool = False


def read_blf(file: BinaryIO) -> Iterator[tuple[int, str, Frame]]:
    """Read Vector BLF. The start in its head has no time zone and is taken for UTC."""
    raw = file.read(_BLF_HEAD.size)
    if len(raw) < _BLF_HEAD.size or raw[:4] != b"LOGG":
        raise Malformed("no BLF file: it begins with 'LOGG' and a head")
    _, head_size, file_size, *start = _BLF_HEAD.unpack(raw)
    if not _BLF_HEAD.size <= head_size <= BLOCK_MAX_BYTES:
        raise Malformed(f"a head of {head_size} bytes is wrong")
    file.read(head_size - len(raw))
    epoch_ns = _blf_epoch_ns(start)
    data = b""
    for content in _blf_containers(file):
        data += content
        used = 0
        while (place := _blf_object(data, used)) is not None:
            at, used = place
            found = _blf_frame(data[at:used], epoch_ns)
            if found is not None:
                yield found
        data = data[used:]
    if data.strip(b"\0"):
        raise Malformed("the file is cut off: the last object is not whole")
    if file_size > file.tell():
        raise Malformed(f"the file is cut off: {file.tell()} bytes of {file_size}")


def _blf_epoch_ns(start: list[int]) -> int:
    """Return the start in ns since 1970; 0 where the head has none."""
    year, month, _, day, hour, minute, second, millis = start
    try:
        when = datetime(year, month, day, hour, minute, second, millis * 1000, tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)) * 1_000_000


def _blf_containers(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is in the containers; objects beside them hold no frames."""
    while raw := file.read(_BLF_OBJECT.size):
        if len(raw) < _BLF_OBJECT.size:
            raise Malformed("the file is cut off: the head of the last container is not whole")
        signature, _, _, size, kind = _BLF_OBJECT.unpack(raw)
        if signature != b"LOBJ" or not _BLF_OBJECT.size <= size <= BLOCK_MAX_BYTES:
            raise Malformed(f"no container at byte {file.tell() - len(raw)}")
        body = file.read(size - len(raw))
        if len(body) < size - len(raw):
            raise Malformed("the file is cut off: the last container is not whole")
        file.read(size % 4)  # so much padding, not what would fill up to four
        if kind == _CONTAINER:
            yield _blf_unpacked(body)


def _blf_unpacked(body: bytes) -> bytes:
    if len(body) < _BLF_CONTAINER.size:
        raise Malformed("a container has no head")
    method, size = _BLF_CONTAINER.unpack_from(body)
    packed = body[_BLF_CONTAINER.size :]
    if method == _STORED:
        return packed
    if method != _DEFLATED:
        raise Malformed(f"a container is compressed in a way ({method}) that is not known")
    if size > BLOCK_MAX_BYTES:
        raise Malformed(f"a container that unpacks to {size} bytes is wrong")
    try:
        content = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise Malformed(f"a container cannot be unpacked: {error}") from None
    if len(content) != size:
        raise Malformed(f"a container holds other than the {size} bytes that it names")
    return content


def _blf_object(data: bytes, used: int) -> tuple[int, int] | None:
    """Return where the next object begins, after up to 4 bytes of padding, and ends; None when it is not all here yet."""
    at = data.find(b"LOBJ", used, used + 8)
    if at < 0 and len(data) - used >= 8:
        raise Malformed("no object where the one before ends")
    if at < 0 or len(data) - at < _BLF_OBJECT.size:
        return None
    _, head_size, _, size, _ = _BLF_OBJECT.unpack_from(data, at)
    if not _BLF_OBJECT.size + _BLF_STAMP.size <= head_size <= size <= BLOCK_MAX_BYTES:
        raise Malformed(f"an object of {size} bytes with a head of {head_size} is wrong")
    return (at, at + size) if at + size <= len(data) else None


def _blf_frame(data: bytes, epoch_ns: int) -> tuple[int, str, Frame] | None:
    """Return the frame in an object; None where it holds none."""
    _, head_size, _, _, kind = _BLF_OBJECT.unpack_from(data)
    unpack = _BLF_KINDS.get(kind)
    if unpack is None:
        return None
    try:
        found = unpack(data[head_size:])
    except struct.error:
        raise Malformed(f"an object of kind {kind} is too short for its fields") from None
    if found.remote:
        return None
    if len(found.data) < found.size:
        raise Malformed(f"a frame is cut off: {len(found.data)} bytes of {found.size}")
    unit, stamp = _BLF_STAMP.unpack_from(data, _BLF_OBJECT.size)
    frame = read_frame(
        found.identifier & ~EXTENDED,
        found.data[: found.size],
        extended=found.identifier >= EXTENDED,
        fd=found.fd,
        brs=found.brs,
    )
    return epoch_ns + stamp * (10_000 if unit == _UNIT_10_US else 1), str(found.channel), frame


def _blf_can(body: bytes) -> _Found:
    channel, flags, dlc, identifier = _BLF_CAN.unpack_from(body)
    size = min(8, dlc)  # a DLC of 9 to 15 means 8 bytes in classic CAN
    return _Found(channel, identifier, size, body[_BLF_CAN.size :], remote=bool(flags & _BLF_REMOTE))


def _blf_can_fd(body: bytes) -> _Found:
    channel, flags, identifier, fd_flags, size = _BLF_CAN_FD.unpack_from(body)
    data, remote = body[_BLF_CAN_FD.size :], bool(flags & _BLF_REMOTE)
    return _Found(channel, identifier, size, data, fd=bool(fd_flags & 1), brs=bool(fd_flags & 2), remote=remote)


def _blf_can_fd_64(body: bytes) -> _Found:
    channel, size, identifier, flags = _BLF_CAN_FD_64.unpack_from(body)
    data = body[_BLF_CAN_FD_64.size :].ljust(size, b"\0")  # zeros at the end may be left out
    fd, brs, remote = bool(flags & 0x1000), bool(flags & 0x2000), bool(flags & 0x10)
    return _Found(channel, identifier, size, data, fd=fd, brs=brs, remote=remote)


_BLF_KINDS: dict[int, Callable[[bytes], _Found]] = {
    _CAN: _blf_can,
    _CAN_2: _blf_can,
    _CAN_FD: _blf_can_fd,
    _CAN_FD_64: _blf_can_fd_64,
}


# ---- pcapng: blocks of known size; what is not known is passed over

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_LINKTYPE_CAN_SOCKETCAN = 227
_OPT_END, _OPT_IF_NAME, _OPT_IF_TSRESOL, _OPT_IF_TSOFFSET = 0, 2, 9, 14
_OPTION = struct.Struct("<HH")
_PACKET_HEAD = struct.Struct("<IIIII")
_SOCKETCAN = struct.Struct(">IBB2x")
_CANFD_BRS, _CANFD_FDF = 0x01, 0x04
_CANFD_MTU = 72
_REMOTE, _ERROR = 0x4000_0000, 0x2000_0000
_MICROSECONDS = 6


class _Interface(NamedTuple):
    """`units_per_s`: of its time stamps."""

    name: str
    units_per_s: int
    offset_s: int


def read_pcapng(file: BinaryIO) -> Iterator[tuple[int, str, Frame]]:
    """Read pcapng, little endian, whose interfaces are all CAN with SocketCAN's header (link type 227)."""
    interfaces: list[_Interface] = []
    for kind, body in _pcapng_blocks(file):
        if kind == _SECTION:
            interfaces = []
        elif kind == _INTERFACE:
            interfaces.append(_interface(body, len(interfaces) + 1))
        elif kind == _PACKET:
            found = _packet(body, interfaces)
            if found is not None:
                yield found
        elif kind in (_OLD_PACKET, _SIMPLE_PACKET):
            raise Malformed(f"packets of block type {kind} are not read; write the file anew with editcap -F pcapng")


def _pcapng_blocks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    first = True
    while raw := file.read(8):
        at = file.tell() - len(raw)
        if first and raw[:4] != _SECTION.to_bytes(4, "little"):
            raise Malformed("no pcapng file: it begins with a section header")
        if len(raw) < 8:
            raise Malformed(f"the file is cut off: the block at byte {at} is not whole")
        kind, size = struct.unpack("<II", raw)
        head = b""
        if kind == _SECTION:
            head = file.read(4)
            if head == _BYTE_ORDER.to_bytes(4, "big"):
                raise Malformed("the section is big endian; write the file anew on this machine with editcap -F pcapng")
            if len(head) == 4 and head != _BYTE_ORDER.to_bytes(4, "little"):
                raise Malformed(f"the section header at byte {at} has no byte order")
        first = False
        if size % 4 or not 12 + len(head) <= size <= BLOCK_MAX_BYTES:
            raise Malformed(f"the block at byte {at} cannot have {size} bytes")
        rest = file.read(size - len(raw) - len(head))
        if len(rest) < size - len(raw) - len(head):
            raise Malformed(f"the file is cut off: the block at byte {at} is not whole")
        if rest[-4:] != raw[4:]:
            raise Malformed(f"the block at byte {at} ends with another size than it begins with")
        yield kind, head + rest[:-4]
    if first:
        raise Malformed("no pcapng file: it is empty")


def _interface(body: bytes, number: int) -> _Interface:
    if len(body) < 8:
        raise Malformed(f"interface {number} is too short for its fields")
    (link_type,) = struct.unpack_from("<H", body)
    options = dict(_options(body[8:]))
    name = options.get(_OPT_IF_NAME, b"").decode(errors="replace") or str(number)
    if link_type != _LINKTYPE_CAN_SOCKETCAN:
        raise Malformed(f"interface {name!r} has link type {link_type}, not {_LINKTYPE_CAN_SOCKETCAN} (CAN)")
    resolution = (options.get(_OPT_IF_TSRESOL) or bytes([_MICROSECONDS]))[0]
    units_per_s = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    offset_s = int.from_bytes(options.get(_OPT_IF_TSOFFSET, b""), "little", signed=True)
    return _Interface(name, units_per_s, offset_s)


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _OPTION.size <= len(data):
        code, size = _OPTION.unpack_from(data, at)
        at += _OPTION.size
        if code == _OPT_END:
            return
        if at + size > len(data):
            raise Malformed(f"option {code} of an interface is longer than its block")
        yield code, data[at : at + size]
        at += size + -size % 4


def _packet(body: bytes, interfaces: list[_Interface]) -> tuple[int, str, Frame] | None:
    """Return the frame; None for an error frame or a remote frame."""
    if len(body) < _PACKET_HEAD.size:
        raise Malformed("a packet is too short for its fields")
    number, high, low, captured, original = _PACKET_HEAD.unpack_from(body)
    if number >= len(interfaces):
        raise Malformed(f"a packet names interface {number}, the section has {len(interfaces)}")
    data = body[_PACKET_HEAD.size : _PACKET_HEAD.size + captured]
    if len(data) < captured or captured < original or captured < _SOCKETCAN.size:
        raise Malformed(f"a packet is cut off: {len(data)} bytes of {max(original, _SOCKETCAN.size)}")
    identifier, size, flags = _SOCKETCAN.unpack_from(data)
    if identifier & (_REMOTE | _ERROR):
        return None
    if len(data) - _SOCKETCAN.size < size:
        raise Malformed(f"a frame is cut off: {len(data) - _SOCKETCAN.size} bytes of {size}")
    frame = read_frame(
        identifier & EXTENDED_MASK,
        data[_SOCKETCAN.size : _SOCKETCAN.size + size],
        extended=identifier >= EXTENDED,
        fd=bool(flags & _CANFD_FDF) or captured == _CANFD_MTU,  # older captures lack the flag, and pad
        brs=bool(flags & _CANFD_BRS),
    )
    interface = interfaces[number]
    stamp_ns = (high << 32 | low) * 1_000_000_000 // interface.units_per_s
    return stamp_ns + interface.offset_s * 1_000_000_000, interface.name, frame
