"""The JSON Schema of scenario files, made from the tables that the loader reads by: an editor knows what the bench knows."""

from __future__ import annotations

from typing import Any

from scenarios.expectation import KEYS, KINDS
from scenarios.kinds import TEXT
from scenarios.verbs import VERBS, Verb

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12)."""
    return {
        "$schema": DIALECT,
        "title": "sgw-bench scenario",
        "type": "object",
        "additionalProperties": False,
        "required": ["title", "vehicle", "steps"],
        "properties": {
            "title": {"type": "string", "minLength": 1, "description": "what the scenario shows, in one sentence"},
            "about": {"type": "string", "minLength": 1, "description": "more, for people"},
            "vehicle": {"type": "string", "minLength": 1, "description": "a vehicle file's name"},
            "tags": {"type": "array", "items": TEXT.schema},
            "steps": {"type": "array", "minItems": 1, "items": _step()},
        },
    }


def _step() -> dict[str, Any]:
    bare = [
        name for name, verb in VERBS.items() if not verb.some_of and not any(param.required for param in verb.params)
    ]
    steps: list[dict[str, Any]] = [{"enum": bare}]
    for verb in VERBS.values():
        steps.append(
            {
                "type": "object",
                "description": verb.doc,
                "additionalProperties": False,
                "required": [verb.name],
                "properties": {verb.name: _arguments(verb), "expect": _expectation(), "note": TEXT.schema},
            }
        )
    return {"anyOf": steps}


def _arguments(verb: Verb) -> dict[str, Any]:
    if not verb.params:
        return {"anyOf": [{"type": "null"}, {"type": "object", "maxProperties": 0}]}
    required = [param.name for param in verb.params if param.required]
    properties = {param.name: {**param.kind.schema, "description": param.doc} for param in verb.params}
    full = {"type": "object", "additionalProperties": False, "required": required, "properties": properties}
    choices: list[dict[str, Any]] = [full]
    first = verb.params[0]
    alone = {**first.kind.schema}
    if verb.needs is not None:
        when, value, then = verb.needs
        full |= {"if": {"required": [when], "properties": {when: {"const": value}}}, "then": {"required": [then]}}
        alone |= {"not": {"const": value}}
    if verb.some_of:
        full |= {"anyOf": [{"required": [name]} for name in verb.some_of]}
    if set(required) <= {first.name} and (not verb.some_of or first.name in verb.some_of):
        choices.append(alone)
    if not required and not verb.some_of:
        choices.append({"type": "null"})
    return {"anyOf": choices}


def _expectation() -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"const": True} for name in KINDS}
    properties |= {name: dict(kind.schema) for name, kind in KEYS.items()}
    full = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}
    return {"anyOf": [{"enum": list(KINDS)}, full]}
