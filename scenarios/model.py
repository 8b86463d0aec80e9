"""The scenario file: a title, a vehicle, steps. Strict: what is unknown or of the wrong kind is an error with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.expectation import KEYS, KINDS, Expectation
from scenarios.stage import OutcomeKind
from scenarios.verbs import VERBS, Verb
from vci_driver.outcome import UnlockResult
from wire.names import suggestion
from wire.strict_yaml import Node, load

KEYS_OF_FILE = ("title", "about", "vehicle", "tags", "steps")
KEYS_OF_STEP = ("expect", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: a verb, its arguments (all parameters, defaults filled in), what is expected, where it stands."""

    verb: str
    args: Mapping[str, Any]
    expect: Expectation
    line: int
    note: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario as read from its file. `name` is the file's stem; `vehicle_line` is where the file names its vehicle."""

    name: str
    title: str
    about: str
    vehicle: str
    vehicle_line: int
    tags: tuple[str, ...]
    steps: tuple[Step, ...]
    path: Path
    in_library: bool


def load_scenario(path: Path, *, in_library: bool = False) -> Scenario:
    """Read a scenario file. Raises `wire.errors.ConfigError` with file, line, key and a suggestion."""
    root = load(path)
    root.mapping(KEYS_OF_FILE)
    about, tags, vehicle = root.get("about"), root.get("tags"), root.require("vehicle")
    steps = tuple(read_step(node) for node in root.require("steps").items())
    if not steps:
        raise root.require("steps").error("a scenario has at least one step")
    return Scenario(
        name=path.name.removesuffix(".yaml").removesuffix(".yml"),
        title=root.require("title").text(),
        about=about.text() if about else "",
        vehicle=_vehicle(vehicle.text(), path),
        vehicle_line=vehicle.line,
        tags=tuple(item.text() for item in tags.items()) if tags else (),
        steps=steps,
        path=path,
        in_library=in_library,
    )


def _vehicle(name: str, path: Path) -> str:
    """Return a shipped vehicle's name as it is, a file's from where the scenario stands."""
    return str(path.parent / name) if name.endswith(".yaml") else name


def read_step(node: Node) -> Step:
    """Return the step that a node of a file, or of a line, says. Raises `ConfigError`."""
    if isinstance(node.value, str):
        return _build(node, _verb(node, node.value), None, Expectation(), "")
    entries = node.mapping()
    verbs = [name for name in entries if name not in KEYS_OF_STEP]
    if len(verbs) != 1:
        found = ", ".join(verbs) or "none"
        raise node.error(f"a step has exactly one verb (and maybe expect, note); here: {found}")
    name = verbs[0]
    expect, note = entries.get("expect"), entries.get("note")
    return _build(
        node,
        _verb(entries[name], name),
        entries[name],
        _expectation(expect) if expect is not None else Expectation(),
        note.text() if note is not None else "",
    )


def _verb(node: Node, name: str) -> Verb:
    verb = VERBS.get(name)
    if verb is None:
        raise node.error(f"unknown verb {name!r}" + suggestion(name, VERBS))
    return verb


def _build(node: Node, verb: Verb, value: Node | None, expect: Expectation, note: str) -> Step:
    args = _arguments(node, verb, value)
    shown = " ".join(_given(value))
    return Step(
        verb=verb.name, args=args, expect=expect, line=node.line, note=note, label=f"{verb.name} {shown}".strip()
    )


def _arguments(node: Node, verb: Verb, value: Node | None) -> dict[str, Any]:
    given: Mapping[str, Node] = {}
    if value is not None and isinstance(value.value, dict):
        given = value.mapping([param.name for param in verb.params])
    elif value is not None and value.value is not None:
        if not verb.params:
            raise value.error(f"{verb.name} takes no argument")
        given = {verb.params[0].name: value}
    args: dict[str, Any] = {}
    for param in verb.params:
        argument = given.get(param.name)
        if argument is not None:
            args[param.name] = argument.read(param.kind.read)
        elif param.required:
            raise (value or node).error(f"{verb.name} needs {param.name} ({param.kind.name}): {param.doc}")
        else:
            args[param.name] = param.default
    if verb.needs is not None and args[verb.needs[0]] == verb.needs[1] and verb.needs[2] not in given:
        raise (value or node).error(f"{verb.name} {verb.needs[1]} needs {verb.needs[2]}")
    if verb.some_of and not any(name in given for name in verb.some_of):
        raise (value or node).error(f"{verb.name} needs at least one of: {', '.join(verb.some_of)}")
    return args


def _expectation(node: Node) -> Expectation:
    if isinstance(node.value, str):
        return Expectation(kind=OutcomeKind(node.choice(KINDS)))
    entries = node.mapping([*KINDS, *KEYS])
    values = {key: entry.read(KEYS[key].read) for key, entry in entries.items() if key in KEYS}
    for word in KINDS:
        if word in entries and not entries[word].boolean():
            raise entries[word].error(f"says what is not expected; say what is: {', '.join([*KINDS, *KEYS])}")
    kinds = [OutcomeKind(word) for word in KINDS if word in entries]
    if "nrc" in values:
        kinds.append(OutcomeKind.NEGATIVE)
    if "portal" in values:
        kinds.append(OutcomeKind.PORTAL_ERROR)
    if values.get("result", UnlockResult.OK) != UnlockResult.OK and not kinds:
        kinds.append(OutcomeKind.FAILED)
    if len(kinds) > 1:
        raise node.error(f"contradicts itself: an outcome cannot be {' and '.join(kinds)}")
    if not entries:
        raise node.error(f"expects nothing; keys: {', '.join([*KINDS, *KEYS])}")
    kind = kinds[0] if kinds else OutcomeKind.POSITIVE
    if "result" in values and (values["result"] == UnlockResult.OK) is not (kind is OutcomeKind.POSITIVE):
        raise entries["result"].error(f"contradicts itself: result {values['result']} is never {kind}")
    if "answer" in values and kind not in (OutcomeKind.POSITIVE, OutcomeKind.NEGATIVE):
        raise entries["answer"].error(f"contradicts itself: {kind} has no answer bytes")
    return Expectation(kind=kind, values=values)


def _given(value: Node | None) -> list[str]:
    """Return the arguments as the file writes them, for the report."""
    if value is None or value.value is None:
        return []
    if isinstance(value.value, dict):
        return [f"{name}={node.plain()}" if name != "ecu" else str(node.plain()) for name, node in value.value.items()]
    return [str(value.plain())]
