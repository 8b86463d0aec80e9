"""Holds the table of OWASP ASVS 4.0.3 (V*.yaml beside this file) against the standard's numbers and the tests that it names."""

from __future__ import annotations

from collections import Counter as Tally

import pytest
from asvs_table import CHAPTERS, FOLDER, Requirement, numbers, requirements, test_exists


def test_every_number_of_levels_1_and_2_is_there_once_and_no_other() -> None:
    assert [each.number for each in requirements()] == list(numbers())
    in_files = Tally(
        line.split(":")[0]
        for path in FOLDER.glob("V*.yaml")
        for line in path.read_text().splitlines()
        if line[:1].isdigit()
    )
    assert set(in_files.values()) == {1}
    assert {int(each.number.split(".")[0]) for each in requirements()} == set(CHAPTERS)


@pytest.mark.parametrize("requirement", requirements(), ids=lambda each: each.number)
def test_a_requirement_is_shown_by_tests_that_exist_or_explained(requirement: Requirement) -> None:
    assert requirement.asks
    assert requirement.shown or requirement.explained
    assert [node for node in requirement.shown if not test_exists(node)] == []
    assert not requirement.explained or requirement.explained.endswith(".")


def test_a_name_that_is_no_test_is_seen() -> None:
    assert not test_exists("test_login.py::test_nobody_wrote_this")
    assert not test_exists("test_nothing.py::test_a_session_lasts_an_hour")
    assert test_exists("test_login.py::test_a_session_lasts_an_hour")
