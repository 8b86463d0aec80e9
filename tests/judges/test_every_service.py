"""Every service of ISO 14229-1 both ways: scapy and udsoncan read what a unit that offers everything is asked and answers.

The requests are those of the walk past the table of refusals. What it never asks to a good end is asked here by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from acting_unit import CommunicationOptions, acting
from dtc_unit import BOOST, BRAKE, DOOR, DtcUnit
from ecu_bench import Ecu, S
from own_client import asking
from storage_unit import unit as storage_unit
from uds_judges import judge, read_answer
from walk import Probe, Unit, foretell, lengths, situations
from walk_facts import PROBES as SHARED_PROBES
from walk_facts import UNIT, UNITS
from walk_storage import STORAGE_PROBES

from ecu_sim.profile import Access, ServiceRule
from ecu_sim.services import SERVICES
from wire.uds import Service

pytestmark = pytest.mark.judge("scapy and udsoncan")
PROBES = {**SHARED_PROBES, **STORAGE_PROBES}
BY_HAND = {
    0x11: {4, 5},
    0x29: set(range(9)),
    0x31: {2, 3},
    0x86: {7, 9},
}
"""Sub-functions that the walk does not ask to a good end, and the test below or the judges of Authentication do."""

BY_STUBS = (0x29,)
"""Where the walk's lock takes one byte for a whole request and gives one back. Here its refusals count alone."""


def well_formed(probe: Probe) -> bool:
    """Whether a reader that knows the standard must be able to read the request."""
    return probe.known and probe.sid not in BY_STUBS and probe.fails.get("mode known") is not True


def talks(sid: int) -> Iterator[tuple[Probe, bytes, bool, list[bytes]]]:
    """Yield each probe in each situation: with its request, whether that is well formed, and the answers."""
    unit = Unit(UNITS.get(sid, UNIT), guarded=False, slow=False)
    for probe in PROBES[sid]():
        for situation in situations(guarded=False, slow=False):
            if situation.functional:
                continue
            for extra in lengths(probe):
                payload = probe.payload(suppress=False, extra=extra)
                unit.put(probe, situation)
                answers = unit.answers(payload)
                assert (answers[-1][0] == 0x7F) == (foretell(probe, situation, extra).row is not None)
                yield probe, payload, well_formed(probe) and extra == 0, answers


@pytest.mark.parametrize("sid", PROBES, ids=lambda sid: f"{sid:02X} {Service(sid).name}")
def test_both_judges_read_every_request_and_answer(sid: int) -> None:
    seen: set[tuple[bytes, ...]] = set()
    positive: set[int | None] = set()
    known: set[int | None] = set()
    negative = 0
    for probe, payload, good, answers in talks(sid):
        if probe.known:
            known.add(probe.sub)
        if (payload, *answers) in seen:
            continue
        seen.add((payload, *answers))
        if good:
            judge(payload, answers)
        else:
            for answer in answers:
                if answer[0] == 0x7F or sid not in BY_STUBS:
                    read_answer(answer)
        if answers[-1][0] == 0x7F:
            negative += 1
        elif good:
            positive.add(probe.sub)
    assert negative, "a judge must see a refusal, too"
    if sid == 0x31:
        known = {1, 2, 3}
    assert known - positive <= BY_HAND.get(sid, set()), "a sub-function that is never answered positively is not judged"


def test_there_is_no_service_that_no_judge_reads() -> None:
    assert {*PROBES, *BY_HAND} == set(SERVICES) == {service.value for service in Service}


def acting_unit(**changes: object) -> Ecu:
    nodes = CommunicationOptions(subnets=frozenset((1,)), nodes=frozenset((0x0A,)))
    return acting(communication=nodes, power_down_s=15, **changes).extended()


def failing(edition: int) -> Ecu:
    unit = DtcUnit(edition=edition).fails(BOOST, BRAKE, DOOR)
    unit.extended()
    return unit


