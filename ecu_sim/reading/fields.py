"""Readers of single values that sections share: who may, durations, identifiers, tables with hex keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ecu_sim.profile import FREE, NO_SCOPE, Access
from ecu_sim.vehicle_state import CONDITIONS
from wire.durations import read_duration
from wire.frame import EXTENDED, EXTENDED_MASK, STANDARD_MASK
from wire.strict_yaml import Node
from wire.token import Role, Scope
from wire.uds import Nrc

_HEX_KEY = re.compile(r"[0-9A-Fa-f]{1,8}")
_ACCESS_KEYS = ("sessions", "security", "scope", "conditions", "secured")
_ACCESSES = (
    (("services",), ("access",)),
    (("dids",), ("read", "write")),
    (("routines",), ("access",)),
    (("outputs",), ("access", "read")),
    (("session_rules",), ("access",)),
    (("memory", "regions"), ("read", "write", "download", "upload")),
    (("files", "directories"), ("read", "write")),
)
"""Where in a profile somebody may do something."""
SCOPES = {str(scope.name).lower(): scope for scope in Scope}
NRCS = tuple(Nrc.__members__)
NO_WORDS: Mapping[Any, Callable[[Node], object]] = {}
Options = TypeVar("Options")


def items_of(node: Node | None) -> list[Node]:
    """Return the entries of a list that may be left out."""
    return node.items() if node else []


def each(node: Node, key: str, reader: Any, high: int) -> list[Any]:
    """Read a mapping of hex-keyed entries, up to `high`, in the file's order."""
    entries = node.get(key)
    return [reader(entry, number) for number, entry in hex_keyed(entries, high).items()] if entries else []


def hex_keyed(node: Node, high: int) -> dict[int, Node]:
    """Return the entries of a mapping whose keys are hex, up to `high`."""
    entries: dict[int, Node] = {}
    for text, entry in node.mapping().items():
        number = int(text, 16) if _HEX_KEY.fullmatch(text) else -1
        if not 0 <= number <= high:
            raise entry.error(f"expected a key in hex from 0 to {high:X}, as in F190, got {text!r}")
        if number in entries:
            raise entry.error(f"{number:X} stands here twice, in different spelling")
        entries[number] = entry
    return entries


def read_can_id(node: Node) -> int:
    """Read a CAN identifier: 11 bits, or 29 with bit 31 set."""
    can_id = node.integer(0, EXTENDED | EXTENDED_MASK)
    if STANDARD_MASK < can_id < EXTENDED:
        raise node.error(f"an identifier of 29 bits is written with bit 31 set: {can_id | EXTENDED:#x}")
    return can_id


def read_number(node: Node | None, default: int, low: int, high: int) -> int:
    """Read an integer, or take the default."""
    return default if node is None else node.integer(low, high)


def duration_of(node: Node | None) -> int:
    """Read a duration in ns; left out: 0."""
    return 0 if node is None else node.read(read_duration)


def read_sessions(node: Node) -> frozenset[int]:
    """Read a list of sessions."""
    return frozenset(item.integer(1, 0x7F) for item in node.items())


def read_nrc(node: Node) -> int:
    """Read a negative response code by the standard's name."""
    return int(Nrc[node.choice(NRCS)])


def read_access(node: Node | None) -> Access:
    """Read who may; left out or empty: everybody, always."""
    if node is None or node.value is None:
        return FREE
    node.mapping(_ACCESS_KEYS)
    sessions, security, scope, conditions, secured = (node.get(key) for key in _ACCESS_KEYS)
    return Access(
        sessions=read_sessions(sessions) if sessions else frozenset(),
        security=read_level(security) if security else None,
        scope=SCOPES[scope.choice(tuple(SCOPES))] if scope else NO_SCOPE,
        conditions=tuple(item.choice(tuple(CONDITIONS)) for item in conditions.items()) if conditions else (),
        secured=secured.boolean() if secured else False,
    )


def read_level(node: Node) -> int:
    """Read a 0x27 level."""
    level = node.integer(1, 0x7D)
    if level % 2 == 0:
        raise node.error(f"a level is named by its odd request number, not {level:02X}")
    return level


def accesses_in(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield every place of a profile that says who may do something, with the section it stands in."""
    for table, keys in _ACCESSES:
        entries: Node | None = node
        for part in table:
            entries = entries.get(part) if entries is not None and isinstance(entries.value, dict) else None
        for entry in entries.mapping().values() if entries else ():
            for key in keys:
                access = entry.value.get(key) if isinstance(entry.value, dict) else None
                if access is not None and isinstance(access.value, dict):
                    yield table[0], access


def read_options(node: Node, kind: type[Options], words: Mapping[Any, Callable[[Node], object]] = NO_WORDS) -> Options:
    """Build an options dataclass from a mapping: a field that ends in `_ns` takes a duration under its name without.

    `words`: readers of the kind's own types, by the name of the annotation.
    """
    names = {field.name.removesuffix("_ns"): field for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, entry in node.mapping(tuple(names)).items():
        field = names[key]
        if field.name.endswith("_ns"):
            values[field.name] = entry.read(read_duration)
        elif field.type == "bool":
            values[field.name] = entry.boolean()
        elif field.type == "bytes":
            values[field.name] = entry.hex_bytes()
        elif field.type in words:
            values[field.name] = words[field.type](entry)
        elif field.name == "min_role":
            values[field.name] = entry.integer(min(Role), max(Role))
        else:
            values[field.name] = entry.integer(0, 0xFFFF)
    return kind(**values)


def read_offered(node: Node | None) -> Access | None:
    """Read who may; left out: it is not offered. Empty: everybody, always."""
    return None if node is None else read_access(node)
