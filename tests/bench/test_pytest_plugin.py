"""The pytest plugin as a user's project sees it: fixtures, options, scenario files as tests, one seed for all workers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import bench.runner  # noqa: F401 - loaded once: pytester forgets what an inner run loads, and cryptography cannot load twice

CHECKOUT = Path(__file__).parents[2]

SCENARIO = """\
title: Reading is free
vehicle: vag-golf
steps:
  - identify
  - unlock: cluster
"""
GOOD_SCENARIO = SCENARIO.replace("  - unlock: cluster\n", "")

CHAIN = """
    import pytest
    from udsoncan.exceptions import NegativeResponseException

    @pytest.mark.parametrize("vehicle, holder", [("vag-golf", "cluster"), ("mb-eclass", "gateway")])
    def test_chain(bench, vehicle, holder):
        from bench import VehicleChange
        bench.vehicle(vehicle).change(VehicleChange(bonnet_open=True))
        tester = bench.tester(technician="validated")
        with pytest.raises(NegativeResponseException):
            tester.write_coding("cluster", bytes(8))
        tester.login()
        tester.unlock(holder)
        assert not tester.unlock_state(holder).locked
"""

LIAR = """
    def test_liar(bench):
        bench.vehicle("vag-golf")
        bench.car.unit("cluster").gate.allows = lambda scope, now_ns: True
        from bench import VehicleChange
        bench.car.change(VehicleChange(bonnet_open=True))
        tester = bench.tester()
        tester.ecu("cluster").change_session(3)
        tester.core.link.request("cluster", bytes.fromhex("31 01 02 03"))
"""


@pytest.fixture(autouse=True)
def _packages_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def test_the_fixture_gives_each_test_a_bench_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CHAIN)
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_what_the_adapter_reported_stands_in_the_terminal_and_in_junit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from vci_driver.api import FramesLost

        def test_reads(bench):
            bench.tester().link.notices.append(FramesLost("vcan9 lost 3 frames", 3))
        """
    )
    pytester.makefile(".scenario.yaml", quiet="title: Q\nvehicle: vag-golf\nsteps:\n  - identify\n")
    result = pytester.runpytest_inprocess("--junit-xml", "report.xml")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("sgw-bench: adapter: vcan9 lost 3 frames") == 1
    report = (pytester.path / "report.xml").read_text()
    assert report.count('<property name="adapter" value="vcan9 lost 3 frames"') == 1


def test_the_seed_is_0_unless_said_and_stands_in_the_header(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_seed(bench, bench_seed, pytestconfig):
            want = int(pytestconfig.getoption("--sgw-seed"))
            assert (bench_seed, bench.world.seed) == (want, want)
        """
    )
    for options, seed in (((), 0), (("--sgw-seed", "77"), 77), (("--sgw-seed=-3",), -3)):
        result = pytester.runpytest_inprocess(*options)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines([f"sgw-bench: seed {seed} (replay with --sgw-seed {seed})"])


def test_the_same_seed_repeats_to_the_byte_and_another_does_not(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_digest(bench):
            bench.tester(technician="logged-in").unlock("cluster")
            with Path("digests").open("a") as out:
                print(bench.trace.digest(), file=out)
        """
    )
    for seed in ("1", "1", "2"):
        pytester.runpytest_inprocess("--sgw-seed", seed).assert_outcomes(passed=1)
    first, again, other = (pytester.path / "digests").read_text().split()
    assert first == again != other


def test_a_random_seed_is_drawn_and_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_seed(bench_seed): assert bench_seed >= 0")
    told = set()
    for _ in range(2):
        result = pytester.runpytest_inprocess("--sgw-seed", "random")
        result.assert_outcomes(passed=1)
        told.add(re.search(r"sgw-bench: seed (\d+) ", result.stdout.str()))
    assert len({match and match[1] for match in told}) == 2


def test_what_is_no_seed_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--sgw-seed", "x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --sgw-seed takes a whole number or `random`, not 'x'"])


