"""What a user writes in Python: `from bench import Bench`, and what the bench says to wrong calls."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from udsoncan.exceptions import NegativeResponseException
from udsoncan.services import DiagnosticSessionControl

import bench as package
from bench import Bench, VehicleChange, WitnessViolation
from bench.vehicle_file import FOLDER
from vci_driver.outcome import UnlockFailed, UnlockResult
from wire.errors import BenchError, ConfigError, LocalMisuse
from wire.portal_api import PortalError

CODING = bytes.fromhex("01 02 03 04 05 06 07 08")
EXTENDED = DiagnosticSessionControl.Session.extendedDiagnosticSession


def test_coding_needs_an_unlock_works_under_it_and_is_locked_again_after_90_minutes() -> None:
    with Bench(seed=7) as bench:
        bench.vehicle("vag-golf").change(VehicleChange(bonnet_open=True))
        tester = bench.tester(technician="validated")
        cluster = tester.ecu("cluster")
        cluster.change_session(EXTENDED)
        with pytest.raises(NegativeResponseException) as refused:
            cluster.write_data_by_identifier(0x0600, CODING)
        assert refused.value.response.code == 0x33
        tester.login()
        assert tester.unlock("cluster", role="after-sales").minutes_left == 89
        cluster.change_session(EXTENDED)
        cluster.unlock_security_access(3)
        tester.write_coding("cluster", CODING)
        assert cluster.read_data_by_identifier_first(0x0600) == CODING
        bench.sleep(minutes=91)
        assert tester.unlock_state("cluster").locked
        with pytest.raises(NegativeResponseException):
            tester.write_coding("cluster", CODING)


def test_the_same_chain_on_a_car_whose_gateway_holds_the_lock() -> None:
    with Bench(seed=7, vehicle="mb-eclass") as bench:
        tester = bench.tester("validated")
        with pytest.raises(NegativeResponseException) as refused:
            tester.write_coding("cluster", CODING)
        assert refused.value.response.code == 0x34
        tester.login()
        tester.unlock("gateway")
        tester.security_access("cluster", 3)
        tester.write_coding("cluster", CODING)
        tester.relock("gateway")
        assert tester.unlock_state("gateway").locked


def test_time_passes_only_when_told() -> None:
    with Bench() as bench:
        before_ns = bench.world.now_ns
        assert bench.world.now_ns == before_ns
        bench.sleep(hours=1, minutes=1, seconds=0.5)
        assert bench.world.now_ns - before_ns == 3_660_500_000_000
        with pytest.raises(BenchError):
            bench.sleep(seconds=-1)


def test_who_is_not_logged_in_gets_no_unlock_and_is_told_so() -> None:
    with Bench() as bench, pytest.raises(UnlockFailed) as failed:
        bench.tester().unlock("cluster")
    assert failed.value.result is UnlockResult.LOGON_FAILED


def test_a_person_without_an_account_cannot_log_in() -> None:
    with Bench() as bench, pytest.raises(PortalError):
        bench.tester().login()


def test_the_vehicle_is_the_golf_like_car_when_nothing_is_said_and_there_is_one_a_bench() -> None:
    with Bench() as bench:
        car = bench.car
        assert car.spec.make == "vag"
        assert bench.vehicle() is bench.vehicle("vag-golf") is car
        with pytest.raises(LocalMisuse, match="another bench for 'mb-eclass'"):
            bench.vehicle("mb-eclass")


def test_the_default_vehicle_is_no_other_name_for_the_one_that_stands_there() -> None:
    with Bench(vehicle="mb-eclass") as bench:
        assert bench.vehicle() is bench.car
        with pytest.raises(LocalMisuse, match="'mb-eclass' stands on this bench already"):
            bench.vehicle("vag-golf")


def test_a_vehicle_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((FOLDER / "vag-golf.yaml").read_text().replace("WVWZZZCDZSW000001", "WVWZZZCDZSW000077"))
    with Bench(vehicle=str(path)) as bench:
        assert bench.tester().identify().vin == "WVWZZZCDZSW000077"
        assert bench.vehicle(str(path)) is bench.car


@pytest.mark.parametrize(
    ("vehicle", "says"),
    [("vag-gofl", "did you mean 'vag-golf'"), ("none.yaml", "no vehicle 'none.yaml'"), ("../vag-golf", "no vehicle")],
)
def test_a_vehicle_that_there_is_not_is_told_with_what_there_is(vehicle: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Bench(vehicle=vehicle)


def test_wrong_names_are_misuse_and_are_told_with_what_there_is() -> None:
    with Bench() as bench:
        tester = bench.tester("logged-in")
        for call, says in (
            (lambda: tester.unlock("clustre"), "clustre"),
            (lambda: tester.ecu("clustre"), "clustre"),
            (lambda: tester.unlock("cluster", role="boss"), "after-sales"),
            (lambda: tester.unlock("cluster", scope=["everything"]), "everything"),
            (lambda: bench.tester("unlokced"), "there are: signed-up"),
            (lambda: bench.car.unit("clustre"), "there are: gateway"),
        ):
            with pytest.raises(LocalMisuse, match=says):
                call()


def _lie(bench: Bench) -> None:
    """Let the cluster answer a write without a grant."""
    bench.vehicle().change(VehicleChange(bonnet_open=True))
    gate = bench.car.unit("cluster").gate
    assert gate is not None
    gate.allows = lambda scope, now_ns: True  # type: ignore[method-assign]
    bench.tester().security_access("cluster", 3)
    bench.tester().write_coding("cluster", CODING)


def test_the_witness_speaks_when_the_block_ends_unless_told_not_to() -> None:
    with pytest.raises(WitnessViolation, match="cluster"), Bench() as bench:
        _lie(bench)
    with Bench(check_on_close=False) as quiet:
        _lie(quiet)
        assert quiet.violations()


def test_what_went_wrong_in_the_block_is_not_hidden_by_what_the_witness_saw() -> None:
    def lie_and_fail() -> None:
        with Bench() as bench:
            _lie(bench)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lie_and_fail()


def test_a_trace_is_written_where_one_was_kept_and_refused_where_not(tmp_path: Path) -> None:
    with Bench(keep_trace=True) as bench:
        bench.tester().identify()
        paths = bench.write_trace(tmp_path, "mine")
    assert [path.name for path in paths] == ["mine.log", "mine.asc", "mine.blf", "mine.pcapng"]
    assert paths[0].read_text().count("\n") >= 4
    assert [path.name for path in bench.write_trace(tmp_path, "again", ["blf"])] == ["again.blf"]
    with Bench() as bench, pytest.raises(LocalMisuse, match="keep_trace=True"):
        bench.write_trace(tmp_path, "other")


def test_two_benches_side_by_side_do_not_touch_each_other() -> None:
    with Bench(seed=1) as one, Bench(seed=1) as two, Bench(seed=1) as alone:
        for bench in (one, two):
            bench.tester("validated")
        for bench in (two, one):
            bench.tester("logged-in").unlock("cluster")
        alone.tester("logged-in").unlock("cluster")
        assert one.trace.digest() == two.trace.digest() == alone.trace.digest()


def test_the_package_offers_what_it_says_and_nothing_by_accident() -> None:
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Bnech'"):
        package.Bnech  # noqa: B018


def test_a_bench_starts_no_thread() -> None:
    before = threading.active_count()
    with Bench(vehicle="mb-eclass") as bench:
        bench.tester("validated").login()
        bench.tester().unlock("gateway")
        assert threading.active_count() == before


@pytest.mark.parametrize("coding", [8, "0102", [1, 2], None])
def test_a_coding_that_is_not_bytes_is_refused_before_anything_is_written(coding: object) -> None:
    with Bench(vehicle="vag-golf") as bench, pytest.raises(LocalMisuse, match="a coding is bytes"):
        bench.tester().write_coding("cluster", coding)  # type: ignore[arg-type]


def test_a_vehicle_file_may_be_named_by_a_path() -> None:
    with Bench(vehicle=FOLDER / "mb-eclass.yaml") as bench:
        assert bench.car.spec.make == "mercedes"
