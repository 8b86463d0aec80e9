"""A trace of everything, with a running digest: the same seed gives the same bytes on any machine.

Frames come from bus taps, notes from whoever has something to say. The digest covers every record; how many are kept is a choice.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from wire.can_bus import CanBus
from wire.frame import Frame

BATCH = 1024
"""Records folded into the digest at once: hashing one by one would cost more than the frame."""
_HEAD = struct.Struct(">QBIBB")
FrameRecord = tuple[int, int, int, int, bytes]
"""(now_ns, bus number, identifier with bit 31, flags: 1 FD, 2 BRS, data)."""


class Trace:
    """Ordered records of one world. `keep`: hold all frames in memory, for export; the digest needs none."""

    def __init__(self, *, keep: bool = False) -> None:
        self.frames: list[FrameRecord] = []
        self.notes: list[tuple[int, str, bytes]] = []
        self.buses: list[str] = []
        self.count = 0
        self._keep = keep
        self._hash = hashlib.sha256()
        self._batch: list[tuple[int, int, Frame]] = []

    @property
    def keeps(self) -> bool:
        """Whether it holds the frames, and not the digest alone."""
        return self._keep

    def attach(self, bus: CanBus) -> None:
        """Record every frame of a bus."""
        number = len(self.buses)
        self.buses.append(bus.name)
        batch = self._batch

        def tap(now_ns: int, _bus: CanBus, frame: Frame, _sender: str) -> None:
            batch.append((now_ns, number, frame))
            if len(batch) >= BATCH:
                self._fold()

        bus.tap(tap)

    def note(self, now_ns: int, source: str, content: bytes) -> None:
        """Record something that is not a frame: an audit record, an unlock, a change of the vehicle."""
        self._fold()
        self.notes.append((now_ns, source, content))
        name = source.encode()
        self._hash.update(struct.pack(">QBBI", now_ns, 0xFF, len(name), len(content)) + name + content)
        self.count += 1

    def digest(self) -> str:
        """Return the digest of all records so far, in hex."""
        self._fold()
        return self._hash.copy().hexdigest()

    def kept(self) -> Sequence[FrameRecord]:
        """Return the frames that were kept, oldest first."""
        self._fold()
        return self.frames

    def _fold(self) -> None:
        batch = self._batch
        if batch:
            records = [(when, bus, f.can_id, f.fd + 2 * f.brs, f.data) for when, bus, f in batch]
            batch.clear()
            pack = _HEAD.pack
            self._hash.update(b"".join([pack(*head, len(data)) + data for *head, data in records]))
            self.count += len(records)
            if self._keep:
                self.frames += records
