"""Runs scenarios, each on a bench of its own: seeds, repeats, traces. Says how to replay what failed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.bench import Bench
from bench.topology import GATEWAY
from bench.vehicle_file import OBD, load_vehicle
from scenarios.model import Scenario
from scenarios.play import Played, Status, StepResult, play
from wire.clock import stopwatch
from wire.errors import ConfigError
from wire.names import suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One scenario, played once. `digest`: of the trace; `virtual_ns`: how much bench time it took; `wall_s`: how much of
    ours; `witnessed`: requests that the witness read; `blind_spots`: what it could not see; `traces`: files written.
    """

    played: Played
    seed: int
    digest: str
    virtual_ns: int
    wall_s: float
    steps_passed: int
    witnessed: int
    blind_spots: tuple[str, ...]
    traces: tuple[Path, ...] = ()

    @property
    def replay(self) -> str:
        """The command that plays this again, to the byte."""
        scenario = self.played.scenario
        target = scenario.name if scenario.in_library else str(scenario.path)
        if target.startswith(("-", "@")):  # as it stands, the command line would take it for an option or a tag
            target = f"./{target}"
        return f"sgw-bench run {shlex.quote(target)} --seed {self.seed}"


def run(
    scenarios: Sequence[Scenario],
    *,
    seed: int,
    repeat: int = 1,
    trace_dir: Path | None = None,
    on_step: Callable[[StepResult], None] | None = None,
) -> Iterator[Run]:
    """Yield a `Run` for every scenario, `repeat` times with seeds counting up from `seed`. Later turns that pass keep no steps.

    Raises `ConfigError` when a scenario names what its vehicle does not have; any other error of the bench is a failure of
    that scenario and is reported in its `Run`.
    """
    for scenario in scenarios:
        check_names(scenario)
    named: Counter[str] = Counter()
    for scenario in scenarios:
        named[scenario.name] += 1  # files of one name from two folders: their traces are told apart
        stem = scenario.name if named[scenario.name] == 1 else f"{scenario.name}~{named[scenario.name]}"
        for turn in range(repeat):
            run = run_one(scenario, seed=seed + turn, trace_dir=trace_dir, stem=stem, on_step=on_step)
            if turn and run.played.status is Status.PASSED:  # the first turn's steps tell it all, and memory stays flat
                run = replace(run, played=replace(run.played, steps=()))
            yield run


def run_one(
    scenario: Scenario,
    *,
    seed: int,
    trace_dir: Path | None = None,
    stem: str | None = None,
    on_step: Callable[[StepResult], None] | None = None,
) -> Run:
    """Play one scenario on a new bench. `stem`: what the names of its traces begin with; the scenario's name if None."""
    watch = stopwatch()
    check_names(scenario)
    with Bench(seed=seed, vehicle=scenario.vehicle, keep_trace=trace_dir is not None, check_on_close=False) as bench:
        played = play(scenario, bench.stage, on_step)
        found = bench.findings()
        traces: tuple[Path, ...] = ()
        if trace_dir is not None:
            traces = bench.write_trace(trace_dir, f"{stem or scenario.name}-{seed}")
        return Run(
            played=played,
            seed=seed,
            digest=bench.trace.digest(),
            virtual_ns=bench.world.now_ns,
            wall_s=watch(),
            steps_passed=sum(step.status is Status.PASSED for step in played.steps),
            witnessed=found.requests_seen,
            blind_spots=found.blind_spots,
            traces=traces,
        )


def check_names(scenario: Scenario) -> None:
    """Raise `ConfigError` with file, line and suggestion when a scenario names a vehicle, unit or bus that there is not."""
    try:
        spec = load_vehicle(scenario.vehicle)
    except ConfigError as error:
        if error.path:
            raise
        raise ConfigError(error.problem, path=str(scenario.path), line=scenario.vehicle_line, key="vehicle") from None
    units = [GATEWAY, *(ecu.name for ecu in spec.ecus)]
    known = {"ecu": units, "bus": [bus.name for bus in spec.buses]}
    for step in scenario.steps:
        for key, names in known.items():
            name = step.args.get(key)
            if name is not None and name not in names and not (step.verb == "fault" and name == OBD):
                raise ConfigError(
                    f"vehicle {scenario.vehicle!r} has no {'unit' if key == 'ecu' else key} {name!r}"
                    + suggestion(name, names),
                    path=str(scenario.path),
                    line=step.line,
                    key=key,
                )
