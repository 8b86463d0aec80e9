"""The routines of the flash process: erase a block, check its contents, check how the blocks fit together.

A routine of the profile becomes one of them by `act`. Their identifiers are the profile's (FF00 eraseMemory and FF01
checkProgrammingDependencies are the standard's, as in udsoncan; the check of the contents is the maker's, 0202 with many).
Option and status records are our own choice: status 00 well, 01 not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecu_sim.services.memory import Area, cells_at, read_area
from ecu_sim.services.transfer import fingerprint_missing, set_block
from ecu_sim.storage.options import CHECKSUM_LEN, KIB, FlashOptions, Region
from ecu_sim.storage.software import CHECKABLE, READY, BlockState, Software, checksum
from ecu_sim.storage.store import cells_of

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer
    from ecu_sim.services.request import Request

OPTION_AT = 4
WELL, NOT_WELL = b"\x00", b"\x01"


def flash_of(server: UdsServer) -> FlashOptions:
    """Return the flash section of a unit whose profile has such routines (its reader makes sure)."""
    flash = server.profile.flash
    assert flash is not None
    return flash


def software_of(server: UdsServer) -> Software:
    """Return the states of the unit's software."""
    return server.memory.storage.software(flash_of(server))


def _option(request: Request) -> bytes:
    return request.payload[OPTION_AT:]


def _region(server: UdsServer, number: int) -> Region | None:
    """Return the region of a block by its number."""
    regions = server.profile.memory.regions
    blocks = flash_of(server).blocks.values()
    return next((regions[block.region] for block in blocks if block.number == number), None)


def _name(server: UdsServer, region: Region) -> str:
    name = flash_of(server).block_of(region.name)
    assert name is not None
    return name


# ---- erase


def _erased_area(server: UdsServer, request: Request) -> Area | None:
    """Return what is to be erased: a block by its number, or an area within one."""
    option = _option(request)
    if flash_of(server).erase_by == "block":
        region = _region(server, option[0])
        return None if region is None else Area(region, 0, region.size)
    area = read_area(server, option)
    return area if area is not None and flash_of(server).block_of(area.region.name) is not None else None


def _erase_len(server: UdsServer, request: Request) -> int:
    option = _option(request)
    if flash_of(server).erase_by == "block" or not option:
        return 1
    return 1 + (option[0] & 0x0F) + (option[0] >> 4)


def _cannot_erase(server: UdsServer, request: Request) -> bool:
    by_area = flash_of(server).erase_by == "area"
    if by_area and _option(request)[0] not in server.profile.memory.formats:
        return True
    return _erased_area(server, request) is None


def _erase_work_ns(server: UdsServer, request: Request) -> int:
    area = _erased_area(server, request)
    return 0 if area is None else area.size * area.region.erase_per_kib_ns // KIB


def _erase_begins(server: UdsServer, request: Request) -> None:
    """From here on the block is lost, whatever happens to the supply."""
    area = _erased_area(server, request)
    assert area is not None
    cells_at(server, area).spend(area.at, area.size)
    set_block(server, area.region.name, BlockState.ERASING)


def _cannot_be_erased(server: UdsServer, request: Request) -> bool:
    area = _erased_area(server, request)
    return area is not None and not server.memory.storage.takes(area.region.name, area.at, area.size)


def _erase(server: UdsServer, request: Request) -> bytes:
    area = _erased_area(server, request)
    assert area is not None
    cells_at(server, area).erase(area.at, area.size)
    set_block(server, area.region.name, BlockState.ERASED)
    server.note(request.now_ns, "flash", f"{area.size} bytes of {area.region.name} erased")
    return WELL


# ---- check of the contents


def _check_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return 1 + CHECKSUM_LEN[flash_of(server).checksum]


def _no_such_block(server: UdsServer, request: Request) -> bool:
    return _region(server, _option(request)[0]) is None


def _not_loaded(server: UdsServer, request: Request) -> bool:
    region = _region(server, _option(request)[0])
    return region is not None and software_of(server).states[_name(server, region)] not in CHECKABLE


def _check(server: UdsServer, request: Request) -> bytes:
    """A wrong checksum leaves the block as it is: loaded, and not valid."""
    region = _region(server, _option(request)[0])
    assert region is not None
    contents = cells_of(server.memory.storage, server.state.storage, region).read(0, region.size)
    if checksum(flash_of(server).checksum, contents) != _option(request)[1:]:
        server.note(request.now_ns, "flash", f"{region.name}: wrong checksum")
        return NOT_WELL
    states, name = software_of(server).states, _name(server, region)
    if states[name] is BlockState.LOADED:
        set_block(server, region.name, BlockState.CHECKED)
    return WELL


# ---- check of the dependencies


def _no_option(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return 0


def _not_checked(server: UdsServer, request: Request) -> bool:  # noqa: ARG001
    return not READY.issuperset(software_of(server).states.values())


def versions_of(server: UdsServer) -> dict[str, bytes]:
    """Return the versions that stand in flash now."""
    versions = {}
    for name, block in flash_of(server).blocks.items():
        region = server.profile.memory.regions[block.region]
        cells = cells_of(server.memory.storage, server.state.storage, region)
        versions[name] = cells.read(block.version_at, block.version_len)
    return versions


def _check_dependencies(server: UdsServer, request: Request) -> bytes:
    if not software_of(server).accept(versions_of(server)):
        server.note(request.now_ns, "flash", "the blocks do not fit together")
        return NOT_WELL
    server.state.storage.software_touched = True
    server.note(request.now_ns, "flash", "the software is complete")
    return WELL


def _passes(server: UdsServer, request: Request) -> bool:  # noqa: ARG001
    return False


def _does_nothing(server: UdsServer, request: Request) -> None:
    """Nothing begins."""


def _no_time(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A step of the flash process: its option's length, the questions that it is asked, what it does.

    `changes_flash`: it asks for the fingerprint.
    """

    option_len: Callable[[UdsServer, Request], int]
    run: Callable[[UdsServer, Request], bytes]
    unknown: Callable[[UdsServer, Request], bool] = _passes
    out_of_sequence: Callable[[UdsServer, Request], bool] = _passes
    fails: Callable[[UdsServer, Request], bool] = _passes
    begin: Callable[[UdsServer, Request], None] = _does_nothing
    work_ns: Callable[[UdsServer, Request], int] = _no_time
    changes_flash: bool = False


ACTS: Mapping[str, Act] = {
    "erase-memory": Act(
        option_len=_erase_len,
        unknown=_cannot_erase,
        fails=_cannot_be_erased,
        begin=_erase_begins,
        work_ns=_erase_work_ns,
        run=_erase,
        changes_flash=True,
    ),
    "check-memory": Act(option_len=_check_len, unknown=_no_such_block, out_of_sequence=_not_loaded, run=_check),
    "check-dependencies": Act(option_len=_no_option, out_of_sequence=_not_checked, run=_check_dependencies),
}


def not_allowed(server: UdsServer, request: Request, act: Act) -> bool:
    """Return whether a transfer runs, or nobody has said who programs."""
    return server.state.storage.transfer is not None or (
        act.changes_flash and bool(fingerprint_missing(server, request))
    )
