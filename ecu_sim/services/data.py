"""ReadDataByIdentifier 0x22 and WriteDataByIdentifier 0x2E."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.access import refused_access, require
from ecu_sim.profile import ACTIVE_SESSION
from ecu_sim.refusal import Refusal
from ecu_sim.services.request import Request, ServiceSpec
from ecu_sim.vehicle_state import SOURCES
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _read(server: UdsServer, request: Request) -> bytes:
    """Unknown identifiers are left out while one is known; all unknown is 0x31; one that is known and closed refuses all."""
    payload = request.payload
    size = len(payload)
    if size < 3 or size % 2 == 0 or size > 1 + 2 * server.profile.max_dids:
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, f"{size} bytes")
    answer = b"\x62"
    for at in range(1, size, 2):
        value = _value(server, payload[at] << 8 | payload[at + 1], request.now_ns)
        if value is not None:
            answer += payload[at : at + 2] + value
    if len(answer) == 1:
        raise Refusal(Nrc.requestOutOfRange, "no such identifier")
    return answer


def _value(server: UdsServer, number: int, now_ns: int) -> bytes | None:
    did = server.profile.dids.get(number)
    if did is None:
        return None if server.gate is None else server.gate.read_did(number, now_ns)
    access = did.read
    if access is None or (access.sessions and server.state.session not in access.sessions):
        return None
    nrc = refused_access(server, access, now_ns)
    if nrc:
        raise Refusal(nrc, f"identifier {number:04X} is not released")
    if did.source is None:
        return server.memory.data[number]
    return bytes((server.state.session,)) if did.source == ACTIVE_SESSION else SOURCES[did.source](server.vehicle)


def _write(server: UdsServer, request: Request) -> bytes:
    """Order: 0x13, 0x31, 0x33 or 0x34, conditions such as 0x22, sequence 0x24; then the memory takes it."""
    payload = request.payload
    if len(payload) < 4:
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "no data")
    number = payload[1] << 8 | payload[2]
    did = server.profile.dids.get(number)
    if did is None or did.write is None:
        raise Refusal(Nrc.requestOutOfRange, f"identifier {number:04X} cannot be written")
    data = payload[3:]
    if len(data) != len(server.memory.data[number]):
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, f"{len(data)} bytes of data")
    require(server, did.write, request.now_ns)
    missing = [other for other in did.requires_written if other not in server.state.written]
    if missing:
        raise Refusal(Nrc.requestSequenceError, f"{missing[0]:04X} was not written before")
    server.memory.data[number] = data
    server.state.written.add(number)
    server.note(request.now_ns, "written", f"identifier {number:04X}")
    return b"\x6e" + payload[1:3]


SPECS = {0x22: ServiceSpec(serve=_read), 0x2E: ServiceSpec(serve=_write)}
