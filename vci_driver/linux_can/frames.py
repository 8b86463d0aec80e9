"""CAN frames and filters as Linux's raw CAN sockets take and give them (`linux/can.h`, `linux/can/raw.h`).

The identifier's bit 31 means 29 bits there as in `wire.frame`, so it is the same integer on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from wire.frame import EXTENDED, EXTENDED_MASK, STANDARD_MASK, Frame

AF_CAN = 29
CAN_RAW = 1
SOL_CAN_RAW = 101
CAN_RAW_FILTER, CAN_RAW_ERR_FILTER, CAN_RAW_RECV_OWN_MSGS, CAN_RAW_FD_FRAMES = 1, 2, 4, 5
CLASSIC_MTU = 16
FD_MTU = 72
REMOTE = 0x4000_0000
ERROR = 0x2000_0000
NOT_DATA = REMOTE | ERROR
FD_BRS = 0x01
FILTERS_MAX = 512
"""So many filters one socket takes (CAN_RAW_FILTER_MAX)."""

_CLASSIC = Struct("=IB3x8s")
_FD = Struct("=IBB2x64s")
_FILTER = Struct("=II")
_head = Struct("=IBB").unpack_from
_pack_classic = _CLASSIC.pack


def pack(frame: Frame) -> bytes:
    """Return a frame as `send` takes it. More data than the frame holds is cut off, its length is not: the kernel refuses it."""
    data = frame.data
    if frame.fd:
        return _FD.pack(frame.can_id, len(data), FD_BRS if frame.brs else 0, data)
    return _pack_classic(frame.can_id, len(data), data)


def unpack(raw: bytes) -> Frame:
    """Return the frame that `recv` gave."""
    can_id, length, flags = _head(raw)
    if len(raw) == FD_MTU:
        return Frame(can_id, raw[8 : 8 + length], True, bool(flags & FD_BRS))  # noqa: FBT003 - hot path, positional
    return Frame(can_id, raw[8 : 8 + length])


def filters(can_ids: Iterable[int] | None) -> bytes:
    """Return the value of CAN_RAW_FILTER that lets exactly these identifiers pass (None: all), and no remote frames.

    An 11-bit and a 29-bit identifier of one number are two. More identifiers than a socket takes filters: all pass.
    """
    wanted = None if can_ids is None else sorted(set(can_ids))
    if wanted is None or len(wanted) > FILTERS_MAX:
        return _FILTER.pack(0, REMOTE)
    return b"".join(
        _FILTER.pack(can_id, EXTENDED | REMOTE | (EXTENDED_MASK if can_id >= EXTENDED else STANDARD_MASK))
        for can_id in wanted
    )
