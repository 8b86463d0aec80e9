"""One test file and one scenario file, unchanged, wherever the bench stands: the same outcomes, or a skip that says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from channel_pair import GROUP, multicast_port, require_multicast
from command_line import COMMAND, environment
from vcan_bench import CHAIN, bench_file

pytestmark = [pytest.mark.vcan, pytest.mark.realtime, pytest.mark.slow]

PATIENCE_S = 100
TESTS = """\
import pytest
from udsoncan.exceptions import NegativeResponseException

from bench import Bench, VehicleChange

CODING = bytes(range(1, 9))


def test_coding_needs_an_unlock(bench: Bench) -> None:
    car = bench.vehicle("vag-golf")
    tester = bench.tester(technician="validated")
    car.change(VehicleChange(bonnet_open=True))

    with pytest.raises(NegativeResponseException) as refused:
        tester.write_coding("cluster", CODING)
    assert refused.value.response.code == 0x33

    tester.login()
    tester.unlock("cluster", role="after-sales")
    tester.security_access("cluster", 3)
    tester.write_coding("cluster", CODING)
    assert not tester.unlock_state("cluster").locked


def test_the_lock_falls_shut_after_ninety_minutes(bench: Bench) -> None:
    bench.vehicle("vag-golf").change(VehicleChange(bonnet_open=True))
    tester = bench.tester(technician="validated")
    tester.login()
    tester.unlock("cluster")
    bench.sleep(minutes=91)
    assert tester.unlock_state("cluster").locked


def test_this_one_fails_everywhere(bench: Bench) -> None:
    tester = bench.tester(technician="validated")
    tester.login()
    tester.unlock("cluster")
    assert tester.unlock_state("cluster").locked
"""
UDP = """\
title: Over UDP multicast
car: served
buses:
  obd: {{driver: python_can, channel: {group}, options: &options {{interface: udp_multicast, port: {port}, hop_limit: 0}}}}
tester: {{driver: python_can, channel: {group}, options: *options, delta_p2: 5 s}}
"""
VIRTUAL = {
    "test_coding_needs_an_unlock": "passed",
    "test_the_lock_falls_shut_after_ninety_minutes": "passed",
    "test_this_one_fails_everywhere": "failure",
}
IN_REAL_TIME = VIRTUAL | {"test_the_lock_falls_shut_after_ninety_minutes": "skipped"}


def bench_of(kind: str, folder: Path) -> str:
    """Return what `--bench` takes."""
    if kind == "virtual":
        return kind
    if kind == "udp":
        require_multicast()
        path = folder / "udp.yaml"
        path.write_text(UDP.format(group=GROUP, port=multicast_port()))
        return str(path)
    return str(bench_file(folder, "vxcan0", "vxcan1") if kind == "cable" else bench_file(folder, kind))


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [("virtual", VIRTUAL), ("vcan0", IN_REAL_TIME), ("cable", IN_REAL_TIME), ("udp", IN_REAL_TIME)],
)
def test_a_test_file_has_the_same_outcomes_on_every_bench(kind: str, outcomes: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_coding.py").write_text(TESTS)
    (tmp_path / "chain.scenario.yaml").write_text(CHAIN)
    words = ("-q", "-p", "sgw_bench_plugin", "-p", "no:cacheprovider", "--rootdir", ".", "--junit-xml", "tests.xml")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--bench", bench_of(kind, tmp_path)],
        cwd=tmp_path,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    cases = list(ET.parse(tmp_path / "tests.xml").iter("testcase"))  # noqa: S314 - our own
    came = {case.get("name"): next((each.tag for each in case if each.tag != "properties"), "passed") for case in cases}
    assert came == {**outcomes, "chain": "passed"}, done.stdout
    reasons = [each.get("message") or "" for case in cases for each in case.iter("skipped")]
    assert all("a wait of 5460 s: here time passes, and this bench waits" in reason for reason in reasons), reasons


@pytest.mark.parametrize("kind", ["virtual", "vcan0", "cable", "udp"])
def test_a_scenario_file_has_the_same_outcome_on_every_bench(kind: str, tmp_path: Path) -> None:
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "wrong.yaml").write_text(CHAIN.replace("nrc: 0x33", "nrc: 0x31"))
    done = subprocess.run(
        [*COMMAND, "run", "chain.yaml", "wrong.yaml", "--junit", "run.xml", "--bench", bench_of(kind, tmp_path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "run.xml").iter("testcase")}  # noqa: S314 - our own
    assert [len(list(cases[name].iter("failure"))) for name in ("chain", "wrong")] == [0, 1]
    (failure,) = cases["wrong"].iter("failure")
    assert "line 6, write-coding cluster" in (failure.get("message") or "")
    assert "0x33" in (failure.get("message") or "")
