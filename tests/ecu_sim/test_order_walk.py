"""Every request in every situation: what the unit answers is what the table of refusals says.

Service x sub-function x session x security x grant x condition x addressing x suppress bit x length, for a unit whose services
are free, one whose services are guarded, and one that is so slow that 0x78 goes out before.
"""

import pytest
from walk import ALL_SESSIONS, Probe, Situation, Unit, expected, foretell, lengths, situations
from walk_facts import PROBES as SHARED_PROBES
from walk_facts import UNIT, UNITS, unknown_services
from walk_storage import STORAGE_PROBES

from ecu_sim.order import ORDER
from ecu_sim.services import SERVICES

PROBES = {**SHARED_PROBES, **STORAGE_PROBES}
FIRST_SURPRISES = 5
NEVER_FIRST = {"service known", "answer fits"}
"""Rows that other tests reach: an unknown service, and an answer that is too long."""


class Walk:
    """One walk past one kind of unit: what surprised, and which rows refused."""

    def __init__(self, probes: list[Probe], *, guarded: bool = False, slow: bool = False) -> None:
        self.unit = Unit(UNITS.get(probes[0].sid, UNIT), guarded=guarded, slow=slow)
        self.surprises: list[str] = []
        self.refused: set[str] = set()
        self.steps = 0
        for probe in probes:
            for situation in situations(guarded=guarded, slow=slow):
                for extra in lengths(probe):
                    self._pass(probe, situation, extra)

    def _pass(self, probe: Probe, situation: Situation, extra: int) -> None:
        foretold = foretell(probe, situation, extra)
        row = foretold.row.check if foretold.row else "served"
        self.refused.add(row)
        for suppress in (False, True) if probe.sub is not None else (False,):
            payload = probe.payload(suppress=suppress, extra=extra)
            self.unit.put(probe, situation)
            heard = self.unit.ask(payload, functional=situation.functional)
            want = expected(probe, situation, suppress=suppress and len(payload) > 1, foretold=foretold)
            if payload == b"\x3e\x80" and not situation.guarded:
                want = []  # however slow the unit is: it has nothing to find out
            self.steps += 1
            if heard != want and len(self.surprises) < FIRST_SURPRISES:
                self.surprises.append(f"{payload.hex(' ')} {situation}: {row}: want {want}, heard {heard}")


@pytest.mark.parametrize("sid", PROBES, ids="{:02X}".format)
def test_a_unit_refuses_as_the_table_says_whether_its_services_are_free_or_guarded(sid: int) -> None:
    probes = list(PROBES[sid]())
    free, guarded = Walk(probes), Walk(probes, guarded=True)
    assert not free.surprises + guarded.surprises, "\n".join(free.surprises + guarded.surprises)
    never = {row.check for row in ORDER[sid]} - free.refused - guarded.refused - NEVER_FIRST
    if all(probe.sessions == ALL_SESSIONS for probe in probes):
        never.discard("service in session")
    if all(probe.sub_sessions == ALL_SESSIONS for probe in probes):
        never.discard("sub-function in session")
    assert not never, "a row at which no request fails is not tested"


@pytest.mark.parametrize("sid", PROBES, ids="{:02X}".format)
def test_a_slow_unit_says_0x78_before_what_it_finds_and_then_hides_nothing(sid: int) -> None:
    walk = Walk(list(PROBES[sid]()), slow=True)
    assert not walk.surprises, "\n".join(walk.surprises)


def test_a_service_that_a_unit_has_not_is_unknown_in_every_situation() -> None:
    probes = list(unknown_services())
    for guarded in (False, True):
        walk = Walk(probes, guarded=guarded)
        assert not walk.surprises, "\n".join(walk.surprises)
        assert walk.refused == {"service known"}


def test_every_service_has_a_ladder_and_every_row_a_check_and_a_source() -> None:
    assert set(ORDER) == set(SERVICES) == set(PROBES)
    for rows in ORDER.values():
        names = [row.check for row in rows]
        assert len(names) == len(set(names))
        assert all(row.source for row in rows)
