"""The run on the terminal: progress while it works, one table, and for each failure the step, what was expected and what
came, and the command that replays it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.runner import Run
from scenarios.play import Status

STYLE = {Status.PASSED: "green", Status.FAILED: "bold red", Status.SKIPPED: "yellow"}


def format_duration(duration_ns: int) -> str:
    """Return a world duration for people: `92 min 14 s`, `3.2 s`, `140 ms`."""
    if duration_ns >= 60_000_000_000:
        minutes, rest_ns = divmod(duration_ns, 60_000_000_000)
        return f"{minutes} min {rest_ns // 1_000_000_000} s"
    if duration_ns >= 1_000_000_000:
        return f"{duration_ns / 1e9:.1f} s"
    return f"{duration_ns / 1e6:.0f} ms"


def print_runs(console: Console, runs: Sequence[Run]) -> None:
    """Print the table, the failures and the closing line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario", overflow="fold")
    table.add_column("vehicle")
    table.add_column("result")
    table.add_column("steps", justify="right")
    table.add_column("bench time", justify="right")
    table.add_column("took", justify="right")
    table.add_column("seed", justify="right")
    for run in runs:
        played = run.played
        passed = sum(step.status is Status.PASSED for step in played.steps)
        table.add_row(
            escape(played.scenario.name),
            escape(played.scenario.vehicle),
            f"[{STYLE[played.status]}]{played.status.value}[/]",
            f"{passed}/{len(played.scenario.steps)}",
            format_duration(run.virtual_ns),
            f"{run.wall_s * 1000:.0f} ms",
            str(run.seed),
        )
    console.print(table)
    for run in runs:
        if run.played.status is not Status.PASSED:
            _print_failure(console, run)
    _print_total(console, runs)


def _print_failure(console: Console, run: Run) -> None:
    played = run.played
    console.print()
    console.print(f"[{STYLE[played.status]}]{played.status.value}[/] [bold]{escape(played.scenario.name)}[/]")
    last = played.steps[-1] if played.steps else None
    if last is not None and last.status is not Status.PASSED:
        console.print(f"  step      {len(played.steps)}: {escape(last.step.label)}", highlight=False)
        console.print(
            f"  where     {escape(str(played.scenario.path))}:{last.step.line}", highlight=False, soft_wrap=True
        )
        console.print(f"  expected  {escape(last.expected)}", highlight=False)
        console.print(f"  came      {escape(last.came)}", highlight=False)
    console.print(f"  reason    {escape(played.reason)}", highlight=False)
    for violation in played.violations:
        console.print(f"  witness   {escape(violation)}", highlight=False)
    console.print(f"  seed      {run.seed}", highlight=False)
    console.print(f"  replay    {escape(run.replay)}", highlight=False, soft_wrap=True)


def _print_total(console: Console, runs: Sequence[Run]) -> None:
    counts = Counter(run.played.status for run in runs)
    parts = [f"[{STYLE[status]}]{counts[status]} {status.value}[/]" for status in Status if counts[status]]
    total_s = sum(run.wall_s for run in runs)
    bench_ns = sum(run.virtual_ns for run in runs)
    console.print()
    console.print(f"{', '.join(parts)} in {total_s:.1f} s ({format_duration(bench_ns)} of bench time)")
