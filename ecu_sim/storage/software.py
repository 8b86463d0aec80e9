"""The unit's own software: a state for each logical block, and what runs, the application or the boot loader.

    valid -> erasing -> erased -> loading -> loaded -> checked -> valid
                ^--------------------- (erase, from any state)

States outlive the supply. Whatever interrupts, the unit starts its application only when every block is valid; else its boot
loader, which says so. From `erasing` on a block is lost until the whole way was gone again.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum

from ecu_sim.storage.options import Checksum, FlashOptions


class BlockState(StrEnum):
    """How far a block has come."""

    VALID = "valid"
    ERASING = "erasing"
    ERASED = "erased"
    LOADING = "loading"
    LOADED = "loaded"
    CHECKED = "checked"


STATE_CODES = {state: code for code, state in enumerate(BlockState)}
"""One byte each in the identifier that tells the programming state (our own choice)."""
READY = frozenset((BlockState.CHECKED, BlockState.VALID))
CHECKABLE = READY | {BlockState.LOADED}
_DIGESTS: Mapping[Checksum, Callable[[bytes], bytes]] = {
    Checksum.CRC_32: lambda data: zlib.crc32(data).to_bytes(4, "big"),
    Checksum.SHA_256: lambda data: hashlib.sha256(data).digest(),
}


def checksum(kind: Checksum, data: bytes) -> bytes:
    """Return the checksum of a block's contents."""
    return _DIGESTS[kind](data)


class Software:
    """Kept without supply. `running`: the versions as they were when the application started last; empty in the boot loader."""

    __slots__ = ("options", "running", "states")

    def __init__(self, options: FlashOptions) -> None:
        self.options = options
        self.states = dict.fromkeys(options.blocks, BlockState.VALID)
        self.running: dict[str, bytes] = {}

    @property
    def complete(self) -> bool:
        """Whether the application can run."""
        return all(state is BlockState.VALID for state in self.states.values())

    def report(self) -> bytes:
        """Return the programming state: 00 complete or 01 incomplete, then number and state of each block."""
        blocks = self.options.blocks
        pairs = ((blocks[name].number, STATE_CODES[state]) for name, state in self.states.items())
        return bytes((not self.complete,)) + b"".join(bytes(pair) for pair in pairs)

    def accept(self, versions: Mapping[str, bytes]) -> bool:
        """Check how the blocks fit together; if they do, all are valid."""
        if not READY.issuperset(self.states.values()):
            return False
        if self.options.same_version and len(set(versions.values())) > 1:
            return False
        self.states = dict.fromkeys(self.states, BlockState.VALID)
        return True
