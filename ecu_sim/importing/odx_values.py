"""Messages that an ODX document describes, as bytes: each parameter at the value given for it, else at the plainest it can have.

The plainest is, in this order: the constant, the physical default value of the document, 0 on the wire, the lowest value that
is allowed; text is spaces, bytes are zeros, fields are as short as they may be, of tables and cases the first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecu_sim.importing.odx_file import said
from wire.errors import LocalMisuse

MAX_STRUCTURES = 20
"""Structures within structures; deeper is one that holds itself."""
_NUMBERS = ("A_INT32", "A_UINT32", "A_FLOAT32", "A_FLOAT64")


class NotUnderstood(Exception):
    """Why a message cannot be built; for the report, never for the wire."""


@dataclass(frozen=True, slots=True)
class Said:
    """One value in a message: the parameter's path, its physical value, its unit, and where the value is from."""

    path: str
    value: Any
    unit: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} = {shown(self.value)}{' ' + self.unit if self.unit else ''} ({self.why})"


@dataclass(slots=True)
class Message:
    """A message: its bytes, and what its parameters stand at."""

    payload: bytes
    values: list[Said] = field(default_factory=list)


@dataclass(slots=True)
class Given:
    """Physical values a person gave, `SERVICE.PARAMETER` to text. `used` are those that found their parameter."""

    values: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def take(self, path: str) -> str | None:
        """Return what was given for a parameter."""
        text = self.values.get(path)
        if text is not None:
            self.used.add(path)
        return text


def shown(value: Any) -> str:
    """Return a physical value as people write it."""
    if isinstance(value, bytes | bytearray):
        return value.hex(" ").upper() or "no bytes"
    if isinstance(value, str):
        return repr(value) if value.strip() else "blank"
    if isinstance(value, float):
        return f"{value:g}"
    return str(getattr(value, "short_name", value))


def build(
    codec: Any, service: str, given: Given, *, request: bytes | None = None, picks: Mapping[str, Any] | None = None
) -> Message:
    """Build a request, or the response to `request`. `picks` holds values of parameters that the caller chose.

    Raises `NotUnderstood`, and `LocalMisuse` for a value given that the parameter cannot have.
    """
    values: list[Said] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            physical = _structure(codec.parameters, service, given, values, picks or {}, 0)
            payload = codec.encode(request, **physical) if request is not None else codec.encode(**physical)
        except (LocalMisuse, NotUnderstood):
            raise
        except Exception as error:  # noqa: BLE001 - odxtools meets what it does not support with any error of Python
            raise NotUnderstood(said(error)) from None
    return Message(bytes(payload), values)


def decoded(service: Any, message: Message) -> Iterator[str]:
    """Yield what is wrong when a message is read back: nothing, where each value is what it was set to."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            back = service.decode_message(message.payload).param_dict
        except Exception as error:  # noqa: BLE001 - as above
            yield f"odxtools does not read it back: {said(error)}"
            return
    for value in message.values:
        got = _at(back, value.path.split(".")[1:])
        if got is not None and not _same(got, value.value):
            yield f"{value.path} set to {shown(value.value)} is read back as {shown(got)}"


def _at(tree: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(tree, tuple) and len(tree) == 2:
            tree = tree[1]
        if not isinstance(tree, dict):
            return None
        tree = tree.get(step)
    return tree


def _same(got: Any, wanted: Any) -> bool:
    if isinstance(got, float) or isinstance(wanted, float):
        return math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-9)
    if isinstance(got, bytes | bytearray):
        return bytes(got) == bytes(wanted)
    return bool(got == wanted)


def _structure(
    parameters: Any, path: str, given: Given, values: list[Said], picks: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    if depth > MAX_STRUCTURES:
        raise NotUnderstood(f"{path} is nested deeper than {MAX_STRUCTURES} structures")
    physical: dict[str, Any] = {}
    for parameter in parameters:
        name, kind = parameter.short_name, parameter.parameter_type
        here = f"{path}.{name}"
        if name in picks:
            physical[name] = picks[name]
        elif kind == "VALUE":
            default = parameter.physical_default_value
            physical[name] = _value(parameter.dop, here, given, values, depth, default)
        elif kind == "TABLE-STRUCT":
            row = next(iter(parameter.table.table_rows), None)
            if row is None:
                raise NotUnderstood(f"the table of {here} has no row")
            physical[name] = table_value(row, here, given, values, depth)
        elif kind in ("SYSTEM", "DYNAMIC", "NRC-CONST", "TABLE-ENTRY"):
            raise NotUnderstood(f"parameter {here} is of the kind {kind}")
    return physical


def table_value(row: Any, path: str, given: Given, values: list[Said], depth: int = 0) -> tuple[str, Any]:
    """Return the value of a TABLE-STRUCT parameter: the row's name and what it holds."""
    dop = row.structure or row.dop
    return row.short_name, {} if dop is None else _value(dop, path, given, values, depth + 1, None)


