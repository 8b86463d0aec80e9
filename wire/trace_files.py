"""Traces as files that other people's tools read: candump logs, and pcapng that Wireshark opens."""

from __future__ import annotations

import struct
from pathlib import Path

from wire.frame import EXTENDED, format_can_id
from wire.trace import FrameRecord, Trace

LINKTYPE_CAN_SOCKETCAN = 227
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_OPT_IF_NAME, _OPT_IF_TSRESOL = 2, 9
_CANFD_BRS, _CANFD_FDF = 0x01, 0x04


def write_candump(trace: Trace, path: Path, epoch_utc_s: int) -> None:
    """Write the format of `candump -l`: `(seconds.microseconds) bus id#data`, FD frames as `id##flags data`."""
    with path.open("w", encoding="ascii") as out:
        for now_ns, bus, can_id, flags, data in trace.kept():
            micros = now_ns // 1000
            stamp = f"{epoch_utc_s + micros // 1_000_000:010d}.{micros % 1_000_000:06d}"
            mark = f"##{flags >> 1:X}" if flags & 1 else "#"
            out.write(f"({stamp}) {trace.buses[bus]} {format_can_id(can_id)}{mark}{data.hex().upper()}\n")


def write_pcapng(trace: Trace, path: Path, epoch_utc_s: int) -> None:
    """Write pcapng: one interface a bus, SocketCAN link type, time in nanoseconds."""
    with path.open("wb") as out:
        out.write(_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        for name in trace.buses:
            options = _option(_OPT_IF_NAME, name.encode()) + _option(_OPT_IF_TSRESOL, b"\x09") + _option(0, b"")
            out.write(_block(_INTERFACE, struct.pack("<HHI", LINKTYPE_CAN_SOCKETCAN, 0, 0) + options))
        for record in trace.kept():
            out.write(_packet(record, epoch_utc_s))


def write_all(trace: Trace, folder: Path, stem: str, epoch_utc_s: int) -> tuple[Path, ...]:
    """Write both formats into `folder`; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    candump, pcapng = folder / f"{stem}.log", folder / f"{stem}.pcapng"
    write_candump(trace, candump, epoch_utc_s)
    write_pcapng(trace, pcapng, epoch_utc_s)
    return candump, pcapng


def _packet(record: FrameRecord, epoch_utc_s: int) -> bytes:
    now_ns, bus, can_id, flags, data = record
    fd_flags = _CANFD_FDF | (_CANFD_BRS if flags & 2 else 0) if flags & 1 else 0
    # SocketCAN: identifier big endian with the EFF flag in bit 31, length, FD flags, two reserved bytes, data
    body = struct.pack(">IBBBB", can_id & (EXTENDED | 0x1FFF_FFFF), len(data), fd_flags, 0, 0) + data
    stamp = epoch_utc_s * 1_000_000_000 + now_ns
    head = struct.pack("<IIIII", bus, stamp >> 32, stamp & 0xFFFF_FFFF, len(body), len(body))
    return _block(_PACKET, head + _padded(body))


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
