"""Reads ECU profiles from YAML. What is wrong is a `ConfigError` with file, line, key and a suggestion.

`extends: NAME` takes another file of the same folder as a base: mappings are merged key by key, everything else is replaced. The
sections are read by `ecu_sim.reading`, each by a file of its own.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ecu_sim.profile import EcuProfile
from ecu_sim.reading import (
    data,
    dtcs,
    files,
    flash,
    gate,
    memory,
    outputs,
    periodic,
    routines,
    run_time,
    scaling,
    security,
    services,
    sessions,
    timing,
)
from ecu_sim.reading.fields import read_can_id, read_number, read_sessions
from ecu_sim.reading.flash import with_boot_loader
from wire.names import is_file, yaml_file
from wire.strict_yaml import Node, load
from wire.uds import Session

FOLDER = Path(__file__).parent / "profiles"
MAX_EXTENDS = 5
"""A base of a base is fine; a longer chain is a loop."""
VALUE_KEYS = ("text", "hex", "source", "version_of")
"""Ways to say one value: who names one in a file that extends takes back the other."""
EDITIONS = (2013, 2020)


class Section(Protocol):
    """A part of a profile and its keys."""

    @property
    def KEYS(self) -> tuple[str, ...]:
        """The keys that it reads."""

    def read(self, node: Node) -> dict[str, Any]:
        """Return fields of `EcuProfile`."""


SECTIONS: tuple[Section, ...] = (
    services,
    sessions,
    data,
    outputs,
    scaling,
    periodic,
    routines,
    dtcs,
    security,
    timing,
    run_time,
    gate,
    memory,
    files,
    flash,
)
_UNIT_KEYS = (
    "extends",
    "title",
    "address",
    "request_id",
    "response_id",
    "functional_ids",
    "padding",
    "sessions",
    "edition",
    "busy",
    "max_answer_bytes",
)
_KEYS = [*_UNIT_KEYS, *(key for section in SECTIONS for key in section.KEYS)]


def load_profile(name: str, folder: Path = FOLDER) -> EcuProfile:
    """Return a shipped profile (`vag/cluster`), or one from a file (`*.yaml`) of a folder. Raises `ConfigError`."""
    path = yaml_file("ECU profile", name, folder, FOLDER, "*/[!_]*.yaml")
    return _shipped(path) if path.is_relative_to(FOLDER) else _read_file(path)


def _read_file(path: Path) -> EcuProfile:
    return read_profile(_load_extended(path, 0), path.stem)


_shipped = lru_cache(maxsize=256)(_read_file)


def _load_extended(path: Path, depth: int) -> Node:
    node = load(path)
    extends = node.mapping(_KEYS).get("extends")
    if extends is None:
        return node
    if depth >= MAX_EXTENDS:
        raise extends.error("extends in a circle")
    base = extends.text()
    for folder in (path.parent, FOLDER):
        file = folder / (base if base.endswith(".yaml") else f"{base}.yaml")
        if is_file(file):
            return _merged(_load_extended(file, depth + 1), node)
    names = sorted(other.stem for other in path.parent.glob("*.yaml"))
    raise extends.error(
        f"no profile {base!r} to extend; in this folder there are: {', '.join(names)}; shipped ones are named as in 'vag/_base'"
    )


def _merged(base: Node, over: Node) -> Node:
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    entries = dict(base.value)
    if any(key in over.value for key in VALUE_KEYS):
        entries = {key: node for key, node in entries.items() if key not in VALUE_KEYS}
    for key, node in over.value.items():
        entries[key] = _merged(entries[key], node) if key in entries else node
    return Node(entries, over.path, over.line, over.key)


def read_profile(node: Node, name: str) -> EcuProfile:
    """Build a profile from a file's node."""
    node.mapping(_KEYS)
    sections = {field: value for section in SECTIONS for field, value in section.read(node).items()}
    return with_boot_loader(EcuProfile(name=name, **_unit(node), **sections), node, read_profile)


def _unit(node: Node) -> dict[str, Any]:
    """Read what stands at the top of a profile: who the unit is, and how it speaks."""
    sessions = read_sessions(node.require("sessions"))
    if Session.defaultSession not in sessions:
        raise node.require("sessions").error("session 1, the default session, is always there: a unit starts in it")
    get = node.get
    functional, padding, busy, edition = get("functional_ids"), get("padding"), get("busy"), get("edition")
    _check_identifiers(node)
    return {
        "title": node.require("title").text(),
        "address": node.require("address").integer(0, 0xFFFF),
        "request_id": read_can_id(node.require("request_id")),
        "response_id": read_can_id(node.require("response_id")),
        "functional_ids": tuple(read_can_id(item) for item in functional.items()) if functional else (),
        "sessions": sessions,
        "edition": _edition(edition) if edition else 2020,
        "busy": busy.choice(("refuse", "ignore")) if busy else "refuse",
        "max_answer_bytes": read_number(get("max_answer_bytes"), 4095, 8, 65_535),
        "padding": None if padding is None or padding.value is None else padding.integer(0, 0xFF),
    }


def _check_identifiers(node: Node) -> None:
    """Refuse an identifier that stands twice: a unit would hear itself, or each request two times."""
    request, response, functional = node.require("request_id"), node.require("response_id"), node.get("functional_ids")
    seen = {read_can_id(request): request}
    frames = node.get("periodic")
    can_ids = frames.get("can_ids") if frames is not None else None
    for entry in (response, *(functional.items() if functional else ()), *(can_ids.items() if can_ids else ())):
        can_id = read_can_id(entry)
        other = seen.setdefault(can_id, entry)
        if other is not entry:
            place = entry if entry.path == node.path else other  # what stands in a base is right by itself
            raise place.error(
                "request_id, response_id, functional_ids and the can_ids of 'periodic' are all different; "
                f"{can_id:#x} is {other.key} and {entry.key}"
            )


def _edition(node: Node) -> int:
    year = node.integer(EDITIONS[0], EDITIONS[-1])
    if year not in EDITIONS:
        raise node.error(f"an edition of ISO 14229-1 is one of {', '.join(map(str, EDITIONS))}")
    return year
