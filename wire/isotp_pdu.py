"""The protocol data units of ISO-TP (ISO 15765-2): encoders and the STmin codec, written as pairs.

Facts as read in open implementations (can-isotp, scapy, the Linux kernel); names are the standard's.
"""

from __future__ import annotations

from enum import IntEnum

from wire.frame import FD_PADDED_LENGTH

SINGLE_FRAME, FIRST_FRAME, CONSECUTIVE_FRAME, FLOW_CONTROL = range(4)
FF_SHORT_MAX = 4095
"""Longest message whose length fits the 12 bits of a short first frame."""
LENGTH_MAX = 0xFFFF_FFFF
STMIN_RESERVED_NS = 127_000_000
"""Every reserved STmin byte means the longest: 127 ms."""


class FlowStatus(IntEnum):
    """FS of a flow control frame."""

    CONTINUE = 0
    WAIT = 1
    OVERFLOW = 2


def decode_stmin(byte: int) -> int:
    """Return the separation time in ns: 00 to 7F are ms, F1 to F9 are 100 µs steps, the rest means 127 ms."""
    if byte <= 0x7F:
        return byte * 1_000_000
    if 0xF1 <= byte <= 0xF9:
        return (byte - 0xF0) * 100_000
    return STMIN_RESERVED_NS


def encode_stmin(stmin_ns: int) -> int:
    """Return the byte for the shortest separation time that is not below `stmin_ns` (at most 127 ms)."""
    if stmin_ns <= 0:
        return 0
    if stmin_ns <= 900_000:
        return 0xF0 + -(-stmin_ns // 100_000)
    return min(0x7F, -(-stmin_ns // 1_000_000))


def single_frame(payload: bytes, dl: int, padding: int | None) -> bytes | None:
    """Return the data of a single frame, or None when `payload` needs segmentation in frames of `dl` bytes."""
    size = len(payload)
    if size <= 7:
        return padded(bytes((size,)) + payload, padding)
    if dl > 8 and size <= dl - 2:
        return padded(bytes((0, size)) + payload, padding)
    return None


def first_frame(total: int, head: bytes) -> bytes:
    """Return the data of a first frame; `head` fills it (see `first_frame_room`)."""
    if total <= FF_SHORT_MAX:
        return bytes((FIRST_FRAME << 4 | total >> 8, total & 0xFF)) + head
    return bytes((FIRST_FRAME << 4, 0)) + total.to_bytes(4, "big") + head


def first_frame_room(total: int, dl: int) -> int:
    """Return how many payload bytes the first frame of a message of `total` bytes holds."""
    return dl - (2 if total <= FF_SHORT_MAX else 6)


def flow_control(status: int, block_size: int, stmin: int, padding: int | None) -> bytes:
    """Return the data of a flow control frame; `stmin` is the byte."""
    return padded(bytes((FLOW_CONTROL << 4 | status, block_size, stmin)), padding)


def padded(data: bytes, padding: int | None) -> bytes:
    """Return `data` filled up to 8 bytes (if `padding` is a byte), and beyond 8 to a length that CAN FD has."""
    size = len(data)
    if size <= 8:
        return data if padding is None or size == 8 else data + bytes((padding,)) * (8 - size)
    target = FD_PADDED_LENGTH[size]
    return data if size == target else data + bytes((0xCC if padding is None else padding,)) * (target - size)
