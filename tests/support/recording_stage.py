"""A stage on which nothing stands: it writes down each act, and answers as told or positively."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenarios.stage import Outcome, OutcomeKind
from scenarios.strategy import Strategy

GOOD = Outcome(kind=OutcomeKind.POSITIVE, text="done")


class RecordingStage:
    """`acts`: names of the acts in order. `outcomes`: by name of the act, an outcome or an error to raise; others are good.
    `logged_in`, `open`: what stands, as login and unlock leave it; a test may end it.
    """

    def __init__(self, **outcomes: Outcome | Exception) -> None:
        self.acts: list[str] = []
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.outcomes = outcomes
        self.time_ns = 0
        self.act_takes_ns = 0
        self.found: list[str] = []
        self.logged_in: str | None = None
        self.open: set[tuple[str, str]] = set()
        self.strategy = Strategy(self)

    def stands(self, state: str, *, person: str, ecu: str | None, role: str) -> bool:
        return self.logged_in == person if state == "logged-in" else (ecu, role) in self.open

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
            if outcome.kind is OutcomeKind.POSITIVE and act == "login":
                self.logged_in = args[0]
            if outcome.kind is OutcomeKind.POSITIVE and act == "unlock":
                self.open.add((args[0], keywords["role"]))
            return outcome

        return do
