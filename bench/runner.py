"""Runs scenarios, each on a bench of its own: seeds, repeats, traces. Says how to replay what failed."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.bench import Bench
from bench.bench_file import FOLDER, VIRTUAL, BenchSpec
from bench.car import Findings
from bench.topology import GATEWAY
from bench.vehicle_file import OBD, load_vehicle
from scenarios.model import Scenario
from scenarios.play import Played, Status, StepResult, play
from wire.clock import NS_PER_S, stopwatch
from wire.errors import CarrierFault, ConfigError, NotOnThisCarrier
from wire.names import suggestion
from wire.trace_files import ALL_FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One scenario, played once. `digest`: of the trace; `virtual_ns`: how much bench time it took; `wall_s`: how much of
    ours; `witnessed`: requests that the witness read; `blind_spots`: what it could not see; `traces`: files written.

    On a bench where time passes: `overruns`, deadlines on the tester's side that were late by more than a millisecond, and
    the worst of them; `notices`, what its adapter reported and went on. `bench`: what `--bench` takes, None for the virtual one.
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
    bench: str | None = None
    overruns: int = 0
    worst_overrun_ns: int = 0
    notices: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it was played and did not pass."""
        return self.played.status is Status.FAILED

    @property
    def replay(self) -> str:
        """The command that plays this again, to the byte."""
        scenario = self.played.scenario
        target = scenario.name if scenario.in_library else str(scenario.path)
        if target.startswith(("-", "@")):  # as it stands, the command line would take it for an option or a tag
            target = f"./{target}"
        bench = "" if self.bench is None else f" --bench {shlex.quote(self.bench)}"
        return f"sgw-bench run {shlex.quote(target)} --seed {self.seed}{bench}"


def run(
    scenarios: Sequence[Scenario],
    *,
    seed: int,
    repeat: int = 1,
    trace_dir: Path | None = None,
    trace_formats: Sequence[str] = ALL_FORMATS,
    on_step: Callable[[StepResult], None] | None = None,
    bench: BenchSpec = VIRTUAL,
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
            run = run_one(
                scenario,
                seed=seed + turn,
                trace_dir=trace_dir,
                trace_formats=trace_formats,
                stem=stem,
                on_step=on_step,
                file=bench,
            )
            if turn and run.played.status is Status.PASSED:  # the first turn's steps tell it all, and memory stays flat
                run = replace(run, played=replace(run.played, steps=()))
            yield run


def run_one(
    scenario: Scenario,
    *,
    seed: int,
    trace_dir: Path | None = None,
    trace_formats: Sequence[str] = ALL_FORMATS,
    stem: str | None = None,
    on_step: Callable[[StepResult], None] | None = None,
    file: BenchSpec = VIRTUAL,
) -> Run:
    """Play one scenario on a new bench. `stem`: what the names of its traces begin with; the scenario's name if None.

    What the bench cannot do is a skip with the reason. Raises `CarrierFault` where the bench itself cannot be had.
    """
    watch = stopwatch()
    check_names(scenario)
    reason = _beyond(scenario, file)
    if reason is not None:
        return _not_played(scenario, seed, file, reason)
    try:
        bench = Bench(
            seed=seed, vehicle=scenario.vehicle, file=file, keep_trace=trace_dir is not None, check_on_close=False
        )
    except NotOnThisCarrier as error:
        return _not_played(scenario, seed, file, str(error))
    with bench:
        bench.tester()  # an adapter that is not there ends the run, and fails no scenario
        began_ns = bench.world.now_ns
        played = play(scenario, bench.stage, on_step)
        found = _last_findings(bench)
        traces: tuple[Path, ...] = ()
        if trace_dir is not None:
            traces = bench.write_trace(trace_dir, f"{stem or scenario.name}-{seed}", trace_formats)
        return Run(
            played=played,
            seed=seed,
            digest=bench.trace.digest(),
            virtual_ns=bench.world.now_ns - began_ns,
            wall_s=watch(),
            steps_passed=sum(step.status is Status.PASSED for step in played.steps),
            witnessed=found.requests_seen,
            blind_spots=found.blind_spots,
            traces=traces,
            bench=_told(file),
            overruns=bench.world.overruns,
            worst_overrun_ns=bench.world.worst_overrun_ns,
            notices=tuple(str(notice) for notice in bench.notices()),
        )


def _last_findings(bench: Bench) -> Findings:
    """Return what the witness says; where its process is lost, that nothing was seen (`play` has failed the scenario for it)."""
    try:
        return bench.findings()
    except CarrierFault as lost:
        return Findings(violations=(), requests_seen=0, blind_spots=(f"anything: {lost}",))


def _told(file: BenchSpec) -> str | None:
    """Return what `--bench` takes for this bench; None for the one that is taken anyway."""
    if file is VIRTUAL:
        return None
    return file.name if file.path is None or file.path.parent == FOLDER else str(file.path)


def _beyond(scenario: Scenario, file: BenchSpec) -> str | None:
    """Return why a scenario need not even be begun on a bench where time passes: it waits longer than anybody does there."""
    if file.virtual_time:
        return None
    for step in scenario.steps:
        for key in ("duration", "hesitate"):
            wait_ns = step.args.get(key) or 0
            if wait_ns > file.longest_wait_ns:
                return (
                    f"line {step.line}, {step.label}: time passes on bench {file.name!r}, and it waits "
                    f"{file.longest_wait_ns / NS_PER_S:g} s at most (longest_wait)"
                )
    return None


def _not_played(scenario: Scenario, seed: int, file: BenchSpec, reason: str) -> Run:
    return Run(
        played=Played(scenario=scenario, status=Status.SKIPPED, steps=(), reason=reason),
        seed=seed,
        digest="",
        virtual_ns=0,
        wall_s=0.0,
        steps_passed=0,
        witnessed=0,
        blind_spots=(),
        traces=(),
        bench=_told(file),
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
