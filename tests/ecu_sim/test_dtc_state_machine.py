"""The status byte against a second opinion: each bit is worked out from the whole history, by what annex D says it means."""

from collections.abc import Sequence

from dtc_bench import FAILED, PASSED, A, B, C, Memory
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ecu_sim.dtc_options import Dtc

CONFIRM, HEAL, AGE = 2, 2, 3
BEGIN, END, CLEAR = "begin", "end", "clear"


def since(history: Sequence[str], *marks: str) -> list[str]:
    """Return what happened after the last of the marks."""
    last = max((number for number, event in enumerate(history) if event in marks), default=-1)
    return list(history[last + 1 :])


def outcomes(history: Sequence[str]) -> list[tuple[str, bool]]:
    """Return each cycle that said something, as failed or passed, and whether it has ended."""
    cycles: list[tuple[str, bool]] = []
    results: list[str] = []
    for event in history:
        if event in ("failed", "passed"):
            results.append(event)
        elif event == END and results:
            cycles.append(("failed" if "failed" in results else "passed", True))
            results = []
    if results:
        cycles.append(("failed" if "failed" in results else "passed", False))
    return cycles


def expected(history: Sequence[str]) -> int:
    """Return the status byte that a history makes. A cycle that was cleared in counts from there."""
    life = since(history, CLEAR)
    results = [event for event in life if event in ("failed", "passed")]
    here = [event for event in since(history, CLEAR, BEGIN) if event in ("failed", "passed")]
    status = (results[-1:] == ["failed"]) * 0x01
    status |= ("failed" in here) * 0x02
    status |= (not results) * 0x10
    status |= ("failed" in results) * 0x20
    status |= (not here) * 0x40
    cycles = outcomes(life)
    ended = [outcome for outcome, is_over in cycles if is_over or outcome == "failed"]
    status |= (ended[-1:] == ["failed"]) * 0x04
    row, confirmed, good = 0, False, 0
    for outcome in ended:
        row = row + 1 if outcome == "failed" else 0
        good = 0 if outcome == "failed" else good + 1
        if row >= CONFIRM:
            confirmed = True
        if good >= HEAL + AGE:
            confirmed = False
    status |= confirmed * 0x08
    status |= (confirmed and good < HEAL) * 0x80
    return status


class OneCode(RuleBasedStateMachine):
    """Results, cycles, clearing in any order; the setting off now and then."""

    @initialize()
    def start(self) -> None:
        self.memory = Memory(
            Dtc(code=A, status=0x50, warning=True, confirm_after=CONFIRM, heal_after=HEAL, age_after=AGE)
        )
        self.history: list[str] = []
        self.on = True

    @rule(result=st.sampled_from((FAILED, PASSED)), times=st.integers(1, 3))
    def report(self, result: str, times: int) -> None:
        for _ in range(times):
            taken = self.memory.memory.report(A, result, 0)
            assert taken is (self.on and self.memory.memory.running)
            if taken:
                self.history.append(str(result))

    @rule()
    def a_good_cycle(self) -> None:
        if self.memory.memory.running and self.on:
            self.memory.memory.end_cycle(0)
            self.memory.memory.begin_cycle(0)
            self.memory.passes()
            self.memory.memory.end_cycle(0)
            self.memory.memory.begin_cycle(0)
            self.history += [END, BEGIN, "passed", END, BEGIN]

    @rule()
    def begin(self) -> None:
        self.memory.memory.begin_cycle(0)
        self.history += [END, BEGIN]

    @rule()
    def end(self) -> None:
        self.memory.memory.end_cycle(0)
        self.history.append(END)

    @rule()
    def clear(self) -> None:
        self.memory.memory.clear([A], 0)
        self.history.append(CLEAR)

    @rule(on=st.booleans())
    def switch(self, *, on: bool) -> None:
        self.memory.memory.switch([A], on=on)
        self.on = on

    @invariant()
    def each_bit_says_what_it_means(self) -> None:
        if hasattr(self, "memory"):
            assert f"{self.memory.status():08b}" == f"{expected(self.history):08b}", self.history


OneCode.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestOneCode = OneCode.TestCase


class ManyCodes(RuleBasedStateMachine):
    """Three codes for two places: what must hold whoever is displaced."""

    @initialize(
        policy=st.sampled_from(("none", "oldest", "priority")), store_at=st.sampled_from(("failed", "confirmed"))
    )
    def start(self, policy: str, store_at: str) -> None:
        codes = [
            Dtc(
                code=code,
                status=0x50,
                priority=priority,
                warning=True,
                permanent=True,
                confirm_after=confirm,
                age_after=2,
            )
            for code, priority, confirm in ((A, 1, 1), (B, 2, 2), (C, 2, 1))
        ]
        self.memory = Memory(*codes, entries=2, mirror_entries=2, displacement=policy, store_at=store_at)

    @rule(code=st.sampled_from((A, B, C)), result=st.sampled_from((FAILED, PASSED)))
    def report(self, code: int, result: str) -> None:
        self.memory.memory.report(code, result, 0)

    @rule()
    def next_cycle(self) -> None:
        self.memory.next_cycle()

    @rule(code=st.sampled_from((A, B, C)))
    def clear(self, code: int) -> None:
        permanent = list(self.memory.records.permanent)
        self.memory.memory.clear([code], 0)
        assert list(self.memory.records.permanent) == permanent

    @invariant()
    def a_confirmed_code_has_a_record_and_only_a_confirmed_code_warns(self) -> None:
        if not hasattr(self, "memory"):
            return
        states = self.memory.records.states.values()
        for state in states:
            assert not state.status & 0x08 or state.record is not None
            assert not state.status & 0x80 or state.status & 0x08
            assert not state.status & 0x01 or state.status & 0x20, "who fails has failed"
            assert not state.status & 0x02 or not state.status & 0x40, "who failed in this cycle was tested in it"
            assert bool(state.first_confirmed) == bool(state.status & 0x08)
        assert sum(state.record is not None for state in states) <= 2
        assert len(self.memory.records.mirror) <= 2


ManyCodes.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestManyCodes = ManyCodes.TestCase
