"""Where a served car's socket, its keys and the turns on its buses are, unless a bench file says otherwise."""

from __future__ import annotations

import zlib
from pathlib import Path

from bench.bench_file import BenchSpec
from wire.served_places import runtime_folder


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