def test_a_failure_tells_seed_and_the_command_that_replays_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("what", ["with space"])
        def test_serial(bench, what):
            bench.tester()
            assert bench.world.rng("x").randrange(10**9) == -1
        """
    )
    first = pytester.runpytest_inprocess("--sgw-seed", "31")
    first.assert_outcomes(failed=1)
    replay = re.search(r"seed 31; replay: pytest (.*)", first.stdout.str())
    assert replay is not None
    again = pytester.runpytest_inprocess(*shlex.split(replay[1]))
    again.assert_outcomes(failed=1)
    drawn = re.compile(r"^E .*assert (\d+) == -1", re.MULTILINE)
    assert drawn.findall(first.stdout.str()) == drawn.findall(again.stdout.str()) != []


def test_a_test_that_fails_without_a_bench_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): assert False")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*replay: pytest*")


def test_the_witness_fails_a_test_that_found_nothing_wrong_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LIAR)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*WitnessViolation: *cluster*", "*seed 0; replay: pytest *"])


def test_traces_of_every_test_are_written_under_names_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_one="""
        import pytest

        @pytest.mark.parametrize("what", ["a/b", "a b", "../up"])
        def test_scan(bench, what):
            bench.tester().scan()

        def test_failing(bench):
            bench.tester().scan()
            assert False
        """,
        test_two="""
        def test_failing(bench):
            bench.tester().scan()
        """,
    )
    (pytester.path / "reading.scenario.yaml").write_text(GOOD_SCENARIO)
    pytester.runpytest_inprocess("--sgw-trace", "out/traces").assert_outcomes(passed=5, failed=1)
    folder = pytester.path / "out" / "traces"
    assert [len(list(folder.glob(f"*{suffix}"))) for suffix in (".log", ".asc", ".blf", ".pcapng")] == [6] * 4
    assert len(list(folder.iterdir())) == 24
    assert all(path.stat().st_size > 100 for path in folder.iterdir())


def test_only_the_traces_that_are_wanted_are_written(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_scan(bench):\n    bench.tester().scan()\n")
    (pytester.path / "reading.scenario.yaml").write_text(GOOD_SCENARIO)
    pytester.runpytest_inprocess("--sgw-trace", "traces", "--sgw-trace-format", "asc,blf").assert_outcomes(passed=2)
    assert sorted(path.suffix for path in (pytester.path / "traces").iterdir()) == [".asc", ".asc", ".blf", ".blf"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--sgw-trace", "traces", "--sgw-trace-format", "pcap"),
            "--sgw-trace-format: unknown trace format 'pcap'; did you mean 'pcapng'?",
        ),
        (("--sgw-trace-format", "asc"), "--sgw-trace-format: no trace is written without --sgw-trace DIR"),
    ],
)
def test_a_trace_format_that_cannot_be_is_refused_before_any_test(
    pytester: pytest.Pytester, options: tuple[str, ...], says: str
) -> None:
    pytester.makepyfile("def test_scan(bench):\n    bench.tester().scan()\n")
    result = pytester.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    assert not (pytester.path / "traces").exists()


# ---- scenario files as tests


def test_scenario_files_are_collected_and_other_yaml_is_not(pytester: pytest.Pytester) -> None:
    (pytester.path / "reading.scenario.yaml").write_text(GOOD_SCENARIO)
    (pytester.path / "other.yaml").write_text("not: a scenario")
    result = pytester.runpytest_inprocess("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["reading.scenario.yaml::reading PASSED*"])


def test_a_scenario_file_takes_the_options_of_any_test(pytester: pytest.Pytester) -> None:
    (pytester.path / "reading.scenario.yaml").write_text(GOOD_SCENARIO)
    pytester.runpytest_inprocess("-k", "other").assert_outcomes(deselected=1)
    pytester.runpytest_inprocess("reading.scenario.yaml::reading").assert_outcomes(passed=1)


def test_a_failing_scenario_shows_step_expectation_outcome_and_replay_without_a_traceback(
    pytester: pytest.Pytester,
) -> None:
    (pytester.path / "reading.scenario.yaml").write_text(SCENARIO)
    result = pytester.runpytest_inprocess("--sgw-seed", "9")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*scenario reading*",
            "line 5, unlock cluster: expected a positive answer, but it was *not logged*",
            "replay: sgw-bench run *reading.scenario.yaml --seed 9",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*runner.py*")


def test_a_malformed_scenario_file_is_told_with_its_line(pytester: pytest.Pytester) -> None:
    (pytester.path / "reading.scenario.yaml").write_text(SCENARIO.replace("unlock", "unlok"))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*reading.scenario.yaml:5: *unknown verb 'unlok'; did you mean 'unlock'[?]"])
    result.stdout.no_fnmatch_line("*strict_yaml.py*")


# ---- with xdist


@pytest.mark.slow
def test_all_xdist_workers_have_the_seed_that_the_controller_drew(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        from pathlib import Path
        import pytest

        @pytest.mark.parametrize("turn", range(8))
        def test_seed(bench, bench_seed, turn):
            assert bench.world.seed == bench_seed
            Path(f"seed-{os.environ['PYTEST_XDIST_WORKER']}-{turn}").write_text(str(bench_seed))
        """
    )
    pytester.runpytest_subprocess("-n", "2", "--dist", "each", "--sgw-seed", "random").assert_outcomes(passed=16)
    files = list(pytester.path.glob("seed-*"))
    assert {path.name.split("-")[1] for path in files} == {"gw0", "gw1"}
    assert len({path.read_text() for path in files}) == 1


@pytest.mark.slow
def test_scenario_files_are_shared_out_to_xdist_workers(pytester: pytest.Pytester) -> None:
    for number in range(3):
        (pytester.path / f"reading-{number}.scenario.yaml").write_text(GOOD_SCENARIO)
    (pytester.path / "failing.scenario.yaml").write_text(SCENARIO)
    result = pytester.runpytest_subprocess("-n", "2", "--sgw-seed", "5")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["replay: sgw-bench run *failing.scenario.yaml --seed 5"])


def test_what_the_carrier_cannot_do_skips_the_test_with_the_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from bench import NotOnThisCarrier

        def test_jump(bench):
            bench.vehicle("vag-golf")
            raise NotOnThisCarrier("real time cannot jump 91 minutes")

        def test_wrong():
            raise ValueError("not a matter of the carrier")
        """
    )
    result = pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1, failed=1)
    result.stdout.fnmatch_lines(["SKIPPED*test_what_the_carrier*.py:3: real time cannot jump 91 minutes"])
    result.stdout.fnmatch_lines(["*ValueError: not a matter of the carrier"])
