"""docs/uds.md against the code: every service, sub-function, question and key has a place there, and what it says is so."""

import random
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from ecu_sim.order import ORDER
from ecu_sim.profile_file import load_profile
from ecu_sim.server import UdsServer
from ecu_sim.services import SERVICES
from ecu_sim.vehicle_state import VehicleState
from wire.entropy import SeededEntropy
from wire.strict_yaml import Node
from wire.uds import Service

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from uds_reference import EDITIONS, SEVERAL, nrcs, offered  # noqa: E402

TEXT = (ROOT / "docs/uds.md").read_text()
ASKED, SUB_FUNCTION, KEY = "asked", "sub-function", "key"
MINIMAL = """
title: a unit
address: 1
request_id: 0x7E0
response_id: 0x7E8
functional_ids: [0x7DF]
sessions: [1, 2, 3]
services: {10: , 11: , 14: , 19: , 22: , 23: , 24: , 28: , 2E: , 31: , 3D: , 3E: , 85: }
dids: {F190: {text: WVWZZZCDZSW000001}}
"""
ELSEWHERE = ("gate.", "flash.boot_loader.")
"""Keys of the lock (docs/unlock.md), and a boot loader's sections, which are those of a unit."""
NAMED_IN = re.compile(r"\b(NN|NAME|WHO)\b")


@cache
def sections() -> dict[int, str]:
    parts = re.split(r"^### ([0-9A-F]{2}) (\w+)$", TEXT, flags=re.MULTILINE)[1:]
    numbers = [int(number, 16) for number in parts[::3]]
    assert len(set(numbers)) == len(numbers), "a service stands here twice"
    assert [Service(number).name for number in numbers] == parts[1::3]
    return {number: text.split("\n## ")[0] for number, text in zip(numbers, parts[2::3], strict=True)}


def tables(text: str, head: str) -> Iterator[list[str]]:
    """Yield the rows of every table whose first column has this head."""
    for found in re.finditer(rf"^\| {head} \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", text, re.MULTILINE):
        for line in found[1].splitlines():
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def shared() -> str:
    return TEXT.split("### Questions that many services ask")[1].split("\n### ")[0]


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def named_keys() -> list[str]:
    keys = []
    for row in tables(TEXT, KEY):
        parent = ""
        for name in re.findall(r"`([^`]+)`", row[0]):
            keys.append(parent + name if name.startswith(".") else name)
            parent = parent if name.startswith(".") else name.rpartition(".")[0]
    return keys


def pattern(key: str) -> re.Pattern[str]:
    escaped = re.escape(key).replace(re.escape("[]"), r"\[\d+\]")
    return re.compile(NAMED_IN.sub(".+", escaped))


def with_parents(key: str) -> Iterator[str]:
    """A section has its place where something in it has."""
    parts = key.split(".")
    yield from (".".join(parts[:end]).removesuffix("[]") for end in range(1, len(parts)))
    yield key


def known_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Load every example as a change to a small unit; return all keys that the readers would have taken, with their places."""
    seen: set[str] = set()
    plain = Node.mapping

    def mapping(self: Node, allowed: Sequence[str] | None = None) -> dict[str, Node]:
        seen.update(f"{self.key}.{key}" if self.key else key for key in allowed or ())
        return plain(self, allowed)

    monkeypatch.setattr(Node, "mapping", mapping)
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    for number, text in enumerate(examples()):
        path = tmp_path / f"example-{number}.yaml"
        path.write_text(f"extends: minimal\n{text}")
        load_profile(path.name, tmp_path)
    return seen


def test_every_service_has_a_section_and_every_section_a_service() -> None:
    assert sections().keys() == SERVICES.keys() == ORDER.keys()


@pytest.mark.parametrize("sid", sorted(SERVICES), ids="{:02X}".format)
def test_every_sub_function_that_a_full_unit_offers_has_its_place(sid: int) -> None:
    rows = list(tables(sections()[sid], SUB_FUNCTION))
    named = [int(number, 16) for row in rows for number in re.findall(r"`([0-9A-F]{2})`", row[0])]
    wanted = frozenset().union(*(offered(sid, edition) for edition in EDITIONS))
    assert set(named) == wanted
    assert len(named) == len(set(named))


@pytest.mark.parametrize("sid", sorted(SERVICES), ids="{:02X}".format)
def test_every_question_has_its_place_with_its_answer_and_how_to_make_it_fail(sid: int) -> None:
    own = {row[0]: row for row in tables(sections()[sid], ASKED)}
    usual = {row[0]: row for row in tables(shared(), ASKED)}
    assert own.keys() <= {row.check for row in ORDER[sid]}, "no such question"
    for row in ORDER[sid]:
        place = own.get(row.check) or usual.get(row.check)
        assert place is not None, row.check
        assert place[1] == (SEVERAL[row.check][0] if row.nrc is None else f"{row.nrc:02X}"), row.check
        assert len(place) == 3, row.check
        assert place[2], row.check


def test_a_shared_question_is_one_that_some_service_asks() -> None:
    assert {row[0] for row in tables(shared(), ASKED)} <= {row.check for rows in ORDER.values() for row in rows}


def test_every_example_loads_and_every_key_on_the_page_is_one_that_the_readers_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = known_keys(tmp_path, monkeypatch)
    wrong = [key for key in named_keys() if not any(pattern(key).fullmatch(there) for there in known)]
    assert not wrong


def test_every_key_that_the_readers_know_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = [pattern(key) for name in named_keys() for key in with_parents(name)]
    missing = [
        key
        for key in sorted(known_keys(tmp_path, monkeypatch))
        if not key.startswith(ELSEWHERE) and not any(wanted.fullmatch(key) for wanted in patterns)
    ]
    assert not missing


COMPLETE = re.compile(r"`([0-9A-F]{2}(?: [0-9A-F]{2})*)`")


def unit_of(sid: int, tmp_path: Path) -> UdsServer:
    """A unit as the section's own example has it, in the extended session."""
    (tmp_path / "minimal.yaml").write_text(MINIMAL)
    text = "".join(re.findall(r"^```yaml\n(.*?)^```$", sections()[sid], re.MULTILINE | re.DOTALL))
    (tmp_path / "unit.yaml").write_text(f"extends: minimal\n{text}")
    profile = load_profile("unit.yaml", tmp_path)
    server = UdsServer(profile, entropy=SeededEntropy(random.Random(1)), vehicle=VehicleState())
    server.receive(b"\x10\x03", False, 0)
    return server


REQUESTS = [
    (sid, row[0], request)
    for sid in sorted(SERVICES)
    for row in tables(sections()[sid], ASKED)
    for request in COMPLETE.findall(row[2])
]


@pytest.mark.parametrize(("sid", "question", "request_text"), REQUESTS, ids=str)
def test_a_request_that_stands_whole_on_the_page_fails_at_its_question(
    sid: int, question: str, request_text: str, tmp_path: Path
) -> None:
    server = unit_of(sid, tmp_path)
    server.receive(bytes.fromhex(request_text), False, 0)
    assert f": {question}: " in server.log[-1].text, server.log[-1].text


def test_rows_without_a_code_of_their_own_are_all_explained() -> None:
    open_rows = {row.check for rows in ORDER.values() for row in rows if row.nrc is None}
    assert open_rows == SEVERAL.keys()


def test_the_codes_of_a_service_are_those_of_its_questions() -> None:
    assert nrcs(0x3E) == {0x11, 0x12, 0x13, 0x33, 0x34, 0x7E, 0x7F}
    assert {0x35, 0x36, 0x37, 0x24} <= nrcs(0x27)
