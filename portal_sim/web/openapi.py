"""The OpenAPI document (3.1) of a table of routes: each operation with every answer that it can give, from the dataclasses."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable
from enum import Enum
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from portal_sim.web.fields import FIELDS
from portal_sim.web.problems import PROBLEM, DoorCode, status_of
from wire.portal_api import PortalErrorCode as Code
from wire.portal_routes import JSON, LARGEST_INT, Place, Route

VERSION = "1.0.0"
Schema = dict[str, Any]
_REF = "#/components/schemas/"
_PROBLEM_FIELDS: Schema = {
    "type": {"type": "string", "const": "about:blank"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string", "description": "A plain sentence for people: what is wrong and what to do."},
    "retry_after_s": {"type": "integer", "minimum": 0, "description": "When another try makes sense, in seconds."},
}
_SCALARS: dict[Any, Schema] = {
    str: {"type": "string", "pattern": r"^[^\x00]*$"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": -LARGEST_INT, "maximum": LARGEST_INT},
    float: {"type": "number"},
    bytes: {"type": "string", "pattern": "^(?:[0-9A-Fa-f]{2})*$", "description": "Bytes in hex."},
}
_JSON_ONLY = frozenset({DoorCode.UNSUPPORTED_MEDIA_TYPE})


class Schemas:
    """The schemas that a document refers to, each once."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def of(self, kind: Any, *, limits: bool) -> Schema:
        """Return the schema of a type; `limits`: with what is known of its fields by name."""
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            inner = next(each for each in get_args(kind) if each is not type(None))
            return {"anyOf": [self.of(inner, limits=limits), {"type": "null"}]}
        if origin in (tuple, list, frozenset):
            return {"type": "array", "items": self.of(get_args(kind)[0], limits=limits)}
        if kind in _SCALARS:
            return dict(_SCALARS[kind]) if limits or kind is bytes else {"type": _SCALARS[kind]["type"]}
        if issubclass(kind, Enum):
            self.made.setdefault(kind.__name__, {"type": "string", "enum": [each.value for each in kind]})
        elif kind.__name__ not in self.made:
            self.made[kind.__name__] = self.of_fields(kind, [f.name for f in dataclasses.fields(kind)], limits=limits)
        return {"$ref": _REF + kind.__name__}

    def of_fields(self, kind: Any, names: Iterable[str], *, limits: bool) -> Schema:
        """Return an object with these fields of a dataclass, and no others."""
        hints = get_type_hints(kind)
        wanted = [field for field in dataclasses.fields(kind) if field.name in set(names)]
        needed = [field.name for field in wanted if not limits or not _has_default(field)]
        properties = {field.name: self.field(field.name, hints[field.name], limits=limits) for field in wanted}
        made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if needed:
            made["required"] = needed
        return made

    def field(self, name: str, kind: Any, *, limits: bool) -> Schema:
        """Return the schema of one field."""
        made = self.of(kind, limits=limits)
        return _merged(made, FIELDS[name]) if limits and name in FIELDS else made


def document(
    routes: Iterable[Route],
    *,
    title: str = "SGW bench: identity portal",
    more: Schema | None = None,
    locked: bool = False,
    uploads: bool = False,
) -> Schema:
    """Return the document. `more`: paths that no message travels on; `locked`: every operation wants a bearer token;
    `uploads`: media come as files.
    """
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {path: dict(operations) for path, operations in (more or {}).items()}
    for route in routes:
        operation = paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, uploads=uploads)
        if locked:
            operation["security"] = [{"session": []}]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": VERSION,
            "description": "Errors are problem+json (RFC 9457): `code` is stable, `detail` a sentence for people.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.made.items())),
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: Schemas, *, uploads: bool) -> Schema:
    text = " ".join((route.message.__doc__ or "").split())
    summary = text.partition(". ")[0].rstrip(".")
    made: Schema = {
        "operationId": route.message.__name__,
        "tags": [route.tag],
        "summary": summary,
        "description": text,
        "parameters": _parameters(route, schemas),
        "responses": answers(route.refusals | _door_codes(route)),
    }
    made["responses"][str(route.status)] = {
        "description": "It was done.",
        "headers": {"Cache-Control": {"schema": {"type": "string", "const": "no-store"}}},
        "content": {route.media_type: {"schema": _reply_schema(route, schemas)}},
    }
    if route.at(Place.BEARER):
        made["security"] = [{"session": []}]
    body = _upload(route, schemas) if uploads and route.media else _body(route, schemas)
    if body is not None:
        made["requestBody"] = body
    return made


