"""What ResponseOnEvent 0x86 watches for and says by itself: one event logic of each type, set up, started, stopped, cleared.

    set up (01 02 03 07 08 09) -> start (05) -> [event -> the answer of another service]... -> window over: a final C6

A change of session stops events; stored ones run again in the default session, after a reset and after loss of supply too. A
unit that works on a request looks again when it is done. Events keep no session alive. Record layouts, windows and the storage
bit are as open implementations have them (the iso14229 crate in Rust, mdabrowski1990/uds, an open AUTOSAR Dcm); how often a
unit looks (`sample`) and that hysteresis is a share of the reference in per cent are our own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ecu_sim import readable
from ecu_sim.refusal import Refusal
from ecu_sim.services.request import Request
from wire.uds import Nrc, negative

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

STOP, ON_DTC_STATUS, ON_TIMER, ON_DID_CHANGE, REPORT, START, CLEAR = range(7)
ON_COMPARISON, ON_MOST_RECENT_DTC, ON_DTC_RECORD = 0x07, 0x08, 0x09
CONTROLS = frozenset((STOP, REPORT, START, CLEAR))
STORE = 0x40
EVENT_TYPE = 0x3F
INFINITE, POWER_WINDOW, IGNITION_WINDOW = 0x02, 0x06, 0x07
MOST_RECENT: Mapping[int, int] = {0x0D: 0x01, 0x0E: 0x08}
"""Sub-functions of 0x19 that event 08 may report, and the status bit whose rise is the event: testFailed, confirmedDTC."""
RECORD_REPORTS: Mapping[int, int] = {0x04: 1, 0x06: 1, 0x18: 2, 0x19: 2}
"""Sub-functions of 0x19 that event 09 may report, and how many bytes follow the code: record number, memory selection."""
COMPARISON_LEN = 10
KIND = "event"
MAX_COUNT = 0xFF
"""numberOfIdentifiedEvents is one byte: it stays there."""


@dataclass(slots=True)
class Event:
    """One event logic. `record`: eventTypeRecord; `respond`: the request whose answer is sent. `seen`: what was there last."""

    type: int
    window: int
    record: bytes
    respond: bytes
    stored: bool = False
    active: bool = False
    count: int = 0
    seen: object = None

    def encode(self) -> bytes:
        """Return how an answer repeats the set-up."""
        return self.record + self.respond


@dataclass(frozen=True, slots=True)
class Comparison:
    """eventTypeRecord of event 07. `offset` counts bits from the beginning of the answer `62 DID data`; `length` in bits."""

    did: int
    logic: int
    reference: int
    hysteresis: int
    signed: bool
    length: int
    offset: int

    @classmethod
    def decode(cls, record: bytes) -> Comparison:
        """Read a record of 10 bytes."""
        place = int.from_bytes(record[8:10], "big")
        signed = place & 0x8000 != 0
        return cls(
            did=int.from_bytes(record[0:2], "big"),
            logic=record[2],
            reference=int.from_bytes(record[3:7], "big", signed=signed),
            hysteresis=record[7],
            signed=signed,
            length=place >> 10 & 0x1F or 32,
            offset=place & 0x3FF,
        )

    def value(self, answer: bytes) -> int:
        """Return the value in an answer; it has to be long enough."""
        bits = int.from_bytes(answer, "big") >> 8 * len(answer) - self.offset - self.length
        bits &= (1 << self.length) - 1
        return bits - (1 << self.length) if self.signed and bits >> self.length - 1 else bits

    def holds(self, value: int, *, held: bool) -> bool:
        """Return whether the event's condition holds; once it held, it ends only beyond the hysteresis."""
        margin = abs(self.reference) * self.hysteresis / 100 if held else 0
        match self.logic:
            case 0x01:
                return value < self.reference + margin
            case 0x02:
                return value > self.reference - margin
            case 0x03:
                return abs(value - self.reference) <= margin
            case _:
                return value != self.reference


def windows_of(server: UdsServer) -> frozenset[int]:
    """Return the event windows that the unit knows; power and ignition window are the 2020 edition's."""
    known = {INFINITE, *server.profile.events.windows_ns}
    return frozenset(known | {POWER_WINDOW, IGNITION_WINDOW} if server.profile.edition == 2020 else known)


def statuses(server: UdsServer) -> Mapping[int, int]:
    """Return the status byte of every trouble code now."""
    return server.memory.dtcs.statuses()


# ---- starting and stopping


def start(server: UdsServer, now_ns: int) -> None:
    """Let all events that are set up run from now on."""
    for event in server.state.events.values():
        event.active, event.count, event.seen = True, 0, None
        _look_at(server, event, now_ns)  # what is so already is no event
        window_ns = server.profile.events.windows_ns.get(event.window)
        if window_ns is not None:
            server.timers.at((KIND, "window", event.type), now_ns + window_ns, partial(_window_over, server, event))
        if event.type == ON_TIMER:
            _set_timer(server, event, now_ns + server.profile.events.rates_ns[event.record[0]])
    _set_sampling(server, now_ns + server.profile.events.sample_ns)


def stop(server: UdsServer) -> None:
    """Stop all events in silence; they stay set up."""
    for event in server.state.events.values():
        event.active = False
    server.timers.cancel_all(KIND)


