"""Facts for the walk about the services that change a unit at run time: what the walked unit has of each, and what is true of
requests."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from walk import CONDITION_NRC, LEVEL, LOCKED_NRC, Fails, Probe, Situation

from ecu_sim.definitions import Definition
from ecu_sim.periodic import Scheduled
from ecu_sim.profile import FREE, Access, Did, EcuProfile, ServiceRule
from ecu_sim.response_on_event import Event
from ecu_sim.server import UdsServer
from ecu_sim.service_options import (
    CommunicationOptions,
    DefinitionOptions,
    LinkOptions,
    Output,
    PeriodicOptions,
    SessionRule,
)
from wire.token import Scope

NOT_DEFAULT = (2, 3)
Prepare = Callable[[UdsServer], None] | None
GUARDED_SESSION = Access(scope=Scope.ROUTINES, security=LEVEL, conditions=("stationary",))


def with_acting_services(unit: EcuProfile, accesses: dict[int, Access]) -> EcuProfile:
    """Return the unit with everything that the probes below ask for."""
    periodic = {0xF200 + n: Did(did=0xF200 + n, value=bytes(2), read=access) for n, access in accesses.items()}
    periodic |= {0xF210: Did(did=0xF210, value=bytes(8)), 0xF211: Did(did=0xF211, value=bytes(1))}
    return replace(
        unit,
        services={**unit.services, **dict.fromkeys((0x24, 0x2A, 0x2C, 0x2F, 0x86, 0x87), ServiceRule())},
        dids={**unit.dids, **periodic},
        scaling={0x2000 + n: b"\x02" for n in accesses},
        outputs={
            0x0B00 + n: Output(did=0x0B00 + n, value=b"\0", default=b"\0", highest=b"\x64", access=access, read=FREE)
            for n, access in accesses.items()
        },
        periodic=PeriodicOptions(transport="uudt", can_ids=(0x6A0,), scheduled=1),
        definitions=DefinitionOptions(count=1),
        link=LinkOptions(bitrates=frozenset((250_000,))),
        communication=CommunicationOptions(subnets=frozenset((1,)), nodes=frozenset((0x0A,))),
        session_rules={3: SessionRule(entered_from=frozenset(NOT_DEFAULT), access=GUARDED_SESSION)},
    )


def _odd(situation: Situation, extra: int) -> bool:
    return extra != 0


def _short(situation: Situation, extra: int) -> bool:
    return extra < 0


def _unknown_sub(sid: int, known: set[int], minimum: int = 2) -> Iterator[Probe]:
    for sub in range(0x80):
        if sub not in known:
            sessions = (1, 2, 3) if sid in (0x10, 0x2C) else NOT_DEFAULT
            yield Probe(sid=sid, sub=sub, body=bytes(1), sessions=sessions, known=False, minimum=minimum, fixed=False)


def session_control() -> Iterator[Probe]:
    free: dict[str, Fails] = {
        "session released": 0,
        "session level open": False,
        "session conditions": 0,
        "programming conditions": 0,
    }
    programming: Fails = lambda s, extra: 0x22 if s.session == 1 else 0  # noqa: E731 - one of a table of such
    guarded: dict[str, Fails] = {
        "programming conditions": 0,
        "session released": lambda s, extra: 0 if s.granted else LOCKED_NRC,
        "session level open": lambda s, extra: not (s.level_open and s.granted),
        "session conditions": lambda s, extra: CONDITION_NRC if s.moving else 0,
    }
    yield Probe(sid=0x10, sub=1, minimum=2, fails=free)
    yield Probe(sid=0x10, sub=2, minimum=2, fails={**free, "programming conditions": programming})
    yield Probe(sid=0x10, sub=3, sub_sessions=NOT_DEFAULT, minimum=2, fails=guarded)
    yield from _unknown_sub(0x10, {1, 2, 3})


def communication() -> Iterator[Probe]:
    def probe(sub: int, body: bytes, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {"communication type": False, "network known": False, "node known": False}
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(sid=0x28, sub=sub, body=body, sessions=NOT_DEFAULT, minimum=2, fails={**rows, **named})

    for sub in range(6):
        node = b"\x00\x0a" if sub > 3 else b""
        for kind in (b"\x01", b"\x03", b"\x12", b"\xf1"):
            yield probe(sub, kind + node)
        yield probe(sub, b"\x00" + node, communication_type=True)
        yield probe(sub, b"\x09" + node, communication_type=True)
        yield probe(sub, b"\x21" + node, network_known=True)
    yield probe(4, b"\x01\x00\x0b", node_known=True)
    yield from _unknown_sub(0x28, set(range(6)))


def read_scaling(accesses: dict[int, Access]) -> Iterator[Probe]:
    for number, access in accesses.items():
        yield Probe(sid=0x24, body=bytes((0x20, number)), needs=access, fails={"scaling known": False})
    for body in (b"\x99\x99", b"\x20\x11", b"\x20\x12"):
        yield Probe(sid=0x24, body=body, fails={"scaling known": True})


def periodic(accesses: dict[int, Access]) -> Iterator[Probe]:
    def probe(body: bytes, needs: Access = FREE, prepare: Prepare = None, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "periodic length": _short,
            "transmission mode": False,
            "periodic identifier known": False,
            "message fits its frame": False,
            "schedule has room": False,
        }
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(
            sid=0x2A,
            body=body,
            sessions=NOT_DEFAULT,
            needs=needs,
            fixed=False,
            prepare=prepare,
            fails={**rows, **named},
        )

    def full(server: UdsServer) -> None:
        server.state.periodic[0x01] = Scheduled(10**9, 10**9, 0)

    for number, access in accesses.items():
        unknown: Fails = (lambda s, extra: s.session != 3) if access.sessions else False  # as if it were not there
        yield probe(bytes((0x01, number)), access, periodic_identifier_known=unknown)
    for mode in (0x00, 0x05, 0xFF):
        yield probe(bytes((mode, 0x01)), transmission_mode=True)
    yield probe(b"\x01\xf0", periodic_identifier_known=True)
    yield probe(b"\x01\x10", message_fits_its_frame=True)
    yield probe(b"\x01\x11", prepare=full, schedule_has_room=True)
    yield probe(b"\x02\x01", prepare=full)
    yield probe(b"\x04", periodic_identifier_known=lambda s, extra: extra > 0)  # what was added is not known
    yield probe(b"\x04\x01", periodic_length=lambda s, extra: extra < -1)


def definitions(accesses: dict[int, Access]) -> Iterator[Probe]:
    def probe(sub: int, body: bytes, needs: Access = FREE, prepare: Prepare = None, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "definition length": _odd,
            "identifier definable": False,
            "address and length format": False,
            "position counts from 1": False,
            "source known": False,
            "definition within limits": False,
        }
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(
            sid=0x2C,
            sub=sub,
            body=body,
            sub_sessions=NOT_DEFAULT if sub == 2 else (1, 2, 3),
            needs=needs,
            minimum=2,
            fixed=False,
            prepare=prepare,
            fails={**rows, **named},
        )

    def defined(server: UdsServer) -> None:
        server.state.definitions[0xF3FF] = Definition(0xF3FF, ())

    for number, access in accesses.items():
        yield probe(1, bytes((0xF3, 0x01, 0x20, number, 1, 1)), access)
    for source in (b"\x99\x99\x01\x01", b"\x20\x12\x01\x01", b"\x20\x01\x02\x02", b"\x20\x01\x01\x00"):
        yield probe(1, b"\xf3\x01" + source, source_known=True)
    yield probe(1, b"\xf3\x01\x20\x01\x00\x01", position_counts_from_1=True)
    for number in (b"\xf4\x00", b"\xf2\x01"):
        yield probe(1, number + b"\x20\x01\x01\x01", identifier_definable=True)
    yield probe(1, b"\xf3\x01\x20\x01\x01\x01", prepare=defined, definition_within_limits=True)
    yield probe(1, b"\xf3\xff\x20\x01\x01\x01", prepare=defined)
    for number, access in accesses.items():
        yield probe(2, bytes((0xF3, 0x01, 0x12, number, 0x00, 0x04)), access)
    for area in (b"\x01\x0e\x04", b"\x09\x00\x04", b"\x99\x00\x04", b"\x01\x00\x00"):
        yield probe(2, b"\xf3\x01\x12" + area, source_known=True)
    yield probe(2, b"\xf3\x01\x11\x00\x10", address_and_length_format=True)
    yield probe(2, b"\xf3\x01\x00\x00\x10", definition_length=_short, address_and_length_format=True)
    yield probe(3, b"")
    yield probe(3, b"\xf3\x01", identifier_definable=True)
    yield probe(3, b"\xf3\xff", prepare=defined)
    yield from _unknown_sub(0x2C, {1, 2, 3})


def outputs(accesses: dict[int, Access]) -> Iterator[Probe]:
    def probe(body: bytes, needs: Access = FREE, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "output known": False,
            "control parameter": False,
            "control record length": _odd,
            "control state": False,
        }
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(
            sid=0x2F, body=body, sessions=NOT_DEFAULT, needs=needs, minimum=4, fixed=False, fails={**rows, **named}
        )

    for number, access in accesses.items():
        yield probe(bytes((0x0B, number, 3, 0x40)), access)
        yield probe(bytes((0x0B, number, 0)), access)
    yield probe(b"\x99\x99\x03\x40", output_known=True)
    yield probe(b"\x0b\x01\x04\x40", control_parameter=True)
    yield probe(b"\x0b\x01\x03\x65", control_state=lambda s, extra: extra == 0)


def events(accesses: dict[int, Access]) -> Iterator[Probe]:
    def probe(sub: int, body: bytes, needs: Access = FREE, prepare: Prepare = None, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "event length": False,
            "event window": False,
            "event record": False,
            "service to respond to": False,
            "event set up": False,
        }
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(
            sid=0x86,
            sub=sub,
            body=body,
            sessions=NOT_DEFAULT,
            needs=needs,
            minimum=3,
            fixed=False,
            prepare=prepare,
            fails={**rows, **named},
        )

    def set_up(server: UdsServer) -> None:
        server.state.events[1] = Event(1, 2, b"\x08", b"\x19\x02\x08")

    for number, access in accesses.items():
        yield probe(3, bytes((2, 0x20, number, 0x22, 0xF1, 0x90)), access)
    yield probe(1, b"\x02\x08\x19\x02\x08")
    yield probe(1, b"\x09\x08\x19\x02\x08", event_window=True)
    yield probe(1, b"\x02\x00\x19\x02\x08", event_record=True)
    yield probe(1, b"\x02\x08\x2e\x20\x01", service_to_respond_to=True)
    yield probe(3, b"\x02\x99\x99\x22\xf1\x90", event_record=True)
    yield probe(8, b"\x02\x0d", service_to_respond_to=lambda s, extra: extra > 0, event_length=_short)
    for sub in (0, 4, 6, 0x40):
        yield probe(sub, b"\x02", event_length=lambda s, extra: extra > 0)
    for sub in (5, 0x45):
        yield probe(sub, b"\x02", event_length=lambda s, extra: extra > 0, event_set_up=True)
        yield probe(sub, b"\x02", event_length=lambda s, extra: extra > 0, prepare=set_up)
    yield probe(0x45, b"\x03", event_length=lambda s, extra: extra > 0, event_window=True, prepare=set_up)
    yield from _unknown_sub(0x86, {0, 1, 3, 4, 5, 6, 7, 8, 9, 0x40, 0x45}, 3)


def link() -> Iterator[Probe]:
    def probe(sub: int, body: bytes, prepare: Prepare = None, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {"bit rate": False, "transition verified": False}
        named = {name.replace("_", " "): value for name, value in fails.items()}
        return Probe(
            sid=0x87, sub=sub, body=body, sessions=NOT_DEFAULT, minimum=2, prepare=prepare, fails={**rows, **named}
        )

    def verified(server: UdsServer) -> None:
        server.state.link_verified = 250_000

    yield probe(1, b"\x11")
    yield probe(1, b"\xff", bit_rate=True)
    yield probe(2, b"\x03\xd0\x90")
    yield probe(2, b"\x00\x00\x01", bit_rate=True)
    yield probe(3, b"", transition_verified=True)
    yield probe(3, b"", verified)
    yield from _unknown_sub(0x87, {1, 2, 3})
