"""Cars on CAN FD and with 29-bit identifiers: the whole chain, long answers and functional requests, through the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import Bench, VehicleChange
from bench.vehicle_file import load_vehicle
from scenarios.strategy import Goal
from wire.errors import ConfigError
from wire.frame import EXTENDED

GATEWAY = """
extends: vag/gateway
request_id: 0x97FC0010
response_id: 0x97FE0010
functional_ids: [0x98DB33F1]
"""
UNIT = """
extends: vag/cluster
request_id: 0x97FC0014
response_id: 0x97FE0014
functional_ids: [0x98DB33F1]
dids:
  "2000": {hex: "LONG"}
"""
CAR = """
title: A car on CAN FD with 29-bit identifiers
make: vag
vin: WVWZZZAAZTW000043
odometer_km: 12345
gateway: {profile: vag-j533, ecu: gateway.yaml}
functional_ids: [0x98DB33F1]
buses: [OBD, INNER]
ecus:
  cluster: {profile: unit.yaml, bus: body}
tester: {padding: 0x55}
"""
BUSES = {
    "classic": ("obd", "body"),
    "FD inside": ("obd", "{name: body, fd: true}"),
    "FD outside": ("{name: obd, fd: true}", "body"),
    "FD": ("{name: obd, fd: true, data_bitrate: 5000000}", "{name: body, fd: true, bitrate: 250000}"),
}


def car_file(folder: Path, buses: str, long: bytes = bytes(range(256))) -> str:
    obd, inner = BUSES[buses]
    (folder / "gateway.yaml").write_text(GATEWAY)
    (folder / "unit.yaml").write_text(UNIT.replace("LONG", long.hex()))
    path = folder / "car.yaml"
    path.write_text(CAR.replace("OBD", obd).replace("INNER", inner))
    return str(path)


@pytest.mark.parametrize("buses", BUSES)
def test_the_chain_runs_from_login_to_relock(tmp_path: Path, buses: str) -> None:
    with Bench(vehicle=car_file(tmp_path, buses)) as bench:
        bench.car.change(VehicleChange(bonnet_open=True))
        bench.strategy.reach("unlocked", Goal(ecu="cluster"))
        tester = bench.tester()
        tester.security_access("cluster", 3)
        tester.write_coding("cluster", bytes(8))
        bench.sleep(minutes=90)
        assert tester.unlock_state("cluster").locked


@pytest.mark.parametrize("buses", BUSES)
def test_frames_are_as_long_and_identifiers_as_wide_as_the_bus_and_the_files_say(tmp_path: Path, buses: str) -> None:
    bench = Bench(vehicle=car_file(tmp_path, buses), keep_trace=True)
    answer = bench.tester().core.link.request("cluster", bytes.fromhex("22 20 00"))
    assert answer == bytes.fromhex("62 20 00") + bytes(range(256))
    longest = {"obd": 0, "body": 0}
    for _, bus, can_id, flags, data in bench.trace.kept():
        name = bench.trace.buses[bus]
        longest[name] = max(longest[name], len(data))
        assert can_id >= EXTENDED
        assert bool(flags & 1) is bench.car.buses[name].fd
    assert longest == {name: 64 if bus.fd else 8 for name, bus in bench.car.buses.items()}


@pytest.mark.parametrize("buses", BUSES)
def test_a_functional_request_with_29_bits_reaches_all_units(tmp_path: Path, buses: str) -> None:
    bench = Bench(vehicle=car_file(tmp_path, buses))
    answers = bench.tester().core.link.send_functional(bytes.fromhex("22 F1 90"))
    assert dict(answers) == dict.fromkeys(("gateway", "cluster"), b"b\xf1\x90WVWZZZAAZTW000043")


def test_a_request_to_all_that_is_too_long_for_an_inner_bus_is_dropped_there_and_noted(tmp_path: Path) -> None:
    """A functional request is one single frame (ISO 15765-2): what needs two has no way onto a classic bus."""
    bench = Bench(vehicle=car_file(tmp_path, "FD outside"))
    answers = bench.tester().core.link.send_functional(bytes.fromhex("22 F1 90 F1 87 F1 89 F1 91 F1 97"))
    assert [(unit, answer[:3].hex()) for unit, answer in answers] == [("gateway", "62f190")]
    record = bench.car.gateway.log[-1]
    assert (record.unit, record.verdict) == ("all", "dropped")
    assert "11 bytes" in record.reason
    assert "inner bus 1" in record.reason


@pytest.mark.parametrize("buses", ["FD outside", "FD"])
def test_requests_to_all_of_every_length_pass_or_are_dropped_and_the_car_goes_on(
    tmp_path_factory: pytest.TempPathFactory, buses: str
) -> None:
    @given(st.integers(1, 62))
    def of_length(size: int) -> None:
        bench = Bench(vehicle=car_file(tmp_path_factory.mktemp("car"), buses), keep_trace=True)
        link = bench.tester().core.link
        link.send_functional((b"\x22" + b"\xf1\x90" * 31)[:size])
        to_all = [bench.trace.buses[bus] for _, bus, can_id, _, _ in bench.trace.kept() if can_id == 0x98DB33F1]
        fits = buses == "FD" or size <= 7
        assert to_all == (["obd", "body"] if fits else ["obd"])
        assert link.request("cluster", bytes.fromhex("22 F1 90"))[:3] == bytes.fromhex("62 F1 90")

    of_length()


@pytest.mark.parametrize("buses", ["FD inside", "FD outside"])
def test_answers_of_every_length_pass_between_frames_of_8_and_of_64_bytes(
    tmp_path_factory: pytest.TempPathFactory, buses: str
) -> None:
    @given(st.integers(1, 300))
    def of_length(size: int) -> None:
        long = bytes(number & 0xFF for number in range(size))
        bench = Bench(vehicle=car_file(tmp_path_factory.mktemp("car"), buses, long))
        assert bench.tester().core.link.request("cluster", bytes.fromhex("22 20 00")) == b"\x62\x20\x00" + long

    of_length()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("{name: body, fd: maybe}", "fd"),
        ("{name: body, bitrate: 5}", "bitrate"),
        ("{nmae: body}", "did you mean 'name'"),
        ("{fd: true}", "'name'"),
    ],
)
def test_a_wrong_bus_is_named_with_line_and_key(tmp_path: Path, wrong: str, words: str) -> None:
    path = car_file(tmp_path, "classic")
    Path(path).write_text(Path(path).read_text().replace("buses: [obd, body]", f"buses: [obd, {wrong}]"))
    with pytest.raises(ConfigError, match=r"car.yaml:8.*buses") as raised:
        load_vehicle(path)
    assert words in str(raised.value)
