"""Importing the package, and asking the command for help, load nothing heavy: a project pays for the plugin in each test run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command_line import CHECKOUT, environment

HEAVY = {"argon2", "can", "cryptography", "pyotp", "udsoncan", "yaml", "scapy", "isotp", "odxtools", "fastapi"}
OF_A_COMMAND = {"rich", "typer"}


def _loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh process has loaded after `statement`."""
    program = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_bench_loads_nothing_but_the_standard_library() -> None:
    loaded = _loaded_by("import bench; assert 'Bench' in bench.__all__")
    assert not loaded & (HEAVY | OF_A_COMMAND)
    assert not loaded & {"scenarios", "sgw_sim", "ecu_sim", "portal_sim", "vci_driver", "wire"}


def test_the_command_line_loads_what_is_heavy_inside_its_commands() -> None:
    assert not _loaded_by("import bench.cli") & HEAVY


def test_the_pytest_plugin_loads_nothing_heavy_before_a_test_asks_for_a_bench() -> None:
    assert not _loaded_by("import sgw_bench_plugin") & (HEAVY | OF_A_COMMAND)


@pytest.mark.parametrize("package", ["scenarios", "sgw_sim", "ecu_sim", "portal_sim", "vci_driver", "wire"])
def test_importing_a_package_below_loads_nothing_heavy_either(package: str) -> None:
    assert not _loaded_by(f"import {package}") & (HEAVY | OF_A_COMMAND)


def test_reading_scenarios_loads_no_simulator_and_no_tester() -> None:
    loaded = _loaded_by("from scenarios.library import find; find(['@happy'])")
    assert not loaded & {"argon2", "can", "pyotp", "udsoncan", "ecu_sim", "portal_sim", "sgw_sim"}
