"""What the flash process does to the whole unit: the way into the programming session, and which software starts.

A unit that was programmed starts anew when the programming session ends, whichever way. It comes up in its application when the
software is complete; else in its boot loader, a profile of its own, with a trouble code that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecu_sim.dtc_memory import TestResult
from ecu_sim.profile import PROGRAMMING_STATE, VERSION
from ecu_sim.services.flash_routines import flash_of, software_of, versions_of
from ecu_sim.unit_event import UnitEvent
from ecu_sim.vehicle_state import CONDITIONS
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer
    from ecu_sim.services.request import Request

RESTART = "restart after programming"


def programming_refused(server: UdsServer, request: Request) -> int:
    """Return 0, or the NRC of what the programming session still asks for. Who is in it may ask for it again."""
    flash = server.profile.flash
    if flash is None or request.sub_function != flash.programming.session:
        return 0
    wanted, state = flash.programming, server.state
    if state.session == wanted.session:
        return 0
    wrong_session = wanted.enter_from and state.session not in wanted.enter_from
    if wrong_session or (wanted.dtc_setting_off and state.dtc_setting):
        return Nrc.conditionsNotCorrect
    if wanted.communication_off and not state.communication:
        return Nrc.conditionsNotCorrect
    return next(
        (nrc for nrc in (CONDITIONS[name](server.vehicle, request.now_ns) for name in wanted.conditions) if nrc), 0
    )


def value_of_software(server: UdsServer, source: str) -> bytes:
    """Return an identifier that tells about the software. A version is the one that runs; in the boot loader none does."""
    if source == PROGRAMMING_STATE:
        return software_of(server).report()
    name = source.removeprefix(VERSION)
    running = software_of(server).running.get(name)
    return bytes(flash_of(server).blocks[name].version_len) if running is None else running


def listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    """Start the software with the unit, and the unit anew when programming is over."""
    flash = server.profile.flash
    if flash is None:
        return
    if event is UnitEvent.STARTED:
        start_software(server, now_ns)
    elif event in (UnitEvent.TERMINAL_15_ON, UnitEvent.WAKE):
        _test_software(server, now_ns)  # an operation cycle may have begun, in which nothing was tested yet
    elif server.state.storage.software_touched and server.state.session != flash.programming.session:
        server.timers.at(RESTART, now_ns, lambda at_ns: server.reset(at_ns, "the programming session has ended"))


def start_software(server: UdsServer, now_ns: int) -> None:
    """Start the application if the software is complete, else the boot loader."""
    if server.profile.flash is None:
        return
    software, application = software_of(server), server.application
    boot_loader = application.boot_loader
    if software.complete or boot_loader is None:
        software.running = versions_of(server)
        server.run(application)
    else:
        software.running = {}
        server.run(boot_loader)
        server.note(now_ns, "flash", "the software is incomplete: the boot loader runs")
    _test_software(server, now_ns)


def _test_software(server: UdsServer, now_ns: int) -> None:
    """Let the unit's own test of its software report to the trouble code that stands for it."""
    code = flash_of(server).dtc
    if code is not None:
        result = TestResult.PASSED if software_of(server).complete else TestResult.FAILED
        server.dtcs.report(code, result, now_ns)