def _value(dop: Any, path: str, given: Given, values: list[Said], depth: int, default: Any) -> Any:
    kind = type(dop).__name__
    match kind:
        case "DataObjectProperty":
            return _simple(dop, path, given, values, default)
        case "DtcDop":
            if not dop.dtcs:
                raise NotUnderstood(f"{path} is a trouble code, and none is described")
            return dop.dtcs[0].trouble_code
        case "Structure":
            return _structure(dop.parameters, path, given, values, {}, depth + 1)
        case "StaticField":
            return [_value(dop.structure, path, given, values, depth + 1, None)] * dop.fixed_number_of_items
        case "EndOfPduField":
            return [_value(dop.structure, path, given, values, depth + 1, None)] * (dop.min_number_of_items or 0)
        case "DynamicLengthField" | "DynamicEndmarkerField":
            return []
        case "Multiplexer" if dop.cases:
            case = dop.cases[0]
            inside = {} if case.structure is None else _value(case.structure, path, given, values, depth + 1, None)
            return case.short_name, inside
        case _:
            raise NotUnderstood(f"parameter {path} is a {kind}, which the importer does not fill in")


def _simple(dop: Any, path: str, given: Given, values: list[Said], default: Any) -> Any:
    unit = dop.unit.display_name or "" if dop.unit else ""
    text = given.take(path)
    if text is not None:
        value = _from_text(dop, path, text)
        values.append(Said(path, value, unit, "given"))
        return value
    if default is not None:
        values.append(Said(path, default, unit, "default of the document"))
        return default
    for internal, why in _plainest(dop):
        value = _to_physical(dop, internal)
        if value is not None:
            values.append(Said(path, value, unit, why))
            return value
    raise NotUnderstood(f"no value was found that parameter {path} may have")


def _to_physical(dop: Any, internal: Any) -> Any:
    """Return the physical value that stands for `internal` and is turned back into it, or None."""
    method = dop.compu_method
    constraint = dop.internal_constr
    try:
        if not method.is_valid_internal_value(internal):
            return None
        if constraint is not None and not _within(constraint, internal):
            return None
        value = method.convert_internal_to_physical(internal)
        if dop.is_valid_physical_value(value) and method.convert_physical_to_internal(value) == internal:
            return value
    except Exception:  # noqa: BLE001 - a candidate that odxtools cannot convert is no candidate
        return None
    return None


def _within(constraint: Any, internal: Any) -> bool:
    low, high = constraint.lower_limit, constraint.upper_limit
    return (low is None or low.complies_to_lower(internal)) and (high is None or high.complies_to_upper(internal))


def _plainest(dop: Any) -> Iterator[tuple[Any, str]]:
    coded = dop.diag_coded_type
    kind = coded.base_data_type.value
    if kind in _NUMBERS:
        yield 0, "0 on the wire"
        for limit in _limits(dop):
            yield limit, "the lowest"
        return
    size = _size(coded)
    if kind == "A_BYTEFIELD":
        yield bytes(size), "zeros"
        return
    yield " " * (size // 2 if kind == "A_UNICODE2STRING" else size), "spaces"
    for limit in _limits(dop):
        yield limit, "the first"


def _limits(dop: Any) -> Iterator[Any]:
    """Yield the limits that the document names, in its order."""
    if dop.internal_constr is not None and dop.internal_constr.lower_limit is not None:
        yield dop.internal_constr.lower_limit.value
    inward = dop.compu_method.compu_internal_to_phys
    for scale in inward.compu_scales if inward is not None else ():
        for limit in (scale.lower_limit, scale.upper_limit):
            if limit is not None and limit.value is not None:
                yield limit.value


def _size(coded: Any) -> int:
    """Return the bytes of the shortest value of a coded type."""
    bits = getattr(coded, "bit_length", None)
    if coded.dct_type == "STANDARD-LENGTH-TYPE" and bits is not None:
        return int(bits) // 8
    return int(getattr(coded, "min_length", 0))


def _from_text(dop: Any, path: str, text: str) -> Any:
    kind = dop.physical_type.base_data_type
    try:
        value = kind.from_string(text)
        if dop.is_valid_physical_value(value):
            return value
    except Exception as error:  # noqa: BLE001 - the text is a person's, and odxtools says anything of it
        raise LocalMisuse(f"{path}: {text!r} is no value of type {kind.value}: {said(error)}") from None
    raise LocalMisuse(f"{path} cannot be {text!r}{_choices(dop)}")


def _choices(dop: Any) -> str:
    texts = [text for text, _ in text_table(dop)]
    return f"; there are: {', '.join(texts[:20])}" if texts else ""


def text_table(dop: Any) -> list[tuple[str, Any]]:
    """Return (text, value on the wire) of a property that is a choice of texts; empty for any other."""
    method = getattr(dop, "compu_method", None)
    if method is None or method.category.value != "TEXTTABLE" or method.compu_internal_to_phys is None:
        return []
    return [
        (str(scale.compu_const.value), scale.lower_limit.value if scale.lower_limit else None)
        for scale in method.compu_internal_to_phys.compu_scales
        if scale.compu_const is not None
    ]
