"""What a service of an ODX layer asks for: the key of its request (service, sub-function, identifier), one for each choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ecu_sim.importing.odx_values import Given, Message, NotUnderstood, build, decoded, table_value, text_table
from wire.uds import SUB_FUNCTION_SERVICES

IDENTIFIER_BYTES = {0x22: 3, 0x24: 3, 0x2E: 3, 0x2F: 3, 0x31: 4}
"""How many bytes of a request say what it is about, where that is more than service and sub-function."""
MAX_CHOICES = 10_000
"""Rows of a table or texts of one parameter: a vehicle's biggest tables have some thousand."""


@dataclass(slots=True)
class Asked:
    """One thing that a service asks for. `thing` holds the conditions: the service, or the row of its table."""

    service: Any
    thing: Any
    name: str
    request: Message
    picks: dict[str, Any] = field(default_factory=dict)

    @property
    def sid(self) -> int:
        """The service identifier."""
        return self.request.payload[0]

    @property
    def sub_function(self) -> int:
        """The sub-function without the suppress bit."""
        return self.request.payload[1] & 0x7F

    def number(self, at: int) -> int:
        """Return the identifier of two bytes at a place of the request."""
        return int.from_bytes(self.request.payload[at : at + 2], "big")

    def response(self, given: Given) -> Message:
        """Build the positive response that belongs to this request. Raises `NotUnderstood`."""
        problems: list[str] = []
        for response in self.service.positive_responses:
            try:
                message = self._one_response(response, given)
            except NotUnderstood as error:
                problems.append(str(error))
                continue
            wrong = list(decoded(self.service, message))
            if not wrong:
                return message
            problems += wrong
        raise NotUnderstood("; ".join(problems) or "it has no positive response")

    def _one_response(self, response: Any, given: Given) -> Message:
        picks: dict[str, Any] = {}
        values: list[Any] = []
        structs = {
            parameter.table_key.short_name
            for parameter in response.parameters
            if parameter.parameter_type == "TABLE-STRUCT"
        }
        for parameter in response.parameters:
            if parameter.parameter_type == "TABLE-STRUCT" and self.thing is not self.service:
                picks[parameter.short_name] = table_value(
                    self.thing,
                    f"{self.service.short_name}.{parameter.short_name}.{self.thing.short_name}",
                    given,
                    values,
                )
            elif parameter.parameter_type == "TABLE-KEY" and self.thing is not self.service:
                if parameter.short_name not in structs:
                    picks[parameter.short_name] = self.thing.short_name
            elif parameter.short_name in self.picks:
                picks[parameter.short_name] = self.picks[parameter.short_name]
        message = build(response, self.service.short_name, given, request=self.request.payload, picks=picks)
        message.values += [value for value in values if value not in message.values]
        return message


def asked(service: Any, given: Given) -> Iterator[Asked]:
    """Yield what a service asks for. Raises `NotUnderstood` where that cannot be said."""
    if service.request is None:
        raise NotUnderstood("it has no request")
    free = _free_in_key(service.request)
    if free is None:
        yield Asked(service, service, service.short_name, build(service.request, service.short_name, given))
        return
    kind, name = free.parameter_type, free.short_name
    if kind == "TABLE-KEY":
        rows = [free.table_row] if free.table_row is not None else free.table.table_rows
        for row in _bounded(rows, name):
            request = build(service.request, service.short_name, given, picks={name: row.short_name})
            yield Asked(service, row, f"{service.short_name}.{row.short_name}", request)
        return
    texts = text_table(getattr(free, "dop", None)) if kind == "VALUE" else []
    if not texts:
        raise NotUnderstood(f"what it asks for is open: parameter {name!r} ({kind})")
    for text, _ in _bounded(texts, name):
        request = build(service.request, service.short_name, given, picks={name: text})
        yield Asked(service, service, f"{service.short_name}.{text}", request, {name: text})


def _bounded(choices: Any, name: str) -> Any:
    if len(choices) > MAX_CHOICES:
        raise NotUnderstood(f"parameter {name!r} has {len(choices)} choices; {MAX_CHOICES} are read")
    return choices


def _free_in_key(request: Any) -> Any:
    """Return the first parameter that a tester fills in and that says what the request is about, or None."""
    cursor, sid = 0, None
    for parameter in request.parameters:
        at = cursor if parameter.byte_position is None else parameter.byte_position
        bits, kind = parameter.get_static_bit_length(), parameter.parameter_type
        if kind == "TABLE-KEY" and parameter.table.key_dop is not None:
            bits = parameter.table.key_dop.get_static_bit_length()
        if at == 0 and kind == "CODED-CONST":
            sid = parameter.coded_value
        key_bytes = IDENTIFIER_BYTES.get(sid, 2 if sid in SUB_FUNCTION_SERVICES else 1) if isinstance(sid, int) else 1
        fixed = kind in ("CODED-CONST", "PHYS-CONST", "RESERVED")
        suppress = at == 1 and bits == 1 and parameter.bit_position == 7 and sid in SUB_FUNCTION_SERVICES
        if not fixed and not suppress and at < key_bytes:
            return parameter
        if bits is None:
            return None
        cursor = max(cursor, at + ((parameter.bit_position or 0) + bits + 7) // 8)
    return None
