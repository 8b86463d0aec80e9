"""What people write to a control socket: the scenarios' own verbs for the vehicle and its wire, one a line, in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bench.live.snapshot import snapshot
from bench.outcomes import trouble_outcome
from scenarios.model import read_step
from scenarios.stage import Outcome, OutcomeKind, RestBusChange, Stage, TransportChange, TroubleResult, VehicleChange
from scenarios.verbs import VERBS
from wire.errors import ConfigError
from wire.faults import FaultRule
from wire.names import suggestion
from wire.strict_yaml import loads

if TYPE_CHECKING:
    from bench.live.server import CarServer
    from bench.topology import Car

STATE = "state"
VERB_MAX_BYTES = 4_000
"""The longest verb has some hundred; YAML is read at some 100 bytes a millisecond, and the car waits for it."""
CAR_VERBS = ("vehicle", "rest-bus", "reset-ecu", "ecu-clock", "fault", "clear-faults", "transport", "trouble-code")
"""Those verbs that are done to the car and need no tester, no person and no portal."""
DONE = Outcome(kind=OutcomeKind.POSITIVE, text="done")


def play_verb(server: CarServer, line: str) -> object:
    """Do what a line says, and return what came of it. Raises `ConfigError` for a line that says nothing known."""
    if len(line) > VERB_MAX_BYTES:
        raise ConfigError(f"a verb has at most {VERB_MAX_BYTES} bytes, not {len(line)}")
    node = loads(line, "line")
    if node.value == STATE:
        return snapshot(server)
    name = node.value if isinstance(node.value, str) else next(iter(node.mapping()), "")
    if name not in CAR_VERBS:
        raise ConfigError(
            f"{name!r} is nothing that can be done to a car from here{suggestion(name, (*CAR_VERBS, STATE))}"
        )
    step = read_step(node)
    outcome = VERBS[step.verb].act(cast("Stage", _CarStage(server.car)), step.args)
    server.log(f"{step.label}: {outcome.text}")
    return outcome.text


class _CarStage:
    """The part of `scenarios.stage.Stage` that is the car's."""

    def __init__(self, car: Car) -> None:
        self._car = car

    def change_vehicle(self, change: VehicleChange) -> Outcome:
        self._car.change(change)
        return DONE

    def rest_bus(self, change: RestBusChange) -> Outcome:
        self._car.change_rest_bus(change)
        return DONE

    def reset_ecu(self, ecu: str) -> Outcome:
        self._car.reset(ecu)
        return DONE

    def set_ecu_clock(self, ecu: str, *, offset_s: int, is_set: bool) -> Outcome:
        self._car.set_clock(ecu, offset_s=offset_s, is_set=is_set)
        return DONE

    def add_fault(self, rule: FaultRule) -> Outcome:
        self._car.add_fault(rule)
        return DONE

    def clear_faults(self) -> Outcome:
        self._car.clear_faults()
        return DONE

    def transport(self, ecu: str, change: TransportChange) -> Outcome:
        self._car.set_transport(ecu, change)
        return DONE

    def trouble_code(self, ecu: str, code: int, result: TroubleResult, *, times: int = 1) -> Outcome:
        counted = self._car.report_trouble(ecu, code, result, times)
        return trouble_outcome(code, result, counted=counted)

    def bus_of(self, ecu: str) -> str:
        return self._car.bus_of(ecu)
