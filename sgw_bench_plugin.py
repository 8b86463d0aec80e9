"""The pytest entry point: loads the plugin, and names the folder at fault when another package shadows one of ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = ("bench", "scenarios", "sgw_sim", "ecu_sim", "portal_sim", "vci_driver", "wire")
"""They all stand beside this file, wherever that was installed."""


def _in_the_way() -> str | None:
    """Return what stands before one of our packages on the path, in words, or None."""
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        if spec.origin is None:  # a namespace: a folder without __init__.py, and ours not there at all
            return f"the folder {next(iter(spec.submodule_search_locations or ['?']))}"
        found = Path(spec.origin)
        if found.name != "__init__.py":
            return f"the module {found}"
        if found.resolve().parent.parent != HERE:
            return f"the package {name!r} in {found.parent}"
    return None


_found = _in_the_way()
if _found is not None:
    raise ImportError(
        f"sgw-bench cannot load: {_found} stands before sgw-bench's own on the import path. Rename it, or run pytest "
        "without its parent on the path (`pytest`, not `python -m pytest`), or with -p no:sgw_bench."
    )

from bench.pytest_plugin import *  # noqa: E402, F403 - pytest reads hooks and fixtures from this module
