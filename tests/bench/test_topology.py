"""The shipped vehicles stand as their files say and answer through their gateways; a wrong file says where and what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.bench import Bench
from bench.vehicle_file import FOLDER, load_vehicle, vehicle_names
from scenarios.stage import VehicleChange
from wire.can_bus import CanBus
from wire.errors import ConfigError, LocalMisuse
from wire.faults import FaultRule
from wire.frame import Frame

VEHICLES = ["mb-cclass", "mb-eclass", "vag-golf", "vag-id"]
GOLF = (FOLDER / "vag-golf.yaml").read_text()
EVERY_UNIT = [
    (vehicle, unit) for vehicle in VEHICLES for unit in ("gateway", *(ecu.name for ecu in load_vehicle(vehicle).ecus))
]
IDENTIFICATION = {0xF190: 17, 0xF187: None, 0xF189: None, 0xF191: None, 0xF197: None, 0xF19E: None}
PUBLIC_IDS = {
    # unit: request, response (public facts)
    "gateway": (0x710, 0x77A),
    "engine": (0x7E0, 0x7E8),
    "gearbox": (0x7E1, 0x7E9),
    "brakes": (0x713, 0x77D),
    "central-electrics": (0x70E, 0x778),
    "cluster": (0x714, 0x77E),
    "airbag": (0x715, 0x77F),
    "climate": (0x746, 0x7B0),
    "infotainment": (0x773, 0x7DD),
}


def file(tmp_path: Path, old: str = "", new: str = "", text: str = GOLF) -> str:
    """Write a vehicle file with one thing changed."""
    assert old in text
    path = tmp_path / "car.yaml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


def test_both_makes_are_shipped_and_both_stages_of_one() -> None:
    assert vehicle_names() == VEHICLES


@pytest.mark.parametrize(("vehicle", "unit"), EVERY_UNIT)
def test_every_unit_answers_an_identification_request_through_the_gateway(vehicle: str, unit: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        link = bench.tester().core.link
        for did, size in IDENTIFICATION.items():
            answer = link.request(unit, b"\x22" + did.to_bytes(2, "big"))
            assert answer[:3] == b"\x62" + did.to_bytes(2, "big")
            assert len(answer) > 3 if size is None else len(answer) == 3 + size
        assert link.request(unit, b"\x22\xf1\x90")[3:].decode() == bench.car.spec.vin


@pytest.mark.parametrize("unit", PUBLIC_IDS)
def test_volkswagen_units_have_their_public_identifiers(unit: str) -> None:
    entry = Bench(vehicle="vag-golf").car.car_map().ecu(unit)
    assert (entry.request_id, entry.response_id) == PUBLIC_IDS[unit]


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_the_scan_finds_every_unit_and_the_gateway_lists_the_same(vehicle: str) -> None:
    with Bench(vehicle=vehicle) as bench:
        tester = bench.tester()
        assert all(report.reachable for report in tester.scan())
        assert set(tester.identify().installed) == set(bench.ecu_names())


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_no_unit_but_the_gateway_stands_on_the_testers_bus(vehicle: str) -> None:
    car = Bench(vehicle=vehicle).car
    for name, unit in car.units.items():
        buses = {port.bus.name for port in unit.ports}
        assert buses == (
            set(car.buses) if name == "gateway" else {ecu.bus for ecu in car.spec.ecus if ecu.name == name}
        )
        assert (name == "gateway") is ("obd" in buses)


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_nothing_stands_on_any_bus_before_somebody_asks(vehicle: str) -> None:
    with Bench(vehicle=vehicle, keep_trace=True) as bench:
        bench.sleep(minutes=10)
        assert bench.trace.count == 0


def test_a_flood_at_the_socket_stops_no_car() -> None:
    """Requests have priority over answers: what cannot be said in time is not said."""
    with Bench(vehicle="vag-golf") as bench:
        port = bench.car.buses["obd"].attach("attacker")
        for number in range(2000):
            port.send(Frame((0x700, 0x710, 0x714)[number % 3], bytes.fromhex("03 22 F1 86 55 55 55 55")))
        bench.sleep(seconds=5)
        assert bench.tester().core.link.request("cluster", b"\x22\xf1\x90")[0] == 0x62


@pytest.mark.parametrize("request_", ["03 22 F1 86", "02 3E 00", "02 10 03", "03 22 F1 90"])
def test_a_flood_on_an_inner_bus_stops_no_unit(request_: str) -> None:
    with Bench(vehicle="vag-golf") as bench:
        port = bench.car.buses["body"].attach("attacker")
        for _ in range(500):
            port.send(Frame(0x714, bytes.fromhex(request_)))
        bench.sleep(seconds=5)
        assert bench.tester().core.link.request("cluster", b"\x22\xf1\x90")[0] == 0x62


def test_an_inner_bus_may_be_empty(tmp_path: Path) -> None:
    path = file(tmp_path, "  infotainment: {profile: vag/infotainment, bus: infotainment}\n")
    with Bench(vehicle=path) as bench:
        assert bench.tester().core.link.request("cluster", b"\x22\xf1\x90")[0] == 0x62
        assert "infotainment" in bench.car.buses


def test_a_car_may_have_nothing_but_its_gateway(tmp_path: Path) -> None:
    ecus = GOLF[GOLF.index("ecus:") : GOLF.index("tester:")]
    path = Path(file(tmp_path, ecus, "ecus: {}\n"))
    path.write_text(path.read_text().partition("rest_bus:")[0])  # nobody is left to speak on it
    with Bench(vehicle=path) as bench:
        assert bench.ecu_names() == ("gateway",)
        assert bench.tester().core.link.request("gateway", b"\x22\xf1\x90")[0] == 0x62


def test_the_units_know_the_vin_of_the_car_they_stand_in(tmp_path: Path) -> None:
    path = file(tmp_path, "WVWZZZCDZSW000001", "WVWZZZCDZSW424242")
    with Bench(vehicle=path) as bench:
        assert bench.tester().identify().vin == "WVWZZZCDZSW424242"
        assert bench.tester().core.link.request("brakes", b"\x22\xf1\x90")[3:] == b"WVWZZZCDZSW424242"


# ---- what happens to the car


def test_a_unit_without_supply_is_silent_and_comes_back() -> None:
    with Bench(vehicle="vag-golf") as bench:
        stage = bench.stage
        bench.car.change(VehicleChange(battery=False))
        assert stage.request("cluster", b"\x22\xf1\x90").kind == "silence"
        bench.car.change(VehicleChange(battery=True))
        bench.sleep(seconds=2)
        assert stage.request("cluster", b"\x22\xf1\x90").kind == "positive"


def test_a_sleeping_car_is_silent_and_wakes() -> None:
    with Bench(vehicle="mb-eclass") as bench:
        bench.car.change(VehicleChange(sleeping=True))
        assert bench.stage.request("engine", b"\x22\xf1\x90").kind == "silence"
        bench.car.change(VehicleChange(sleeping=False))
        assert bench.stage.request("engine", b"\x22\xf1\x90").kind == "positive"


def test_a_unit_that_is_not_there_is_named_with_those_that_are() -> None:
    car = Bench(vehicle="vag-golf").car
    with pytest.raises(LocalMisuse, match=r"no unit 'clutser'.*cluster"):
        car.unit("clutser")


def test_faults_are_put_in_and_taken_out() -> None:
    car = Bench(vehicle="vag-golf").car
    buses: list[CanBus] = list(car.buses.values())
    car.add_fault(FaultRule(kind="drop"))
    assert all(bus.faults is car.faults for bus in buses)
    car.clear_faults()
    assert all(bus.faults is None for bus in buses)


def test_a_vehicle_that_does_not_exist_is_named_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no vehicle 'vag-gulf'; did you mean 'vag-golf'\?"):
        load_vehicle("vag-gulf")


# ---- wrong files: (what is there, what stands there instead, line, key, part of the text)

WRONG = {
    "misspelt key": ("odometer_km", "odometr_km", 5, "odometr_km", "did you mean 'odometer_km'?"),
    "misspelt make": ("make: vag", "make: vga", 3, "make", "did you mean 'vag'?"),
    "unknown make": ("make: vag", "make: bmw", 3, "make", "there are: vag, mercedes"),
    "misspelt bus": ("bus: powertrain", "bus: powertrian", 10, "ecus.engine.bus", "did you mean 'powertrain'?"),
    "unit at the socket": ("bus: powertrain", "bus: obd", 10, "ecus.engine.bus", "there are: powertrain, chassis"),
    "misspelt unit key": ("engine: {profile", "engine: {profil", 10, "ecus.engine.profil", "did you mean 'profile'?"),
    "misspelt tester key": ("{padding", "{paddign", 18, "tester.paddign", "did you mean 'padding'?"),
    "unknown gateway": ("vag-j533", "vag-j534", 6, "gateway.profile", "vag-j533"),
    "unknown gateway unit": ("vag/gateway", "vag/gatway", 6, "gateway.ecu", "vag/gateway"),
    "unknown profile": ("vag/engine", "vag/engin", 10, "ecus.engine.profile", "vag/engine"),
    "short VIN": ("WVWZZZCDZSW000001", "WVW", 4, "vin", "17 letters and digits"),
    "odd VIN": ("WVWZZZCDZSW000001", "WVWZZZ-DZSW000001", 4, "vin", "17 letters and digits"),
    "VIN with I": ("WVWZZZCDZSW000001", "WVWZZZCDZSW00000I", 4, "vin", "has I"),
    "VIN with O and Q": ("WVWZZZCDZSW000001", "WVWZZZCDZSQO00001", 4, "vin", "has O, Q"),
    "VIN in lower case": ("WVWZZZCDZSW000001", "WvWZZZCDZSW000001", 4, "vin", "capital letters"),
    "first bus": ("[obd, powertrain", "[powertrain, obd", 8, "buses", "first bus is the tester's"),
    "bus twice": ("[obd, ", "[obd, body, ", 8, "buses", "each stands once"),
    "unit twice": ("  gearbox:", "  engine:", 11, "ecus.engine", "twice"),
    "unit called gateway": ("  engine:", "  gateway:", 10, "ecus.gateway", "call this one otherwise"),
    "one profile for two": ("vag/gearbox", "vag/engine", 11, "ecus.gearbox", "0x7e0, which 'engine' has already"),
    "gateway's profile again": ("vag/gearbox", "vag/gateway", 11, "ecus.gearbox", "which the gateway has already"),
    "functional is a unit's": ("[0x700, 0x7DF]", "[0x714]", 7, "functional_ids[0]", "which 'cluster' has already"),
    "functional too large": ("[0x700, 0x7DF]", "[0x700, 0x800]", 7, "functional_ids[1]", "does not fit its 11 bits"),
    "functional twice": ("[0x700, 0x7DF]", "[0x700, 0x700]", 7, "functional_ids[1]", "has already"),
    "functional in words": ("[0x700, 0x7DF]", "[all]", 7, "functional_ids[0]", "expected a whole number"),
    "negative odometer": ("odometer_km: 12345", "odometer_km: -1", 5, "odometer_km", "from 0 to 2000000"),
    "odometer in words": ("odometer_km: 12345", "odometer_km: far", 5, "odometer_km", "expected a whole number"),
    "padding too large": ("0x55", "0x155", 18, "tester.padding", "from 0 to 255"),
    "gateway as text": ("{profile: vag-j533, ecu: vag/gateway}", "vag-j533", 6, "gateway", "expected a mapping"),
    "title as number": ("title: Golf-like car, J533 and SFD", "title: 5", 2, "title", "put it in quotes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_says_file_line_key_and_what_would_be_right(tmp_path: Path, case: str) -> None:
    old, new, line, key, text = WRONG[case]
    path = file(tmp_path, old, new)
    with pytest.raises(ConfigError) as error:
        load_vehicle(path)
    assert (error.value.path, error.value.line, error.value.key) == (path, line, key)
    assert text in error.value.problem
    assert str(error.value).startswith(f"{path}:{line}: {key}: ")


@pytest.mark.parametrize("key", ["title", "make", "vin", "gateway", "functional_ids", "buses", "ecus"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path = file(tmp_path, f"\n{key}:", "\n#")
    if key == "ecus":
        path = file(tmp_path, GOLF[GOLF.index("ecus:") : GOLF.index("tester:")])
    with pytest.raises(ConfigError, match=f"missing key '{key}'") as error:
        load_vehicle(path)
    assert error.value.path == path


NO_VEHICLE = ["", "just words", "- a\n- b\n", "make: [vag\n", "\x00", "a: &x [*x]\n", "!!python/object:os.system {}\n"]


@pytest.mark.parametrize("text", NO_VEHICLE)
def test_what_is_no_vehicle_at_all_is_refused_by_file(tmp_path: Path, text: str) -> None:
    path = file(tmp_path, text=text)
    with pytest.raises(ConfigError) as error:
        load_vehicle(path)
    assert error.value.path == path


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = file(tmp_path)
    first = load_vehicle(path)
    file(tmp_path, "odometer_km: 12345", "odometer_km: 7")
    assert load_vehicle(path) == replace(first, odometer_km=7)


def test_a_car_whose_battery_comes_back_is_awake() -> None:
    bench = Bench(vehicle="vag-golf")
    for values in ({"sleeping": True}, {"battery": False}, {"battery": True}):
        bench.car.change(VehicleChange(**values))
    bench.sleep(seconds=2)
    assert bench.tester().core.link.request("cluster", bytes.fromhex("22 F1 86")) == bytes.fromhex("62 F1 86 01")
