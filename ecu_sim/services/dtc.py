"""Trouble codes: ClearDiagnosticInformation 0x14, ReadDTCInformation 0x19 (01, 02, 0A), ControlDTCSetting 0x85."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, only

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

ALL_GROUPS = 0xFF_FFFF
STATUS_AVAILABILITY = 0xFF
FORMAT_ISO_14229_1 = 0x01
STATUS_CLEARED = 0x50
"""testNotCompletedSinceLastClear and testNotCompletedThisOperationCycle."""


def _unknown_group(server: UdsServer, request: Request) -> int:
    request.found = group = int.from_bytes(request.payload[1:4], "big")
    return group != ALL_GROUPS and group not in server.memory.dtcs


def _clear(server: UdsServer, request: Request) -> bytes:
    dtcs, group = server.memory.dtcs, request.found
    stays = {dtc.code for dtc in server.profile.dtcs if dtc.stays}
    for code in [group] if group != ALL_GROUPS else list(dtcs):
        if code not in stays:
            dtcs[code] = STATUS_CLEARED
    return b"\x54"


def _read(server: UdsServer, request: Request) -> bytes:
    head = bytes((0x59, request.sub_function, STATUS_AVAILABILITY))
    dtcs = server.memory.dtcs
    if request.sub_function == 0x0A:
        return head + b"".join(code.to_bytes(3, "big") + bytes((status,)) for code, status in dtcs.items())
    mask = request.payload[2]
    matching = [(code, status) for code, status in dtcs.items() if status & mask]
    if request.sub_function == 0x01:
        return head + bytes((FORMAT_ISO_14229_1,)) + len(matching).to_bytes(2, "big")
    return head + b"".join(code.to_bytes(3, "big") + bytes((status,)) for code, status in matching)


def _control_setting(server: UdsServer, request: Request) -> bytes:
    server.state.dtc_setting = request.sub_function == 0x01
    return bytes((0xC5, request.sub_function))


def _read_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return 2 if request.sub_function == 0x0A else 3


SPECS = {
    0x14: ServiceSpec(serve=_clear, exact_len=4, checks={"group known": _unknown_group}),
    0x19: ServiceSpec(serve=_read, min_len=2, exact_len=_read_len, sub_functions=only(0x01, 0x02, 0x0A)),
    0x85: ServiceSpec(serve=_control_setting, min_len=2, sessions=NOT_DEFAULT, sub_functions=only(0x01, 0x02)),
}
