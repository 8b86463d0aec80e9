"""Frames on a byte stream: how a program that is no part of the bench sits on one of its buses (`vci_driver.sgwbench_can`).

A record is a head and the data: UTC time in nanoseconds (8 bytes), identifier with bit 31 as in `wire.frame` (4), flags (1),
length of the data (1); big endian. Garbage on the stream is a `ConfigError`: it cannot be told where the next record begins.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wire.errors import ConfigError, LocalMisuse
from wire.frame import Frame, checked

HEAD = struct.Struct(">QIBB")
FD, BRS, OWN = 0x01, 0x02, 0x04
"""OWN: a frame of the receiver's own that went out (its confirmation)."""
FLAGS = FD | BRS | OWN


def encode(utc_ns: int, frame: Frame, *, own: bool = False) -> bytes:
    """Return the record of a frame."""
    flags = (FD if frame.fd else 0) | (BRS if frame.brs else 0) | (OWN if own else 0)
    return HEAD.pack(utc_ns, frame.can_id, flags, len(frame.data)) + frame.data


class FrameReader:
    """Takes bytes as they come and gives records when they are whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def take(self, data: bytes) -> Iterator[tuple[int, Frame, bool]]:
        """Yield (UTC time in nanoseconds, frame, whether it is the receiver's own). Raises `ConfigError`."""
        have = self._bytes
        have += data
        at = 0
        try:
            while len(have) - at >= HEAD.size:
                utc_ns, can_id, flags, size = HEAD.unpack_from(have, at)
                if flags & ~FLAGS:
                    raise ConfigError(f"not a stream of frames: flags {flags:#04x}")
                if len(have) - at < HEAD.size + size:
                    break
                start = at + HEAD.size
                frame = Frame(can_id, bytes(have[start : start + size]), bool(flags & FD), bool(flags & BRS))
                at = start + size
                try:
                    yield utc_ns, checked(frame), bool(flags & OWN)
                except LocalMisuse as error:
                    raise ConfigError(f"not a stream of frames: {error}") from None
        finally:
            del have[:at]
