"""The unit that is walked past, and what is true of each request to it: facts, written by hand from the unit's profile."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import walk_acting
from ecu_bench import LEVELS, PROFILE
from walk import ALL_SESSIONS, LEVEL, LOCKED_NRC, Fails, Probe, Situation
from walk_trouble_codes import DTC_MEMORY, DTCS, clear, control_dtc, read_dtc

from ecu_sim.profile import FREE, Access, Did, EcuProfile, Routine, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.storage.options import (
    Directory,
    FilesOptions,
    FlashOptions,
    Kind,
    LogicalBlock,
    MemoryOptions,
    Programming,
    Record,
    Region,
)
from wire.seed_key import compute_key
from wire.token import Scope

NOT_DEFAULT = (2, 3)
GATED = Access(scope=Scope.ROUTINES)
LEVELLED = Access(security=LEVEL)
STILL = Access(conditions=("stationary",))
SECURED = Access(secured=True)
EXTENDED = Access(sessions=frozenset((3,)))
ALL = Access(sessions=frozenset((3,)), scope=Scope.ROUTINES, security=LEVEL, conditions=("stationary",))
ACCESSES = {1: Access(), 2: GATED, 3: LEVELLED, 4: STILL, 5: SECURED, 6: EXTENDED, 7: ALL}
"""Objects 1 to 7 of each kind have these."""

REGIONS = (
    *(
        Region(name=f"ram {n}", address=n << 8, size=16, kind=Kind.RAM, read=a, write=a, download=a, upload=a)
        for n, a in ACCESSES.items()
    ),
    Region(name="hidden", address=0x0900, size=16, kind=Kind.RAM),
    Region(name="flash", address=0x0A00, size=16, kind=Kind.FLASH, download=Access()),
)
MEMORY = MemoryOptions(
    regions={region.name: region for region in REGIONS},
    formats=frozenset((0x12,)),
    max_block_length=6,
    exit_request=Record.CRC_32,
)
FILES = FilesOptions(
    directories={f"/{n}": Directory(read=a, write=a) for n, a in ACCESSES.items()},
    contents={f"/{n}/a": b"x" for n in ACCESSES},
    capacity=100,
)
FLASH = FlashOptions(
    blocks={"software": LogicalBlock(number=1, region="flash")},
    fingerprint=0x2001,
    programming=Programming(enter_from=frozenset((3,))),
)


def says_who(server: UdsServer) -> None:
    server.state.written.add(0x2001)


def worn_out(server: UdsServer) -> None:
    says_who(server)
    server.memory.storage.wear_out("flash", 0, 1)


_PLAIN_UNIT = EcuProfile(
    name="walked",
    title="walked past",
    address=0x17,
    request_id=0x714,
    response_id=0x77E,
    functional_ids=(0x700,),
    services={
        **{sid: rule for sid, rule in PROFILE.services.items() if sid != 0x29},
        **dict.fromkeys((0x23, 0x34, 0x35, 0x36, 0x37, 0x38, 0x3D, 0x84), ServiceRule()),
    },
    sessions=frozenset(ALL_SESSIONS),
    dids={
        **{0x2000 + n: Did(did=0x2000 + n, value=bytes(2), read=a, write=a) for n, a in ACCESSES.items()},
        0x2010: Did(did=0x2010, value=bytes(2), write=Access(), requires_written=(0x2001,)),
        0x2011: Did(did=0x2011, value=bytes(2)),
        0x2012: Did(did=0x2012, value=bytes(2), read=None, write=Access()),
    },
    routines={
        **{0x0200 + n: Routine(rid=0x0200 + n, access=a, option_len=1) for n, a in ACCESSES.items()},
        0x0210: Routine(rid=0x0210, duration_ns=10**9, stoppable=True),
        0xFF00: Routine(rid=0xFF00, act="erase-memory"),
    },
    memory=MEMORY,
    flash=FLASH,
    files=FILES,
    dtcs=DTCS,
    dtc_memory=DTC_MEMORY,
    security=LEVELS,
    security_access="after_grant",
)
UNIT: EcuProfile = walk_acting.with_acting_services(_PLAIN_UNIT, ACCESSES)
UNITS: Mapping[int, EcuProfile] = {
    0x29: replace(UNIT, services={**UNIT.services, 0x29: ServiceRule()}),
    0x83: replace(UNIT, services={**UNIT.services, 0x83: ServiceRule()}, edition=2013),
}
"""Who is walked past where it is not the common unit: one whose lock takes part in Authentication, one of the older edition."""


def _subs(sid: int, known: Mapping[int, Callable[[], list[Probe]]]) -> Iterator[Probe]:
    """Yield the probes of every sub-function there could be."""
    for sub in range(0x80):
        if sub in known:
            yield from known[sub]()
        else:
            yield Probe(sid=sid, sub=sub, body=bytes(1), known=False, minimum=2, fixed=False)


def _plain(sid: int, subs: Mapping[int, bytes], sessions: tuple[int, ...] = ALL_SESSIONS) -> Iterator[Probe]:
    """Yield the probes of a service that asks of its sub-functions nothing but their length."""
    return _subs(
        sid,
        {
            sub: lambda sub=sub, body=body: [Probe(sid=sid, sub=sub, body=body, sessions=sessions, minimum=2)]
            for sub, body in subs.items()
        },
    )


def reset() -> Iterator[Probe]:
    yield from _plain(0x11, {1: b"", 2: b"", 3: b""})


def tester_present() -> Iterator[Probe]:
    yield from _plain(0x3E, {0: b""})


def _fields(probe: Probe) -> dict[str, object]:
    return {name: getattr(probe, name) for name in Probe.__dataclass_fields__}


def _locked(situation: Situation, extra: int) -> int:
    return 0 if situation.granted else LOCKED_NRC


def _odd(situation: Situation, extra: int) -> bool:
    return extra != 0


def read_did() -> Iterator[Probe]:
    for number, access in ACCESSES.items():
        unknown: Fails = (lambda s, extra: s.session != 3) if access.sessions else False  # as if it were not there
        yield Probe(
            sid=0x22,
            body=bytes((0x20, number)),
            needs=access,
            fails={"whole identifiers": _odd, "identifier known": unknown},
        )
    for body, unknown in ((b"\x99\x99", True), (b"\x20\x12", True), (b"\x20\x01\x99\x99", False)):
        yield Probe(sid=0x22, body=body, fails={"whole identifiers": _odd, "identifier known": unknown})
    yield Probe(
        sid=0x22, body=b"\x20\x01" * 9, why="too many", fails={"whole identifiers": True, "identifier known": False}
    )
    yield Probe(  # one that is closed refuses all
        sid=0x22, body=b"\x20\x01\x20\x02", needs=GATED, fails={"whole identifiers": _odd, "identifier known": False}
    )


def write_did() -> Iterator[Probe]:
    def probe(number: int, access: Access = FREE, *, writable: bool = True, sequence: bool = False) -> Probe:
        return Probe(
            sid=0x2E,
            body=number.to_bytes(2, "big") + bytes(2),
            needs=access,
            minimum=4,
            fails={"identifier writable": not writable, "data length": _odd, "written before": sequence},
        )

    for number, access in ACCESSES.items():
        yield probe(0x2000 + number, access)
    yield probe(0x2010, sequence=True)
    yield probe(0x2011, writable=False)
    yield probe(0x9999, writable=False)


def security_access() -> Iterator[Probe]:
    def seed_given(level: int) -> Callable[[UdsServer], None]:
        def prepare(server: UdsServer) -> None:
            server.state.seed = (level, bytes(range(1, 1 + LEVELS[level].seed_len)))

        return prepare

    def last_try(level: int) -> Callable[[UdsServer], None]:
        def prepare(server: UdsServer) -> None:
            seed_given(level)(server)
            server.memory.attempts[level].wrong = LEVELS[level].attempts - 1

        return prepare

    def delayed(level: int) -> Callable[[UdsServer], None]:
        def prepare(server: UdsServer) -> None:
            server.memory.attempts[level].delay_until_ns = 10**9

        return prepare

    def probe(sub: int, body: bytes = b"", prepare: Callable[[UdsServer], None] | None = None, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "level released": _locked,
            "delay over": False,
            "seed outstanding": False,
            "key right": False,
        }
        return Probe(
            sid=0x27,
            sub=sub,
            body=body,
            sessions=NOT_DEFAULT,
            sub_sessions=(3,),
            minimum=2,
            prepare=prepare,
            fails={**rows, **{name.replace("_", " "): value for name, value in fails.items()}},
        )

    def level(number: int) -> list[Probe]:
        rule = LEVELS[number]
        right = compute_key(rule.algorithm, bytes(range(1, 1 + rule.seed_len)), rule.secret, number)
        wrong = bytes(len(right))

        def is_open(situation: Situation, extra: int) -> bool:
            """No seed waits for a key then."""
            return situation.level_open and number == LEVEL

        def shut(situation: Situation, extra: int) -> bool:
            return not is_open(situation, extra)

        asks = [probe(number), probe(number, prepare=delayed(number), delay_over=shut)]
        sends = [
            probe(number + 1, wrong, seed_outstanding=True),
            probe(number + 1, right, seed_given(number), seed_outstanding=is_open),
            probe(number + 1, wrong, seed_given(number), seed_outstanding=is_open, key_right=0x35),
            probe(number + 1, wrong, last_try(number), seed_outstanding=is_open, key_right=0x36),
            probe(number + 1, right, delayed(number), seed_outstanding=True),
        ]
        return [*asks, *sends]

    both = {number: level(number) for number in LEVELS}
    known = {
        sub: lambda sub=sub: [one for probes in both.values() for one in probes if one.sub == sub]
        for number in LEVELS
        for sub in (number, number + 1)
    }
    yield from (one if one.known else Probe(**{**_fields(one), "sessions": NOT_DEFAULT}) for one in _subs(0x27, known))


def routine() -> Iterator[Probe]:
    def probe(sub: int, rid: int, option: bytes, access: Access = FREE, **fails: Fails) -> Probe:
        rows: dict[str, Fails] = {
            "routine known": fails.get("unknown", False),
            "routine's sub-function": fails.get("cannot", False),
            "option length": _odd,
            "option known": fails.get("no_option", False),
            "programming allowed": fails.get("not_now", False),
            "routine's sequence": fails.get("sequence", False),
            "cells programmable": fails.get("worn", False),
        }
        body, prepare = rid.to_bytes(2, "big") + option, says_who if rid == 0xFF00 else None
        return Probe(sid=0x31, sub=sub, body=body, needs=access, minimum=4, fails=rows, prepare=prepare)

    for number, access in ACCESSES.items():
        for sub in range(0x80) if access == FREE else (0, 1, 2, 3, 0x7F):
            option = b"\0" if sub == 1 else b""
            yield probe(sub, 0x0200 + number, option, access, cannot=sub not in (1, 3), sequence=sub == 3)
    for sub in range(0x80):
        yield probe(sub, 0x9999, b"", unknown=True)
    yield probe(2, 0x0210, b"", sequence=True)
    yield probe(1, 0xFF00, b"\x01")
    yield probe(2, 0xFF00, b"", cannot=True)
    yield probe(1, 0xFF00, b"\x02", no_option=True)
    yield replace(probe(1, 0xFF00, b"\x01", not_now=True), prepare=None)
    yield replace(probe(1, 0xFF00, b"\x01", worn=True), prepare=worn_out)


def authentication() -> Iterator[Probe]:
    """What the lock makes of a task is in its own table; here it takes every one."""

    def probes(sub: int) -> list[Probe]:
        rows = {"unit authenticates": False}
        return [Probe(sid=0x29, sub=sub, body=b"\0", minimum=2, fixed=False, fails=rows)]

    def without_a_lock(server: UdsServer) -> None:
        server.gate.tasks = frozenset()
        server._passed.clear()

    def with_it_again(server: UdsServer) -> None:
        server.gate.tasks = frozenset(range(9))
        server._passed.clear()

    for probe in _subs(0x29, {sub: lambda sub=sub: probes(sub) for sub in range(9)}):
        yield replace(probe, prepare=with_it_again)
    for sub in (0, 1, 3, 4, 8):
        yield replace(probes(sub)[0], prepare=without_a_lock, fails={"unit authenticates": True})


def timing() -> Iterator[Probe]:
    def probe(sub: int, record: bytes = b"", *, limits: bool = False) -> Probe:
        rows = {"timing within limits": limits}
        return Probe(sid=0x83, sub=sub, body=record, sessions=NOT_DEFAULT, minimum=2, fails=rows)

    known = {
        1: lambda: [probe(1)],
        2: lambda: [probe(2)],
        3: lambda: [probe(3)],
        4: lambda: [probe(4, b"\0\x64\2\0"), probe(4, b"\0\1\2\0", limits=True), probe(4, b"\0\x64\0\0", limits=True)],
    }
    yield from (replace(one, sessions=NOT_DEFAULT) for one in _subs(0x83, known))


def secured() -> Iterator[Probe]:
    """What stands inside is of no matter to the ladder of 0x84: its refusal would come inside as well."""
    header = 8

    def probe(bits: int, inner: bytes, signature: bytes = b"", **fails: Fails) -> Probe:
        def not_whole(situation: Situation, extra: int) -> bool:
            return header + len(inner) + extra <= header

        return Probe(
            sid=0x84,
            body=bits.to_bytes(2, "big") + b"\1" + len(signature).to_bytes(2, "big") + b"\0\1" + inner + signature,
            sessions=NOT_DEFAULT,
            fixed=False,
            fails={
                "one unit asked": lambda situation, extra: situation.functional,
                "whole message": not_whole,
                "protection known": fails.get("protection", False),
                "may come secured": fails.get("free", False),
                "change verified": fails.get("wrong", False),
            },
        )

    yield probe(0x0021, b"\x3e\0")
    yield probe(0x0021, b"\x2e\x20\x05\0\0")
    yield probe(0x0021, b"\x3e\0", b"\0\0\0\0", wrong=True)
    yield probe(0x0021, b"\x22\x20\x01", free=True)
    yield probe(0x0021, b"\x84\0", free=True)
    for bits in (0x0001, 0x0020, 0x0029, 0x0031, 0x0061, 0x8021):
        yield probe(bits, b"\x3e\0", protection=True)


PROBES: Mapping[int, Callable[[], Iterator[Probe]]] = {
    0x10: walk_acting.session_control,
    0x11: reset,
    0x14: clear,
    0x19: read_dtc,
    0x22: read_did,
    0x27: security_access,
    0x24: lambda: walk_acting.read_scaling(ACCESSES),
    0x28: walk_acting.communication,
    0x29: authentication,
    0x2A: lambda: walk_acting.periodic(ACCESSES),
    0x2C: lambda: walk_acting.definitions(ACCESSES),
    0x2E: write_did,
    0x2F: lambda: walk_acting.outputs(ACCESSES),
    0x31: routine,
    0x3E: tester_present,
    0x83: timing,
    0x84: secured,
    0x85: control_dtc,
    0x86: lambda: walk_acting.events(ACCESSES),
    0x87: walk_acting.link,
}
"""What is asked of each service."""


def unknown_services() -> Iterator[Probe]:
    """Yield a request to every service that there is not."""
    for sid in range(0x100):
        if sid not in UNIT.services:
            yield Probe(sid=sid, body=b"\x01\x02", fixed=False, offered=False)
