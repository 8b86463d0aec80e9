"""AccessTimingParameter 0x83, of the 2013 edition: 01 read the limits, 02 back to the default, 03 read, 04 set P2 and P2*.

The record is P2 in ms and P2* in 10 ms, two bytes each, as in the answer to 0x10 (the standard leaves it to the data link; our
own choice). What is set holds until the next session change or reset.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ecu_sim.profile import Timing, timing_in
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

READ_LIMITS, SET_DEFAULT, READ, SET = 0x01, 0x02, 0x03, 0x04
P2_UNIT_NS, P2_STAR_UNIT_NS = 1_000_000, 10_000_000


def timing_record(timing: Timing) -> bytes:
    """Return P2 in ms and P2* in 10 ms, as 0x10 and 0x83 tell them."""
    return (timing.p2_ns // P2_UNIT_NS).to_bytes(2, "big") + (timing.p2_star_ns // P2_STAR_UNIT_NS).to_bytes(2, "big")


def _sub_functions(server: UdsServer) -> frozenset[int]:
    return frozenset((READ_LIMITS, SET_DEFAULT, READ, SET)) if server.profile.edition == 2013 else frozenset()


def _len(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    return 6 if request.sub_function == SET else 2


def _out_of_limits(server: UdsServer, request: Request) -> int:
    """The slowest is what two bytes can say; faster than the unit can keep is out of range."""
    if request.sub_function != SET:
        return False
    payload, limits = request.payload, server.profile.timing_limits
    p2_ns = int.from_bytes(payload[2:4], "big") * P2_UNIT_NS
    p2_star_ns = int.from_bytes(payload[4:6], "big") * P2_STAR_UNIT_NS
    request.found = p2_ns, p2_star_ns
    return p2_ns < limits.p2_ns or p2_star_ns < limits.p2_star_ns


def _serve(server: UdsServer, request: Request) -> bytes:
    head = bytes((0xC3, request.sub_function))
    match request.sub_function:
        case 0x01:
            limits = server.profile.timing_limits
            return head + timing_record(
                replace(server.profile.timing, p2_ns=limits.p2_ns, p2_star_ns=limits.p2_star_ns)
            )
        case 0x03:
            return head + timing_record(server.timing)
        case 0x02:
            server.timing = timing_in(server.profile, server.state.session)
        case _:
            p2_ns, p2_star_ns = request.found
            server.timing = replace(server.timing, p2_ns=p2_ns, p2_star_ns=p2_star_ns)
    return head


SPECS = {
    0x83: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        sub_functions=_sub_functions,
        min_len=2,
        exact_len=_len,
        checks={"timing within limits": _out_of_limits},
    )
}
