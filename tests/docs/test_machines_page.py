"""The page of state machines, read back: every way of the tables is drawn, none is invented, and Mermaid can read it."""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from ecu_sim.machines import LEVEL, SESSION
from ecu_sim.unlock.gate import GateEvent
from ecu_sim.unlock.ways import SCHEMES, At
from sgw_sim.arming import TRANSITIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "machines.md"
SECTION = re.compile(r"<!-- made from the code: machine-([a-z0-9-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
FENCE = re.compile(r"^```mermaid\nstateDiagram-v2\n    direction LR\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STATE = re.compile(r' {4}state "([^"]+)" as (in_[a-z_]+)')
ARROW = re.compile(r" {4}(in_[a-z_]+|\[\*\]) --> (in_[a-z_]+)(?:: (.+))?")
PLAIN = re.compile(r"(?:<br/>|[\w .,()·-])+")
"""What a label may hold: a colon, a semicolon, a hash or a brace would be Mermaid's own."""

Moves = set[tuple[str, str]]


@cache
def sections() -> dict[str, str]:
    return {found[1]: found[2] for found in SECTION.finditer(PAGE.read_text())}


def lines(name: str) -> list[str]:
    found = FENCE.search(sections()[name])
    assert found is not None, f"{name} has no diagram"
    return found[1].splitlines()


def moves(pairs: Iterable[tuple[StrEnum, StrEnum]]) -> Moves:
    return {(f"in_{start.name.lower()}", f"in_{end.name.lower()}") for start, end in pairs if start is not end}


def tables() -> dict[str, Moves]:
    found = {
        "session": moves((state, step.to) for state, row in SESSION.items() for step in row.values()),
        "level": moves((state, step.to) for state, row in LEVEL.items() for step in row.values()),
        "arming": moves((state, after) for (state, _), after in TRANSITIONS.items()),
    }
    for name, scheme in SCHEMES.items():
        done = [(at, way.to) for at, row in scheme.ways.items() for way in row.values()]
        for at in scheme.ways:
            if at is not At.OPEN or scheme.fates:
                done += [(at, scheme.after(at, event)) for event in GateEvent]
        found[name] = moves(done)
    return found


def test_each_machine_is_on_the_page() -> None:
    assert set(sections()) == set(tables())


@pytest.mark.parametrize("name", tables())
def test_what_is_drawn_is_what_the_table_says(name: str) -> None:
    arrows = [found for line in lines(name) if (found := ARROW.fullmatch(line))]
    drawn = [(arrow[1], arrow[2]) for arrow in arrows if arrow[1] != "[*]"]
    assert len(drawn) == len(set(drawn)), "two arrows between the same states"
    assert set(drawn) == tables()[name]


@pytest.mark.parametrize("name", tables())
def test_mermaid_can_read_it(name: str) -> None:
    """Every line is a state, or an arrow between declared states whose label has no sign of Mermaid's own."""
    declared, begins = set(), 0
    for line in lines(name):
        if state := STATE.fullmatch(line):
            declared.add(state[2])
            continue
        arrow = ARROW.fullmatch(line)
        assert arrow is not None, line
        assert {arrow[1], arrow[2]} - {"[*]"} <= declared, line
        begins += arrow[1] == "[*]"
        assert arrow[3] is None or PLAIN.fullmatch(arrow[3]), line
    assert begins == 1


@pytest.mark.parametrize("name", SCHEMES)
def test_the_table_below_names_every_way_of_the_scheme(name: str) -> None:
    scheme, text = SCHEMES[name], sections()[name]
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in text.splitlines() if row.startswith("| ")}
    for at, way_row in scheme.ways.items():
        column = [state for state in At if state in scheme.ways].index(at) + 1
        for does, way in way_row.items():
            cell = rows[scheme.words[does]].split("|")[column + 1].strip()
            assert cell.startswith("stays" if way.to is at else "→ "), (at, does, cell)
            assert bool(way.nrcs) == ("0x" in cell), (at, does, cell)
