"""ClearDiagnosticInformation 0x14 and ControlDTCSetting 0x85, and what a unit's events do to its trouble codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ecu_sim.dtc_options import ALL_GROUPS, FUNCTIONAL_GROUPS, PRIMARY
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unit_event import UnitEvent
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

ON, OFF = 0x01, 0x02
CYCLES: Mapping[str, tuple[frozenset[UnitEvent], frozenset[UnitEvent]]] = {
    "terminal-15": (frozenset((UnitEvent.TERMINAL_15_ON,)), frozenset((UnitEvent.TERMINAL_15_OFF,))),
    "supply": (
        frozenset((UnitEvent.STARTED, UnitEvent.WAKE)),
        frozenset((UnitEvent.ECU_RESET, UnitEvent.SLEEP)),
    ),
}
"""Which events begin and which end an operation cycle (the maker's choice; these two are ours)."""


def _codes_of(server: UdsServer, group: int, memory: int | None) -> list[int] | None:
    """Return the codes of a groupOfDTC in a memory, or None where the unit does not know the group there."""
    there = [dtc for dtc in server.profile.dtcs if dtc.memory == memory]
    if group == ALL_GROUPS:
        return [dtc.code for dtc in there]
    system = server.profile.dtc_memory.groups.get(group)
    if system is not None:
        return [dtc.code for dtc in there if dtc.system == system]
    codes = [dtc.code for dtc in there if dtc.code == group]
    if not codes and group & FUNCTIONAL_GROUPS == FUNCTIONAL_GROUPS:
        codes = [dtc.code for dtc in there if dtc.functional_group == group & 0xFF]
    return codes or None


# ---- 14 ClearDiagnosticInformation


def _clear_len(server: UdsServer, request: Request) -> int:
    """MemorySelection is optional, and new in the 2020 edition (udsoncan)."""
    return 5 if server.profile.edition >= 2020 and len(request.payload) == 5 else 4


def _memory_selected(request: Request) -> int | None:
    return request.payload[4] if len(request.payload) > 4 else PRIMARY


def _unknown_memory(server: UdsServer, request: Request) -> int:
    memory = _memory_selected(request)
    return memory is not PRIMARY and memory not in server.profile.dtc_memory.user_memories


def _unknown_group(server: UdsServer, request: Request) -> int:
    group = int.from_bytes(request.payload[1:4], "big")
    codes = request.found = _codes_of(server, group, _memory_selected(request))
    return codes is None


def _not_writable(server: UdsServer, request: Request) -> int:
    supply_mv = server.vehicle.read("supply_mv", request.now_ns)
    return supply_mv is not None and supply_mv < server.profile.dtc_memory.writes_from_mv


def _clear(server: UdsServer, request: Request) -> bytes:
    server.dtcs.clear(request.found, request.now_ns)
    server.observe_vehicle(request.now_ns)  # what the unit still sees, fails again at once
    server.note(request.now_ns, "trouble codes", f"{len(request.found)} cleared")
    return b"\x54"


# ---- 85 ControlDTCSetting


def _setting_types(server: UdsServer) -> frozenset[int]:
    return frozenset((ON, OFF, *server.profile.dtc_memory.setting_types))


def _setting_len(server: UdsServer, request: Request) -> int:
    """DTCSettingControlOptionRecord is the maker's: here a list of groups of three bytes, where the unit takes one."""
    size = len(request.payload)
    takes_groups = server.profile.dtc_memory.setting_option == "groups" and request.sub_function in (ON, OFF)
    return size if takes_groups and size % 3 == 2 else 2


def _unknown_option(server: UdsServer, request: Request) -> int:
    payload = request.payload
    own = server.profile.dtc_memory.setting_types.get(request.sub_function)
    groups = own.groups if own is not None else (ALL_GROUPS,)
    if len(payload) > 2:
        groups = tuple(int.from_bytes(payload[at : at + 3], "big") for at in range(2, len(payload), 3))
    memories = (PRIMARY, *server.profile.dtc_memory.user_memories)
    found: list[int] = []
    for group in groups:
        known = [codes for memory in memories if (codes := _codes_of(server, group, memory)) is not None]
        if not known:
            return True
        found += (code for codes in known for code in codes)
    request.found = found
    return False


def _control_setting(server: UdsServer, request: Request) -> bytes:
    own = server.profile.dtc_memory.setting_types.get(request.sub_function)
    on = request.sub_function == ON if own is None else own.on
    server.dtcs.switch(request.found, on=on)
    server.state.dtc_setting = on
    if on:
        server.observe_vehicle(request.now_ns)
    return bytes((0xC5, request.sub_function))


# ---- events of the unit


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    dtcs = server.dtcs
    begins, ends = CYCLES[dtcs.options.operation_cycle]
    resumes = bool(dtcs.frozen) and server.state.session == Session.defaultSession
    if resumes:  # the setting is on in the default session, always
        dtcs.switch(dtcs.frozen, on=True)
    if event is UnitEvent.ECU_RESET:
        dtcs.restart()
    if event in ends:
        dtcs.end_cycle(now_ns)
    if event in begins:
        dtcs.begin_cycle(now_ns)
    if resumes or event in begins or event is UnitEvent.STARTED:
        server.observe_vehicle(now_ns)


SPECS = {
    0x14: ServiceSpec(
        serve=_clear,
        exact_len=_clear_len,
        checks={
            "memory selection known": _unknown_memory,
            "group known": _unknown_group,
            "memory writable": _not_writable,
        },
        listen=_listen,
    ),
    0x85: ServiceSpec(
        serve=_control_setting,
        min_len=2,
        exact_len=_setting_len,
        sessions=NOT_DEFAULT,
        sub_functions=_setting_types,
        checks={"setting option known": _unknown_option},
    ),
}
