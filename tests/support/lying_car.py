"""A bench with a car that can be made to lie, for tests of the witness and of what the bench does with its findings."""

from __future__ import annotations

import pytest

from bench.bench import Bench, WitnessViolation
from scenarios.stage import VehicleChange
from scenarios.strategy import Goal

GOLF, ECLASS = "vag-golf", "mb-eclass"
NO_GRANT, OUTLIVED = "answered without a grant", "a grant outlived its window"
CAME_THROUGH, BEHIND = "a blocked request came through", "answered behind an armed filter"
LEVEL_OPENED, NOT_ISSUED = "security level opened without a grant", "grant without an issued unlock"


def on_bench(vehicle: str) -> Bench:
    return Bench(seed=3, vehicle=vehicle)


def rules(bench: Bench) -> set[str]:
    """The rules that were broken; closing the bench fails for them, if for any."""
    found = {violation.rule for violation in bench.car.witness.violations}
    if found:
        with pytest.raises(WitnessViolation, match="|".join(found)):
            bench.close()
    else:
        bench.close()
    return found


def change(bench: Bench, **values: object) -> None:
    bench.car.change(VehicleChange(**values))


def ask(bench: Bench, unit: str, request: str) -> bytes:
    return bench.tester().core.link.request(unit, bytes.fromhex(request))


def unlocked(bench: Bench, holder: str) -> None:
    """Through the whole chain, honestly."""
    bench.strategy.reach("unlocked", Goal(ecu=holder))
    if bench.car.spec.make == "vag":
        change(bench, bonnet_open=True)
    assert rules(bench) == set()


def open_level(bench: Bench, unit: str) -> None:
    """Opens SecurityAccess without a word on the bus."""
    bench.car.unit(unit).server.state.open_level = 3


def open_for_ever(bench: Bench, unit: str) -> None:
    """From now on the unit's gate keeps the grant that it has, or says yes without one."""
    gate = bench.car.unit(unit).gate
    kept = gate.grant(bench.world.now_ns)
    gate.grant = lambda now_ns: kept
    gate.allows = lambda scope, now_ns: True
    gate.next_deadline = lambda: None
