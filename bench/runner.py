"""Runs scenarios, each on a bench of its own: seeds, repeats, traces. Says how to replay what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.bench import Bench
from scenarios.model import Scenario
from scenarios.play import Played, Status, StepResult, play
from wire.clock import stopwatch
from wire.errors import BenchError, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One scenario, played once. `digest`: of the trace; `virtual_ns`: how much bench time it took; `wall_s`: how much of
    ours; `traces`: files written.
    """

    played: Played
    seed: int
    digest: str
    virtual_ns: int
    wall_s: float
    traces: tuple[Path, ...] = ()

    @property
    def replay(self) -> str:
        """The command that plays this again, to the byte."""
        scenario = self.played.scenario
        target = scenario.name if scenario.in_library else str(scenario.path)
        return f"sgw-bench run {target} --seed {self.seed}"


def run(
    scenarios: Sequence[Scenario],
    *,
    seed: int,
    repeat: int = 1,
    trace_dir: Path | None = None,
    on_step: Callable[[StepResult], None] | None = None,
) -> Iterator[Run]:
    """Yield a `Run` for every scenario, `repeat` times with seeds counting up from `seed`.

    Raises `ConfigError` when a scenario names what its vehicle does not have; any other error of the bench is a failure of
    that scenario and is reported in its `Run`.
    """
    for scenario in scenarios:
        for turn in range(repeat):
            yield run_one(scenario, seed=seed + turn, trace_dir=trace_dir, on_step=on_step)


def run_one(
    scenario: Scenario,
    *,
    seed: int,
    trace_dir: Path | None = None,
    on_step: Callable[[StepResult], None] | None = None,
) -> Run:
    """Play one scenario on a new bench."""
    watch = stopwatch()
    with Bench(seed=seed, vehicle=scenario.vehicle, keep_trace=trace_dir is not None, check_on_close=False) as bench:
        check_names(scenario, bench)
        try:
            played = play(scenario, bench.stage, on_step)
        except ConfigError:
            raise
        except BenchError as error:
            played = Played(
                scenario=scenario, status=Status.FAILED, steps=(), reason=f"{type(error).__name__}: {error}"
            )
        traces: tuple[Path, ...] = ()
        if trace_dir is not None:
            traces = bench.write_trace(trace_dir, f"{scenario.name}-{seed}")
        return Run(
            played=played,
            seed=seed,
            digest=bench.trace.digest(),
            virtual_ns=bench.world.now_ns,
            wall_s=watch(),
            traces=traces,
        )


def check_names(scenario: Scenario, bench: Bench) -> None:
    """Raise `ConfigError` with file, line and suggestion when a step names a unit that the vehicle does not have."""
    known = bench.ecu_names()
    for step in scenario.steps:
        ecu = step.args.get("ecu")
        if ecu is not None and ecu not in known and not (step.verb == "fault" and ecu == "obd"):
            raise ConfigError(
                f"vehicle {scenario.vehicle!r} has no unit {ecu!r}; there are: {', '.join(known)}",
                path=str(scenario.path),
                line=step.line,
                key="ecu",
            )
