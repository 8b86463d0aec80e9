"""Every row of every scheme's table of ways, walked against the real lock: put there, done, and looked at from outside."""

from __future__ import annotations

import pytest
from lock_rigs import RIGS, SfdRig
from unlock_forge import MINUTE, S

from ecu_sim.unlock.gate import Fate, GateEvent
from ecu_sim.unlock.ways import SCHEMES, At, Does

ROWS = [
    pytest.param(name, at, does, number, id=f"{name}: {at}: {does}, {number}")
    for name, scheme in SCHEMES.items()
    for at, row in scheme.ways.items()
    for does in row
    for number in range(len(RIGS[name]().acts()[does]))
]
STATES = [(name, at) for name, scheme in SCHEMES.items() for at in scheme.ways]


@pytest.mark.parametrize(("name", "at", "does", "number"), ROWS)
def test_a_lock_goes_where_the_table_says_and_answers_so(name: str, at: At, does: Does, number: int) -> None:
    rig = RIGS[name]()
    rig.put(at)
    answer = rig.acts()[does][number]()
    way = SCHEMES[name].ways[at][does]
    assert answer in (way.nrcs or {0}), f"{answer:02X}"
    assert rig.at() is way.to


@pytest.mark.parametrize(("name", "at"), [(name, at) for name, at in STATES if (name, at) != ("sfd2", At.OPEN)])
def test_a_lock_is_where_the_rig_put_it(name: str, at: At) -> None:
    """Or each row would be walked from somewhere else."""
    rig = RIGS[name]()
    rig.put(at)
    assert rig.at() is at


@pytest.mark.parametrize("event", list(GateEvent))
@pytest.mark.parametrize(("name", "at"), [(name, at) for name, at in STATES if (name, at) != ("sfd2", At.OPEN)])
def test_an_event_leads_where_fates_and_voids_say(name: str, at: At, event: GateEvent) -> None:
    rig, scheme = RIGS[name](), SCHEMES[name]
    rig.put(at)
    rig.gate.handle_event(event, rig.now_ns)
    if event in (GateEvent.SLEEP, GateEvent.ECU_RESET):
        rig.gate.wake(rig.now_ns)
    assert rig.at() is scheme.after(at, event)


def test_no_row_is_missing() -> None:
    """Each state knows everything that may be done, but for what cannot be late or over there."""
    somewhere = {Does.IS_LATE, Does.SITS_DELAY_OUT, Does.PROVES_WRONG_AT_LAST, Does.IS_SERVED}
    for name, scheme in SCHEMES.items():
        everywhere = set(scheme.words) - somewhere
        for at, row in scheme.ways.items():
            if (name, at) == ("sfd2", At.OPEN):
                assert set(row) == {Does.IS_SERVED}
                continue
            assert everywhere <= set(row), f"{name}: {at}"
            assert (Does.IS_LATE in row) == (at in (At.ASKED, At.OPEN_ASKED)), f"{name}: {at}"
            assert (Does.SITS_DELAY_OUT in row) == (at is At.DELAY), f"{name}: {at}"
        assert {does for row in scheme.ways.values() for does in row} == set(scheme.words)
        assert {way.to for row in scheme.ways.values() for way in row.values()} <= set(scheme.ways)


def test_no_refusal_opens_and_no_lock_opens_but_by_what_fits_what_it_asked() -> None:
    for name, scheme in SCHEMES.items():
        for at, row in scheme.ways.items():
            for does, way in row.items():
                if at in (At.OPEN, At.OPEN_ASKED) or way.to not in (At.OPEN, At.OPEN_ASKED):
                    continue
                assert (at, does, way.nrcs) == (At.ASKED, Does.PROVES, frozenset()), name


def test_events_that_a_scheme_does_not_know_end_nothing() -> None:
    for scheme in SCHEMES.values():
        assert all(scheme.fates[event] is Fate.KEPT for event in scheme.never if scheme.fates)


def test_a_grant_of_sfd_still_runs_out_while_another_request_waits() -> None:
    rig = SfdRig()
    rig.put(At.OPEN)
    rig.unit.wait(90 * MINUTE - S)
    rig.ask()
    rig.unit.wait(S)
    assert rig.at() is At.ASKED
