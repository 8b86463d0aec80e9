"""What is true of each request for memory, transfers and files to the unit that is walked past."""

import zlib
from collections.abc import Callable, Iterator, Mapping

from walk import Fails, Probe, Situation
from walk_facts import ACCESSES, MEMORY, NOT_DEFAULT, says_who

from ecu_sim.profile import FREE, Access
from ecu_sim.server import UdsServer
from ecu_sim.services.memory import Area, cells_at
from ecu_sim.services.transfer import RegionTarget
from ecu_sim.storage.encoding import Zlib
from ecu_sim.storage.transfer import Transfer

Prepare = Callable[[UdsServer], None]


def _odd(situation: Situation, extra: int) -> bool:
    return extra != 0


def wear_ram(server: UdsServer) -> None:
    server.memory.storage.wear_out("ram 1", 0, 8)


def running(
    access: Access = FREE,
    *,
    size: int = 8,
    done: int = 0,
    packed: bool = False,
    alignment: int = 1,
    prepare: Prepare | None = None,
) -> Prepare:
    """Return what lets a download into RAM run, `done` of `size` bytes there already."""

    def begin(server: UdsServer) -> None:
        target = RegionTarget(server, Area(MEMORY.regions["ram 1"], 0, size))
        target.alignment = alignment
        transfer = Transfer(size=size, access=access, max_block_length=6, target=target, done=done)
        if packed:
            transfer.decoder = Zlib()
        server.state.storage.transfer = transfer
        if prepare is not None:
            prepare(server)

    return begin


def by_address(sid: int, row: str, data: bytes = b"", **rows: Fails) -> Iterator[Probe]:
    """Yield probes of 0x23 and 0x3D."""

    def probe(record: bytes, access: Access = FREE, prepare: Prepare | None = None, **fails: Fails) -> Probe:
        own = {
            "address format": False,
            row: False,
            **rows,
            **{key.replace("_", " "): value for key, value in fails.items()},
        }
        if "area" in own:
            own[row] = own.pop("area")
        return Probe(sid=sid, body=record + data, needs=access, minimum=4 + len(data), prepare=prepare, fails=own)

    for number, access in ACCESSES.items():
        yield probe(bytes((0x12, number, 0, 1)), access)
    yield probe(b"\x11\x01\x01", address_format=True)
    for place in (b"\x09\x00\x01", b"\x01\x10\x01", b"\x01\x0f\x02", b"\x0b\x00\x01"):
        extra = data if place[2] == 2 else b""
        yield Probe(
            sid=sid,
            body=b"\x12" + place + data + extra,
            minimum=4 + len(data),
            fails={"address format": False, row: True, **rows},
        )
    if sid == 0x3D:
        yield probe(b"\x12\x01\x00\x01", prepare=wear_ram, cells_programmable=True)


def read_memory() -> Iterator[Probe]:
    return by_address(0x23, "area readable")


def write_memory() -> Iterator[Probe]:
    return by_address(0x3D, "area writable", b"\x55", **{"cells programmable": False})


def transfer_request(sid: int, row: str) -> Iterator[Probe]:
    """Yield probes of 0x34 and 0x35."""
    rows: dict[str, Fails] = {"address format": False, "no transfer runs": 0, "data format": False, row: False}
    if sid == 0x34:
        rows |= {"fingerprint written": False, "area erased": False}

    def probe(record: bytes, access: Access = FREE, prepare: Prepare | None = None, **fails: Fails) -> Probe:
        own = {**rows, **{key.replace("_", " "): value for key, value in fails.items()}}
        return Probe(sid=sid, body=record, sessions=NOT_DEFAULT, needs=access, minimum=5, prepare=prepare, fails=own)

    for number, access in ACCESSES.items():
        yield probe(bytes((0, 0x12, number, 0, 1)), access)
    yield probe(b"\x00\x11\x01\x01", address_format=True)
    yield probe(b"\x20\x12\x01\x00\x01", data_format=True)
    yield probe(b"\x01\x12\x01\x00\x01", data_format=True)
    yield probe(b"\x00\x12\x01\x00\x01", prepare=running(), no_transfer_runs=0x22)
    for place in (b"\x09\x00\x01", b"\x01\x0f\x02", b"\x01\x00\x00"):
        yield probe(b"\x00\x12" + place, **{row: True})
    if sid == 0x34:
        yield probe(b"\x00\x12\x0a\x00\x01", fingerprint_written=True)
        yield probe(b"\x00\x12\x0a\x00\x01", prepare=says_who, area_erased=True)
        yield probe(b"\x00\x12\x0a\x00\x01", prepare=_erased)


