"""State diagrams in Mermaid, made from the tables that the code runs on or is walked against. For `tools/reference.py`.

Edges between the same two states are one arrow with a label of several lines. What leads from a state into itself is not drawn,
and of several NRCs none, because both hide the way: they stand in the table below, which is whole.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ecu_sim.machines import LEVEL, SESSION, Bound, Level, LevelInput
from ecu_sim.unlock.gate import Fate, GateEvent
from ecu_sim.unlock.ways import SCHEMES, At, Scheme
from sgw_sim.arming import TRANSITIONS, ArmingState


@dataclass(frozen=True, slots=True)
class Edge:
    """One way. `nrcs`: one of them is answered; `says`: what a positive answer holds."""

    start: StrEnum
    end: StrEnum
    by: str
    nrcs: Collection[int] = ()
    says: str = ""

    @property
    def label(self) -> str:
        """One line of an arrow's label."""
        answer = ranges(self.nrcs) if len(self.nrcs) == 1 else self.says
        return f"{self.by} ({answer})" if answer else self.by


Names = Mapping[str, str]
"""Each state's own name, the first first, and the words for it."""

LABEL_WIDTH = 24
"""Characters: what Mermaid's own 200 pixels hold."""
TESTERS_EVENTS = frozenset((GateEvent.LOCK_COMMAND, GateEvent.DE_AUTHENTICATE))
"""Events that are something the tester does: they stand among the ways."""

OF_A_GRANT = frozenset((GateEvent.EXPIRY, GateEvent.REVOKED))
GRANTED = frozenset((At.OPEN, At.OPEN_ASKED))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def diagram(names: Names, edges: Iterable[Edge]) -> str:
    """Return a fenced Mermaid diagram. States and arrows come in the states' order: Mermaid lays them out by it."""
    merged: dict[tuple[str, str], list[str]] = {}
    for edge in edges:
        if edge.start is not edge.end:
            merged.setdefault((edge.start.name, edge.end.name), []).append(edge.label)
    order = list(names)
    arrows = sorted(merged.items(), key=lambda arrow: [order.index(name) for name in arrow[0]])
    body = [f'state "{words}" as {_ident(name)}' for name, words in names.items()]
    body.append(f"[*] --> {_ident(next(iter(names)))}")
    body += [f"{_ident(start)} --> {_ident(end)}: {_label(lines)}" for (start, end), lines in arrows]
    return "```mermaid\nstateDiagram-v2\n    direction LR\n" + "".join(f"    {line}\n" for line in body) + "```\n"


def _ident(name: str) -> str:
    """Return a state's identifier. Bare, `DEFAULT` would be a word of Mermaid's own."""
    return f"in_{name.lower()}"


def _label(lines: Sequence[str]) -> str:
    """Return an arrow's label, broken here: Mermaid keeps room for a line as long as it is written, then breaks it itself."""
    mark = "· " if len(lines) > 1 else ""
    return "<br/>".join(piece for line in lines for piece in textwrap.wrap(mark + line, LABEL_WIDTH))


def matrix(names: Names, edges: Iterable[Edge]) -> str:
    """Return every way as a table: what happens x where it happens."""
    cells: dict[str, dict[str, str]] = {}
    for edge in edges:
        to = "stays" if edge.start is edge.end else f"→ {names[edge.end.name]}"
        cells.setdefault(edge.by, {})[edge.start.name] = ", ".join(filter(None, (to, ranges(edge.nrcs), edge.says)))
    rows = ((by, *(row.get(name, "") for name in names)) for by, row in cells.items())
    return table(("what happens", *names.values()), rows)


def ranges(nrcs: Iterable[int]) -> str:
    """Return NRCs as one writes them: 0x24, 0x50 to 0x53."""
    runs: list[list[int]] = []
    for nrc in sorted(nrcs):
        if runs and nrc == runs[-1][-1] + 1:
            runs[-1].append(nrc)
        else:
            runs.append([nrc])
    texts = (
        [f"0x{nrc:02X}" for nrc in run] if len(run) < 3 else [f"0x{run[0]:02X} to 0x{run[-1]:02X}"] for run in runs
    )
    return ", ".join(part for run in texts for part in run)


# ---- the machines


def session() -> str:
    """Return the session's diagram, and what ends on each way."""
    names = {state.name: state.value for state in SESSION}
    edges = [Edge(state, step.to, happens.value) for state, row in SESSION.items() for happens, step in row.items()]
    ended: dict[tuple[str, str, frozenset[Bound]], list[str]] = {}
    for state, row in SESSION.items():
        for happens, step in row.items():
            ended.setdefault((state.value, step.to.value, step.ends), []).append(happens.value)
    rows = (
        (start, end, "<br>".join(lines), "<br>".join(bound.value for bound in Bound if bound in ends))
        for (start, end, ends), lines in ended.items()
    )
    return diagram(names, edges) + "\n" + table(("from", "to", "by", "what ends"), rows)


def level() -> str:
    """Return the machine of a 0x27 level, with what is answered."""
    names = {state.name: state.value for state in Level}
    edges = [
        Edge(
            state,
            step.to,
            happens.value,
            (step.nrc,) if step.nrc else (),
            "" if step.says == step.to.value else step.says,
        )
        for happens in LevelInput
        for state, row in LEVEL.items()
        if (step := row.get(happens)) is not None
    ]
    return diagram(names, edges) + "\n" + matrix(names, edges)


def grant(scheme: Scheme) -> str:
    """Return the machine of a scheme's lock, and which events keep a grant."""
    names = {at.name: _words(scheme, at) for at in At if at in scheme.ways}
    edges = [
        Edge(at, way.to, words, way.nrcs)
        for does, words in scheme.words.items()
        for at, row in scheme.ways.items()
        if (way := row.get(does)) is not None
    ]
    happens = [event for event in GateEvent if event not in scheme.never | TESTERS_EVENTS]
    edges += [
        Edge(at, scheme.after(at, event), event.value)
        for event in happens
        for at in scheme.ways
        if (at in GRANTED and scheme.fates) or (at not in GRANTED and event not in OF_A_GRANT)
    ]
    return diagram(names, edges) + "\n" + matrix(names, edges) + "\n" + _fates(scheme, happens)


def _words(scheme: Scheme, at: At) -> str:
    return {At.ASKED: scheme.asked, At.OPEN_ASKED: f"open, {scheme.asked} again"}.get(at, at.value)


def _fates(scheme: Scheme, happens: Sequence[GateEvent]) -> str:
    """Return what keeps a grant, and what the scheme does not know."""
    kept = ", ".join(event.value for event in happens if scheme.fates.get(event) is Fate.KEPT)
    unknown = ", ".join(event.value for event in GateEvent if event in scheme.never)
    keeps = f"A grant outlives: {kept}." if kept else "No grant is left that could outlive anything."
    return f"{keeps} Not known here: {unknown}.\n"


def arming() -> str:
    """Return the diagram of J533's filter."""
    names = {state.name: state.value for state in ArmingState}
    return diagram(names, [Edge(state, after, event.value) for (state, event), after in TRANSITIONS.items()])


def _grant_of(scheme: Scheme) -> Callable[[], str]:
    return lambda: grant(scheme)


DIAGRAMS: dict[str, Callable[[], str]] = {
    "machine-session": session,
    "machine-level": level,
    **{f"machine-{name}": _grant_of(scheme) for name, scheme in SCHEMES.items()},
    "machine-arming": arming,
}
