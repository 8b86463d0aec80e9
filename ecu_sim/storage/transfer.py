"""One transfer, from its request (0x34, 0x35, 0x38) over TransferData 0x36 to RequestTransferExit 0x37.

The block sequence counter starts at 1 and wraps from FF to 00. A repetition of the last block means that its answer was lost: it
is answered again, and nothing is written a second time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ecu_sim.storage.encoding import Decoder, Plain

if TYPE_CHECKING:
    from ecu_sim.profile import Access

BLOCK_OVERHEAD = 2
"""maxNumberOfBlockLength counts the service and the counter as well."""


class Target(Protocol):
    """Where a download goes. Positions count from the transfer's start."""

    @property
    def alignment(self) -> int:
        """A block that is not the last has a multiple of this."""

    def work_ns(self, count: int) -> int:
        """Return how long so many bytes take to program."""

    def takes(self, at: int, count: int) -> bool:
        """Return whether the memory there can be programmed at all."""

    def begin(self, at: int, count: int) -> None:
        """Learn that programming begins: without supply it would stop half-way."""

    def write(self, at: int, data: bytes) -> None:
        """Program."""

    def finish(self) -> None:
        """Learn that the transfer has ended well."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """`size`: bytes that were announced, after unpacking. `encoded_size`: before it, where it was announced as well.

    Download: `target` takes them. Upload: `source(at, count)` gives them, encoded already.
    """

    size: int
    access: Access
    max_block_length: int
    target: Target | None = None
    source: Callable[[int, int], bytes] | None = None
    decoder: Decoder = field(default_factory=Plain)
    encoded_size: int | None = None
    done: int = 0
    encoded_done: int = 0
    last_counter: int = 0
    last_answer: bytes = b""
    crc: int = 0

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self.size - self.done

    @property
    def complete(self) -> bool:
        """Whether everything announced was transferred."""
        if self.left or (self.encoded_size is not None and self.encoded_done != self.encoded_size):
            return False
        return self.target is None or self.decoder.whole

    def is_repetition(self, counter: int) -> bool:
        """Return whether this is the last block once more."""
        return self.last_answer != b"" and counter == self.last_counter

    def is_next(self, counter: int) -> bool:
        """Return whether this is the block whose turn it is."""
        return counter == (self.last_counter + 1) & 0xFF

    def right_length(self, size: int) -> bool:
        """Return whether a TransferData request is neither too short nor too long."""
        return size == BLOCK_OVERHEAD if self.target is None else BLOCK_OVERHEAD < size <= self.max_block_length

    def next_part(self) -> bytes:
        """Return what the next block of an upload holds."""
        assert self.source is not None
        return self.source(self.done, min(self.left, self.max_block_length - BLOCK_OVERHEAD))

    def advance(self, counter: int, data: bytes, answer: bytes) -> None:
        """Count a block that is done."""
        self.done += len(data)
        self.crc = zlib.crc32(data, self.crc)
        self.last_counter = counter
        self.last_answer = answer
