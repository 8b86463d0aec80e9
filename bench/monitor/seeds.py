"""The witness's reading of a lock at a 0x27 level of its own (signed seed): which seed was given, which key was taken.

Of the stage-1 shape it knows what is public and what this bench has chosen, from the domain's facts: 32 bytes of seed, zeros when
open; 64 bytes of key; an unlock is called by the head of its seed's SHA-256 in the audit log. Nothing of the simulator.
"""

from __future__ import annotations

import hashlib

KEY_LEN = 64
ID_LEN = 16
KIND = "signed-seed"


class SeedBook:
    """What was said at the level `level` (None: the car has no such lock)."""

    __slots__ = ("_seed", "level")

    def __init__(self, level: int | None) -> None:
        self.level = level
        self._seed: bytes | None = None

    def is_seed(self, request: bytes) -> bool:
        """Return whether a request (suppress bit taken off) asks for the lock's seed."""
        return self.level is not None and request[:2] == bytes((0x27, self.level))

    def is_key(self, request: bytes) -> bool:
        """Return whether a request (suppress bit taken off) brings the lock a key."""
        return self.level is not None and request[:2] == bytes((0x27, self.level + 1))

    def seed(self, answer: bytes) -> bool:
        """Take `67 ..` with a seed; return whether it says that the lock is open."""
        seed = answer[2:]
        if not any(seed):
            return True
        self._seed = seed
        return False

    def called(self, request: bytes) -> str | None:
        """Return what the unlock is called that this key is for: the last seed's. None where no seed waits, or it is no key."""
        if self._seed is None or len(request) != 2 + KEY_LEN:
            return None
        return f"{KIND}:{hashlib.sha256(self._seed).digest()[:ID_LEN].hex()}"

    def used(self) -> None:
        """Learn that a key was taken: its seed waits no more."""
        self._seed = None
