"""A run while it works: a bar where people watch, each step where they asked for it. Nothing of it stays but the steps."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from bench.report.terminal import STYLE
from bench.runner import Run
from scenarios.model import Scenario
from scenarios.play import StepResult


class RunProgress:
    """Shows how far a run is. `steps_of`: the scenarios, to print each step of them; None to print none."""

    def __init__(
        self, console: Console, total: int, *, steps_of: Sequence[Scenario] | None, seed: int, repeat: int
    ) -> None:
        bar_console = Console(stderr=True, highlight=False)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=bar_console, transient=True, disable=not bar_console.is_terminal)
        self._task = self._bar.add_task("playing", total=total)
        self._steps = bar_console if console.is_terminal else console
        self._scenarios = steps_of
        self._seed = seed
        self._repeat = repeat
        self._done = self._failed = 0
        self._told = -1

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, result: StepResult) -> None:
        """Show a step that was played, if steps are shown."""
        if self._scenarios is None:
            return
        if self._told != self._done:
            self._told = self._done
            name = self._scenarios[self._done // self._repeat].name
            self._steps.print(f"[bold]{escape(name)}[/], seed {self._seed + self._done % self._repeat}")
        style, text = STYLE[result.status], escape(f"{result.step.label}: {result.came}")
        self._steps.print(f"  [{style}]{result.status.value:7}[/] {text}", soft_wrap=True)

    def done(self, run: Run) -> None:
        """Show that one more has been played."""
        self._done += 1
        self._failed += run.failed
        text = run.played.scenario.name + (f" ({self._failed} failed so far)" if self._failed else "")
        self._bar.update(self._task, advance=1, description=text)
