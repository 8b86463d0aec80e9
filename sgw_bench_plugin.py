"""The pytest entry point: loads the plugin, and names the folder at fault when another `bench` package shadows ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def _in_the_way() -> str | None:
    """Return what stands before our `bench` on the path, in words, or None."""
    spec = importlib.util.find_spec("bench")
    if spec is None or spec.origin is None:  # a namespace: a folder without __init__.py, and ours not there at all
        return None if spec is None else f"the folder {next(iter(spec.submodule_search_locations or ['?']))}"
    found = Path(spec.origin)
    if (found.parent / "pytest_plugin.py").is_file():
        return None
    return f"the package 'bench' in {found.parent}" if found.name == "__init__.py" else f"the module {found}"


_found = _in_the_way()
if _found is not None:
    raise ImportError(
        f"sgw-bench cannot load: {_found} stands before sgw-bench's own on the import path. Rename it, or run pytest "
        "without its parent on the path (`pytest`, not `python -m pytest`), or with -p no:sgw_bench."
    )

from bench.pytest_plugin import *  # noqa: E402, F403 - pytest reads hooks and fixtures from this module
