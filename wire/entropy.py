"""Where random bytes come from: the world's seeded streams in simulation, the operating system in live mode.

Whoever needs secrets is handed an `Entropy`; nobody reaches for `os.urandom` or `uuid4`.
"""

from __future__ import annotations

import random
import secrets
from typing import Protocol


class Entropy(Protocol):
    """A source of random bytes."""

    def token_bytes(self, size: int) -> bytes:
        """Return `size` random bytes."""


class SeededEntropy:
    """Reproducible bytes from one named stream of the world: `SeededEntropy(world.rng("portal"))`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def token_bytes(self, size: int) -> bytes:
        """Return the stream's next `size` bytes."""
        return self._rng.randbytes(size)


class LiveEntropy:
    """Real secrets from the operating system."""

    def token_bytes(self, size: int) -> bytes:
        """Return `size` bytes of `secrets`."""
        return secrets.token_bytes(size)
