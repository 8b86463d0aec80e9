"""The machines of session and 0x27 level: a unit is put into each state and each input, and goes where the table says."""

from collections.abc import Callable

import pytest
from ecu_bench import LEVELS, MS, Ecu, S

from ecu_sim.machines import LEVEL, SESSION, Bound, InSession, Level, LevelInput, SessionInput, in_session
from ecu_sim.vehicle_state import PowerEvent

Act = Callable[[Ecu], str]
NUMBER = 3
"""The level that is driven; level 5 is the other one."""


# ---- the session


def lose_supply(ecu: Ecu) -> None:
    ecu.server.power(PowerEvent.BATTERY_LOST, ecu.now_ns)
    ecu.server.power(PowerEvent.BATTERY_BACK, ecu.now_ns)
    ecu.run_for(S)


SESSION_CAUSES: dict[SessionInput, Callable[[Ecu], object]] = {
    SessionInput.DEFAULT_ASKED: lambda ecu: ecu.ask("10 01"),
    SessionInput.SAME_ASKED: lambda ecu: ecu.ask("10 03"),
    SessionInput.OTHER_ASKED: lambda ecu: ecu.ask("10 02"),
    SessionInput.S3_TIMEOUT: lambda ecu: ecu.run_for(5 * S),
    SessionInput.ECU_RESET: lose_supply,
    SessionInput.TERMINAL_15_OFF: lambda ecu: ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns),
    SessionInput.SLEEP: lambda ecu: ecu.server.power(PowerEvent.SLEEP, ecu.now_ns),
}


@pytest.mark.parametrize(("state", "happens"), [(state, one) for state, inputs in SESSION.items() for one in inputs])
def test_the_session_goes_where_the_table_says_and_takes_along_what_it_says(
    state: InSession, happens: SessionInput
) -> None:
    ecu = Ecu()
    if state is InSession.OTHER:
        ecu.extended().open_level(NUMBER)
        assert ecu.ask("2E F1 99 26 01 01") == "6E F1 99"
        assert ecu.ask("31 01 02 03").startswith("71")
        assert ecu.ask("28 03 01") == "68 03"
        assert ecu.ask("85 02") == "C5 02"
    SESSION_CAUSES[happens](ecu)
    step, left = SESSION[state][happens], ecu.server.state
    assert in_session(left.session) is step.to
    if state is InSession.OTHER:
        assert (left.open_level is None) == (Bound.SECURITY in step.ends)
        assert (not left.written) == (Bound.SEQUENCE in step.ends)
        held = [bool(left.routines), left.communication != 0, not left.dtc_setting]
        assert held == [Bound.CONTROL not in step.ends] * 3


def test_no_input_is_missing() -> None:
    """What a state has no row for cannot happen there: in the default session S3 does not run."""
    assert set(SESSION[InSession.OTHER]) == set(SessionInput)
    assert set(SessionInput) - set(SESSION[InSession.DEFAULT]) == {SessionInput.S3_TIMEOUT, SessionInput.SAME_ASKED}


# ---- a 0x27 level


def put(state: Level) -> Ecu:
    """A unit whose level is in a state."""
    ecu = Ecu().extended()
    if state is Level.SEED_GIVEN:
        ecu.seed(NUMBER)
    elif state is Level.OPEN:
        ecu.open_level(NUMBER)
    elif state is Level.WAITING:
        for _ in range(LEVELS[NUMBER].attempts):
            ecu.seed(NUMBER)
            ecu.ask(wrong_key())
    return ecu


def wrong_key() -> str:
    return "27 04" + " 00" * 8


def right_key(ecu: Ecu) -> str:
    seed = ecu.server.state.seed
    return ecu.key(seed[1] if seed is not None else bytes(8), NUMBER)


def last_wrong_key(ecu: Ecu) -> str:
    ecu.server.memory.attempts[NUMBER].wrong = LEVELS[NUMBER].attempts - 1
    return ecu.ask(wrong_key())


def quiet(act: Callable[[Ecu], object]) -> Act:
    def do(ecu: Ecu) -> str:
        act(ecu)
        return ""

    return do


LEVEL_CAUSES: dict[LevelInput, Act] = {
    LevelInput.SEED_ASKED: lambda ecu: ecu.ask("27 03"),
    LevelInput.RIGHT_KEY: lambda ecu: ecu.ask(right_key(ecu)),
    LevelInput.WRONG_KEY: lambda ecu: ecu.ask(wrong_key()),
    LevelInput.LAST_WRONG_KEY: last_wrong_key,
    LevelInput.DELAY_OVER: quiet(lambda ecu: ecu.run_for(LEVELS[NUMBER].delay_ns)),
    LevelInput.SESSION: quiet(lambda ecu: ecu.ask("10 03")),
    LevelInput.RESET: quiet(lose_supply),
    LevelInput.OTHER_LEVEL_OPENED: quiet(lambda ecu: ecu.open_level(5)),
}


def state_of(ecu: Ecu) -> Level:
    """What the level is like from outside, asked by the tester's own means."""
    if ecu.session == 1:
        ecu.extended()
    held = ecu.server.state.seed
    answer = ecu.ask("27 03")
    if answer == "7F 27 37":
        return Level.WAITING
    seed = bytes.fromhex(answer)[2:]
    if not any(seed):
        return Level.OPEN
    return Level.SEED_GIVEN if held is not None and held == (NUMBER, seed) else Level.LOCKED


@pytest.mark.parametrize(("state", "happens"), [(state, one) for state, inputs in LEVEL.items() for one in inputs])
def test_a_level_goes_where_the_table_says_and_answers_so(state: Level, happens: LevelInput) -> None:
    ecu = put(state)
    before = ecu.server.state.seed
    answer = LEVEL_CAUSES[happens](ecu)
    step = LEVEL[state][happens]
    if step.nrc:
        assert answer == f"7F 27 {step.nrc:02X}"
    elif step.says == "the same seed":
        assert before is not None
        assert bytes.fromhex(answer)[2:] == before[1]
    elif step.says == "a seed of zeros":
        assert answer == "67 03" + " 00" * 8
    elif step.says:
        assert answer.startswith("67")
    assert state_of(ecu) is step.to


def test_the_delay_is_over_at_its_end_and_not_before() -> None:
    ecu = put(Level.WAITING)
    ecu.server.timers.clear()
    for _ in range(2):
        ecu.run_for(LEVELS[NUMBER].delay_ns // 2 - MS)
        assert ecu.extended().ask("27 03") == "7F 27 37"
    ecu.run_for(2 * MS)
    assert ecu.extended().ask("27 03").startswith("67 03")
