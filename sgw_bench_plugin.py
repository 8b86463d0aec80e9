"""The pytest entry point: loads the plugin, and names the folder at fault when another package shadows one of ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path

BESIDE = ("scenarios", "sgw_sim", "ecu_sim", "portal_sim", "vci_driver", "wire")
"""They stand beside our `bench`, wherever that was installed."""


def _in_the_way() -> str | None:
    """Return what stands before one of our packages on the path, in words, or None."""
    spec = importlib.util.find_spec("bench")
    if spec is None or spec.origin is None:  # a namespace: a folder without __init__.py, and ours not there at all
        return None if spec is None else f"the folder {next(iter(spec.submodule_search_locations or ['?']))}"
    bench = Path(spec.origin)
    if not (bench.parent / "pytest_plugin.py").is_file():
        return f"the package 'bench' in {bench.parent}" if bench.name == "__init__.py" else f"the module {bench}"
    for name in BESIDE:
        other = importlib.util.find_spec(name)
        if other is not None and other.origin is not None:
            found = Path(other.origin)
            if found.name != "__init__.py":
                return f"the module {found}"
            if found.resolve().parent.parent != bench.resolve().parent.parent:
                return f"the package {name!r} in {found.parent}"
    return None


_found = _in_the_way()
if _found is not None:
    raise ImportError(
        f"sgw-bench cannot load: {_found} stands before sgw-bench's own on the import path. Rename it, or run pytest "
        "without its parent on the path (`pytest`, not `python -m pytest`), or with -p no:sgw_bench."
    )

from bench.pytest_plugin import *  # noqa: E402, F403 - pytest reads hooks and fixtures from this module
