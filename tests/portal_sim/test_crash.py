"""A portal that is killed at any point has done each thing or has not. `make crash` tries a thousand points, this a part."""

import os
import subprocess
import sys
from pathlib import Path

import postgres
import pytest

SUPPORT = Path(__file__).parents[1] / "support"
WALK = SUPPORT / "crash_walk.py"
SEED = "5"
CUTS_UNITS = """
import sys, crash_walk
from portal_sim.sql.unit import SqlUnit
whole = SqlUnit._do
def half(self, statement, **values):
    count = whole(self, statement, **values)
    raw = self._connection.connection.dbapi_connection
    raw.execute("COMMIT")
    raw.execute("BEGIN IMMEDIATE")
    return count
SqlUnit._do = half
sys.exit(crash_walk.main())
"""
TAKES_CODES_TWICE = """
import sys, crash_walk
from portal_sim.sql.unit import SqlUnit
SqlUnit.use_totp_step = lambda self, email, step: True
from portal_sim.memory_store import MemoryStore
MemoryStore.use_totp_step = lambda self, email, step: True
sys.exit(crash_walk.main())
"""


def walk(*arguments: str, program: tuple[str, ...] = (str(WALK),)) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SUPPORT)},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "points"), [("sqlite", "120"), ("postgresql", "30")])
def test_wherever_the_portal_is_killed_nothing_is_half_done(kind: str, points: str) -> None:
    if kind == "postgresql":
        postgres.require()
    done = walk("--points", points, "--seed", SEED, "--database", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{points} points on {kind}, seed {SEED}: nothing half done" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wherever_the_database_server_is_killed_nothing_is_half_done() -> None:
    postgres.require()
    done = walk("--points", "4", "--seed", SEED, "--server")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", [CUTS_UNITS, TAKES_CODES_TWICE], ids=["cuts units", "takes codes twice"])
def test_a_store_that_is_not_as_it_must_be_is_found_out(broken: str) -> None:
    done = walk("--points", "60", "--seed", SEED, program=("-c", broken))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT AS IT MUST BE" in done.stdout
