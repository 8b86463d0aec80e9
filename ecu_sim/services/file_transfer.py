"""RequestFileTransfer 0x38: add, delete, replace, read, list, resume. The data goes by TransferData 0x36.

Layouts are those that udsoncan reads and writes (RequestFileTransfer of both editions); resumeFile is the 2020 edition's. A path
is printable and absolute, and what it names is inside a directory of the profile: `ecu_sim.storage.file_store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from ecu_sim.profile import FREE
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.services.transfer import begin_transfer, end_transfer, format_of, length_record, read_slice, transfer_runs
from ecu_sim.storage.encoding import COMPRESSIONS
from ecu_sim.storage.file_store import FileStore
from ecu_sim.storage.options import Directory
from ecu_sim.storage.transfer import Transfer

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

PATH_AT = 4
"""Service, mode, and the path's length in two bytes stand before it."""
POSITION_LEN = 8
"""filePosition is always so long (udsoncan)."""
WIDTHS = range(1, 9)
"""Bytes of a file size that the unit takes; more than 64 bits is no size."""


class Mode(IntEnum):
    """modeOfOperation."""

    ADD = 0x01
    DELETE = 0x02
    REPLACE = 0x03
    READ = 0x04
    READ_DIRECTORY = 0x05
    RESUME = 0x06


MODES = frozenset(Mode)
BRINGS = frozenset((Mode.ADD, Mode.REPLACE, Mode.RESUME))
"""Modes that announce sizes: a file comes."""
WITH_FORMAT = BRINGS | {Mode.READ}
FIRST_EDITION = 2013
"""Knows no resumeFile."""


@dataclass(slots=True, kw_only=True)
class FileRequest:
    """A request, taken apart. `path` is text once it is known to be well formed."""

    mode: Mode
    raw_path: bytes
    data_format: int = 0
    width: int = 0
    size: int = 0
    encoded_size: int = 0
    path: str = ""
    directory: Directory | None = None


def _mode_unknown(server: UdsServer, request: Request) -> int:
    mode = request.payload[1]
    return mode not in MODES or (mode == Mode.RESUME and server.profile.edition == FIRST_EDITION)


