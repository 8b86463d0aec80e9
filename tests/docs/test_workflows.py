"""What the GitHub workflows, `.ci/run` and `make test-vcan` name exists: targets, files, commands, options, scenarios, marks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
import yaml

from bench.cli import app
from scenarios.library import find

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = (".github/workflows/ci.yml", "docs/github-workflow.yml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
FOREIGN = {"apt-get", "echo"}
"""Commands of the runner's own."""


def workflow(file: str) -> dict[object, object]:
    read = yaml.safe_load((ROOT / file).read_text())
    assert isinstance(read, dict)
    return read


def jobs(file: str) -> dict[str, dict[str, object]]:
    found = workflow(file)["jobs"]
    assert isinstance(found, dict)
    return found


def steps(file: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for job in jobs(file).values():
        of_job = job["steps"]
        assert isinstance(of_job, list)
        found += of_job
    return found


def calls() -> Iterator[tuple[str, list[str]]]:
    """Each command of the workflows, as words."""
    for file in WORKFLOWS:
        for step in steps(file):
            for line in str(step.get("run", "")).splitlines():
                for part in re.split(r"&&|\|\|", line):
                    yield file, shlex.split(part)


@cache
def pytest_options() -> frozenset[str]:
    """All that pytest and the plugins of this project's environment take."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return frozenset(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", done.stdout))


def options_of(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if word.startswith("-")]


def check_make(words: list[str]) -> None:
    for target in words:
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"no target {target}"


def check_sgw_bench(words: list[str]) -> None:
    name, *rest = words
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]
    takes_value = {
        option: not parameter.is_flag
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    }
    scenarios, skip = [], False
    for word in rest:
        if word.startswith("-"):
            assert word in takes_value, f"sgw-bench {name} has no option {word}"
            skip = takes_value[word]
        elif skip:
            skip = False
        else:
            scenarios.append(word)
    assert find(scenarios)


def check_with_vcan(words: list[str]) -> None:
    at = words.index("--")
    done = subprocess.run([ROOT / "tools/with-vcan", "--help"], capture_output=True, text=True, check=True)
    for option in options_of(words[:at]):
        assert option in done.stdout
    check(words[at + 1 :])


def check_python(words: list[str]) -> None:
    assert words[0] == "-m", words
    if words[1] == "pip":
        for extras in re.findall(r"^\.\[(.+)\]$", "\n".join(words), re.MULTILINE):
            assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
        return
    assert words[1] == "pytest"
    for option in options_of(words[2:]):
        assert option in pytest_options(), option
    for path in [word for word in words[2:] if word.startswith("tests")]:
        assert (ROOT / path).is_dir(), path
    if "-m" in words[2:]:
        known = {mark.split(":")[0] for mark in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
        expression = words[words.index("-m", 2) + 1]
        assert set(re.findall(r"\w+", expression)) - {"and", "or", "not"} <= known


def check_script(file: str) -> Callable[[list[str]], None]:
    def check_it(_: list[str]) -> None:
        assert os.access(ROOT / file, os.X_OK), file

    return check_it


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "sgw-bench": check_sgw_bench,
    "tools/with-vcan": check_with_vcan,
    "python": check_python,
    ".ci/run": check_script(".ci/run"),
}


def check(words: list[str]) -> None:
    if words[0] == "sudo":
        words = words[1:]
    if words[0] not in FOREIGN:
        assert words[0] in CHECKS, f"{words[0]}: who is that?"
        CHECKS[words[0]](words[1:])


@pytest.mark.slow
def test_every_command_of_the_workflows_exists_with_its_options() -> None:
    for file, words in calls():
        try:
            check(words)
        except (AssertionError, KeyError) as error:
            pytest.fail(f"{file}: {shlex.join(words)}: {error!r}")


def test_the_workflows_say_what_they_are_expected_to() -> None:
    ours, users = (
        ["\n".join(str(step.get("run", "")) for step in steps(file)) for file in WORKFLOWS][number] for number in (0, 1)
    )
    assert ".ci/run" in ours
    assert "python -m pip install -e .[test]" in ours
    assert "sgw-bench run vag-chain-happy" in ours
    assert "tools/with-vcan -- python -m pytest" in users
    assert "--junit " in users


def test_our_workflow_runs_on_the_oldest_and_a_new_python_and_on_three_systems() -> None:
    linux, elsewhere = (jobs(WORKFLOWS[0])[name] for name in ("linux", "elsewhere"))
    assert linux["strategy"]["matrix"]["python"] == ["3.11", "3.13"]  # type: ignore[index]
    assert elsewhere["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]  # type: ignore[index]
    assert PROJECT["project"]["requires-python"] == ">=3.11"


@pytest.mark.parametrize("file", WORKFLOWS)
def test_a_workflow_may_read_only_knows_no_secret_and_ends(file: str) -> None:
    assert workflow(file)["permissions"] == {"contents": "read"}
    assert "secrets" not in (ROOT / file).read_text()
    for name, job in jobs(file).items():
        assert job["timeout-minutes"], name  # type: ignore[truthy-bool]
        assert "permissions" not in job, name
    assert any("uses" in step for step in steps(file))
    for step in steps(file):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", str(step["uses"])), (
                "not of GitHub's own, or not pinned by major version"
            )


def test_what_continuous_integration_runs_exists_and_ends_with_the_tests_on_real_interfaces() -> None:
    script = (ROOT / ".ci/run").read_text()
    check_make(re.findall(r"^(?:exec )?make (\S+)$", script, re.MULTILINE))
    assert script.rstrip().endswith("exec make test-vcan")
    for tool in re.findall(r"(?<![\w/])tools/[\w./-]+", script + MAKEFILE):
        assert (ROOT / tool).exists(), tool


@pytest.mark.parametrize("word", ["--bogus", "vag-chain-hapy"])
def test_a_mistake_in_a_command_would_be_noticed(word: str) -> None:
    with pytest.raises(Exception, match=word):
        check(["sgw-bench", "run", word])
    with pytest.raises(AssertionError):
        check(["make", "tset"])
