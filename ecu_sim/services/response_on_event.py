"""ResponseOnEvent 0x86: 00 stop, 05 start, 06 clear, 04 report; set-ups 01 DTC status, 03 change of an identifier, 07
comparison, 08 most recent DTC and 09 DTC record (2020), 02 timer (2013). Bit 6 stores: with start and stop (2020), with any
set-up too (2013).

Request: event type, window, eventTypeRecord, and the request whose answer is to be sent. Whoever has 08 or 09 need not name one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import readable
from ecu_sim import response_on_event as events
from ecu_sim.definitions import DYNAMIC_RANGE
from ecu_sim.response_on_event import (
    CLEAR,
    COMPARISON_LEN,
    CONTROLS,
    EVENT_TYPE,
    INFINITE,
    MOST_RECENT,
    ON_COMPARISON,
    ON_DID_CHANGE,
    ON_DTC_RECORD,
    ON_DTC_STATUS,
    ON_MOST_RECENT_DTC,
    ON_TIMER,
    RECORD_REPORTS,
    REPORT,
    START,
    STOP,
    STORE,
    Comparison,
    Event,
)
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unit_event import UnitEvent
from wire.uds import Service, Session

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

RECORD_LEN = {ON_DTC_STATUS: 1, ON_TIMER: 1, ON_DID_CHANGE: 2, ON_COMPARISON: COMPARISON_LEN, ON_MOST_RECENT_DTC: 1}
NAMES_ITS_OWN = frozenset((ON_MOST_RECENT_DTC, ON_DTC_RECORD))
"""Event types whose record says itself what is answered."""
RECORD_AT = 3
RESPOND_2020 = frozenset((Service.ReadDataByIdentifier, Service.ReadDTCInformation))
RESPOND_2013 = RESPOND_2020 | {Service.InputOutputControlByIdentifier, Service.RoutineControl}
SUB_FUNCTIONS_2020 = frozenset((*range(2), *range(3, 10), STORE | STOP, STORE | START))
SUB_FUNCTIONS_2013 = frozenset((*range(8), *(STORE | number for number in range(8) if number != REPORT)))


def _sub_functions(server: UdsServer) -> frozenset[int]:
    return SUB_FUNCTIONS_2013 if server.profile.edition == 2013 else SUB_FUNCTIONS_2020


def _type(request: Request) -> int:
    return request.sub_function & EVENT_TYPE


def _record_len(request: Request) -> int:
    """Return the length of eventTypeRecord; event 09 says it by the report that it asks for."""
    if _type(request) != ON_DTC_RECORD:
        return RECORD_LEN.get(_type(request), 0)
    report = request.payload[RECORD_AT + 1] if len(request.payload) > RECORD_AT + 1 else 0
    return 2 + RECORD_REPORTS.get(report, 1)


def _wrong_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    size = len(request.payload) - RECORD_AT - _record_len(request)
    if _type(request) in CONTROLS:
        return size != 0
    return size < (0 if _type(request) in NAMES_ITS_OWN else 1)


def _window_unknown(server: UdsServer, request: Request) -> int:
    window = request.payload[2]
    if request.sub_function & STORE:
        return window != INFINITE
    return _type(request) not in CONTROLS and window not in events.windows_of(server)


def _wrong_record(server: UdsServer, request: Request) -> int:
    record = request.payload[RECORD_AT : RECORD_AT + _record_len(request)]
    match _type(request):
        case 0x01:
            return record == b"\x00"
        case 0x02:
            return record[0] not in server.profile.events.rates_ns
        case 0x03:
            return _not_watchable(server, request, record)
        case 0x07:
            return _not_watchable(server, request, record) or _not_comparable(server, request, record)
        case 0x08:
            return record[0] not in MOST_RECENT
        case 0x09:
            return record[0] == 0 or record[1] not in RECORD_REPORTS
        case _:
            return False


def _not_watchable(server: UdsServer, request: Request, record: bytes) -> bool:
    """Find the identifier that is watched; those of 0x2C are not (their definition may change under the event)."""
    number = int.from_bytes(record[:2], "big")
    thing = None if number in DYNAMIC_RANGE else readable.find(server, number)
    wanted = None if thing is None else readable.accesses(server, thing, request.now_ns)
    if wanted is None:
        return True
    request.accesses = wanted
    return False


def _not_comparable(server: UdsServer, request: Request, record: bytes) -> bool:
    comparison = Comparison.decode(record)
    size = 3 + len(readable.value(server, comparison.did, request.now_ns))
    return (
        comparison.logic not in range(1, 5)
        or comparison.hysteresis > 100
        or comparison.offset < 24  # before the data stand the service and the identifier
        or comparison.offset + comparison.length > 8 * size
    )


def _respond(request: Request) -> bytes:
    return request.payload[RECORD_AT + _record_len(request) :]


def _no_answer_to_give(server: UdsServer, request: Request) -> int:
    """A service that this unit has, and that an event may be answered with; suppressing its answer makes no sense."""
    if _type(request) in CONTROLS:
        return False
    respond = _respond(request)
    if _type(request) in NAMES_ITS_OWN:
        if respond and respond[0] != Service.ReadDTCInformation:
            return True
        respond = respond or b"\x19"
    offered = server.profile.events.respond or (RESPOND_2013 if server.profile.edition == 2013 else RESPOND_2020)
    inner = Request(respond, functional=False, now_ns=request.now_ns)
    return inner.sid not in offered or inner.sid not in server.profile.services or inner.suppress


def _nothing_set_up(server: UdsServer, request: Request) -> int:
    return _type(request) == START and not server.state.events


def _serve(server: UdsServer, request: Request) -> bytes:
    kind, window = _type(request), request.payload[2]
    echo = bytes((0xC6, request.sub_function))
    if kind == REPORT:
        active = [event for event in server.state.events.values() if event.active]
        return echo + bytes((len(active),)) + b"".join(_reported(event) for event in active)
    if kind in CONTROLS:
        _control(server, request, kind)
        return echo + bytes((0, window))
    record = request.payload[RECORD_AT : RECORD_AT + _record_len(request)]
    events.forget(server, kind)
    server.state.events[kind] = Event(kind, window, record, _respond(request), stored=request.sub_function & STORE != 0)
    return echo + bytes((0, window)) + request.payload[RECORD_AT:]


def _reported(event: Event) -> bytes:
    kind = event.type | (STORE if event.stored else 0)
    return bytes((kind, event.window)) + event.encode()


def _control(server: UdsServer, request: Request, kind: int) -> None:
    store = request.sub_function & STORE != 0
    if kind == START:
        events.stop(server)
        events.start(server, request.now_ns)
        if store or any(event.stored for event in server.state.events.values()):
            events.keep(server, all_of_them=store)
    else:
        events.stop(server)
        if kind == CLEAR:
            server.state.events.clear()
        if store or kind == CLEAR:
            server.memory.events.clear()
    server.note(request.now_ns, events.KIND, {START: "started", STOP: "stopped", CLEAR: "cleared"}[kind])


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    if event is UnitEvent.ECU_RESET or not (server.state.events or server.memory.events):
        return
    events.stop(server)
    if event is UnitEvent.TERMINAL_15_OFF:
        events.ignition_off(server)
    if event is not UnitEvent.SLEEP and server.state.session == Session.defaultSession:
        events.resume(server, now_ns)


SPECS = {
    0x86: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        sub_functions=_sub_functions,
        min_len=3,
        checks={
            "event length": _wrong_length,
            "event window": _window_unknown,
            "event record": _wrong_record,
            "service to respond to": _no_answer_to_give,
            "event set up": _nothing_set_up,
        },
        listen=_listen,
    )
}