def _not_whole(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    """Take the request apart; return whether bytes are missing or left over."""
    payload, mode = request.payload, Mode(request.payload[1])
    end = PATH_AT + int.from_bytes(payload[2:PATH_AT], "big")
    asked = request.found = FileRequest(mode=mode, raw_path=payload[PATH_AT:end])
    if mode in WITH_FORMAT and end < len(payload):
        asked.data_format = payload[end]
    end += mode in WITH_FORMAT
    if mode in BRINGS:
        asked.width = payload[end] if end < len(payload) else 0
        first, last = end + 1 + asked.width, end + 1 + 2 * asked.width
        asked.size = int.from_bytes(payload[end + 1 : first], "big")
        asked.encoded_size = int.from_bytes(payload[first:last], "big")
        end = last
    return end != len(payload)


def _store(server: UdsServer) -> FileStore:
    files = server.profile.files
    assert files is not None
    return server.memory.storage.files(files)


def _bad_path(server: UdsServer, request: Request) -> int:
    asked = request.found
    if server.profile.files is None or not _store(server).is_path(asked.raw_path):
        return True
    asked.path = asked.raw_path.decode("ascii")
    return False


def _data_format_unknown(server: UdsServer, request: Request) -> int:
    return format_of(server, request.found.data_format) is None


def _bad_sizes(server: UdsServer, request: Request) -> int:
    """Without compression both sizes are the same; with one, a stream of no bytes is none."""
    asked = request.found
    if asked.mode not in BRINGS:
        return False
    if asked.width not in WIDTHS:
        return True
    plain = format_of(server, asked.data_format) == "none"
    return bool(asked.size != asked.encoded_size if plain else not asked.encoded_size)


def _not_there(server: UdsServer, request: Request) -> int:
    """Find the directory, and the file where there must be one."""
    asked, files, store = request.found, server.profile.files, _store(server)
    assert files is not None
    listing = asked.mode == Mode.READ_DIRECTORY
    name = asked.path if listing else store.directory_of(asked.path)
    directory = asked.directory = files.directories.get(name or "")
    if directory is None:
        return True
    access = directory.read if asked.mode in (Mode.READ, Mode.READ_DIRECTORY) else directory.write
    if access is None:
        return True
    if access is not FREE:
        request.accesses = (access,)
    return asked.mode in (Mode.DELETE, Mode.REPLACE, Mode.READ) and not store.holds(asked.path)


def _there_already(server: UdsServer, request: Request) -> int:
    return request.found.mode == Mode.ADD and _store(server).holds(request.found.path)


def _nothing_to_resume(server: UdsServer, request: Request) -> int:
    """A part goes on when it was announced with the same size, and came without compression."""
    asked = request.found
    if asked.mode != Mode.RESUME:
        return False
    part = _store(server).part(asked.path)
    return part is None or part.size != asked.size or format_of(server, asked.data_format) != "none"


def _no_room(server: UdsServer, request: Request) -> int:
    asked = request.found
    return asked.mode in (Mode.ADD, Mode.REPLACE) and not _store(server).has_room(asked.path, asked.size)


class FileTarget:
    """A download into a file that is still a part."""

    alignment = 1

    def __init__(self, store: FileStore, path: str) -> None:
        part = store.part(path)
        assert part is not None
        self._part = part
        self._store = store
        self._path = path

    def work_ns(self, count: int) -> int:  # noqa: ARG002
        """A file system takes what comes at once."""
        return 0

    def takes(self, at: int, count: int) -> bool:  # noqa: ARG002
        """Its room was taken before."""
        return True

    def begin(self, at: int, count: int) -> None:
        """Nothing stays half written."""

    def write(self, at: int, data: bytes) -> None:  # noqa: ARG002
        """Append."""
        self._part.data += data

    def finish(self) -> None:
        """Let the part be the file."""
        self._store.commit(self._path)


def _serve(server: UdsServer, request: Request) -> bytes:
    asked: FileRequest = request.found
    store, head = _store(server), bytes((0x78, asked.mode))
    if asked.mode is Mode.DELETE:
        end_transfer(server, request.now_ns, "a file is deleted")
        store.delete(asked.path)
        server.note(request.now_ns, "file", f"{asked.path} deleted")
        return head
    length = length_record(server.profile.memory.max_block_length)
    head += bytes((len(length),)) + length + bytes((asked.data_format,))
    if asked.mode in BRINGS:
        return head + _bring(server, request, asked)
    return head + _fetch(server, request, asked)


def _bring(server: UdsServer, request: Request, asked: FileRequest) -> bytes:
    store, compression = _store(server), format_of(server, asked.data_format)
    assert compression is not None
    assert asked.directory is not None
    assert asked.directory.write is not None
    if asked.mode is not Mode.RESUME:
        store.begin(asked.path, asked.size)
    part = store.part(asked.path)
    position = len(part.data) if part else 0
    transfer = Transfer(
        size=asked.size - position,
        access=asked.directory.write,
        max_block_length=server.profile.memory.max_block_length,
        target=FileTarget(store, asked.path),
        decoder=COMPRESSIONS[compression][0](),
        encoded_size=asked.encoded_size - position,
    )
    begin_transfer(server, transfer, request, f"{asked.path} comes, {asked.size} bytes from {position}")
    return position.to_bytes(POSITION_LEN, "big") if asked.mode is Mode.RESUME else b""


def _fetch(server: UdsServer, request: Request, asked: FileRequest) -> bytes:
    store, compression = _store(server), format_of(server, asked.data_format)
    assert compression is not None
    assert asked.directory is not None
    assert asked.directory.read is not None
    listing = asked.mode is Mode.READ_DIRECTORY
    plain = store.listing(asked.path) if listing else store.read(asked.path)
    packed = COMPRESSIONS[compression][1](plain)
    transfer = Transfer(
        size=len(packed),
        access=asked.directory.read,
        max_block_length=server.profile.memory.max_block_length,
        source=partial(read_slice, packed),
    )
    begin_transfer(server, transfer, request, f"{asked.path} goes, {len(packed)} bytes")
    sizes = (len(plain),) if listing else (len(plain), len(packed))
    width = max(1, (max(sizes).bit_length() + 7) // 8)
    return width.to_bytes(2, "big") + b"".join(size.to_bytes(width, "big") for size in sizes)


SPECS = {
    0x38: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        min_len=5,
        checks={
            "mode known": _mode_unknown,
            "request whole": _not_whole,
            "no transfer runs": transfer_runs,
            "path well formed": _bad_path,
            "data format": _data_format_unknown,
            "file sizes": _bad_sizes,
            "file there": _not_there,
            "file absent": _there_already,
            "part to resume": _nothing_to_resume,
            "room left": _no_room,
        },
    )
}
