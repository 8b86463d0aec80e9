"""What goes wrong under a bench on a real interface: an error by name or a recovery, told, soon; and nothing is granted by it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from command_line import in_a_process
from served_car import eventually
from udsoncan.exceptions import NegativeResponseException
from vcan_bench import Stranger, bench_file, end_processes, kill, log_of, process_of, serving, state_of
from vcan_interface import VcanInterface, vcan_interface

from bench.bench import Bench
from bench.live.client import ServerLost
from scenarios.stage import VehicleChange
from vci_driver.api import ChannelLost, FramesLost, OtherSender
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import NoAnswer
from vci_driver.link_peer import Peer
from wire.clock import stopwatch
from wire.frame import Frame

pytestmark = [pytest.mark.vcan, pytest.mark.realtime, pytest.mark.slow]

PATIENT = "20 s"
"""How long the tester would wait for an answer: whoever is told at once is told in a fraction of it."""
SOON_S = 8.0
"""Less than half of that patience, and room for a machine that is busy."""
CODING = bytes(range(1, 9))
READ_SESSION, SLOW_READ, MOMENT_READ = b"\x22\xf1\x86", b"\x22\x20\x00", b"\x22\x20\x01"
CLUSTER_REQUEST, CLUSTER_RESPONSE = 0x714, 0x77E
ERROR_FLAG, BUS_OFF, RESTARTED = 0x2000_0000, 0x40, 0x100
SLOW_UNIT = """\
extends: vag/cluster
title: 17 cluster
address: 0x17
request_id: 0x714
response_id: 0x77E
dids:
  "2000": {name: what takes ten seconds, hex: "5A", work: 10 s}
  "2001": {name: what takes a moment, hex: "5A", work: 500 ms}
"""
SLOW_CAR = """\
title: A car with a slow unit
make: vag
vin: WVWZZZAAZTW000042
odometer_km: 150
gateway: {profile: vag-j533, ecu: vag/gateway}
functional_ids: [0x700]
buses: [obd, body]
ecus:
  cluster: {profile: slow.yaml, bus: body}
tester: {padding: 0x55}
"""


@pytest.fixture(scope="module")
def cable() -> Iterator[VcanInterface]:
    """An interface of these tests' own, one served car for all of them: it has to survive each of them."""
    yield from vcan_interface()


@pytest.fixture(scope="module")
def path(cable: VcanInterface, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "slow.yaml").write_text(SLOW_UNIT)
    (folder / "car.yaml").write_text(SLOW_CAR)
    yield bench_file(folder, cable.name, vehicle="car.yaml", delta_p2=PATIENT)
    end_processes()


@pytest.fixture
def bench(path: Path) -> Iterator[Bench]:
    with Bench(file=path, vehicle=path.parent / "car.yaml") as made:
        made.car.change(VehicleChange(bonnet_open=True))
        yield made
        assert made.findings().violations == ()


def unlocked(bench: Bench) -> None:
    tester = bench.tester("validated")
    tester.login()
    tester.unlock("cluster")


def asking_meanwhile(bench: Bench, act: Callable[[], object]) -> tuple[Exception, float]:
    """Ask what takes the unit ten seconds, do something meanwhile; return what the question ended with, and how soon."""
    link, came = bench.tester().link, []
    asked = threading.Event()

    def ask() -> None:
        asked.set()
        try:
            came.append(link.request("cluster", SLOW_READ))
        except Exception as error:  # noqa: BLE001 - looked at by the test
            came.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    assert asked.wait(SOON_S)
    assert eventually(lambda: link.counters.pending > 0), "the unit asks for patience"
    passed = stopwatch()
    act()
    asker.join(SOON_S)
    assert not asker.is_alive(), "the question hangs"
    assert isinstance(came[0], Exception), came
    return came[0], passed()


def final_answer(link: DiagnosticLink, peer: Peer) -> bytes:
    """Wait through what the unit says while it is at work."""
    while (answer := link.wait(peer)) == b"\x7f\x22\x78":
        pass
    return answer


