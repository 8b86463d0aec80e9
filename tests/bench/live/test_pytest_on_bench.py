"""`pytest --bench`: tests and scenarios pass on another bench unchanged, skip with the reason, and take turns under xdist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served_car import paced_file

import bench.runner  # noqa: F401 - loaded once: pytester forgets what an inner run loads, and cryptography cannot load twice
from bench.live import reach

pytestmark = [pytest.mark.realtime, pytest.mark.slow]
CHECKOUT = Path(__file__).parents[3]
CHAIN = """
    import pytest

    @pytest.mark.parametrize("turn", range({turns}))
    def test_chain(bench, turn):
        from bench import VehicleChange
        bench.vehicle("vag-golf").change(VehicleChange(bonnet_open=True))
        tester = bench.tester(technician="validated")
        tester.login()
        tester.unlock("cluster")
        assert not tester.unlock_state("cluster").locked
"""
SKIPS = """
    def test_waits(bench):
        bench.sleep(minutes=91)

    def test_looks_inside(bench):
        bench.vehicle("vag-golf").unit("cluster")

    def test_passes(bench):
        assert bench.tester().identify().vin
"""


@pytest.fixture(autouse=True)
def _packages_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


@pytest.fixture
def own(pytester: pytest.Pytester) -> str:
    return str(paced_file(pytester.path))


@pytest.fixture(autouse=True)
def _processes_end_with_their_test() -> Iterator[None]:
    yield
    for process in reach._served.values():
        process.close()
    reach._served.clear()


def test_what_another_bench_cannot_do_is_a_skip_with_the_reason_and_the_header_names_the_bench(
    pytester: pytest.Pytester, own: str
) -> None:
    pytester.makepyfile(SKIPS)
    result = pytester.runpytest_inprocess("--bench", own, "-rs")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "sgw-bench: seed 0 *, bench 'own': A served car of this test's own",
            "*a wait of 5460 s: here time passes, and this bench waits 10 s at most*",
            "*unit 'cluster' lives in the process that serves the car*",
        ]
    )


def test_xdist_workers_take_turns_on_a_bus_that_they_share(pytester: pytest.Pytester) -> None:
    from channel_pair import GROUP, multicast_port, require_multicast

    require_multicast()
    options = f"{{interface: udp_multicast, port: {multicast_port()}, hop_limit: 0}}"
    carrier = f"driver: python_can, channel: {GROUP}, options: {options}"
    (pytester.path / "udp.yaml").write_text(
        f"title: UDP\ncar: served\nbuses: {{obd: {{{carrier}}}}}\ntester: {{{carrier}, delta_p2: 5 s}}\n"
    )
    pytester.makepyfile(CHAIN.format(turns=4))
    pytester.runpytest_subprocess("--bench", "udp.yaml", "-n", "2", "-p", "xdist").assert_outcomes(passed=4)


def test_a_failure_names_the_bench_in_the_command_that_repeats_it(pytester: pytest.Pytester, own: str) -> None:
    pytester.makepyfile("def test_fails(bench):\n    assert bench.tester() is None")
    pytester.path.joinpath("locked.scenario.yaml").write_text(
        "title: Locked\nvehicle: vag-golf\nsteps:\n  - unlock: cluster\n"
    )
    pytester.path.joinpath("waits.scenario.yaml").write_text(
        "title: Waits\nvehicle: vag-golf\nsteps:\n  - wait: 91 min\n"
    )
    result = pytester.runpytest_inprocess("--bench", own, "--sgw-seed", "7", "-rs")
    result.assert_outcomes(failed=2, skipped=1)
    result.stdout.fnmatch_lines_random(
        [
            f"seed 7; replay: pytest *test_fails' --sgw-seed 7 --bench {own}",
            f"replay: sgw-bench run *locked.scenario.yaml --seed 7 --bench {own}",
            "*line 4, wait 91 min: time passes on bench 'own'*",
        ]
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "*--bench nowhere.yaml: no bench 'nowhere.yaml' in *"),
        ("title: T\ncar: sreved\n", "*--bench nowhere.yaml: nowhere.yaml:2: car: *did you mean 'served'*"),
    ],
)
def test_a_bench_file_that_is_wrong_ends_the_run_before_any_test(
    pytester: pytest.Pytester, text: str | None, says: str
) -> None:
    if text is not None:
        (pytester.path / "nowhere.yaml").write_text(text)
    pytester.makepyfile("def test_never():\n    raise SystemExit('ran')")
    result = pytester.runpytest_inprocess("--bench", "nowhere.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_an_adapter_that_is_missing_fails_each_test_by_name_and_quickly(pytester: pytest.Pytester) -> None:
    carrier = "{driver: python_can, channel: /dev/ttyNOSUCH, options: {interface: slcan}}"
    (pytester.path / "gone.yaml").write_text(f"title: T\ncar: real\ntester: {carrier}\n")
    pytester.makepyfile(SKIPS)
    result = pytester.runpytest_inprocess("--bench", "gone.yaml", "-k", "passes")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*slcan:/dev/ttyNOSUCH*"])


def test_a_server_that_is_killed_fails_that_test_by_name_and_the_next_one_passes(
    pytester: pytest.Pytester, own: str
) -> None:
    pytester.makepyfile(
        """
        import os, signal

        def test_killed(bench):
            from bench.live import reach
            bench.tester().identify()
            (process,) = reach._served.values()
            os.kill(process.pid, signal.SIGKILL)
            process._process.wait()
            bench.tester().identify()

        def test_next(bench):
            assert bench.tester().identify().vin
        """
    )
    result = pytester.runpytest_subprocess("--bench", own)
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines_random(["*ServerLost: the car served at *is gone*", "*not served any more*"])
