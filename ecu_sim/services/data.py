"""ReadDataByIdentifier 0x22 and WriteDataByIdentifier 0x2E."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import readable
from ecu_sim.profile import FREE, Did
from ecu_sim.services.request import Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _not_whole(server: UdsServer, request: Request) -> int:
    size = len(request.payload)
    return size < 3 or size % 2 == 0 or size > 1 + 2 * server.profile.max_dids


def _none_known(server: UdsServer, request: Request) -> int:
    """Find what can be read in this session: identifiers of the profile, outputs, definitions, and those of the lock."""
    payload = request.payload
    dids, session = server.profile.dids, server.state.session
    found: list[readable.Found] = []
    for at in range(1, len(payload), 2):
        number = payload[at] << 8 | payload[at + 1]
        did = dids.get(number)
        if did is None:
            other = readable.find_other(server, number)
            wanted = None if other is None else readable.accesses(server, other, request.now_ns)
            if other is not None and wanted is not None and readable.in_session(server, wanted):
                found.append(other)
                request.accesses += wanted
            continue
        access = did.read
        if access is FREE:
            found.append(did)
        elif access is not None and (not access.sessions or session in access.sessions):
            found.append(did)
            request.accesses += (access,)
    request.found = found
    return not found


def _read(server: UdsServer, request: Request) -> bytes:
    answer = b"\x62"
    for thing in request.found:
        if type(thing) is Did:
            answer += thing.did.to_bytes(2, "big") + readable.value_of_did(server, thing, request.now_ns)
        else:
            answer += readable.number_of(thing).to_bytes(2, "big") + readable.value_of(server, thing, request.now_ns)
    return answer


def _read_work_ns(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    work_ns = 0
    for did in request.found:
        if type(did) is Did:
            work_ns += did.work_ns
    return work_ns


def _not_writable(server: UdsServer, request: Request) -> int:
    did = request.found = server.profile.dids.get(request.payload[1] << 8 | request.payload[2])
    if did is None or did.write is None:
        return True
    if did.write is not FREE:
        request.accesses = (did.write,)
    return False


def _wrong_data_length(server: UdsServer, request: Request) -> int:
    return len(request.payload) - 3 != len(server.memory.data[request.found.did])


def _not_written_before(server: UdsServer, request: Request) -> int:
    written = server.state.written
    return any(other not in written for other in request.found.requires_written)


def _write(server: UdsServer, request: Request) -> bytes:
    number = request.found.did
    server.memory.data[number] = request.payload[3:]
    server.state.written.add(number)
    server.note(request.now_ns, "written", f"identifier {number:04X}")
    return b"\x6e" + request.payload[1:3]


def _write_work_ns(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return int(request.found.work_ns)


SPECS = {
    0x22: ServiceSpec(
        serve=_read,
        checks={"whole identifiers": _not_whole, "identifier known": _none_known},
        work_ns=_read_work_ns,
    ),
    0x2E: ServiceSpec(
        serve=_write,
        min_len=4,
        checks={
            "identifier writable": _not_writable,
            "data length": _wrong_data_length,
            "written before": _not_written_before,
        },
        work_ns=_write_work_ns,
    ),
}