def answers(bench: Bench, path: Path) -> bool:
    """Whether the unit answers once it is up and has done what it was at: until then it need not (ISO 14229-1, busy)."""

    def at_leisure() -> bool:
        cluster = state_of(process_of(path).control)["units"][-1]
        return bool(cluster["reachable"]) and not cluster["busy"]

    assert eventually(at_leisure, 20.0)
    return bench.tester().link.request("cluster", READ_SESSION)[:1] == b"\x62"


def recoveries(path: Path) -> int:
    return log_of(process_of(path)).count("works again")


def refused_without_grant(bench: Bench) -> None:
    """A protected write is refused with the code that the tables give, and not answered otherwise."""
    with pytest.raises(NegativeResponseException) as refused:
        bench.tester().write_coding("cluster", CODING)
    assert refused.value.response.code == 0x33


# ---- the interface


@pytest.mark.parametrize("way", ["down", "deleted"])
def test_an_interface_that_goes_fails_the_question_by_name_at_once_and_the_same_tester_goes_on_when_it_is_back(
    bench: Bench, path: Path, cable: VcanInterface, way: str
) -> None:
    unlocked(bench)
    tester, process, before = bench.tester(), process_of(path), recoveries(path)
    faults_before = state_of(process.control)["fault_count"]
    go, come = (cable.down, cable.up) if way == "down" else (cable.delete, cable.add)
    try:
        error, took_s = asking_meanwhile(bench, go)
        assert isinstance(error, ChannelLost), error
        assert f"{cable.name} " in str(error)
        assert took_s < SOON_S
        passed = stopwatch()
        with pytest.raises(ChannelLost):
            tester.write_coding("cluster", CODING)
        assert passed() < SOON_S
        assert eventually(lambda: state_of(process.control)["fault_count"] > faults_before)
        assert any(word in state_of(process.control)["faults"][-1] for word in ("went down", "is gone"))
        assert state_of(process.control)["violations"] == []
    finally:
        come()
    assert eventually(lambda: tester.link.fault is None), "the link comes back by itself"
    assert eventually(lambda: recoveries(path) == before + 1), log_of(process)
    assert "nothing is granted meanwhile" in log_of(process)
    assert answers(bench, path)
    state = tester.unlock_state("cluster")
    assert not state.locked, "neither a lost bus nor S3 ends SFD's grant"
    assert state.minutes_left in (88, 89)


def test_a_car_whose_grant_fell_while_the_interface_was_down_is_locked_afterwards(
    bench: Bench, path: Path, cable: VcanInterface
) -> None:
    unlocked(bench)
    before = recoveries(path)
    cable.down()
    try:
        assert eventually(lambda: bench.tester().link.fault is not None)
        bench.car.reset("cluster")
        assert state_of(process_of(path).control)["units"][-1]["lock"] == "locked"
    finally:
        cable.up()
    assert eventually(lambda: bench.tester().link.fault is None)
    assert eventually(lambda: recoveries(path) == before + 1)
    assert answers(bench, path)
    assert bench.tester().unlock_state("cluster").locked
    refused_without_grant(bench)


def test_bus_off_is_told_by_name_and_the_restarted_controller_goes_on(
    bench: Bench, path: Path, cable: VcanInterface
) -> None:
    tester, before = bench.tester(), recoveries(path)
    tester.identify()
    with contextlib.closing(Stranger(cable.name)) as controller:
        error, took_s = asking_meanwhile(bench, lambda: controller.send(Frame(ERROR_FLAG | BUS_OFF, bytes(8))))
        assert isinstance(error, ChannelLost)
        assert "bus-off" in str(error)
        assert took_s < SOON_S
        assert eventually(lambda: "bus-off" in " ".join(state_of(process_of(path).control)["faults"]))
        with pytest.raises(ChannelLost, match="bus-off"):
            tester.link.request("cluster", READ_SESSION)
        controller.send(Frame(ERROR_FLAG | RESTARTED, bytes(8)))
    assert eventually(lambda: tester.link.fault is None and recoveries(path) == before + 1)
    assert answers(bench, path)
    refused_without_grant(bench)


# ---- others on the bus


