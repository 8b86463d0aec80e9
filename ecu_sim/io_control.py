"""Outputs that InputOutputControlByIdentifier 0x2F takes over from the unit, and how they go back to it.

An output is a record of parts, most significant bit first; a bit of the control enable mask stands for a part, the first bit
for the first part (ISO 14229-1 as udsoncan's IOMasks read it). What is not under control shows what the unit itself wants.
Control ends with the session, a reset, and the very instant at which the level or grant that allowed it ends: nobody may leave
an actuator running behind a closed lock (the instant is our own choice; the standard has it at the end of SecurityAccess).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecu_sim.access import still_allowed
from ecu_sim.service_options import ADJUST, FREEZE, RESET_TO_DEFAULT, RETURN_CONTROL, Output

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

KIND = "output"


@dataclass(slots=True)
class Control:
    """What is taken over of an output: its `bits`, the `state` they are held in, and whether a secured request did it."""

    bits: int = 0
    state: int = 0
    secured: bool = False


def shown(server: UdsServer, output: Output) -> bytes:
    """Return what the output does now."""
    control = server.state.controls.get(output.did)
    if control is None:
        return output.value
    own = int.from_bytes(output.value, "big")
    return (own & ~control.bits | control.state & control.bits).to_bytes(len(output.value), "big")


def control(server: UdsServer, output: Output, option: int, record: bytes, *, secured: bool) -> None:
    """Take over, hold or give back the parts that the record's mask names."""
    size = len(output.value)
    state, mask = (record[:size], record[size:]) if option == ADJUST else (b"", record)
    bits = output.bits_of(mask)
    held = server.state.controls.setdefault(output.did, Control())
    wanted = {
        RETURN_CONTROL: b"",
        RESET_TO_DEFAULT: output.default,
        FREEZE: shown(server, output),
        ADJUST: state,
    }[option]
    held.secured = secured
    if option == RETURN_CONTROL:
        held.bits &= ~bits
    else:
        held.state = held.state & ~bits | int.from_bytes(wanted, "big") & bits
        held.bits |= bits
    if not held.bits:
        del server.state.controls[output.did]


def return_all(server: UdsServer, now_ns: int, why: str) -> None:
    """Give every output back to the unit."""
    for did in tuple(server.state.controls):
        _return(server, did, now_ns, why)


def return_what_may_not(server: UdsServer, now_ns: int) -> None:
    """Give back the outputs whose session, level or grant is over."""
    for did, held in tuple(server.state.controls.items()):
        if not still_allowed(server, (server.profile.outputs[did].access,), now_ns, secured=held.secured):
            _return(server, did, now_ns, "what allowed it has ended")


def _return(server: UdsServer, did: int, now_ns: int, why: str) -> None:
    del server.state.controls[did]
    server.note(now_ns, KIND, f"{did:04X} is the unit's own again: {why}")
