"""Every command in the docs runs here, and prints what the docs say it prints.

In a document, a block ```LANGUAGE FILE``` is a file; in a ```console``` block a line after `$ ` is a command and the lines
below it are output that must come, in that order (`...` stands for anything). `(exit status N)` says how it ends.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "docs/guide.md",
    "docs/scenarios.md",
    "docs/pytest.md",
    "docs/vehicles.md",
    "docs/import.md",
    "docs/restbus.md",
    "docs/flashing.md",
    "docs/dtc.md",
    "docs/ci.md",
    "docs/traces.md",
    "docs/drivers.md",
    "docs/benches.md",
    "docs/serve.md",
    "docs/machines.md",
    "docs/uds.md",
    "docs/identity-check.md",
    "docs/security.md",
    "docs/database.md",
)
FENCE = re.compile(r"^```([a-z]+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FROM_THE_CHECKOUT = ("source ", "tools/")
"""Commands that are typed in the checkout, as `make` is."""
DOCUMENT_S = 600
"""The guide alone takes half a minute; a machine that does much else takes several times as long. Each command has its limit."""
MAKE_ITSELF = (
    "make test",
    "make test-vcan",
    "make check",
    "make benchmark",
    "make benchmark-vcan",
    "make judges",
    "make audit",
    "make attack",
)
"""Commands that would run this very test, or take minutes: here it is enough that the target exists."""


@dataclass(frozen=True)
class Command:
    line: str
    output: tuple[str, ...]
    status: int


def blocks(document: str) -> list[tuple[str, str | None, str]]:
    text = (ROOT / document).read_text()
    return [(found[1], found[2], found[3]) for found in FENCE.finditer(text)]


def commands(text: str) -> list[Command]:
    found: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *output = part.rstrip("\n").split("\n")
        status = 0
        if output and (match := re.fullmatch(r"\(exit status (\d+)\)", output[-1])):
            status = int(match[1])
            output.pop()
        found.append(Command(line, tuple(output), status))
    return found


def squeezed(text: str) -> str:
    return " ".join(text.split())


def run(command: Command, folder: Path, runtime: str) -> None:
    line, where = command.line, folder
    if line.startswith(FROM_THE_CHECKOUT):
        where = ROOT
    if line.split()[0] == "make":
        where = ROOT
        if line in MAKE_ITSELF:
            line = line.replace("make ", "make -n ")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": runtime,
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "",
    }
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    said = f"$ {line}\n{done.stdout}"
    assert done.returncode == command.status, said
    at, have = 0, squeezed(done.stdout)
    for wanted in command.output:
        for piece in filter(None, (squeezed(piece) for piece in wanted.split("..."))):
            found = have.find(piece, at)
            assert found >= 0, f"not printed after what came before: {piece!r}\n{said}"
            at = found + len(piece)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[str]:
    """A folder for sockets of this document's own, short as their paths must be; what a document leaves running ends with it."""
    with tempfile.TemporaryDirectory(prefix="sgw-") as folder:
        yield folder
    left = tmp_path / "pid"
    if left.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(left.read_text()), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(DOCUMENT_S)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_the_document_does_what_it_says(document: str, tmp_path: Path, runtime: str) -> None:
    count = 0
    for language, file, text in blocks(document):
        if file is not None:
            (tmp_path / file).write_text(text)
        elif language == "console":
            for command in commands(text):
                run(command, tmp_path, runtime)
                count += 1
        else:
            assert language in {"text", "yaml", "python", "ini", "mermaid"}, (
                f"a block in {language} is neither file nor command"
            )
    assert count, f"{document} has no command: take it off the list"


def test_every_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_tables_made_from_the_code_are_as_the_code_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_page_of_failures_names_every_scenario_of_the_library_and_no_other() -> None:
    named = set(
        re.findall(r"`((?:vag|mb|portal|wire|vci|backend)-[a-z0-9-]+)`", (ROOT / "docs/failures.md").read_text())
    )
    assert named == {path.stem for path in (ROOT / "scenarios/library").glob("*.yaml")}