def test_a_second_program_with_the_testers_identifier_is_told_of(bench: Bench, cable: VcanInterface) -> None:
    tester = bench.tester()
    tester.link.request("cluster", READ_SESSION)
    assert bench.notices() == []
    with contextlib.closing(Stranger(cable.name)) as other:
        other.send(Frame(CLUSTER_REQUEST, b"\x02\x3e\x80\x55\x55\x55\x55\x55"))
        assert eventually(bench.notices)
    (notice,) = bench.notices()
    assert isinstance(notice, OtherSender)
    assert "someone else sends with our identifier 714" in str(notice)
    assert tester.link.request("cluster", READ_SESSION)[:1] == b"\x62", "the link goes on"


def test_a_second_sender_stands_in_the_terminals_report_and_in_junit(cable: VcanInterface, tmp_path: Path) -> None:
    path = bench_file(tmp_path, cable.name)
    asks = "  - request: {ecu: cluster, bytes: '22 F1 86'}\n"
    (tmp_path / "asks.yaml").write_text(f"title: Asks\nvehicle: vag-golf\nsteps:\n{asks}  - wait: 2 s\n{asks}")

    def interfere() -> None:
        with contextlib.closing(Stranger(cable.name, [CLUSTER_RESPONSE])) as other:
            other.socket.settimeout(60)
            other.hear()
            other.send(Frame(CLUSTER_REQUEST, b"\x02\x3e\x80\x55\x55\x55\x55\x55"))

    meddler = threading.Thread(target=interfere)
    meddler.start()
    done = in_a_process("run", "asks.yaml", "--bench", str(path), "--junit", "run.xml", cwd=tmp_path)
    meddler.join()
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "adapter: socketcan:" in said, done.stdout + done.stderr
    assert "someone else sends with our identifier 714" in said
    report = ET.parse(tmp_path / "run.xml")  # noqa: S314 - our own
    properties = [each.get("value") for each in report.iter("property") if each.get("name") == "adapter"]
    assert len(properties) == 1
    assert "identifier 714" in (properties[0] or "")


def test_a_foreign_answer_with_a_units_identifier_is_named_by_the_served_car(
    bench: Bench, path: Path, cable: VcanInterface
) -> None:
    bench.tester().link.request("cluster", READ_SESSION)
    process = process_of(path)
    with contextlib.closing(Stranger(cable.name)) as other:
        other.send(Frame(CLUSTER_RESPONSE, b"\x03\x7f\x22\x31\xaa\xaa\xaa\xaa"))
        named = "someone else sends with our identifier 77E"
        assert eventually(lambda: any(named in fault for fault in state_of(process.control)["faults"]))
    assert named in log_of(process)
    assert bench.tester().link.request("cluster", READ_SESSION)[:1] == b"\x62"


# ---- what is lost


def test_frames_that_the_tester_did_not_read_in_time_are_the_named_reason_and_no_time_out(
    path: Path, cable: VcanInterface, tmp_path: Path
) -> None:
    small = bench_file(
        tmp_path,
        cable.name,
        vehicle=str(path.parent / "car.yaml"),
        delta_p2="1 s",
        more="options: {receive_buffer_bytes: 1}",
    )
    with Bench(file=small, vehicle=path.parent / "car.yaml") as bench:
        tester = bench.tester()
        link = tester.link
        with (
            bench.world.hold,  # nobody runs the tester's world meanwhile
            contextlib.closing(Stranger(cable.name, [CLUSTER_RESPONSE])) as witness,
            contextlib.closing(Stranger(cable.name)) as other,
        ):
            peer = link.begin("cluster", MOMENT_READ)
            for _ in range(50):
                other.send(Frame(CLUSTER_RESPONSE, b"\x03\x7f\x11\x31\xaa\xaa\xaa\xaa"))
            while witness.hear().data[1:4] != b"\x62\x20\x01":
                pass
            passed = stopwatch()
            with pytest.raises(FramesLost, match=r"lost \d+ frames: they came faster than this program read") as lost:
                link.wait(peer)
        assert lost.value.count > 0
        assert isinstance(lost.value.__cause__, NoAnswer)
        assert passed() < SOON_S
        assert any(isinstance(notice, FramesLost) for notice in bench.notices())
        assert eventually(lambda: link.request("cluster", READ_SESSION)[:1] == b"\x62"), "the link goes on"
    process_of(small).close()


