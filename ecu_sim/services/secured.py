"""SecuredDataTransmission 0x84: unwraps, has the lock verify, gives the inner request to the server's own ladder and service.

Refusals of 0x84 itself are `7F 84`: 0x13 where lengths do not add up, 0x3A for what does not verify (signature, counter, format),
0x39 for a service or object that must not come secured. What the inner service answers, a refusal included, comes inside C4 (see
`wire.secured`). The inner request's suppress bit counts for the whole answer; 0x78 is said in the name of 0x84 (our choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ecu_sim.refusal import Refusal
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unlock.gate import AccessGate, SecuredGate
from wire.secured import SECURED_ANSWER, SECURED_REQUEST, Administrative, SecuredFormatError, SecuredMessage
from wire.uds import NEGATIVE_RESPONSE, negative

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

NEEDED = Administrative.REQUEST | Administrative.SIGNED


def _functional(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return request.functional


def _not_whole(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    """Find the message."""
    try:
        request.found = SecuredMessage.decode(request.payload)
    except SecuredFormatError:
        return True
    return False


def _protection_unknown(server: UdsServer, request: Request) -> int:
    """A lock that verifies nothing knows no protection; encrypted is for one that has a key."""
    known = server.gate.administrative if isinstance(server.gate, SecuredGate) else 0
    bits = request.found.administrative
    return bool(bits & ~known) or bits & NEEDED != NEEDED


def _must_not_come_secured(server: UdsServer, request: Request) -> int:
    inner = request.found.inner
    return inner[0] == SECURED_REQUEST or not _gate(server).takes_secured(inner)


def _does_not_verify(server: UdsServer, request: Request) -> int:
    reason = _gate(server).change_refused(request.found, request.now_ns)
    if reason:
        assert server.gate is not None
        server.gate.log.write(request.now_ns, "refused", reason)
    return bool(reason)


def _gate(server: UdsServer) -> SecuredGate:
    return cast("SecuredGate", server.gate)


def _work_ns(server: UdsServer, request: Request) -> int:
    """Return the time of the check, and of the inner request's own work where the check will pass."""
    gate, message, now_ns = _gate(server), request.found, request.now_ns
    check_ns = cast("AccessGate", server.gate).work_ns(request.sid, request.payload)
    if gate.change_refused(message, now_ns):
        return check_ns
    with gate.opened_for(message, now_ns):
        return check_ns + server.work_within(_inner(message, now_ns))


def _inner(message: SecuredMessage, now_ns: int) -> Request:
    return Request(message.inner, False, now_ns, secured=True)  # noqa: FBT003 - as the server makes its own


def _serve(server: UdsServer, request: Request) -> bytes:
    gate, message, now_ns = _gate(server), request.found, request.now_ns
    inner = _inner(message, now_ns)
    with gate.opened_for(message, now_ns):
        gate.use_up(message, now_ns)
        try:
            answer = server.perform(inner)
        except Refusal as refusal:
            answer = negative(inner.sid, refusal.nrc)
    request.suppress = inner.suppress and answer[0] != NEGATIVE_RESPONSE
    wrapped = SecuredMessage(
        sid=SECURED_ANSWER, administrative=0, calculation=message.calculation, counter=message.counter, inner=answer
    )
    if message.administrative & Administrative.SIGNATURE_ON_ANSWER:
        wrapped = gate.signed_answer(wrapped)
    return wrapped.encode()


SPECS = {
    0x84: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        checks={
            "one unit asked": _functional,
            "whole message": _not_whole,
            "protection known": _protection_unknown,
            "may come secured": _must_not_come_secured,
            "change verified": _does_not_verify,
        },
        work_ns=_work_ns,
    )
}
