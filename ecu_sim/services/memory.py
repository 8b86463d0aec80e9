"""ReadMemoryByAddress 0x23 and WriteMemoryByAddress 0x3D, and how a request names an area of memory.

addressAndLengthFormatIdentifier: the low half says how many bytes the address has, the high half how many the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecu_sim.profile import FREE
from ecu_sim.services.request import Request, ServiceSpec
from ecu_sim.storage.cells import Cells
from ecu_sim.storage.options import KIB, Region
from ecu_sim.storage.store import cells_of

if TYPE_CHECKING:
    from ecu_sim.profile import Access
    from ecu_sim.server import UdsServer


@dataclass(frozen=True, slots=True)
class Area:
    """Bytes of one region. `at` counts from the region's start."""

    region: Region
    at: int
    size: int


def format_unknown(server: UdsServer, request: Request, *, at: int = 1) -> int:
    """Return whether the unit does not take addresses and sizes of these widths; `at`: where the format identifier stands."""
    return request.payload[at] not in server.profile.memory.formats


def end_of_area(request: Request, *, at: int = 1) -> int:
    """Return where the address and the size end that follow the format identifier."""
    widths = request.payload[at]
    return at + 1 + (widths & 0x0F) + (widths >> 4)


def read_area(server: UdsServer, record: bytes) -> Area | None:
    """Return the area that a format identifier, an address and a size name; None where no region holds all of it."""
    address_end = 1 + (record[0] & 0x0F)
    address = int.from_bytes(record[1:address_end], "big")
    size = int.from_bytes(record[address_end : address_end + (record[0] >> 4)], "big")
    region = server.profile.memory.region_of(address, size)
    return None if region is None else Area(region, address - region.address, size)


def offer(request: Request, area: Area | None, access: Access | None) -> int:
    """Leave an area for the rows that follow; return whether there is nothing to leave."""
    if area is None or access is None:
        return True
    request.found = area
    if access is not FREE:
        request.accesses = (access,)
    return False


def cells_at(server: UdsServer, area: Area) -> Cells:
    """Return the bytes of an area's region."""
    return cells_of(server.memory.storage, server.state.storage, area.region)


def _read_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return end_of_area(request)


def _not_readable(server: UdsServer, request: Request) -> int:
    area = read_area(server, request.payload[1:])
    return offer(request, area, area.region.read if area else None)


def _read(server: UdsServer, request: Request) -> bytes:
    area = request.found
    return b"\x63" + cells_at(server, area).read(
        area.at, min(area.size, server.profile.max_answer_bytes)
    )  # longer: 0x14


def _write_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    end, payload = end_of_area(request), request.payload
    size_at = 2 + (payload[1] & 0x0F)
    return end + int.from_bytes(payload[size_at:end], "big")


def _not_writable(server: UdsServer, request: Request) -> int:
    area = read_area(server, request.payload[1:])
    return offer(request, area, area.region.write if area else None)


def _cells_fail(server: UdsServer, request: Request) -> int:
    area = request.found
    return not server.memory.storage.takes(area.region.name, area.at, area.size)


def _write(server: UdsServer, request: Request) -> bytes:
    area, end = request.found, end_of_area(request)
    cells_at(server, area).write(area.at, request.payload[end:])
    server.note(request.now_ns, "written", f"{area.size} bytes in {area.region.name}")
    return b"\x7d" + request.payload[1:end]


def _write_work_ns(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    area = request.found
    return int(area.size * area.region.program_per_kib_ns // KIB)


SPECS = {
    0x23: ServiceSpec(
        serve=_read,
        min_len=4,
        exact_len=_read_len,
        checks={"address format": format_unknown, "area readable": _not_readable},
    ),
    0x3D: ServiceSpec(
        serve=_write,
        min_len=5,
        exact_len=_write_len,
        checks={"address format": format_unknown, "area writable": _not_writable, "cells programmable": _cells_fail},
        work_ns=_write_work_ns,
    ),
}
