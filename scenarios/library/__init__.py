"""The library of scenario files, and how names, files and folders on a command line become scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from scenarios.model import Scenario, load_scenario
from wire.errors import ConfigError
from wire.names import suggestion
from wire.strict_yaml import load

LIBRARY = Path(__file__).parent
KEYS_OF_CARS = frozenset({"ecus", "extends", "request_id", "allow"})


def find(targets: Sequence[str]) -> list[Scenario]:
    """Return the scenarios that `targets` name: library names or patterns (`mb-*`), tags (`@sfd`), files, folders; the whole
    library if none.

    Raises `ConfigError` for what does not exist, with a suggestion.
    """
    if not targets:
        return _load_all(LIBRARY)
    found: dict[Path, Scenario] = {}
    for target in targets:
        for scenario in _find_one(target):
            found.setdefault(scenario.path, scenario)
    return list(found.values())


def _find_one(target: str) -> list[Scenario]:
    if target.startswith("@"):
        tagged = [scenario for scenario in _load_all(LIBRARY) if target[1:] in scenario.tags]
        if not tagged:
            tags = sorted({tag for scenario in _load_all(LIBRARY) for tag in scenario.tags})
            raise ConfigError(f"no scenario has the tag {target[1:]!r}" + suggestion(target[1:], tags))
        return tagged
    in_library = LIBRARY / f"{target}.yaml"
    if in_library.parent == LIBRARY and in_library.is_file():
        return [load_scenario(in_library, in_library=True)]
    path = Path(target)
    if target and path.is_dir():
        scenarios = _load_all(path)
        if not scenarios:
            raise ConfigError("no scenario file (*.yaml) in this folder", path=target)
        return scenarios
    if path.is_file():
        return [load_scenario(path)]
    files = sorted(LIBRARY.glob("*.yaml"))
    names = [file.stem for file in files]
    if any(mark in target for mark in "*?["):
        fitting = [load_scenario(file, in_library=True) for file in files if fnmatchcase(file.stem, target)]
        if not fitting:
            raise ConfigError(f"no scenario fits the pattern {target!r}" + suggestion(target, names))
        return fitting
    raise ConfigError(f"no scenario, file or folder {target!r}" + suggestion(target, names))


def _load_all(folder: Path) -> list[Scenario]:
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file())
    return [load_scenario(file, in_library=folder == LIBRARY) for file in files if not _is_of_a_car(file)]


def _is_of_a_car(file: Path) -> bool:
    """Return whether a file describes a vehicle, a control unit or a gateway; such files may lie beside scenarios."""
    try:
        keys = load(file).value
    except ConfigError:
        return False  # whatever it is, it shall be seen
    return isinstance(keys, dict) and "steps" not in keys and not KEYS_OF_CARS.isdisjoint(keys)
