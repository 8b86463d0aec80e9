"""The portal's benchmark runs, and has every row; its figures are nobody's to test."""

import subprocess
import sys

import pytest
from command_line import CHECKOUT, environment

ROWS = (
    "profile reads",
    "certificates issued",
    "logins, password and code",
    "a profile read at half of that",
    "an issue at half of that",
    "90 % reads, 9 % issues, 1 % logins, half",
    "memory over 2,000 requests",
)


@pytest.mark.slow
@pytest.mark.realtime
def test_every_row_is_measured_and_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.portal", "--short", "--no-postgresql"],
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [row for row in ROWS if row not in done.stdout] == []
