"""What people name and we look up: suggestions for a name that does not exist, and files behind names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from wire.errors import ConfigError

LISTED_MAX = 40
"""The table of verbs fits; longer lists are cut to half of this."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?` or the list of what there is, cut short where nobody would read it."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(choices) > LISTED_MAX:
        choices[LISTED_MAX // 2 :] = [f"... ({len(choices)} in all)"]
    return f"; there are: {', '.join(choices)}"


def yaml_file(kind: str, name: str, folder: Path, shipped: Path, pattern: str = "*.yaml") -> Path:
    """Return the file of a `kind` of thing: `folder/name` where the name ends in `.yaml`, else the one that is shipped.

    Raises `ConfigError`, with a suggestion from the files that fit `pattern`.
    """
    path = folder / name if name.endswith(".yaml") else shipped / f"{name}.yaml"
    if is_file(path):
        return path
    if name.endswith(".yaml"):
        raise ConfigError(f"no {kind} {name!r} in {folder.resolve()}")
    names = sorted(file.relative_to(shipped).with_suffix("").as_posix() for file in shipped.glob(pattern))
    raise ConfigError(f"no {kind} {name!r}{suggestion(name, names)} (a file's name ends in .yaml)")


def is_file(path: Path) -> bool:
    """Return whether there is such a file; a name that is too long for any has none."""
    try:
        return path.is_file()
    except OSError:
        return False
