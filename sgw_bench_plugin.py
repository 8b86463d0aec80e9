"""The pytest entry point: loads the plugin, and names the folder at fault when another `bench` package shadows ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def _shadowing_folder() -> Path | None:
    """Return the folder whose `bench` package stands before ours on the path, or None."""
    spec = importlib.util.find_spec("bench")
    if spec is None or spec.origin is None:
        return None if spec is None else Path(next(iter(spec.submodule_search_locations or ["?"])))
    folder = Path(spec.origin).parent
    return None if (folder / "pytest_plugin.py").is_file() else folder


_folder = _shadowing_folder()
if _folder is not None:
    raise ImportError(
        f"sgw-bench cannot load: the package 'bench' in {_folder} stands before sgw-bench's own on the import path. "
        "Rename that folder, or run pytest with --import-mode=importlib and without the folder's parent on the path."
    )

from bench.pytest_plugin import *  # noqa: E402, F403 - pytest reads hooks and fixtures from this module
