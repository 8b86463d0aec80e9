"""Playing a scenario on a stage: step by step, the first mismatch ends it; the rest is marked as not played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from scenarios.expectation import describe
from scenarios.model import Scenario, Step
from scenarios.stage import Stage
from scenarios.strategy import StateUnreachable
from scenarios.verbs import VERBS
from wire.errors import BenchError, CarrierFault, ConfigError, NotOnThisCarrier


class Status(StrEnum):
    """How a step or a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step as it was played. `expected` and `came` are words; `began_ns` and `ended_ns` are world times."""

    step: Step
    status: Status
    expected: str
    came: str
    began_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A scenario as it was played. `reason`: of a failure or a skip, for people."""

    scenario: Scenario
    status: Status
    steps: tuple[StepResult, ...]
    reason: str = ""
    violations: tuple[str, ...] = ()


def play(scenario: Scenario, stage: Stage, on_step: Callable[[StepResult], None] | None = None) -> Played:
    """Play every step; stop at the first that does not meet its expectation. The witness has the last word.

    Raises `ConfigError` for a file that is wrong; any other error of the bench fails the step in which it arose.
    """
    results: list[StepResult] = []
    status, reason = Status.PASSED, ""
    for step in scenario.steps:
        result, why = _play_step(step, stage)
        results.append(result)
        if on_step is not None:
            on_step(result)
        if result.status is not Status.PASSED:
            status, reason = result.status, why
            break
    violations: tuple[str, ...] = ()
    try:
        violations = tuple(stage.violations())
    except CarrierFault as lost:  # whom nobody can ask has not said that all is well
        if status is not Status.FAILED:
            status, reason = Status.FAILED, f"the witness cannot be asked any more: {lost}"
    if violations and status is Status.PASSED:
        status, reason = Status.FAILED, f"the witness saw: {violations[0]}"
    return Played(scenario=scenario, status=status, steps=tuple(results), reason=reason, violations=violations)


def _play_step(step: Step, stage: Stage) -> tuple[StepResult, str]:
    began_ns = stage.now_ns()
    expected = step.expect.describe()
    try:
        outcome = VERBS[step.verb].act(stage, step.args)
    except NotOnThisCarrier as reason:
        came, status, why = str(reason), Status.SKIPPED, f"this carrier cannot do it: {reason}"
    except ConfigError:
        raise
    except BenchError as error:
        came = str(error) if isinstance(error, StateUnreachable) else f"{type(error).__name__}: {error}"
        status, why = Status.FAILED, f"line {step.line}, {step.label}: expected {expected}, but {came}"
    except Exception as error:  # noqa: BLE001 - a mistake of ours fails this step, and the run goes on
        came = f"a mistake in the bench itself, please report it: {type(error).__name__}: {error}"
        status, why = Status.FAILED, f"line {step.line}, {step.label}: expected {expected}, but {came}"
    else:
        ended_ns = stage.now_ns()
        mismatch = step.expect.mismatch(outcome, ended_ns - began_ns)
        came = describe(outcome)
        status = Status.PASSED if mismatch is None else Status.FAILED
        why = "" if mismatch is None else f"line {step.line}, {step.label}: expected {mismatch}"
    result = StepResult(
        step=step, status=status, expected=expected, came=came, began_ns=began_ns, ended_ns=stage.now_ns()
    )
    return result, why
