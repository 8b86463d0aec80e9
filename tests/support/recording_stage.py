"""A stage on which nothing stands: it writes down each act, and answers as told or positively."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenarios.stage import Outcome, OutcomeKind
from scenarios.strategy import Strategy

GOOD = Outcome(kind=OutcomeKind.POSITIVE, text="done")


class RecordingStage:
    """`acts`: names of the acts in order. `outcomes`: by name of the act, an outcome or an error to raise; others are good."""

    def __init__(self, **outcomes: Outcome | Exception) -> None:
        self.acts: list[str] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.outcomes = outcomes
        self.time_ns = 0
        self.act_takes_ns = 0
        self.found: list[str] = []
        self.strategy = Strategy(self)

    def now_ns(self) -> int:
        return self.time_ns

    def violations(self) -> list[str]:
        return self.found

    def __getattr__(self, act: str) -> Callable[..., Outcome]:
        def do(*args: Any, **keywords: Any) -> Outcome:
            self.acts.append(act)
            self.calls.append((act, args, keywords))
            self.time_ns += self.act_takes_ns
            outcome = self.outcomes.get(act, GOOD)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return do
