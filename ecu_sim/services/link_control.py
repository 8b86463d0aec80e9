"""LinkControl 0x87: 01 verify a fixed bit rate, 02 verify one by its number, 03 go to what was verified.

The unit changes over `switch` after its answer; at another rate than its bus it hears and says nothing (`wire.can_bus`). Default
session, S3 and reset bring it back. Fixed parameters are those of the standard's annex as udsoncan's `Baudrate` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, only
from ecu_sim.unit_event import UnitEvent
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

FIXED, SPECIFIC, TRANSITION = 0x01, 0x02, 0x03
LENGTHS: Mapping[int, int] = {FIXED: 3, SPECIFIC: 5, TRANSITION: 2}
FIXED_BITRATES: Mapping[int, int] = {
    0x01: 9_600,
    0x02: 19_200,
    0x03: 38_400,
    0x04: 57_600,
    0x05: 115_200,
    0x10: 125_000,
    0x11: 250_000,
    0x12: 500_000,
    0x13: 1_000_000,
}
PROGRAMMING = 0x20
KIND = "link"


def _len(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    return LENGTHS[request.sub_function]


def _rate_unknown(server: UdsServer, request: Request) -> int:
    """Find the bit rate; the unit must be able to go there."""
    link = server.profile.link
    match request.sub_function:
        case 0x01:
            number = request.payload[2]
            rate = link.programming if number == PROGRAMMING else FIXED_BITRATES.get(number)
            request.found = rate
            return rate is None or (number != PROGRAMMING and rate not in link.bitrates)
        case 0x02:
            request.found = int.from_bytes(request.payload[2:5], "big")
            return request.found not in link.bitrates
        case _:
            return False


def _not_verified(server: UdsServer, request: Request) -> int:
    return request.sub_function == TRANSITION and server.state.link_verified is None


def _serve(server: UdsServer, request: Request) -> bytes:
    state = server.state
    if request.sub_function == TRANSITION:
        rate, state.link_verified = state.link_verified, None
        _change_over(server, rate, request.now_ns)
    else:
        state.link_verified = request.found
    return bytes((0xC7, request.sub_function))


def _change_over(server: UdsServer, rate: int | None, now_ns: int) -> None:
    """Change the rate once the answer had time to go out."""

    def act(act_ns: int) -> None:
        server.state.link_bitrate = rate
        server.note(act_ns, KIND, f"at {rate} bit/s" if rate else "at the bus's own rate")

    server.timers.at(KIND, now_ns + server.profile.link.switch_ns, act)


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    state = server.state
    if event is UnitEvent.ECU_RESET or state.session != Session.defaultSession:
        return
    state.link_verified = None
    if state.link_bitrate is not None:
        _change_over(server, None, now_ns)
    else:
        server.timers.cancel(KIND)


SPECS = {
    0x87: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        sub_functions=only(FIXED, SPECIFIC, TRANSITION),
        min_len=2,
        exact_len=_len,
        checks={"bit rate": _rate_unknown, "transition verified": _not_verified},
        listen=_listen,
    )
}