# ---- the car's process


def test_a_car_whose_process_is_killed_is_silence_by_name_and_the_next_bench_has_a_new_one(
    path: Path, tmp_path: Path, cable: VcanInterface
) -> None:
    car = path.parent / "car.yaml"
    own = bench_file(tmp_path, cable.name, vehicle=str(car), delta_p2="300 ms")
    bench = Bench(file=own, vehicle=car)
    link = bench.tester().link
    assert link.request("cluster", READ_SESSION)[:1] == b"\x62"
    peer = link.begin("cluster", SLOW_READ)
    kill(process_of(own))
    passed = stopwatch()
    with pytest.raises(NoAnswer, match=r"'cluster' (did not answer|said 0x78)"):
        final_answer(link, peer)
    with pytest.raises(NoAnswer, match="'cluster' did not answer"):
        link.request("cluster", READ_SESSION)
    with pytest.raises(ServerLost, match=r"is gone|no car is served"):
        bench.car.change(VehicleChange(bonnet_open=True))
    with pytest.raises(ServerLost):
        bench.close()
    assert passed() < 2 * SOON_S  # P2* is 5 s, where the unit had time to ask for patience
    with Bench(file=own, vehicle=car) as again:
        assert again.tester().link.request("cluster", READ_SESSION)[:1] == b"\x62"
    process_of(own).close()


def test_a_second_server_on_one_bench_file_is_refused_and_the_first_goes_on(
    tmp_path: Path, cable: VcanInterface
) -> None:
    path = bench_file(tmp_path, cable.name)
    with serving(tmp_path, str(path)) as first:
        second = in_a_process("serve", "--plain", "--bench", str(path), "--control", str(first.control), cwd=tmp_path)
        assert second.returncode == 2
        assert second.stderr.count("\n") == 1, second.stderr
        assert "a car is served at" in second.stderr
        assert first.state()["vin"] == "WVWZZZCDZSW000001"
        assert "ended after" in first.end()


def test_two_cars_served_on_one_interface_name_each_other(tmp_path: Path, cable: VcanInterface) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        serving(folders[0], str(bench_file(folders[0], cable.name))) as one,
        serving(folders[1], str(bench_file(folders[1], cable.name))) as two,
        contextlib.closing(Stranger(cable.name)) as tester,
    ):
        for _ in range(2):  # who has answered once knows which identifiers are its own
            tester.send(Frame(CLUSTER_REQUEST, b"\x03" + READ_SESSION + bytes(4)))
            for _ in (one, two):
                assert tester.hear().data[:4] == b"\x04\x62\xf1\x86"
        named = "bus obd: socketcan:"
        for car in (one, two):
            assert eventually(lambda car=car: "someone else sends with our identifier 77E" in car.log()), car.log()
            assert named in car.log()
            assert car.state()["violations"] == []


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("sgwnone", "no CAN interface is called 'sgwnone'"),
        ("lo", "'lo' is a network interface, but not a CAN interface"),
        ("down", "is down: 'ip link set"),
    ],
)
def test_an_interface_that_cannot_be_served_on_is_one_sentence_and_status_2(
    tmp_path: Path, cable: VcanInterface, channel: str, says: str
) -> None:
    if channel == "down":
        cable.down()
    try:
        path = bench_file(tmp_path, cable.name if channel == "down" else channel)
        for words in (("serve", "--plain"), ("run", "vag-global-scan")):
            done = in_a_process(*words, "--bench", str(path), cwd=tmp_path)
            assert done.returncode == 2
            assert done.stderr.count("\n") == 1, done.stderr
            assert says in done.stderr
    finally:
        if channel == "down":
            cable.up()


def test_the_served_car_ends_cleanly_while_its_interface_is_down(tmp_path: Path, cable: VcanInterface) -> None:
    path = bench_file(tmp_path, cable.name)
    with serving(tmp_path, str(path)) as car:
        cable.down()
        try:
            assert eventually(lambda: "the car goes on without it" in car.log()), car.log()
            passed = stopwatch()
            assert "ended after 0 requests" in car.end()
            assert passed() < SOON_S
        finally:
            cable.up()
