"""A unit with all the services that change how it behaves: outputs, periodic values, definitions, events, link, timing."""

from __future__ import annotations

from typing import Any

from ecu_bench import DIDS, MS, PROFILE, SERVICES, Ecu, S

from ecu_sim.profile import Access, Did, EcuProfile, ServiceRule
from ecu_sim.scaling import ScalingEntry, ScalingKind, encode_real, encode_scaling
from ecu_sim.service_options import (
    CommunicationOptions,
    EventOptions,
    LinkOptions,
    Output,
    PeriodicOptions,
    SessionRule,
    TimingLimits,
)
from wire.token import Scope

EXTENDED = frozenset((3,))
IN_EXTENDED = Access(sessions=EXTENDED)
MORE_DIDS = (
    Did(did=0xF201, value=b"\x11\x22\x33"),
    Did(did=0xF202, source="speed"),
    Did(did=0xF203, value=bytes(range(20))),
    Did(did=0xF204, value=b"\x04", read=Access(security=3)),
    Did(did=0xF205, value=b"\x05", read=Access(scope=Scope.OUTPUT_TESTS)),
    Did(did=0xF206, value=b"\x06", read=Access(sessions=frozenset((2,)))),
    Did(did=0xF207, value=b"\x07", read=None),
    Did(did=0xF208, value=b"\x08", read=Access(secured=True)),
)
FREE_OUTPUT = Access(sessions=frozenset((2, 3)))
OUTPUTS = (
    Output(did=0x0B01, value=b"\x10", default=b"\x00", highest=b"\x64", access=FREE_OUTPUT, read=Access()),
    Output(did=0x0B02, value=b"\xa5", default=b"\x0f", parts=(1,) * 8, access=IN_EXTENDED, read=Access()),
    Output(
        did=0x0B03,
        value=bytes.fromhex("12 34 56"),
        default=bytes(3),
        parts=(4, 12, 8),
        access=Access(sessions=EXTENDED, scope=Scope.OUTPUT_TESTS, conditions=("stationary",)),
        read=Access(),
    ),
    Output(
        did=0x0B04, value=b"\x00", default=b"\x01", options=frozenset((0, 3)), access=Access(security=3), read=Access()
    ),
)
SPEED_SCALING = encode_scaling(
    (
        ScalingEntry(ScalingKind.UNSIGNED, 1),
        ScalingEntry(ScalingKind.FORMULA, extension=b"\x00" + encode_real("0.75") + encode_real("30")),
        ScalingEntry(ScalingKind.UNIT, extension=b"\x30"),
    )
)
ALL_SERVICES = {**SERVICES, **dict.fromkeys((0x24, 0x2A, 0x2C, 0x2F, 0x83, 0x86, 0x87), ServiceRule())}
UUDT = PeriodicOptions(transport="uudt", can_ids=(0x6A0, 0x6A1), scheduled=3, at_once=4)


def acting(base: EcuProfile = PROFILE, **changes: Any) -> Ecu:
    """Return a unit of the 2020 edition; `changes` are of the profile, or of `ecu_bench.Ecu`."""
    usual: dict[str, Any] = {
        "services": ALL_SERVICES,
        "dids": {did.did: did for did in (*DIDS, *MORE_DIDS)},
        "outputs": {output.did: output for output in OUTPUTS},
        "scaling": {0x0B01: b"\x01", 0x1003: SPEED_SCALING, 0x0603: b"\x01", 0x0604: b"\x01"},
        "periodic": PeriodicOptions(scheduled=3, at_once=4),
        "events": EventOptions(windows_ns={3: 5 * S, 4: 60 * S}, sample_ns=100 * MS),
        "link": LinkOptions(bitrates=frozenset((250_000, 500_000, 833_000)), programming=1_000_000),
    }
    return Ecu(base, **{**usual, **changes})


def values(ecu: Ecu, duration_ns: int) -> list[tuple[int, int, str]]:
    """Let time pass; return each raw frame with its time in ms since now and its identifier."""
    start_ns, found = ecu.now_ns, []
    end_ns = start_ns + duration_ns
    while (due_ns := ecu.server.next_deadline()) is not None and due_ns <= end_ns:
        ecu.now_ns = max(ecu.now_ns, due_ns)
        ecu.server.handle_timer(ecu.now_ns)
        while ecu.server.frames:
            can_id, data = ecu.server.frames.popleft()
            found.append(((ecu.now_ns - start_ns) // MS, can_id, data.hex(" ").upper()))
    ecu.now_ns = end_ns
    return found


__all__ = ["CommunicationOptions", "SessionRule", "TimingLimits", "acting", "values"]
