"""Reaching a state: a scenario asks for `unlocked` and the strategy does what is missing on the way.

    signed-up -> identity-checked -> validated -> logged-in -> unlocked

Each state is one row: what must be reached before, and the acts that lead on. What the stage says stands already is not done
again, by whomever it was done; what has ended since (a login, a grant) is. The first failure is kept, and every later request
for that state or one behind it fails at once with it: nothing is tried twice, dependants are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scenarios.stage import Outcome, OutcomeKind, Stage
from wire.errors import BenchError, LocalMisuse


class StateUnreachable(BenchError):
    """A state could not be reached; `outcome` is the first failure on the way."""

    def __init__(self, state: str, act: str, outcome: Outcome) -> None:
        super().__init__(f"state {state!r} cannot be reached: {act}: {outcome.text}")
        self.state = state
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Who and what a state is about."""

    person: str = "technician"
    ecu: str | None = None
    role: str = "after-sales"


Act = tuple[str, Callable[[Stage, Goal], Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One row: the state before, and the acts that lead here from it. `ends`: time or others may end it, so it is looked at
    again at each request.
    """

    name: str
    after: str | None
    acts: tuple[Act, ...]
    ends: bool = False


def _unlock(stage: Stage, goal: Goal) -> Outcome:
    if goal.ecu is None:
        raise LocalMisuse("state 'unlocked' needs an ecu")
    return stage.unlock(goal.ecu, role=goal.role, scope=None)


STATES = {
    state.name: state
    for state in (
        State(name="signed-up", after=None, acts=(("sign up", lambda s, g: s.sign_up(g.person)),)),
        State(
            name="identity-checked",
            after="signed-up",
            acts=(
                ("personal profile", lambda s, g: s.personal_profile(g.person)),
                ("identity check", lambda s, g: s.identity_check(g.person, front=None, back=None, video=None)),
                ("review", lambda s, g: s.wait_for_review(g.person)),
            ),
        ),
        State(
            name="validated",
            after="identity-checked",
            acts=(
                ("company profile", lambda s, g: s.company_profile(g.person)),
                ("company validation", lambda s, g: s.validate_company(g.person)),
            ),
        ),
        State(
            name="logged-in",
            after="validated",
            acts=(("login", lambda s, g: s.login(g.person, code=None, password=None)),),
            ends=True,
        ),
        State(name="unlocked", after="logged-in", acts=(("unlock", _unlock),), ends=True),
    )
}


class Strategy:
    """What has been reached on one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._reached: dict[tuple[str, Goal], Outcome | StateUnreachable] = {}

    def reach(self, state: str, goal: Goal) -> Outcome:
        """Do what is missing; return the last act's outcome. Raises `StateUnreachable` with the first failure."""
        row = STATES.get(state)
        if row is None:
            raise LocalMisuse(f"unknown state {state!r}; there are: {', '.join(STATES)}")
        key = (state, goal if state == "unlocked" else Goal(person=goal.person))
        known = self._reached.get(key)
        if isinstance(known, StateUnreachable):
            raise known
        if known is not None and not row.ends:
            return known
        if row.after is not None:
            self.reach(row.after, goal)
        if self._stage.stands(state, person=goal.person, ecu=goal.ecu, role=goal.role):
            return known or Outcome(kind=OutcomeKind.POSITIVE, text=f"{state} already")
        outcome: Outcome | None = None
        for name, act in row.acts:
            outcome = act(self._stage, goal)
            if outcome.kind is not OutcomeKind.POSITIVE:
                self._reached[key] = failure = StateUnreachable(state, name, outcome)
                raise failure
        assert outcome is not None
        self._reached[key] = outcome
        return outcome