def _erased(server: UdsServer) -> None:
    says_who(server)
    cells_at(server, Area(MEMORY.regions["flash"], 0, 16)).erase(0, 16)


def download() -> Iterator[Probe]:
    return transfer_request(0x34, "area downloadable")


def upload() -> Iterator[Probe]:
    return transfer_request(0x35, "area uploadable")


def transfer_data() -> Iterator[Probe]:
    def too_long_or_short(situation: Situation, extra: int) -> bool:
        return not 2 < 6 + extra <= 6

    def probe(prepare: Prepare | None, counter: int = 1, access: Access = FREE, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "transfer requested": prepare is None,
            "block length": too_long_or_short,
            "block counter": False,
            "data left": False,
            "data decodable": False,
            "block aligned": False,
            "data announced": False,
            "cells programmable": False,
        }
        rows |= {key.replace("_", " "): value for key, value in fails.items()}
        body = bytes((counter, 1, 2, 3, 4))
        return Probe(
            sid=0x36, body=body, sessions=NOT_DEFAULT, needs=access, minimum=2, fixed=False, prepare=prepare, fails=rows
        )

    yield probe(None)
    for access in ACCESSES.values():
        yield probe(running(access), access=access)
    for counter in (0, 2, 0xFF):
        yield probe(running(), counter, block_counter=True)
    yield probe(running(done=8), data_left=True)
    yield probe(running(packed=True), data_decodable=True)
    yield probe(running(alignment=3), block_aligned=lambda situation, extra: (4 + extra) % 3 != 0)
    yield probe(running(size=2), data_announced=True)
    yield probe(running(prepare=wear_ram), cells_programmable=True)


def transfer_exit() -> Iterator[Probe]:
    def probe(prepare: Prepare | None, record: bytes, access: Access = FREE, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "transfer requested": prepare is None,
            "all transferred": False,
            "record length": _odd,
            "record right": False,
        }
        rows |= {key.replace("_", " "): value for key, value in fails.items()}
        return Probe(
            sid=0x37, body=record, sessions=NOT_DEFAULT, needs=access, fixed=False, prepare=prepare, fails=rows
        )

    nothing = zlib.crc32(b"").to_bytes(4, "big")
    yield probe(None, nothing)
    for access in ACCESSES.values():
        yield probe(running(access, done=8), nothing, access)
    yield probe(running(), nothing, all_transferred=True)
    yield probe(running(done=8), b"\x00\x00\x00\x01", record_right=True)


def file_transfer() -> Iterator[Probe]:
    def probe(
        mode: int, path: str, tail: bytes = b"", access: Access = FREE, prepare: Prepare | None = None, **fails: Fails
    ) -> Probe:
        rows: dict[str, Fails] = {
            "mode known": False,
            "request whole": _odd,
            "no transfer runs": 0,
            "path well formed": False,
            "data format": False,
            "file sizes": False,
            "file there": False,
            "file absent": False,
            "part to resume": False,
            "room left": False,
        }
        rows |= {key.replace("_", " "): value for key, value in fails.items()}
        raw = path.encode()
        body = bytes((mode, 0, len(raw))) + raw + tail
        return Probe(
            sid=0x38, body=body, sessions=NOT_DEFAULT, needs=access, minimum=5, fixed=False, prepare=prepare, fails=rows
        )

    for number, access in ACCESSES.items():
        yield probe(4, f"/{number}/a", b"\x00", access)
        yield probe(5, f"/{number}", b"", access)
        yield probe(2, f"/{number}/a", b"", access)
        yield probe(1, f"/{number}/b", b"\x00\x01\x02\x02", access)
    for mode in (0, 7, 0x84, 0xFF):
        yield probe(mode, "/1/a", b"\x00", mode_known=True)
    yield probe(4, "/1/a", b"\x00", prepare=running(), no_transfer_runs=0x22)
    yield probe(4, "/1/../a", b"\x00", path_well_formed=True)
    yield probe(4, "/1/a", b"\x20", data_format=True)
    yield probe(1, "/1/b", b"\x00\x01\x02\x03", file_sizes=True)
    yield probe(4, "/1/b", b"\x00", file_there=True)
    yield probe(1, "/1/a", b"\x00\x01\x02\x02", file_absent=True)
    yield probe(6, "/1/b", b"\x00\x01\x02\x02", part_to_resume=True)
    yield probe(1, "/1/b", b"\x00\x01\xff\xff", room_left=True)


STORAGE_PROBES: Mapping[int, Callable[[], Iterator[Probe]]] = {
    0x23: read_memory,
    0x34: download,
    0x35: upload,
    0x36: transfer_data,
    0x37: transfer_exit,
    0x38: file_transfer,
    0x3D: write_memory,
}
"""What is asked of each service of memory, transfers and files."""
