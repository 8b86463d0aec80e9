"""The requirements of OWASP ASVS 4.0.3, levels 1 and 2, as `tests/portal_sim/asvs/V*.yaml` goes through them.

Numbers and levels are the standard's; its words are not here: each file says in ours what a number asks for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

TESTS = Path(__file__).resolve().parents[1] / "portal_sim"
FOLDER = TESTS / "asvs"
CHAPTERS = {
    2: "Authentication",
    3: "Sessions",
    4: "Access control",
    5: "Validation and encoding",
    6: "Cryptography at rest",
    7: "Errors and logging",
    8: "Data protection",
    9: "Communication",
    11: "Business logic",
    12: "Files",
    13: "APIs",
    14: "Configuration",
}
NUMBERED = (
    "2.1.1-12 2.2.1-3 2.3.1-3 2.4.1-6 2.5.1-7 2.6.1-3 2.7.1-6 2.8.1-7 2.9.1-3 2.10.1-4 "
    "3.1.1 3.2.1-4 3.3.1-4 3.4.1-5 3.5.1-3 3.7.1 "
    "4.1.1-3 4.1.5 4.2.1-2 4.3.1-3 "
    "5.1.1-5 5.2.1-8 5.3.1-10 5.4.1-3 5.5.1-4 "
    "6.1.1-3 6.2.1-6 6.3.1-2 6.4.1-2 "
    "7.1.1-4 7.2.1-2 7.3.1 7.3.3-4 7.4.1-3 "
    "8.1.1-4 8.2.1-3 8.3.1-8 "
    "9.1.1-3 9.2.1-4 "
    "11.1.1-8 "
    "12.1.1-3 12.2.1 12.3.1-6 12.4.1-2 12.5.1-2 12.6.1 "
    "13.1.1 13.1.3-5 13.2.1-3 13.2.5-6 13.3.1-2 13.4.1-2 "
    "14.1.1-4 14.2.1-6 14.3.2-3 14.4.1-7 14.5.1-4"
)
"""Every requirement of levels 1 and 2 in these chapters; what is missing between is deleted or of level 3 alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What one number asks for in our words, the tests that show it, and why something else is true where it is."""

    number: str
    asks: str
    shown: tuple[str, ...] = ()
    explained: str = ""


def numbers() -> Iterator[str]:
    """Yield each number of `NUMBERED`."""
    for part in NUMBERED.split():
        head, _, last = part.rpartition(".")
        first, _, end = last.partition("-")
        for each in range(int(first), int(end or first) + 1):
            yield f"{head}.{each}"


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return all requirements, in the standard's order."""
    found = []
    for path in FOLDER.glob("V*.yaml"):
        for number, row in yaml.safe_load(path.read_text()).items():
            found.append(Requirement(number=number, **{**row, "shown": tuple(row.get("shown", ()))}))
    return tuple(sorted(found, key=lambda each: [int(part) for part in each.number.split(".")]))


def test_exists(node: str) -> bool:
    """Return whether a test stands where `node` says: a path below tests/portal_sim, and the name of a function in it."""
    path, _, name = node.partition("::")
    return name.startswith("test_") and name in _functions((TESTS / path).resolve())


test_exists.__test__ = False  # type: ignore[attr-defined]


@cache
def _functions(path: Path) -> frozenset[str]:
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text())
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
