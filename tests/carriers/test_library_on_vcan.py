"""The library's scenarios on a real interface, the car in a process of its own: what passes there, what is skipped and why."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from command_line import COMMAND, environment
from vcan_bench import bench_file

from scenarios.library import find

pytestmark = [pytest.mark.vcan, pytest.mark.realtime, pytest.mark.slow, pytest.mark.timeout(300)]

PASS_AT_LEAST = 55
RUN_MAX_S = 200
"""It takes a minute in a guest; a run that hangs takes for ever."""
LIMITS = re.compile(r"waits 6 s at most \(longest_wait|nobody here can destroy a frame on a wire that is elsewhere")
"""What time or the carrier cannot do, in the words of the reasons."""


def test_the_whole_library_passes_or_is_skipped_for_what_time_or_the_carrier_cannot_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "--bench", str(bench_file(tmp_path, delta_p2="500 ms")), "--junit", "run.xml"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=RUN_MAX_S,
        check=False,
    )
    cases = list(ET.parse(tmp_path / "run.xml").iter("testcase"))  # noqa: S314 - our own
    assert not [(case.get("name"), each.get("message")) for case in cases for each in case.iter("failure")]
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = {case.get("name"): each.get("message") or "" for case in cases for each in case.iter("skipped")}
    assert not {name: reason for name, reason in skipped.items() if not LIMITS.search(reason)}
    assert len(cases) == len(find(()))
    assert len(cases) - len(skipped) >= PASS_AT_LEAST
    heard = [each.get("value") for case in cases for each in case.iter("property") if each.get("name") == "adapter"]
    assert heard == [], "nobody else is on this bus, and no frame is lost"
