"""Section `files`: directories, and the files of a new unit."""

from __future__ import annotations

from typing import Any

from ecu_sim.reading.fields import read_number, read_offered
from ecu_sim.reading.memory import ascii_bytes
from ecu_sim.storage.file_store import FileStore
from ecu_sim.storage.options import KIB, Directory, FilesOptions
from wire.strict_yaml import Node

KEYS = ("files",)
MAX_CAPACITY = 16 << 20
MAX_PATH = 1000
MAX_FILES = 10_000


def read(node: Node) -> dict[str, Any]:
    """Return `files`."""
    files = node.get("files")
    return {"files": _files(files) if files else None}


def _files(node: Node) -> FilesOptions:
    node.mapping(("directories", "contents", "capacity", "max_path", "max_files"))
    contents = node.get("contents")
    options = FilesOptions(
        directories={path: _directory(entry) for path, entry in node.require("directories").mapping().items()},
        contents={path: _content(entry) for path, entry in contents.mapping().items()} if contents else {},
        capacity=read_number(node.get("capacity"), 64 * KIB, 1, MAX_CAPACITY),
        max_path=read_number(node.get("max_path"), 255, 1, MAX_PATH),
        max_files=read_number(node.get("max_files"), 100, 1, MAX_FILES),
    )
    _check_paths(node, FileStore(options))
    for path, entry in contents.mapping().items() if contents else ():
        if FileStore(options).directory_of(path) is None:
            raise entry.error(
                f"no directory under 'directories' holds {path!r}; there are: {', '.join(options.directories)}"
            )
    used = sum(map(len, options.contents.values()))
    if used > options.capacity:
        raise (node.get("capacity") or node).error(f"the files of a new unit have {used} bytes already")
    return options


def _check_paths(node: Node, store: FileStore) -> None:
    for table in ("directories", "contents"):
        entries = node.get(table)
        for path, entry in entries.mapping().items() if entries else ():
            if not path.isascii() or not store.is_path(path.encode("ascii")):
                raise entry.error(f"expected an absolute path of plain names, as in /log/trace.txt, got {path!r}")


def _directory(node: Node) -> Directory:
    node.mapping(("read", "write"))
    return Directory(read=read_offered(node.get("read")), write=read_offered(node.get("write")))


def _content(node: Node) -> bytes:
    node.mapping(("text", "hex"))
    text, raw = node.get("text"), node.get("hex")
    if (text is None) == (raw is None):
        raise node.error("a file has one of text, hex")
    return raw.hex_bytes() if raw is not None else ascii_bytes(node.require("text"))
