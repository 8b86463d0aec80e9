"""The contract of raw channels, for everybody's drivers: `run_contract(Setup(...))` gives a result for each named check.

`sgw-bench vci check` prints them. The rig is in `contract_rig`, the checks in `contract_checks`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from vci_driver.contract_checks import CHECKS, Check
from vci_driver.contract_rig import VIRTUAL, CannotCheck, ContractBroken, Place, Rig, Setup, open_rig
from wire.clock import stopwatch
from wire.errors import NotOnThisCarrier, WorldStopped

__all__ = ["CHECKS", "VIRTUAL", "Check", "Place", "Result", "Setup", "Verdict", "open_rig", "run_check", "run_contract"]

HANG_S = 60.0
"""Longer than the longest check with all its patience: a check that runs for longer hangs inside the driver."""


class Verdict(Enum):
    """How a check ended; a skip always has its reason and never counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row of the table: `reason` tells, in plain words, why it failed or was skipped."""

    check: Check
    verdict: Verdict
    reason: str = ""
    took_s: float = 0.0


def run_contract(setup: Setup, checks: Sequence[Check] = CHECKS, *, hang_s: float = HANG_S) -> Iterator[Result]:
    """Run the checks one after the other, each on channels of its own; after one that hangs, the rest is skipped."""
    hung = ""
    for check in checks:
        if hung:
            yield Result(check=check, verdict=Verdict.SKIPPED, reason=f"{hung} hangs")
            continue
        result = run_check(setup, check, hang_s=hang_s)
        if result.took_s >= hang_s:
            hung = check.name
        yield result


def run_check(setup: Setup, check: Check, *, hang_s: float = HANG_S) -> Result:
    """Run one check, in a thread that is given up when the driver hangs."""
    passed = stopwatch()
    ended: list[tuple[Verdict, str]] = []
    thread = threading.Thread(target=lambda: ended.append(_judge(setup, check)), name=check.name, daemon=True)
    thread.start()
    thread.join(hang_s)
    verdict, reason = ended[0] if ended else (Verdict.FAILED, f"did not return within {hang_s:g} s: the driver hangs")
    return Result(check=check, verdict=verdict, reason=reason, took_s=passed())


def _judge(setup: Setup, check: Check) -> tuple[Verdict, str]:
    try:
        with open_rig(setup) as rig:
            check.run(rig)
            _no_fault(rig)
    except (CannotCheck, NotOnThisCarrier) as reason:
        return Verdict.SKIPPED, str(reason)
    except ContractBroken as broken:
        return Verdict.FAILED, str(broken)
    except WorldStopped as stopped:
        cause = stopped.__cause__
        return Verdict.FAILED, f"raised inside the world, which stops it: {type(cause).__name__}: {cause}"
    except Exception as error:  # noqa: BLE001 - a driver may raise anything, and the table is to say what
        return Verdict.FAILED, f"raised {type(error).__name__}: {error}"
    return Verdict.PASSED, ""


def _no_fault(rig: Rig) -> None:
    faults = (*rig.faults, *rig.peer_faults)
    if faults and not rig.may_fault:
        raise ContractBroken(f"told a fault where nothing went wrong: {type(faults[0]).__name__}: {faults[0]}")
