"""Data identifiers that DynamicallyDefineDataIdentifier 0x2C makes at run time: pieces of others, or of memory.

Volatile unless the profile keeps them (`definitions: {kept: true}`). Who may read one is who may read all that it is made of,
asked at every reading, so a definition opens nothing. Defining one again adds to it (ISO 14229-1 lets a definition take several
requests; general knowledge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

DYNAMIC_RANGE = range(0xF200, 0xF400)
"""F200 to F2FF, which 0x2A can send, and F300 to F3FF."""
MAX_BYTES = 4_092
"""What fits an answer `62 DID data` of 4095 bytes."""


@dataclass(frozen=True, slots=True)
class FromIdentifier:
    """A piece of an identifier's data: `position` counts bytes from 1."""

    did: int
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class FromMemory:
    """A piece of memory."""

    address: int
    size: int


Piece = FromIdentifier | FromMemory


@dataclass(frozen=True, slots=True)
class Definition:
    """An identifier made of pieces, in their order."""

    did: int
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(piece.size for piece in self.pieces)


def definitions_of(server: UdsServer) -> dict[int, Definition]:
    """Return the unit's definitions, where they are kept."""
    return server.memory.definitions if server.profile.definitions.kept else server.state.definitions
