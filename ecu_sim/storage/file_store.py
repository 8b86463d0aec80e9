"""The file system behind RequestFileTransfer 0x38: directories of the profile, files in them, and files that came half.

A file appears whole or not at all: until RequestTransferExit what arrives is a part, of which nobody but resumeFile knows, and a
replaced file keeps its contents. Parts outlive the supply. Their announced size is taken from the capacity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ecu_sim.storage.options import FilesOptions

_NAME = r"[A-Za-z0-9_\-][A-Za-z0-9_\-.]*"
_PATH = re.compile(rf"/|(?:/{_NAME})+")
"""Absolute, without `.`, `..`, empty parts or hidden names: there is no way out (our own choice)."""


@dataclass(slots=True)
class Part:
    """A file on its way: what was announced, and what has come."""

    size: int
    data: bytearray = field(default_factory=bytearray)


class FileStore:
    """Paths are as they stand on the wire, and well formed (`is_path`)."""

    __slots__ = ("_files", "_options", "_parts")

    def __init__(self, options: FilesOptions) -> None:
        self._options = options
        self._files = dict(options.contents)
        self._parts: dict[str, Part] = {}

    def is_path(self, path: bytes) -> bool:
        """Return whether this is the path of a file or directory at all."""
        return len(path) <= self._options.max_path and _PATH.fullmatch(path.decode("latin-1")) is not None

    def directory_of(self, path: str) -> str | None:
        """Return the directory that a file would be in; None without such a directory, or where the path is one itself."""
        parent = path.rpartition("/")[0] or "/"
        return parent if parent in self._options.directories and path not in self._options.directories else None

    def holds(self, path: str) -> bool:
        """Return whether there is such a file."""
        return path in self._files

    def read(self, path: str) -> bytes:
        """Return a file's contents."""
        return self._files[path]

    def listing(self, directory: str) -> bytes:
        """Return a directory: a line `name size` for each file, `name/` for each directory (our own format)."""
        lines = []
        inside = sorted({*self._files, *self._options.directories} - {"/"})
        for path in inside:
            if (path.rpartition("/")[0] or "/") == directory:
                name = path.rpartition("/")[2]
                lines.append(f"{name} {len(self._files[path])}\n" if path in self._files else f"{name}/\n")
        return "".join(lines).encode("ascii")

    def has_room(self, path: str, size: int) -> bool:
        """Return whether a file of `size` fits beside all others; a part of the same path gives way to it."""
        parts = sum(part.size for other, part in self._parts.items() if other != path)
        count = len({*self._files, *self._parts, path})
        used = sum(map(len, self._files.values())) + parts
        return used + size <= self._options.capacity and count <= self._options.max_files

    def begin(self, path: str, size: int) -> None:
        """Start a part, from nothing."""
        self._parts[path] = Part(size)

    def part(self, path: str) -> Part | None:
        """Return what has come of a file that was broken off."""
        return self._parts.get(path)

    def commit(self, path: str) -> None:
        """Let a part become the file."""
        self._files[path] = bytes(self._parts.pop(path).data)

    def delete(self, path: str) -> None:
        """Remove a file, and what has come of its successor."""
        del self._files[path]
        self._parts.pop(path, None)
