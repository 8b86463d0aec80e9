"""Whatever has a number and data: identifiers of the profile, outputs, those defined at run time, and those of the lock.

One place answers what may be read and what it holds, for 0x22, 0x24, 0x2A, 0x2C and 0x86 alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.access import still_allowed
from ecu_sim.definitions import Definition, FromMemory, Piece, definitions_of
from ecu_sim.io_control import shown
from ecu_sim.profile import ACTIVE_SESSION, FIXED, FREE, Access, Did
from ecu_sim.service_options import Output
from ecu_sim.services.programming import value_of_software
from ecu_sim.storage.store import cells_of
from ecu_sim.vehicle_state import SOURCES

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

Found = Did | Output | Definition | int
"""An `int` is one of the lock's own identifiers."""


def find(server: UdsServer, number: int) -> Found | None:
    """Return what an identifier stands for."""
    did = server.profile.dids.get(number)
    return did if did is not None else find_other(server, number)


def find_other(server: UdsServer, number: int) -> Output | Definition | int | None:
    """Return what an identifier stands for that is none of the profile's data."""
    output = server.profile.outputs.get(number)
    if output is not None:
        return output
    definition = definitions_of(server).get(number)
    if definition is not None:
        return definition
    return number if server.gate is not None and number in server.gate.dids else None


def accesses(server: UdsServer, found: Found, now_ns: int) -> tuple[Access, ...] | None:
    """Return what reading asks for, free ones left out; None where it is not offered at all."""
    if isinstance(found, int):
        return ()
    if isinstance(found, Definition):
        return _of_pieces(server, found.pieces, now_ns)
    if found.read is None:
        return None
    return () if found.read == FREE else (found.read,)


def _of_pieces(server: UdsServer, pieces: tuple[Piece, ...], now_ns: int) -> tuple[Access, ...] | None:
    all_of_them: dict[Access, None] = {}
    for piece in pieces:
        of_piece = piece_accesses(server, piece, now_ns)
        if of_piece is None:
            return None
        all_of_them.update(dict.fromkeys(of_piece))
    return tuple(all_of_them)


def piece_accesses(server: UdsServer, piece: Piece, now_ns: int) -> tuple[Access, ...] | None:
    """Return what reading a piece asks for; None where there is nothing to read, or less than the piece wants."""
    if isinstance(piece, FromMemory):
        return _memory_accesses(server, piece)
    source = find(server, piece.did)
    if source is None or isinstance(source, Definition | int):  # made of what the unit itself has, and of no lock's
        return None
    if piece.position + piece.size - 1 > len(value_of(server, source, now_ns)):
        return None
    return accesses(server, source, now_ns)


def _memory_accesses(server: UdsServer, piece: FromMemory) -> tuple[Access, ...] | None:
    region = server.profile.memory.region_of(piece.address, piece.size)
    if region is None or region.read is None:
        return None
    return () if region.read == FREE else (region.read,)


def in_session(server: UdsServer, wanted: tuple[Access, ...]) -> bool:
    """Return whether all of these are there in the active session."""
    session = server.state.session
    return all(not access.sessions or session in access.sessions for access in wanted)


def allowed(server: UdsServer, number: int, now_ns: int) -> bool:
    """Return whether an identifier exists and may be read now: session, level, grant and conditions."""
    found = find(server, number)
    wanted = None if found is None else accesses(server, found, now_ns)
    return wanted is not None and still_allowed(server, wanted, now_ns, conditions=True)


def value(server: UdsServer, number: int, now_ns: int) -> bytes:
    """Return what an identifier holds. Call it of what is `allowed`."""
    found = find(server, number)
    assert found is not None, f"{number:04X}"
    return value_of(server, found, now_ns)


def value_of(server: UdsServer, found: Found, now_ns: int) -> bytes:
    """Return the data of what was found."""
    if isinstance(found, Did):
        return value_of_did(server, found, now_ns)
    if isinstance(found, Output):
        return shown(server, found)
    if isinstance(found, int):
        assert server.gate is not None
        return server.gate.read_did(found, now_ns)
    return b"".join(_piece(server, piece, now_ns) for piece in found.pieces)


def _piece(server: UdsServer, piece: Piece, now_ns: int) -> bytes:
    if isinstance(piece, FromMemory):
        region = server.profile.memory.region_of(piece.address, piece.size)
        assert region is not None, f"{piece}: a definition outside the unit's memory"
        cells = cells_of(server.memory.storage, server.state.storage, region)
        return cells.read(piece.address - region.address, piece.size)
    start = piece.position - 1
    return value(server, piece.did, now_ns)[start : start + piece.size]


def value_of_did(server: UdsServer, did: Did, now_ns: int) -> bytes:
    """Return what an identifier of the profile holds now."""
    if did.source is None:
        return server.memory.data[did.did]
    if did.source == ACTIVE_SESSION:
        return bytes((server.state.session,))
    if did.source == FIXED:
        return did.value
    measure = SOURCES.get(did.source)
    return value_of_software(server, did.source) if measure is None else measure(server.vehicle, now_ns)


def number_of(found: Found) -> int:
    """Return the identifier's number."""
    return found if isinstance(found, int) else found.did
