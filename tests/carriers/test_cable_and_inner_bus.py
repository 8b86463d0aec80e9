"""Car and tester on the two ends of a cable, and a bus behind the gateway on an interface of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import can_utils
import pytest
from udsoncan.exceptions import NegativeResponseException
from vcan_bench import Stranger, bench_file, end_processes, process_of, state_of

from bench.bench import Bench
from scenarios.stage import VehicleChange
from wire.frame import Frame

pytestmark = [pytest.mark.vcan, pytest.mark.realtime, pytest.mark.slow]

CODING = bytes(range(1, 9))
CLUSTER_REQUEST, CLUSTER_RESPONSE = 0x714, 0x77E
READ_SESSION, SESSION = b"\x22\xf1\x86", b"\x62\xf1\x86\x01"
SLOW_UNIT = """\
extends: vag/cluster
title: 17 cluster
address: 0x17
request_id: 0x714
response_id: 0x77E
dids:
  "2000": {name: what takes a second, hex: "5A", work: 1 s}
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


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield bench_file(tmp_path, "vxcan0", "vxcan1", buses="body: {driver: socketcan, channel: vcan1}", delta_p2="2 s")
    end_processes()


def test_the_chain_from_login_to_coding_goes_through_the_cable(path: Path) -> None:
    with Bench(file=path) as bench:
        car, tester = bench.vehicle("vag-golf"), bench.tester("validated")
        car.change(VehicleChange(bonnet_open=True))
        with pytest.raises(NegativeResponseException) as refused:
            tester.write_coding("cluster", CODING)
        assert refused.value.response.code == 0x33
        tester.login()
        tester.unlock("cluster")
        tester.security_access("cluster", 3)
        tester.write_coding("cluster", CODING)
        assert tester.unlock_state("cluster").minutes_left == 89
        assert bench.findings().violations == ()


def test_candump_on_the_inner_bus_sees_the_forwarded_request_and_the_units_answer(path: Path) -> None:
    with Bench(file=path) as bench:
        tester = bench.tester()
        tester.identify()
        with can_utils.listening(bench.world, "candump", "-L", "-n", "2", "vcan1") as inner:
            assert tester.link.request("cluster", READ_SESSION) == SESSION
            lines = can_utils.ended(inner).splitlines()
        spelled = [line.split()[2] for line in lines]
        assert [word[:12] for word in spelled] == ["714#0322F186", "77E#0462F186"]


def test_what_the_gateway_refuses_does_not_reach_the_inner_bus(path: Path) -> None:
    with Bench(file=path) as bench:
        tester = bench.tester()  # the bonnet is shut: the filter is armed
        with contextlib.closing(Stranger("vcan1")) as inner:
            with pytest.raises(NegativeResponseException):
                tester.write_coding("cluster", CODING)
            assert tester.link.request("cluster", READ_SESSION)[:1] in (b"\x62", b"\x7f")
            services = []
            while (frame := inner.hear()).can_id != CLUSTER_RESPONSE or frame.data[1:4] != b"\x62\xf1\x86":
                services.append(frame.data[1])
            assert 0x2E not in services


def test_a_foreign_unit_on_the_inner_bus_answers_through_the_gateway(path: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW_UNIT)
    (tmp_path / "car.yaml").write_text(SLOW_CAR)
    with Bench(file=path, vehicle=tmp_path / "car.yaml") as bench:
        tester = bench.tester()
        assert tester.link.request("cluster", READ_SESSION) == SESSION
        with contextlib.closing(Stranger("vcan1", [CLUSTER_REQUEST])) as unit:
            peer = tester.link.begin("cluster", b"\x22\x20\x00")
            assert unit.hear().data[:4] == b"\x03\x22\x20\x00"
            unit.send(Frame(CLUSTER_RESPONSE, b"\x04\x62\x20\x00\x42\xaa\xaa\xaa"))
            while (answer := tester.link.wait(peer)) == b"\x7f\x22\x78":
                pass
        assert answer == b"\x62\x20\x00\x42", "the simulated unit would have said 5A, and a second later"
        state = state_of(process_of(path).control)
        assert state["violations"] == []
        assert any("bus body" in fault and "identifier 77E" in fault for fault in state["faults"]), state["faults"]
