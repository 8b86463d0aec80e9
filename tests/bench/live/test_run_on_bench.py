"""Scenarios on a bench whose car is a process of its own: they pass, skip with the reason, or fail by name when it is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from channel_pair import GROUP, multicast_port, require_multicast
from command_line import COMMAND, Here, environment, here, in_a_process
from served_car import paced_file

from bench.bench import Bench
from bench.bench_file import BenchSpec, load_bench
from bench.live import reach
from bench.live.client import ServerLost
from bench.live.reach import BenchInUse, CarNotStarted
from bench.runner import run_one
from bench.vehicle_file import FOLDER as VEHICLES
from scenarios.model import load_scenario
from scenarios.play import Status
from scenarios.stage import VehicleChange
from wire.errors import LocalMisuse, NotOnThisCarrier

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

READS = "title: Reading is free\nvehicle: vag-golf\nsteps:\n  - identify\n"
UNLOCKS = """\
title: The cluster opens
vehicle: vag-golf
steps:
  - vehicle: {bonnet: open}
  - reach: {state: unlocked, ecu: cluster}
  - unlock-state: cluster
    expect: {locked: false}
"""
UDP = """\
title: Over UDP multicast, a port of this test's own
car: served
buses:
  obd: {{driver: python_can, channel: {group}, options: &options {{interface: udp_multicast, port: {port}, hop_limit: 0}}}}
tester: {{driver: python_can, channel: {group}, options: *options, delta_p2: 5 s}}
"""


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = paced_file(tmp_path_factory.mktemp("paced"))
    yield path
    end_processes()


@pytest.fixture
def udp(tmp_path: Path) -> Path:
    require_multicast()
    path = tmp_path / "udp.yaml"
    path.write_text(UDP.format(group=GROUP, port=multicast_port()))
    return path


def end_processes() -> None:
    for process in reach._served.values():
        process.close()
    reach._served.clear()


def scenario(folder: Path, text: str = READS, name: str = "reads") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def sgw_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return here(monkeypatch, capsys)


def test_the_whole_chain_passes_on_a_served_car_and_the_junit_file_says_where(
    sgw_bench: Here, paced: Path, tmp_path: Path
) -> None:
    opens = scenario(tmp_path, UNLOCKS, "opens")
    done = sgw_bench("run", str(opens), "mb-global-scan", "--bench", str(paced), "--junit", "j.xml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    properties = {each.get("name"): each.get("value") for each in ET.parse(tmp_path / "j.xml").iter("property")}  # noqa: S314 - our own
    assert properties["bench"] == str(paced)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (READS + "  - wait: 5 min\n", "time passes on bench 'own', and it waits 10 s at most"),
        (READS + "  - unplug\n  - plug-in\n  - wait: {duration: 11 s}\n", "line 7, wait duration=11 s: time passes"),
    ],
)
def test_a_wait_that_nobody_waits_is_a_skip_with_the_line_and_the_reason(
    sgw_bench: Here, paced: Path, tmp_path: Path, text: str, reason: str
) -> None:
    done = sgw_bench("run", str(scenario(tmp_path, text)), "--bench", str(paced), cwd=tmp_path)
    assert done.returncode == 0
    assert reason in " ".join(done.stdout.split())
    assert "1 skipped" in done.stdout


def test_error_frames_on_a_wire_that_is_elsewhere_are_a_skip(udp: Path, tmp_path: Path) -> None:
    text = READS.replace("  - identify\n", "  - fault: {kind: error, bus: obd}\n  - identify\n")
    run = run_one(load_scenario(scenario(tmp_path, text)), seed=0, file=load_bench(str(udp)))
    assert run.played.status is Status.SKIPPED
    assert "nobody here can destroy a frame on a wire that is elsewhere" in run.played.reason
    end_processes()


def test_a_failure_says_the_command_that_plays_it_again_on_the_same_bench(
    sgw_bench: Here, paced: Path, tmp_path: Path
) -> None:
    path = scenario(tmp_path, READS + "  - unlock: cluster\n")
    done = sgw_bench("run", str(path), "--bench", str(paced), "--seed", "3", cwd=tmp_path)
    assert done.returncode == 1
    assert f"sgw-bench run {path} --seed 3 --bench {paced}" in " ".join(done.stdout.split())


def test_a_bench_file_that_is_not_there_ends_the_run_in_one_sentence(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("run", "--bench", "vcam", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'vcan'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("where", ["tester", "car"])
def test_an_adapter_that_is_missing_ends_the_run_in_one_sentence(sgw_bench: Here, tmp_path: Path, where: str) -> None:
    path = tmp_path / "gone.yaml"
    missing = "{driver: python_can, channel: /dev/ttyNOSUCH, options: {interface: slcan}}"
    if where == "tester":
        path.write_text(f"title: T\ncar: real\nvehicle: vag-golf\ntester: {missing}\n")
    else:
        path.write_text(f"title: T\ncar: served\nbuses: {{obd: {missing}}}\ntester: {missing}\n")
    done = sgw_bench("run", "vag-global-scan", "--bench", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "slcan:/dev/ttyNOSUCH" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("sgw-bench: ")


# ---- one program, one process; many programs, one bus


def test_benches_of_one_program_share_the_process_and_nothing_else(paced: Path) -> None:
    spec = load_bench(str(paced))
    pids = set()
    for _ in range(2):
        with Bench(file=spec) as bench:
            bench.vehicle("vag-golf").change(VehicleChange(bonnet_open=True, kilometres_driven=5))
            tester = bench.tester(technician="validated")
            assert tester.unlock_state("cluster").locked, "of the bench before nothing stands"
            tester.login()
            tester.unlock("cluster")
        pids |= {process._process.pid for process in reach._served.values() if process.alive}
    assert len(pids) == 1


@pytest.mark.parametrize("kind", ["udp", "paced"])
def test_two_benches_at_once_in_one_program_are_a_mistake_that_is_named_at_once(
    kind: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(kind)
    with Bench(file=load_bench(str(path))) as bench:
        bench.vehicle()
        with Bench(file=load_bench(str(path))) as other, pytest.raises(LocalMisuse, match="close that bench first"):
            other.vehicle()
    end_processes()


def test_a_bus_that_somebody_else_has_for_too_long_says_who(udp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "TURN_PATIENCE_S", 0.1)
    spec = load_bench(str(udp))
    code = f"""
