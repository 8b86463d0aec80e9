"""DynamicallyDefineDataIdentifier 0x2C: 01 by identifier, 02 by memory address, 03 clear one or all.

In the default session too, but for memory (the standard leaves the service there to the unit; that split is our own choice).
Whoever defines must be allowed to read every piece then, and whoever reads, then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import periodic, readable
from ecu_sim.definitions import (
    DYNAMIC_RANGE,
    MAX_BYTES,
    Definition,
    FromIdentifier,
    FromMemory,
    Piece,
    definitions_of,
)
from ecu_sim.periodic import PERIODIC_PAGE
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, only

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

BY_IDENTIFIER, BY_MEMORY, CLEAR = 0x01, 0x02, 0x03


def _wrong_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    size = len(request.payload)
    match request.sub_function:
        case 0x01:
            return size < 8 or size % 4 != 0
        case 0x02:
            if size < 5:
                return True
            address_len, size_len = request.payload[4] & 0x0F, request.payload[4] >> 4
            piece_len = address_len + size_len
            return size < 7 or (piece_len > 0 and (size - 5) % piece_len != 0)
        case _:
            return size not in (2, 4)


def _wrong_format(server: UdsServer, request: Request) -> int:
    return request.sub_function == BY_MEMORY and request.payload[4] not in server.profile.memory.formats


def _not_dynamic(server: UdsServer, request: Request) -> int:
    """Only numbers that the profile has not given away; one that is to be cleared has to be defined."""
    if len(request.payload) == 2:
        return False
    number = int.from_bytes(request.payload[2:4], "big")
    if request.sub_function == CLEAR:
        return number not in definitions_of(server)
    return number not in DYNAMIC_RANGE or number in server.profile.dids or number in server.profile.outputs


def _source_unknown(server: UdsServer, request: Request) -> int:
    """Find the pieces: each must be there, in this session, and be as long as the piece wants."""
    request.found = pieces = _pieces(request)
    for piece in pieces:
        wanted = readable.piece_accesses(server, piece, request.now_ns) if piece.size else None
        if wanted is None:
            return True
        request.accesses += tuple(access for access in wanted if access not in request.accesses)
    return False


def _pieces(request: Request) -> tuple[Piece, ...]:
    payload = request.payload
    if request.sub_function == BY_IDENTIFIER:
        return tuple(
            FromIdentifier(int.from_bytes(payload[at : at + 2], "big"), payload[at + 2], payload[at + 3])
            for at in range(4, len(payload), 4)
        )
    if request.sub_function == BY_MEMORY:
        address_len, size_len = payload[4] & 0x0F, payload[4] >> 4
        return tuple(
            FromMemory(
                int.from_bytes(payload[at : at + address_len], "big"),
                int.from_bytes(payload[at + address_len : at + address_len + size_len], "big"),
            )
            for at in range(5, len(payload), address_len + size_len)
        )
    return ()


def _position_zero(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return any(isinstance(piece, FromIdentifier) and not piece.position for piece in _pieces(request))


def _too_much(server: UdsServer, request: Request) -> int:
    """Limits of the unit: how many identifiers, how many pieces of one, how many bytes."""
    if request.sub_function == CLEAR:
        return False
    options, definitions = server.profile.definitions, definitions_of(server)
    number = int.from_bytes(request.payload[2:4], "big")
    before = definitions.get(number)
    if before is None and len(definitions) >= options.count:
        return True
    pieces = (before.pieces if before is not None else ()) + request.found
    return len(pieces) > options.pieces or sum(piece.size for piece in pieces) > MAX_BYTES


def _serve(server: UdsServer, request: Request) -> bytes:
    definitions = definitions_of(server)
    echo = bytes((0x6C, request.sub_function)) + request.payload[2:4]
    number = int.from_bytes(request.payload[2:4], "big")
    if request.sub_function == CLEAR:
        for cleared in [number] if len(request.payload) > 2 else list(definitions):
            del definitions[cleared]
            if cleared & 0xFF00 == PERIODIC_PAGE:  # what has no data any more is not sent any more
                periodic.stop(server, cleared & 0xFF)
        return echo
    before = definitions.get(number)
    definitions[number] = Definition(number, (before.pieces if before is not None else ()) + request.found)
    server.note(request.now_ns, "definition", f"{number:04X}: {definitions[number].size} bytes")
    return echo


def _sessions(server: UdsServer, sub_function: int) -> frozenset[int]:  # noqa: ARG001
    return NOT_DEFAULT if sub_function == BY_MEMORY else frozenset()


SPECS = {
    0x2C: ServiceSpec(
        serve=_serve,
        sub_functions=only(BY_IDENTIFIER, BY_MEMORY, CLEAR),
        sub_function_sessions=_sessions,
        min_len=2,
        checks={
            "definition length": _wrong_length,
            "address and length format": _wrong_format,
            "identifier definable": _not_dynamic,
            "position counts from 1": _position_zero,
            "source known": _source_unknown,
            "definition within limits": _too_much,
        },
    )
}
