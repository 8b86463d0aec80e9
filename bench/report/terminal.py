"""The run on the terminal: progress while it works, one table, and for each failure the step, what was expected and what
came, and the command that replays it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.runner import Run
from scenarios.play import Status

STYLE = {Status.PASSED: "green", Status.FAILED: "bold red", Status.SKIPPED: "yellow"}


VEHICLE_FROM_WIDTH = 95
"""Narrower terminals have no room for vehicle and times; the failures and the last line name them."""
PIPE_WIDTH = 160
"""Columns where no terminal says how many it has: a log or a filter wants whole names."""


def make_console() -> Console:
    """Return the console for results: as wide as the terminal, or wide where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def format_duration(duration_ns: int) -> str:
    """Return a world duration for people: `92 min 14 s`, `3.2 s`, `140 ms`."""
    if duration_ns >= 36_000_000_000_000:
        hours, rest_ns = divmod(duration_ns, 3_600_000_000_000)
        return f"{hours} h {rest_ns // 60_000_000_000} min"
    if duration_ns >= 60_000_000_000:
        minutes, rest_ns = divmod(duration_ns, 60_000_000_000)
        return f"{minutes} min {rest_ns // 1_000_000_000} s"
    if duration_ns >= 1_000_000_000:
        return f"{duration_ns / 1e9:.1f} s"
    return f"{duration_ns / 1e6:.0f} ms"


def print_runs(console: Console, runs: Sequence[Run]) -> None:
    """Print the table, the failures and the closing line."""
    turns: dict[Path, list[Run]] = {}
    for run in runs:
        turns.setdefault(run.played.scenario.path, []).append(run)
    table = Table(box=None, pad_edge=False, header_style="bold")
    widest = max((len(path.name.removesuffix(".yaml")) for path in turns), default=0)
    table.add_column("scenario", no_wrap=True, min_width=widest)
    with_vehicle = console.width >= VEHICLE_FROM_WIDTH
    if with_vehicle:
        table.add_column("vehicle", no_wrap=True, overflow="ellipsis")
    table.add_column("result", no_wrap=True)
    for heading in ("steps", "bench time", "took", "seed") if with_vehicle else ("steps", "seed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for of_one in turns.values():
        name, vehicle, *rest = _row(of_one)
        result, steps, _bench_time, _took, seed = rest
        table.add_row(*((name, vehicle, *rest) if with_vehicle else (name, result, steps, seed)))
    console.print(table)
    for run in runs:
        if run.played.status is Status.FAILED:
            _print_failure(console, run)
    _print_skips(console, runs)
    _print_total(console, runs)


def _row(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the line of one scenario, played once or many times."""
    scenario = runs[0].played.scenario
    first, last = runs[0].seed, runs[-1].seed
    passed = sum(run.steps_passed for run in runs)
    return (
        escape(scenario.name),
        escape(scenario.vehicle),
        _counted(runs) if len(runs) > 1 else f"[{STYLE[runs[0].played.status]}]{runs[0].played.status.value}[/]",
        f"{passed}/{len(scenario.steps) * len(runs)}",
        format_duration(sum(run.virtual_ns for run in runs)),
        f"{sum(run.wall_s for run in runs) * 1000:.0f} ms",
        str(first) if first == last else f"{first}-{last}",
    )


def _counted(runs: Sequence[Run]) -> str:
    counts = Counter(run.played.status for run in runs)
    return ", ".join(f"[{STYLE[status]}]{counts[status]} {status.value}[/]" for status in Status if counts[status])


def _print_failure(console: Console, run: Run) -> None:
    played = run.played
    console.print()
    console.print(f"[{STYLE[played.status]}]{played.status.value}[/] [bold]{escape(played.scenario.name)}[/]")
    last = played.steps[-1] if played.steps else None
    rows: list[tuple[str, str]] = []
    if last is not None and last.status is not Status.PASSED:
        rows += [
            ("step", f"{len(played.steps)}: {last.step.label}"),
            ("where", f"{played.scenario.path}:{last.step.line}"),
            ("expected", last.expected),
            ("came", last.came),
        ]
    rows.append(("reason", played.reason))
    rows += [("witness", violation) for violation in played.violations]
    rows += [("vehicle", played.scenario.vehicle), ("seed", str(run.seed)), ("replay", run.replay)]
    for name, text in rows:
        console.print(f"  {name:9} {escape(text)}", highlight=False, soft_wrap=True)


def _print_skips(console: Console, runs: Sequence[Run]) -> None:
    """Print for each scenario that was skipped, why: a line each, for on some benches there are many."""
    skipped = dict.fromkeys(
        (run.played.scenario.name, run.played.reason) for run in runs if run.played.status is Status.SKIPPED
    )
    if skipped:
        console.print()
    for name, reason in skipped:
        console.print(f"[{STYLE[Status.SKIPPED]}]skipped[/] [bold]{escape(name)}[/]  {escape(reason)}", soft_wrap=True)


def _print_total(console: Console, runs: Sequence[Run]) -> None:
    total_s = sum(run.wall_s for run in runs)
    bench_ns = sum(run.virtual_ns for run in runs)
    console.print()
    console.print(f"{_counted(runs)} in {total_s:.1f} s ({format_duration(bench_ns)} of bench time)")
    _print_real_time(console, runs)
    blind = dict.fromkeys(spot for run in runs for spot in run.blind_spots)
    console.print(
        f"[dim]The witness read {sum(run.witnessed for run in runs):,} requests.{' It cannot see:' if blind else ''}[/]"
    )
    for spot in blind:
        console.print(f"[dim]  {escape(spot)}[/]", soft_wrap=True)


def _print_real_time(console: Console, runs: Sequence[Run]) -> None:
    """Print what only a bench where time passes has: late deadlines, and what adapters reported."""
    if any(run.overruns for run in runs):
        late, worst_ms = sum(run.overruns for run in runs), max(run.worst_overrun_ns for run in runs) / 1e6
        console.print(
            f"[yellow]{late} deadlines of the tester were late by more than 1 ms, the worst by {worst_ms:.1f} ms[/]"
        )
    for notice in dict.fromkeys(notice for run in runs for notice in run.notices):
        console.print(f"[yellow]adapter: {escape(notice)}[/]", soft_wrap=True)
