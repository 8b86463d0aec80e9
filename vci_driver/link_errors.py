"""How a diagnostic request can fail on its way: each error names the control unit, the service, and how long it took.

What timed out on the other side is a `NoAnswer` (a `RemoteTimeout`), what broke the protocol a `RemoteFault`, what never left
the tester a `CarrierFault`.
"""

from __future__ import annotations

from wire.errors import CarrierTimeout, RemoteFault, RemoteTimeout
from wire.uds import Service


class NoAnswer(RemoteTimeout):
    """No answer in time. `target`: the unit's name; `sid`: the service asked for; `waited_ns`: since the request went out."""

    def __init__(self, text: str, *, target: str, sid: int, waited_ns: int) -> None:
        super().__init__(text)
        self.target = target
        self.sid = sid
        self.waited_ns = waited_ns


class StillPending(NoAnswer):
    """The unit said "response pending" (0x78), and then nothing within P2*, or said it too often, or for too long."""


class AnswerCutOff(NoAnswer):
    """An answer of several frames began and stopped (N_Cr)."""


class RequestNotTaken(NoAnswer):
    """A request of several frames was not taken: the unit's flow control did not come, or asked to wait too often (N_Bs)."""


class AnswerBroken(RemoteFault):
    """The answer, or the flow control of a request, broke the transport protocol: a wrong sequence number, an overflow."""


class RequestNotSent(CarrierTimeout):
    """The request could not be put on the bus (N_As): nobody acknowledges, or the bus is flooded."""


def service_name(sid: int) -> str:
    """Return `ReadDataByIdentifier (0x22)`, or the bare number where the standard has no name."""
    try:
        return f"{Service(sid).name} (0x{sid:02X})"
    except ValueError:
        return f"service 0x{sid:02X}"