def slow() -> Ecu:
    services = {
        sid: ServiceRule(access=Access(), work_ns=S // 5) for sid in (0x10, 0x11, 0x22, 0x27, 0x28, 0x31, 0x3E, 0x85)
    }
    return Ecu(services=services)


TALKS: dict[str, tuple[Callable[[], Ecu], str]] = {
    "power-down": (acting_unit, "11 04 | 11 05"),
    "communication": (acting_unit, "28 00 01 | 28 01 11 | 28 03 F3 | 28 04 01 00 0A | 28 05 01 00 0A"),
    "scaling": (acting_unit, "24 10 03 | 24 0B 01 | 24 99 99"),
    "periodic": (acting_unit, "2A 01 01 | 2A 02 01 02 | 2A 03 01 | 2A 04 01 | 2A 04 | 2A 01 F0"),
    "definitions": (
        acting_unit,
        "2C 01 F3 01 F1 90 01 03 10 02 01 02 | 22 F3 01 | 2C 03 F3 01 | 2C 03 | 2C 01 | 2C 02 F3 01 12",
    ),
    "outputs": (
        acting_unit,
        "2F 0B 01 03 40 | 2F 0B 02 03 00 80 | 2F 0B 01 02 | 2F 0B 01 01 | 2F 0B 01 00 | 2F 0B 99 00",
    ),
    "events": (
        acting_unit,
        """86 03 02 10 03 22 10 03 | 86 01 04 08 19 02 08 | 86 08 02 0D | 86 09 02 01 06 FF 19
        | 86 07 02 10 03 02 00 00 00 64 0A 40 18 22 10 03 | 86 05 02 | 86 04 02 | 86 45 02 | 86 40 02 | 86 00 02
        | 86 06 02 | 86 05 02""",
    ),
    "events of 2013": (
        lambda: acting_unit(edition=2013),
        "86 02 02 01 22 10 03 | 86 05 02 | 86 04 02 | 86 00 02 | 86 06 02",
    ),
    "link": (acting_unit, "87 01 11 | 87 02 03 D0 90 | 87 03 | 87 01 FF"),
    "timing of 2013": (
        lambda: acting_unit(edition=2013),
        "83 01 | 83 03 | 83 04 00 C8 03 E8 | 83 03 | 83 02 | 83 04 00 00 00 00 | 83 55 | 83",
    ),
    "routines": (lambda: Ecu().extended(), "31 01 02 03 | 31 03 02 03 | 31 02 02 03 | 31 02 02 03 | 31 01 99 99"),
    "reports of 2013": (
        lambda: failing(2013),
        "19 0F 08 | 19 10 02 99 00 FF | 19 11 FF | 19 12 FF | 19 13 FF | 19 05 01 | 19 16 90",
    ),
    "reports": (
        lambda: failing(2020),
        "19 04 02 99 00 FF | 19 06 02 99 00 FF | 19 03 | 19 14 | 19 07 E0 FF | 19 08 E0 FF",
    ),
    "files": (
        lambda: storage_unit().extended(),
        """38 01 00 04 2F 6C 6F 67 00 01 01 01 | 38 05 00 04 2F 6C 6F 67 | 36 01 | 37
        | 38 03 00 0E 2F 6C 6F 67 2F 74 72 61 63 65 2E 74 78 74 00 01 03 03 | 36 01 41 42 43 | 37""",
    ),
    "slow": (
        slow,
        "10 01 | 22 F1 90 | 31 01 02 04 00 00 | 3E 00 | 28 00 01 | 10 03 | 28 00 01 | 85 02 | 27 03 | 11 01",
    ),
}


@pytest.mark.parametrize("name", TALKS)
def test_both_judges_read_what_the_walk_leaves_out(name: str) -> None:
    make, requests = TALKS[name]
    ask = asking(make())
    for text in requests.split("|"):
        request = bytes.fromhex(text)
        answers = ask(request)
        assert answers, text
        if answers[-1][0] == 0x7F and answers[-1][2] in (0x12, 0x13):
            for answer in answers:
                read_answer(answer)
        else:
            judge(request, answers)