def _door_codes(route: Route) -> frozenset[Code | DoorCode]:
    codes: set[Code | DoorCode] = {DoorCode.MALFORMED, DoorCode.INTERNAL_ERROR, DoorCode.TOO_LARGE}
    if route.at(Place.BODY):
        codes |= _JSON_ONLY
    return frozenset(codes)


def answers(codes: Iterable[Code | DoorCode]) -> Schema:
    """Return the documented problems of an operation, a status each with its codes."""
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(int(status_of(code)), []).append(str(code))
    made: Schema = {}
    for status, names in sorted(by_status.items()):
        fields = {**_PROBLEM_FIELDS, "code": {"type": "string", "enum": names}}
        schema = {"type": "object", "properties": fields, "required": ["type", "title", "status", "code", "detail"]}
        made[str(status)] = {"description": ", ".join(names), "content": {PROBLEM: {"schema": schema}}}
        if Code.THROTTLED in names or Code.UNAVAILABLE in names:
            made[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 0}}}
        if status == 401:
            made[str(status)]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return made


def _parameters(route: Route, schemas: Schemas) -> list[Schema]:
    made: list[Schema] = []
    defaults = {field.name for field in dataclasses.fields(cast("Any", route.message)) if _has_default(field)}
    for name, place in route.places.items():
        schema = _without_null(schemas.field(name, route.hints[name], limits=True))
        if place in (Place.PATH, Place.QUERY):
            needed = place is Place.PATH or name not in defaults
            made.append({"name": name, "in": place.value, "required": needed, "schema": schema})
            if place is Place.PATH:
                made[-1]["schema"].setdefault("minLength", 1)
        if place is Place.IDEMPOTENCY_KEY:
            what = (
                "Who asks again with the same key, because an answer was lost, gets the same answer and spends nothing."
            )
            made.append({"name": "Idempotency-Key", "in": "header", "description": what, "schema": schema})
    return made


def _body(route: Route, schemas: Schemas) -> Schema | None:
    names = route.at(Place.BODY)
    if not names:
        return None
    schema = schemas.of_fields(route.message, names, limits=True)
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _upload(route: Route, schemas: Schemas) -> Schema:
    """Return the body of a route whose media come as files; their type is found out by looking at them."""
    texts = [name for name in route.at(Place.BODY) if name not in route.media]
    schema = schemas.of_fields(route.message, texts, limits=True)
    for name in route.media:
        schema["properties"][name] = {"type": "string", "contentMediaType": "application/octet-stream"}
    schema["required"] = [*texts, *route.media]
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _reply_schema(route: Route, schemas: Schemas) -> Schema:
    if route.raw is not None:
        return {}
    return schemas.of(route.reply, limits=False)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _merged(made: Schema, more: Schema) -> Schema:
    """Return a schema with what is known of the field beside it, also where it may be null."""
    if "anyOf" not in made:
        return {**made, **more}
    beside: Schema = {name: more[name] for name in ("description", "examples") if name in more}
    limits = {name: value for name, value in more.items() if name not in beside}
    return {"anyOf": [{**made["anyOf"][0], **limits}, *made["anyOf"][1:]], **beside}


def _without_null(schema: Schema) -> Schema:
    """Return the schema of what stands in a URL or header, where there is no null."""
    if "anyOf" not in schema:
        return schema
    return {**schema["anyOf"][0], **{name: value for name, value in schema.items() if name != "anyOf"}}
