"""What each service of an ODX layer becomes in a profile: one small reader for each service identifier, in the table `READERS`.

A reader takes one thing that a service asks for and writes into the document; what it cannot say there it raises as
`NotUnderstood`, and the caller lists it. To import one more service, write its reader and its line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ecu_sim.importing.document import Entry, Hex, ProfileDocument, Value
from ecu_sim.importing.odx_file import plain_name
from ecu_sim.importing.odx_requests import Asked
from ecu_sim.importing.odx_states import DEFAULT_SESSION, States
from ecu_sim.importing.odx_values import Given, Message, NotUnderstood
from ecu_sim.importing.offered import sub_functions_of
from wire.uds import POSITIVE_OFFSET

START, STOP, RESULTS = 0x01, 0x02, 0x03
MAX_COMMENT_VALUES = 4
"""Values named beside an entry; the document has them all."""


@dataclass(slots=True)
class Import:
    """What the readers share while one layer is imported."""

    document: ProfileDocument
    states: States
    given: Given
    sessions: dict[int, str] = field(default_factory=dict)
    sub_functions: dict[int, set[int]] = field(default_factory=dict)
    access: dict[int, list[dict[str, Value]]] = field(default_factory=dict)
    routines: dict[int, dict[int, tuple[Asked, Message]]] = field(default_factory=dict)
    seeds: dict[int, tuple[Asked, int]] = field(default_factory=dict)
    keys: dict[int, tuple[Asked, int]] = field(default_factory=dict)

    def all_sessions(self) -> list[int]:
        """Return the sessions of the profile: those that a service enters, and the default one."""
        return sorted({DEFAULT_SESSION, *self.sessions})


Reader = Callable[[Import, Asked], None]


def _session(into: Import, asked: Asked) -> None:
    number = asked.sub_function
    if not number:
        raise NotUnderstood("session 00 does not exist")
    into.sessions.setdefault(number, plain_name(asked.thing))
    into.states.learn_session(asked.service, number)
    asked.response(into.given)
    if asked.service.pre_condition_state_refs:
        into.document.leave_out("condition", asked.name, "a profile lets every session follow any other")


def _security(into: Import, asked: Asked) -> None:
    number = asked.sub_function
    if not 0 < number <= 0x7E:
        raise NotUnderstood(f"sub-function {number:02X} is no level")
    if number % 2:
        seed = len(asked.response(into.given).payload) - 2
        into.seeds[number] = (asked, seed)
    else:
        into.keys[number - 1] = (asked, len(asked.request.payload) - 2)
        into.states.learn_level(asked.service, number - 1)


def _sub_function(into: Import, asked: Asked) -> None:
    number, known = asked.sub_function, sub_functions_of(asked.sid)
    if known is not None and number not in known:
        there = ", ".join(f"{sub:02X}" for sub in sorted(known))
        raise NotUnderstood(f"service {asked.sid:02X} of the bench has no sub-function {number:02X}, but {there}")
    into.sub_functions.setdefault(asked.sid, set()).add(number)
    _service(into, asked)


def _service(into: Import, asked: Asked) -> None:
    into.access.setdefault(asked.sid, []).append(into.states.access(asked.thing, into.all_sessions()))


def _read_data(into: Import, asked: Asked) -> None:
    number = asked.number(1)
    if len(asked.request.payload) != 3:
        raise NotUnderstood("it asks for several identifiers at once")
    message = asked.response(into.given)
    value = _rest(asked, message, 3)
    access = into.states.access(asked.thing, into.all_sessions())
    entries = into.document.section("dids")
    keys: dict[str, Value] = {"name": plain_name(asked.thing), **_stored(message, value)}
    if access:
        keys["read"] = access
    old = entries.setdefault(number, Entry(keys, _comment(message)))
    if {**old.keys, "name": ""} != {**keys, "name": ""}:
        raise NotUnderstood(
            f"identifier {number:04X} is read by {old.keys['name']!r} as well, which tells it otherwise"
        )


def _write_data(into: Import, asked: Asked) -> None:
    number, value = asked.number(1), asked.request.payload[3:]
    if not value:
        raise NotUnderstood("it writes no data")
    answer = asked.response(into.given)
    if _rest(asked, answer, 3):
        raise NotUnderstood("its answer holds more than the identifier")
    entries = into.document.section("dids")
    entry = entries.get(number)
    if entry is None:
        entry = entries[number] = Entry(
            {"name": plain_name(asked.thing), "hex": value, "read": "never"}, _comment(asked.request)
        )
    elif _size(entry) != len(value):
        raise NotUnderstood(f"it writes {len(value)} bytes, and {number:04X} is read as {_size(entry)}")
    if "write" in entry.keys:
        raise NotUnderstood(f"identifier {number:04X} is written by another service as well")
    entry.keys["write"] = into.states.access(asked.thing, into.all_sessions())


def _routine(into: Import, asked: Asked) -> None:
    sub, rid = asked.sub_function, asked.number(2)
    if sub not in (START, STOP, RESULTS):
        raise NotUnderstood(f"sub-function {sub:02X} of a routine")
    message = asked.response(into.given)
    _rest(asked, message, 4)
    if sub in into.routines.setdefault(rid, {}):
        raise NotUnderstood(f"routine {rid:04X} has another service for sub-function {sub:02X}")
    into.routines[rid][sub] = (asked, message)


READERS: Mapping[int, Reader] = {
    0x10: _session,
    0x11: _sub_function,
    0x14: _service,
    0x19: _sub_function,
    0x22: _read_data,
    0x27: _security,
    0x28: _sub_function,
    0x2E: _write_data,
    0x31: _routine,
    0x3E: _sub_function,
    0x85: _sub_function,
}
"""In the order in which services are read: who may use one is known when sessions and levels are."""
FIRST = (0x10, 0x27)
"""Services that tell what a state means, read before the others."""


def _rest(asked: Asked, message: Message, key_bytes: int) -> bytes:
    """Return what an answer holds beyond the echo of its request's key."""
    echo = bytes((asked.sid + POSITIVE_OFFSET,)) + asked.request.payload[1:key_bytes]
    if key_bytes == 4:
        echo = echo[:1] + bytes((asked.sub_function,)) + echo[2:]
    if not message.payload.startswith(echo):
        raise NotUnderstood(f"its answer begins with {message.payload[:key_bytes].hex(' ')}, not with {echo.hex(' ')}")
    return message.payload[key_bytes:]


def _stored(message: Message, value: bytes) -> dict[str, Value]:
    """Return the key that holds a value: as text where it is one, else in hex."""
    if len(message.values) == 1 and isinstance(message.values[0].value, str):
        text = value.decode("latin-1")
        if text.strip() and text.isascii() and text.isprintable():
            return {"text": text}
    return {"hex": value}


def _size(entry: Entry) -> int:
    value = entry.keys.get("hex", entry.keys.get("text", b""))
    assert isinstance(value, bytes | str)
    return len(value)


def _comment(message: Message) -> str:
    values = [str(value) for value in message.values]
    more = len(values) - MAX_COMMENT_VALUES
    return "; ".join(values[:MAX_COMMENT_VALUES]) + (f"; and {more} more" if more > 0 else "")


def hexes(numbers: set[int]) -> list[Hex]:
    """Return numbers as a profile lists them."""
    return [Hex(number) for number in sorted(numbers)]
