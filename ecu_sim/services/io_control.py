"""InputOutputControlByIdentifier 0x2F: 00 return control, 01 reset to default, 02 freeze, 03 short-term adjustment.

The record after the control parameter: with 03 the control state, then the enable mask where the output has one; with the
others the mask alone, or nothing for all parts. The answer holds what the output shows from now on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim import io_control
from ecu_sim.profile import FREE
from ecu_sim.service_options import ADJUST, Output
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unit_event import UnitEvent
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _unknown(server: UdsServer, request: Request) -> int:
    """Find the output; in a session that is not its own it does not exist."""
    output = request.found = server.profile.outputs.get(request.payload[1] << 8 | request.payload[2])
    if output is None:
        return True
    if output.access != FREE:
        request.accesses = (output.access,)
    return False


def _option_unknown(server: UdsServer, request: Request) -> int:  # noqa: ARG001 - one signature for all checks
    return request.payload[3] not in request.found.options


def _wrong_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    output: Output = request.found
    size, mask_len = len(request.payload) - 4, output.mask_len
    if request.payload[3] == ADJUST:
        return size != len(output.value) + mask_len
    return size not in (0, mask_len)


def _state_out_of_range(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    output: Output = request.found
    if request.payload[3] != ADJUST or output.highest is None:
        return False
    return request.payload[4 : 4 + len(output.value)] > output.highest


def _serve(server: UdsServer, request: Request) -> bytes:
    output: Output = request.found
    option, record = request.payload[3], request.payload[4:]
    io_control.control(server, output, option, record, secured=request.secured)
    server.note(request.now_ns, io_control.KIND, f"{output.did:04X} control {option:02X}")
    return b"\x6f" + request.payload[1:4] + io_control.shown(server, output)


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    if not server.state.controls:
        return
    if server.state.session == Session.defaultSession:
        io_control.return_all(server, now_ns, event.value)
    else:
        io_control.return_what_may_not(server, now_ns)


SPECS = {
    0x2F: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        min_len=4,
        checks={
            "output known": _unknown,
            "control parameter": _option_unknown,
            "control record length": _wrong_length,
            "control state": _state_out_of_range,
        },
        listen=_listen,
    )
}