def keep(server: UdsServer, *, all_of_them: bool) -> None:
    """Store the events that are set up: those that asked for it at set-up, or all with an infinite window."""
    server.memory.events.clear()
    for event in server.state.events.values():
        if event.window == INFINITE and (all_of_them or event.stored):
            event.stored = True
            server.memory.events[event.type] = replace(event, active=False, seen=None)


def resume(server: UdsServer, now_ns: int) -> None:
    """Let stored events run again."""
    if server.memory.events:
        server.state.events = {number: replace(event) for number, event in server.memory.events.items()}
        start(server, now_ns)


def forget(server: UdsServer, kind: int) -> None:
    """Take away the event logic of one type, whatever it is doing: a new one stands in its place."""
    server.state.events.pop(kind, None)
    for what in ("window", "timer"):
        server.timers.cancel((KIND, what, kind))


def ignition_off(server: UdsServer) -> None:
    """Forget the events whose window is the ignition cycle."""
    for number, event in tuple(server.state.events.items()):
        if event.window == IGNITION_WINDOW and server.profile.edition == 2020:
            del server.state.events[number]


def _window_over(server: UdsServer, event: Event, now_ns: int) -> None:
    event.active = False
    server.timers.cancel((KIND, "timer", event.type))
    server.note(now_ns, KIND, f"{event.type:02X}: the window is over after {event.count}")
    server.outputs.append(bytes((0xC6, event.type, event.count, event.window)) + event.encode())


# ---- looking


def _set_timer(server: UdsServer, event: Event, due_ns: int) -> None:
    server.timers.at((KIND, "timer", event.type), due_ns, partial(_timer, server, event, due_ns))


def _timer(server: UdsServer, event: Event, due_ns: int, now_ns: int) -> None:
    period_ns = server.profile.events.rates_ns[event.record[0]]
    _set_timer(server, event, due_ns + ((now_ns - due_ns) // period_ns + 1) * period_ns)
    if not server.busy:
        _happened(server, event, event.respond, now_ns)


def _set_sampling(server: UdsServer, due_ns: int) -> None:
    if any(event.active and event.type in _LOOKS for event in server.state.events.values()):
        server.timers.at((KIND, "sample"), due_ns, partial(_sample, server, due_ns))


def _sample(server: UdsServer, due_ns: int, now_ns: int) -> None:
    period_ns = server.profile.events.sample_ns
    _set_sampling(server, due_ns + ((now_ns - due_ns) // period_ns + 1) * period_ns)
    if server.busy:
        return
    for event in tuple(server.state.events.values()):
        if event.active:
            for request in _look_at(server, event, now_ns):
                _happened(server, event, request, now_ns)


def _look_at(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:
    """Return the requests to be answered now; the first look of an event has none."""
    look = _LOOKS.get(event.type)
    if look is None:
        return []
    first = event.seen is None
    requests = look(server, event, now_ns)
    return [] if first else requests


def _rises(server: UdsServer, event: Event, mask: int) -> list[int]:
    """Return the codes of which a bit in `mask` has risen since the last look."""
    seen = event.seen if isinstance(event.seen, dict) else {}
    event.seen = now = dict(statuses(server))
    return [code for code, status in now.items() if status & ~seen.get(code, 0) & mask]


def _dtc_status(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:  # noqa: ARG001 - one signature for all looks
    return [event.respond] if _rises(server, event, event.record[0]) else []


def _most_recent(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:  # noqa: ARG001
    return [event.respond or b"\x19" + event.record] * len(_rises(server, event, MOST_RECENT[event.record[0]]))


def _dtc_record(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:  # noqa: ARG001
    mask, sub_function, rest = event.record[0], event.record[1:2], event.record[2:]
    return [b"\x19" + sub_function + code.to_bytes(3, "big") + rest for code in _rises(server, event, mask)]


def _did_change(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:
    number = int.from_bytes(event.record, "big")
    if not readable.allowed(server, number, now_ns):
        return []
    value, seen = readable.value(server, number, now_ns), event.seen
    event.seen = value
    return [event.respond] if value != seen else []


def _comparison(server: UdsServer, event: Event, now_ns: int) -> list[bytes]:
    comparison = Comparison.decode(event.record)
    if not readable.allowed(server, comparison.did, now_ns):
        return []
    answer = b"\x62" + event.record[:2] + readable.value(server, comparison.did, now_ns)
    held = event.seen is True
    event.seen = comparison.holds(comparison.value(answer), held=held)
    return [event.respond] if event.seen and not held else []


_LOOKS: Mapping[int, Callable[[UdsServer, Event, int], list[bytes]]] = {
    ON_DTC_STATUS: _dtc_status,
    ON_DID_CHANGE: _did_change,
    ON_COMPARISON: _comparison,
    ON_MOST_RECENT_DTC: _most_recent,
    ON_DTC_RECORD: _dtc_record,
}
"""What each type looks at, once in a sample; the timer's event has a time of its own."""


def _happened(server: UdsServer, event: Event, payload: bytes, now_ns: int) -> None:
    """Answer a request that nobody sent, refusals included."""
    event.count = min(event.count + 1, MAX_COUNT)
    server.note(now_ns, KIND, f"{event.type:02X}: answering {payload[:4].hex(' ')}")
    try:
        answer = server.perform(Request(payload, functional=False, now_ns=now_ns))
    except Refusal as refusal:
        answer = negative(payload[0], refusal.nrc)
    if len(answer) > server.profile.max_answer_bytes:
        answer = negative(payload[0], Nrc.responseTooLong)
    server.outputs.append(answer)
