"""A bench whose tester leaves ISO-TP to the kernel: the library's scenarios pass there as well."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from command_line import COMMAND, environment
from vcan_bench import SOCKET_FOLDER, bench_file

pytestmark = [pytest.mark.kernel_isotp, pytest.mark.realtime, pytest.mark.slow, pytest.mark.timeout(200)]

SCENARIOS = ("vag-locked-write-free-read", "vag-relock-on-command", "mb-deauthenticate")
RUN_MAX_S = 150
"""Emulated machines take half a minute to start a process that serves a car."""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = SOCKET_FOLDER / "sgw-bench-kernel-test"
    made.mkdir(exist_ok=True)
    yield made
    shutil.rmtree(made)


def test_scenarios_pass_over_the_kernels_isotp(folder: Path) -> None:
    path = bench_file(folder, delta_p2="5 s", more="isotp: kernel")
    done = subprocess.run(
        [*COMMAND, "run", *SCENARIOS, "vci-pulled-out-while-writing", "--bench", str(path), "--junit", "run.xml"],
        cwd=folder,
        env=environment(XDG_RUNTIME_DIR=str(folder), TMPDIR=str(folder)),
        capture_output=True,
        text=True,
        timeout=RUN_MAX_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = {case.get("name"): case for case in ET.parse(folder / "run.xml").iter("testcase")}  # noqa: S314 - our own
    skipped = {name for name, case in cases.items() if case.find("skipped") is not None}
    assert skipped == {"vci-pulled-out-while-writing"}
    assert set(cases) == {*SCENARIOS, *skipped}
