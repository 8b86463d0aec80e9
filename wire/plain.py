"""Dataclasses as plain values (JSON), and back by their annotations: what crosses a socket or stands in a file.

Bytes are hex text, enums their values, sets sorted lists. Reading is strict: an unknown or missing field, a value of another
kind or out of the class's own rules is a `ConfigError` that names the field.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from wire.errors import ConfigError, LocalMisuse
from wire.names import suggestion

T = TypeVar("T")


_PLAIN = frozenset((type(None), bool, int, float, str))


def to_plain(value: object) -> Any:
    """Return `value` as JSON can hold it."""
    if type(value) in _PLAIN:  # most values are: asked first
        return value
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(to_plain(entry) for entry in value)
    if isinstance(value, tuple | list):
        return [to_plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise LocalMisuse(f"{type(value).__name__} has no plain form")


def from_plain(kind: type[T], plain: object, where: str = "") -> T:
    """Return the `kind` that `plain` stands for. Raises `ConfigError` whose key says where it is wrong."""
    return cast("T", _read(kind, plain, where))


def _read(kind: Any, plain: object, where: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), plain, where)
    if origin is Literal:
        return _one_of(get_args(kind), plain, where)
    if origin in (tuple, frozenset, list):
        items = _kind(list, plain, where)
        inner = get_args(kind)[0]
        return origin(_read(inner, item, f"{where}[{number}]") for number, item in enumerate(items))
    if not isinstance(kind, type):
        raise LocalMisuse(f"{kind!r} cannot be read from plain values")
    if issubclass(kind, Enum):
        return kind(_one_of([member.value for member in kind], plain, where))
    if issubclass(kind, bytes):
        return _hex(plain, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, plain, where)
    if kind is float and type(plain) is int:
        return float(plain)
    return _kind(kind, plain, where)


def _kind(kind: type[T], plain: object, where: str) -> T:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise ConfigError(f"expected {kind.__name__}, got {type(plain).__name__}", key=where)
    return plain


def _union(kinds: tuple[Any, ...], plain: object, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    (kind,) = [kind for kind in kinds if kind is not type(None)]  # no message has a field of several kinds
    return _read(kind, plain, where)


def _one_of(values: Any, plain: object, where: str) -> Any:
    if plain not in values:
        raise ConfigError(f"unknown value {plain!r}{suggestion(str(plain), map(str, values))}", key=where)
    return plain


def _hex(plain: object, where: str) -> bytes:
    try:
        return bytes.fromhex(_kind(str, plain, where))
    except ValueError:
        raise ConfigError("expected bytes in hex", key=where) from None


def _dataclass(kind: type, plain: object, where: str) -> Any:
    given = _kind(dict, plain, where)
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in given:
        if name not in fields:
            raise ConfigError(f"unknown field {name!r}{suggestion(str(name), fields)}", key=where)
    values = {}
    for name, field in fields.items():
        path = f"{where}.{name}" if where else name
        if name in given:
            values[name] = _read(hints[name], given[name], path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError("this field is missing", key=path)
    try:
        return kind(**values)
    except (LocalMisuse, ValueError) as error:
        raise ConfigError(str(error), key=where) from None


@lru_cache(maxsize=256)
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