import sys
from bench.bench_file import load_bench
from bench.live.reach import _take_turn
release = _take_turn(load_bench({str(udp)!r}))
print("mine", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [COMMAND[0], "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"mine\n"
        with (
            Bench(file=spec) as bench,
            pytest.raises(BenchInUse, match=f"process {holder.pid} has had the bus of bench"),
        ):
            bench.vehicle()
        holder.stdin.close()


def test_two_programs_on_one_real_bus_take_turns_and_both_pass(udp: Path, tmp_path: Path) -> None:
    opens = scenario(tmp_path, UNLOCKS, "opens")
    command = [*COMMAND, "run", str(opens), "--bench", str(udp), "--repeat", "3"]
    programs = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    for program in programs:
        said, _ = program.communicate(timeout=60)
        assert program.returncode == 0, said
        assert "3 passed" in said


def test_a_program_between_two_benches_leaves_the_bus_to_others(udp: Path, tmp_path: Path) -> None:
    with Bench(file=load_bench(str(udp))) as bench:
        bench.vehicle()
    assert any(process.alive for process in reach._served.values())
    opens = scenario(tmp_path, UNLOCKS, "opens")
    other = in_a_process("run", str(opens), "--bench", str(udp), cwd=tmp_path)
    assert other.returncode == 0, other.stdout
    with Bench(file=load_bench(str(udp))) as bench:
        assert bench.tester().identify().vin
    end_processes()


# ---- the process is lost


def kill_server(spec: BenchSpec) -> None:
    (process,) = [each for (_, key), each in reach._served.items() if key == repr(spec)]
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()


def test_a_server_that_is_killed_in_a_run_fails_that_scenario_by_name_and_the_next_starts_a_new_one(
    paced: Path, tmp_path: Path
) -> None:
    spec = load_bench(str(paced))
    steps = READS + "  - identify\n  - identify\n"
    played = []

    def on_step(result: object) -> None:
        played.append(result)
        if len(played) == 1:
            kill_server(spec)

    path = scenario(tmp_path, steps)
    broken = run_one(load_scenario(path), seed=0, file=spec, on_step=on_step)
    assert broken.failed
    assert "not served any more" in broken.played.reason
    again = run_one(load_scenario(path), seed=0, file=spec)
    assert again.played.status is Status.PASSED


def test_a_server_that_is_killed_after_the_last_step_is_no_pass_either(paced: Path, tmp_path: Path) -> None:
    spec = load_bench(str(paced))
    lost = run_one(load_scenario(scenario(tmp_path)), seed=0, file=spec, on_step=lambda _: kill_server(spec))
    assert lost.failed
    assert "is gone" in lost.played.reason


def test_a_bench_whose_server_was_killed_says_so_when_it_is_left(paced: Path) -> None:
    spec = load_bench(str(paced))
    bench = Bench(file=spec)
    bench.tester().identify()
    kill_server(spec)
    with pytest.raises(ServerLost, match="is gone"):
        bench.close()


def test_a_process_that_cannot_serve_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = paced_file(tmp_path)
    spec = load_bench(str(path))
    path.write_text("title: T\ncar: sreved\n")
    with Bench(file=spec) as bench, pytest.raises(CarNotStarted, match=r"could not be served: .*did you mean 'served'"):
        bench.vehicle()
    monkeypatch.setattr(reach, "START_PATIENCE_S", 0.0)
    with Bench(file=spec) as bench, pytest.raises(CarNotStarted, match="it said nothing"):
        bench.vehicle()


# ---- cars that are not served


def test_a_real_car_is_the_one_that_the_file_names(tmp_path: Path) -> None:
    path = tmp_path / "real.yaml"
    path.write_text(
        "title: T\ncar: real\nvehicle: vag-golf\ntester: {driver: python_can, channel: none, options: {interface: virtual}}\n"
    )
    with Bench(file=str(path), vehicle="vag-golf") as bench:
        assert bench.car.spec.name == "vag-golf"
        assert bench.findings().blind_spots
        with pytest.raises(NotOnThisCarrier, match="nobody here can"):
            bench.car.reset("cluster")
    with pytest.raises(NotOnThisCarrier, match="the car on this bench is 'vag-golf', not 'mb-eclass'"):
        Bench(file=str(path), vehicle="mb-eclass")
    run = run_one(
        load_scenario(scenario(tmp_path, READS.replace("vag-golf", "mb-eclass"))), seed=0, file=load_bench(str(path))
    )
    assert run.played.status is Status.SKIPPED


def test_a_vehicle_that_has_not_the_benchs_buses_is_a_skip(udp: Path, tmp_path: Path) -> None:
    golf = (VEHICLES / "vag-golf.yaml").read_text()
    (tmp_path / "long-golf.yaml").write_text(golf.replace("infotainment]", "infotainment, rear]"))
    text = udp.read_text().replace(
        "tester:", "  rear: {driver: python_can, channel: 239.74.163.2, options: *options}\ntester:"
    )
    udp.write_text(f"vehicle: long-golf.yaml\n{text}")
    run = run_one(load_scenario(scenario(tmp_path)), seed=0, file=load_bench(str(udp)))
    assert run.played.status is Status.SKIPPED
    assert "this vehicle does not fit the bench" in run.played.reason
    assert "has no bus 'rear'; it has: obd" in run.played.reason
    end_processes()
