"""Where a served car's socket, its keys and the turns on its buses are, unless a bench file says otherwise."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path

from bench.bench_file import BenchSpec

ONLY_OURS = 0o700
SOCKET_PATH_MAX = 100
"""A Unix socket's path has at most 107 bytes on Linux, 103 on macOS."""


def runtime_folder() -> Path:
    """Return this user's folder for sockets and the like, made where it is not there."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    owner = getattr(os, "getuid", lambda: 0)()
    folder = Path(base) / "sgw-bench" if base else Path(tempfile.gettempdir()) / f"sgw-bench-{owner}"
    folder.mkdir(mode=ONLY_OURS, parents=True, exist_ok=True)
    return folder


def _stem(spec: BenchSpec) -> str:
    """Return what tells this bench file from others of its name."""
    place = "" if spec.path is None else str(spec.path.resolve())
    return f"{spec.name[:32]}-{zlib.crc32(place.encode()):08x}"


def control_path(spec: BenchSpec) -> Path:
    """Return the path of the control socket."""
    return spec.control or runtime_folder() / f"{_stem(spec)}.sock"


def keys_file(spec: BenchSpec) -> str:
    """Return where the vehicle reads the back end's public keys."""
    if spec.portal.keys is not None:
        return spec.portal.keys
    if spec.portal.url is not None:
        return f"{spec.portal.url}/v1/keys"
    return str(runtime_folder() / f"{_stem(spec)}.keys.json")


def turn_file(spec: BenchSpec) -> Path:
    """Return the file whose lock says whose turn it is on the bus that the tester and the car share."""
    assert spec.tester is not None
    place = f"{spec.tester.carrier.driver} {spec.tester.carrier.channel} {sorted(spec.tester.carrier.options.items())}"
    return runtime_folder() / f"turn-{zlib.crc32(place.encode()):08x}.lock"
