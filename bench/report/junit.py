"""JUnit XML as CI servers read it: one test case a scenario, with its steps as text. Holds no secret: steps and outcomes only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from bench.runner import Run
from scenarios.play import Status

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def check_writable(path: Path) -> None:
    """Raise `OSError` now for what could not be written after a long run; an older report is taken away.

    What is no plain file (a pipe, a device, a link) stays where it is and is written to as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8"):
        pass
    if path.is_file() and not path.is_symlink():
        path.unlink()


def write_junit(runs: Sequence[Run], path: Path) -> None:
    """Write the runs to `path`. Raises `OSError` where that cannot be written."""
    failed = sum(run.played.status is Status.FAILED for run in runs)
    skipped = sum(run.played.status is Status.SKIPPED for run in runs)
    total_s = sum(run.wall_s for run in runs)
    counts = {"tests": str(len(runs)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    root = Element("testsuites", counts | {"time": f"{total_s:.3f}"})
    suite = SubElement(root, "testsuite", counts | {"name": "sgw-bench", "time": f"{total_s:.3f}"})
    turns = Counter(run.played.scenario.path for run in runs)
    for run in runs:
        _case(suite, run, repeated=turns[run.played.scenario.path] > 1)
    indent(root)
    check_writable(path)
    target = path if path.exists() else path.with_name(f".{path.name}.part")  # a report is there whole or not at all
    with target.open("wb") as out:
        ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    if target != path:
        target.replace(path)


def _case(suite: Element, run: Run, *, repeated: bool) -> None:
    played = run.played
    case = SubElement(
        suite,
        "testcase",
        {
            "classname": f"sgw-bench.{played.scenario.vehicle}",
            "name": f"{played.scenario.name}[{run.seed}]" if repeated else played.scenario.name,
            "time": f"{run.wall_s:.3f}",
        },
    )
    properties = SubElement(case, "properties")
    for name, value in (("seed", str(run.seed)), ("digest", run.digest), ("replay", run.replay), *_seen(run)):
        SubElement(properties, "property", {"name": name, "value": value})
    if played.status is Status.FAILED:
        failure = SubElement(case, "failure", {"message": _clean(played.reason), "type": "expectation"})
        failure.text = _clean("\n".join([played.reason, *played.violations, f"replay: {run.replay}"]))
    elif played.status is Status.SKIPPED:
        SubElement(case, "skipped", {"message": _clean(played.reason)})
    out = SubElement(case, "system-out")
    out.text = _clean("\n".join(f"{r.status.value:7} {r.step.label}: {r.came}" for r in played.steps))


def _seen(run: Run) -> list[tuple[str, str]]:
    seen = [("witnessed", str(run.witnessed)), *(("blind spot", spot) for spot in run.blind_spots)]
    if run.bench is not None:
        seen += [
            ("bench", run.bench),
            ("late deadlines", str(run.overruns)),
            *(("adapter", each) for each in run.notices),
        ]
    return seen


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
