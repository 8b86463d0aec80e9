"""A car whose units tell each other how it is: on its buses, through supply, sleep and faults, and in its vehicle file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from dbc_text import write_dbc

from bench import Bench, VehicleChange
from bench.car import ForeignCar
from bench.topology import Car
from bench.vehicle_file import FOLDER, load_vehicle
from scenarios.stage import RestBusChange
from wire.can_bus import CanBus
from wire.errors import ConfigError, LocalMisuse, NotOnThisCarrier
from wire.faults import FaultRule
from wire.frame import Frame

ON, OFF = RestBusChange(on=True), RestBusChange(on=False)
SPEED, TERMINALS, BODY, ENGINE, ODOMETER = 0x240, 0x3C0, 0x3D0, 0x280, 0x520
ALL = {SPEED, TERMINALS, BODY, ENGINE, ODOMETER}
INNER = ("powertrain", "chassis", "body", "infotainment")


class Watch:
    """A bench with a car, and the cyclic frames on its buses."""

    def __init__(self, vehicle: str | Path = "vag-golf", *, on: bool = True) -> None:
        self.bench = Bench(seed=3, vehicle=vehicle)
        car = self.bench.car
        assert isinstance(car, Car)
        self.car = car
        self.seen: Counter[tuple[str, int]] = Counter()
        self.senders: dict[tuple[str, int], set[str]] = {}
        for bus in car.buses.values():
            bus.tap(self._see)
        if on:
            car.change_rest_bus(ON)

    def _see(self, _: int, bus: CanBus, frame: Frame, sender: str) -> None:
        self.seen[bus.name, frame.can_id] += 1
        self.senders.setdefault((bus.name, frame.can_id), set()).add(sender)

    def run(self, seconds: float = 1) -> set[tuple[str, int]]:
        """Let time pass; return what was on which bus meanwhile."""
        self.seen.clear()
        self.bench.sleep(seconds=seconds)
        return set(self.seen)

    def knows(self, unit: str, value: str) -> float | None:
        return self.car.unit(unit).server.vehicle.read(value, self.bench.world.now_ns)


def test_a_car_is_silent_unless_its_rest_bus_is_asked_for() -> None:
    watch = Watch(on=False)
    assert not watch.run(10)
    assert watch.bench.world.next_deadline_ns() is None
    watch.car.change_rest_bus(ON)
    assert watch.run()
    watch.car.change_rest_bus(OFF)
    watch.run(0.01)
    assert not watch.run(3600)
    assert watch.bench.world.next_deadline_ns() is None


def test_each_message_is_sent_by_its_unit_on_its_bus_and_carried_by_the_gateway_to_the_others_but_not_to_the_socket() -> (
    None
):
    watch = Watch()
    assert watch.run(2) == {(bus, can_id) for bus in INNER for can_id in ALL}
    homes = {SPEED: ("chassis", "brakes"), ENGINE: ("powertrain", "engine"), TERMINALS: ("body", "central-electrics")}
    for can_id, (home, unit) in homes.items():
        assert {bus: watch.senders[bus, can_id] for bus in INNER} == {
            bus: {unit if bus == home else "gateway"} for bus in INNER
        }


def test_without_routes_a_message_stays_on_the_bus_of_its_unit(tmp_path: Path) -> None:
    routes = "routes: {powertrain: all, chassis: all, body: all, infotainment: all}"
    watch = Watch(golf(tmp_path, routes, "routes: {}"))
    assert watch.run() == {
        ("chassis", SPEED),
        ("powertrain", ENGINE),
        ("body", TERMINALS),
        ("body", BODY),
        ("body", ODOMETER),
    }
    assert watch.knows("brakes", "speed_kmh") == 0
    assert watch.knows("cluster", "speed_kmh") is None


def test_only_the_named_messages_are_carried_and_the_tester_may_be_shown_them(tmp_path: Path) -> None:
    watch = Watch(golf(tmp_path, "powertrain: all, chassis: all, body: all, infotainment: all", "obd: [Fahrt_01]"))
    assert {entry for entry in watch.run() if entry[0] == "obd"} == {("obd", SPEED)}
    assert watch.bench.stage.request("cluster", b"\x22\xf1\x90").kind == "positive"


def test_a_mercedes_gateway_sends_its_own_messages_on_every_bus() -> None:
    watch = Watch("mb-eclass")
    seen = watch.run(2)
    assert {bus for bus, can_id in seen if can_id == 0x210} == set(INNER)
    assert watch.senders["body", 0x210] == {"gateway"}
    watch.car.change(VehicleChange(speed_kmh=12))
    watch.run()
    assert watch.knows("gateway", "speed_kmh") == 12
    assert watch.knows("gateway", "terminal_15") == 1


def test_units_know_what_they_hear_and_the_truth_again_after_a_stop() -> None:
    watch = Watch()
    assert watch.knows("cluster", "speed_kmh") is None
    watch.car.change(VehicleChange(speed_kmh=50, engine_rpm=1500, bonnet_open=True, kilometres_driven=7))
    watch.run(2)
    assert [watch.knows("airbag", value) for value in ("speed_kmh", "engine_rpm", "bonnet_open", "odometer_km")] == [
        50,
        1500,
        1,
        12_352,
    ]
    watch.car.change_rest_bus(RestBusChange(message="Fahrt_01", signal="Tempo", raw=0))
    watch.run(0.2)
    assert (watch.knows("airbag", "speed_kmh"), watch.knows("brakes", "speed_kmh")) == (0, 50)
    watch.car.change_rest_bus(OFF)
    assert watch.knows("airbag", "speed_kmh") == 50
    watch.car.change_rest_bus(ON)
    watch.run(0.2)
    assert watch.knows("airbag", "speed_kmh") == 50  # what was made wrong ended with the stop


def test_starting_twice_and_stopping_twice_is_starting_and_stopping() -> None:
    watch = Watch()
    ports = len(watch.car.buses["body"]._ports)
    watch.car.change_rest_bus(ON)
    assert len(watch.car.buses["body"]._ports) == ports
    watch.car.change_rest_bus(OFF)
    watch.car.change_rest_bus(OFF)
    assert not watch.car.rest_bus.running


def test_a_measured_value_is_what_the_unit_heard_and_all_ones_when_it_heard_nothing(tmp_path: Path) -> None:
    (tmp_path / "unit.yaml").write_text('extends: vag/cluster\ndids:\n  "1003": {name: speed, source: speed}\n')
    watch = Watch(golf(tmp_path, "vag/cluster", "unit.yaml"))
    watch.car.change(VehicleChange(speed_kmh=50))
    watch.run(0.2)
    read = b"\x22\x10\x03"
    assert watch.bench.stage.request("cluster", read).payload.hex() == "6210030032"
    watch.car.change_rest_bus(RestBusChange(message="Fahrt_01", stopped=True))
    watch.run(0.5)
    assert watch.bench.stage.request("cluster", read).payload.hex() == "621003ffff"


# ---- supply, sleep, terminal 15, reset


def test_a_sleeping_car_says_nothing_costs_nothing_and_speaks_at_once_when_it_wakes() -> None:
    watch = Watch()
    watch.run(0.21)
    watch.car.change(VehicleChange(sleeping=True))
    watch.run(0.01)
    assert not watch.run(8 * 3600)
    assert watch.knows("cluster", "speed_kmh") is None
    watch.car.change(VehicleChange(sleeping=False))
    assert {can_id for _, can_id in watch.run(0.02)} == ALL
    assert watch.knows("cluster", "speed_kmh") == 0


def test_without_ignition_terminals_and_bonnet_are_still_told() -> None:
    watch = Watch()
    watch.run(0.1)
    watch.car.change(VehicleChange(terminal_15=False))
    watch.run(0.01)
    assert {can_id for _, can_id in watch.run()} == {TERMINALS, BODY}
    assert watch.knows("cluster", "terminal_15") == 0
    assert watch.knows("cluster", "speed_kmh") is None


def test_without_supply_nothing_is_said_and_a_restart_begins_anew() -> None:
    watch = Watch()
    watch.run(0.5)
    watch.car.change(VehicleChange(battery=False))
    assert not watch.run(5)
    watch.car.change(VehicleChange(battery=True))
    assert not watch.run(0.4)
    assert {can_id for _, can_id in watch.run(2)} == ALL
    assert watch.knows("cluster", "speed_kmh") == 0


def test_a_rest_bus_that_is_started_in_a_sleeping_or_dead_car_waits_for_it() -> None:
    for down, up in (
        (VehicleChange(sleeping=True), VehicleChange(sleeping=False)),
        (VehicleChange(battery=False), VehicleChange(battery=True)),
    ):
        watch = Watch(on=False)
        watch.car.change(down)
        watch.car.change_rest_bus(ON)
        assert not watch.run(5)
        watch.car.change(up)
        assert watch.run(2)


def test_one_unit_without_supply_is_missed_by_the_others() -> None:
    watch = Watch()
    watch.run(0.1)
    watch.car.unit("brakes").lose_supply(watch.bench.world.now_ns)
    assert SPEED not in {can_id for _, can_id in watch.run()}
    assert watch.knows("cluster", "speed_kmh") is None
    watch.car.unit("brakes").regain_supply(watch.bench.world.now_ns)
    watch.run()
    assert watch.knows("cluster", "speed_kmh") == 0
    watch.car.reset("brakes")
    watch.run(0.4)
    assert watch.knows("cluster", "speed_kmh") is None


def test_a_gateway_that_is_gone_parts_the_buses() -> None:
    watch = Watch()
    watch.run(0.1)
    watch.car.unit("gateway").lose_supply(watch.bench.world.now_ns)
    watch.run(0.01)
    assert {bus for bus, can_id in watch.run() if can_id == SPEED} == {"chassis"}
    assert watch.knows("airbag", "speed_kmh") == 0
    assert watch.knows("cluster", "speed_kmh") is None


# ---- faults on the wire strike cyclic frames as any others


@pytest.mark.parametrize(
    ("kind", "known"), [("drop", False), ("corrupt", False), ("duplicate", True), ("delay", True), ("error", False)]
)
def test_a_fault_on_the_wire_is_noticed_by_who_hears(kind: str, known: bool) -> None:
    watch = Watch()
    watch.run(0.2)
    rule = FaultRule(kind=kind, bus="body", can_id=SPEED, delay_ns=20_000_000 if kind == "delay" else 0)  # type: ignore[arg-type]
    watch.car.add_fault(rule)
    watch.run()
    assert (watch.knows("cluster", "speed_kmh") is not None) is known
    assert watch.knows("airbag", "speed_kmh") == 0


def test_a_forged_frame_is_heard_as_who_is_on_the_bus_can() -> None:
    """A message with a counter and a checksum is protected against faults, not against people."""
    watch = Watch()
    watch.run(0.21)
    message = next(m for m in watch.car.rest_bus.messages if m.name == "Fahrt_01")
    forger = watch.car.buses["body"].attach("forger")
    forger.send(Frame(SPEED, message.encode({"Tempo": 12_300}, 9)))
    watch.run(0.001)
    assert watch.knows("cluster", "speed_kmh") == 123
    assert watch.knows("airbag", "speed_kmh") == 0


# ---- the same on other buses

WIDE = """BO_ 2550136848 Wide: 32 A
 SG_ CRC : 248|8@1+ (1,0) [0|0] "" B
 SG_ CNT : 0|8@1+ (1,0) [0|0] "" B
 SG_ V : 135|16@0+ (0.01,0) [0|0] "" B"""
WIDE_SAYS = """BA_ "GenMsgCycleTime" BO_ 2550136848 20;
BA_ "VFrameFormat" BO_ 2550136848 3;
BA_ "SgwCounter" BO_ 2550136848 "CNT";
BA_ "SgwChecksum" BO_ 2550136848 "CRC";"""
OWN_CAR = """
title: A car with a DBC of its own
make: vag
vin: WVWZZZAAZTW000042
odometer_km: 1
gateway: {profile: vag-j533, ecu: vag/gateway}
functional_ids: [0x700]
buses: [obd, chassis, BODY]
ecus:
  brakes: {profile: vag/brakes, bus: CHASSIS}
  cluster: {profile: vag/cluster, bus: body}
rest_bus:
  dbc: own.dbc
  start: true
  nodes: {A: brakes}
  routes: {body: [Wide]}
  signals: {speed_kmh: Wide.V}
"""


def own_car(folder: Path, *, body_fd: bool = True) -> Path:
    write_dbc(folder, WIDE, WIDE_SAYS)
    path = folder / "car.yaml"
    buses = f"{{name: chassis, fd: true}}, {'{name: body, fd: true}' if body_fd else 'body'}"
    path.write_text(OWN_CAR.replace("chassis, BODY", buses).replace("CHASSIS", "chassis"))
    return path


def test_a_dbc_of_ones_own_with_can_fd_29_bits_and_big_endian_signals(tmp_path: Path) -> None:
    watch = Watch(own_car(tmp_path), on=False)
    watch.car.change(VehicleChange(speed_kmh=88))
    assert {bus for bus, _ in watch.run()} == {"chassis", "body"}
    assert watch.knows("cluster", "speed_kmh") == 88
    assert watch.knows("cluster", "odometer_km") is None


def test_a_can_fd_message_does_not_fit_a_classic_bus(tmp_path: Path) -> None:
    path = own_car(tmp_path, body_fd=False)
    with pytest.raises(ConfigError, match=r"car\.yaml:\d+: rest_bus\.routes\.body: Wide is a CAN FD message"):
        Bench(vehicle=path)


# ---- what a vehicle file may say


def golf(folder: Path, old: str = "", new: str = "") -> Path:
    text = (FOLDER / "vag-golf.yaml").read_text()
    assert old in text
    path = folder / "car.yaml"
    path.write_text(text.replace(old, new))
    return path


WRONG = {
    "misspelt key": ("start:", "strat:", 21, "rest_bus.strat", "did you mean 'start'?"),
    "unknown DBC": ("dbc: vag", "dbc: vga", 20, "rest_bus.dbc", "did you mean 'vag'?"),
    "DBC that is not there": ("dbc: vag", "dbc: none.dbc", 20, "rest_bus.dbc", "no DBC 'none.dbc' in"),
    "unknown unit": ("ESP: brakes", "ESP: breaks", 22, "rest_bus.nodes.ESP", "did you mean 'brakes'?"),
    "no node": (
        "{ESP: brakes, Motor: engine, BCM: central-electrics, Kombi: cluster}",
        "{}",
        22,
        "rest_bus.nodes",
        "no node",
    ),
    "unknown bus": ("body: all", "bodi: all", 23, "rest_bus.routes.bodi", "did you mean 'body'?"),
    "route in words": ("body: all", "body: some", 23, "rest_bus.routes.body", "'all' or a list"),
    "start in words": ("start: false", "start: soon", 21, "rest_bus.start", "true or false"),
    "unknown source": ("start: false", "signals: {sped: A.B}", 21, "rest_bus.signals.sped", "no source 'sped'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_section_says_file_line_key_and_what_would_be_right(tmp_path: Path, case: str) -> None:
    old, new, line, key, says = WRONG[case]
    path = golf(tmp_path, old, new)
    with pytest.raises(ConfigError) as error:
        load_vehicle(str(path))
    assert (error.value.path, error.value.line, error.value.key) == (str(path), line, key)
    assert says in error.value.problem


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("ESP: brakes", "ESQ: brakes", r"vag\.dbc: BU_: no node 'ESQ'; did you mean 'ESP'\?"),
        ("body: all", "body: [Fart_01]", r"car\.yaml:19: rest_bus\.routes\.body: .*did you mean 'Fahrt_01'\?"),
        ("start: false", "signals: {speed_kmh: Fahrt_01.Temp}", r"did you mean 'Fahrt_01\.Tempo'\?"),
    ],
)
def test_what_does_not_fit_the_dbc_is_said_when_the_rest_bus_starts(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    bench = Bench(vehicle=golf(tmp_path, old, new))
    with pytest.raises(ConfigError, match=says):
        bench.car.change_rest_bus(ON)
    assert bench.stage.request("cluster", b"\x22\xf1\x90").kind == "positive"


def test_a_message_with_a_diagnostic_identifier_is_refused(tmp_path: Path) -> None:
    write_dbc(tmp_path, 'BO_ 1812 M: 8 A\n SG_ V : 0|8@1+ (1,0) [0|0] "" B', 'BA_ "GenMsgCycleTime" BO_ 1812 100;')
    text = golf(tmp_path, "dbc: vag", "dbc: own.dbc").read_text()
    path = tmp_path / "car.yaml"
    path.write_text(text.replace("{ESP: brakes, Motor: engine, BCM: central-electrics, Kombi: cluster}", "{A: brakes}"))
    with pytest.raises(ConfigError, match=r"M has the identifier 0x714, by which 'cluster' is diagnosed"):
        Bench(vehicle=path).car.change_rest_bus(ON)


# ---- what is asked of it in a wrong way


def test_a_car_without_the_section_says_so(tmp_path: Path) -> None:
    path = golf(tmp_path)
    path.write_text(path.read_text().partition("rest_bus:")[0])
    with pytest.raises(LocalMisuse, match="no section 'rest_bus'"):
        Bench(vehicle=path).car.change_rest_bus(ON)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RestBusChange(stopped=True), "say of which message"),
        (lambda: RestBusChange(signal="Tempo"), "say of which message"),
        (lambda: RestBusChange(message="Fahrt_01", raw=5), "in which signal"),
        (lambda: RestBusChange(message="Fahrt_01"), "say what becomes of message 'Fahrt_01'"),
    ],
)
def test_half_a_change_is_refused(make: Callable[[], RestBusChange], says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        make()


def test_a_message_is_changed_only_where_it_is_sent() -> None:
    watch = Watch(on=False)
    stop = RestBusChange(message="Fahrt_01", stopped=True)
    with pytest.raises(LocalMisuse, match="does not run: start it first"):
        watch.car.change_rest_bus(stop)
    watch.car.change_rest_bus(RestBusChange(on=True, message="Fahrt_01", stopped=True))
    assert SPEED not in {can_id for _, can_id in watch.run()}
    with pytest.raises(LocalMisuse, match=r"nobody sends a message 'Fart_01'; did you mean 'Fahrt_01'\?"):
        watch.car.change_rest_bus(RestBusChange(message="Fart_01", stopped=True))


def test_a_real_cars_rest_bus_is_its_own() -> None:
    car = ForeignCar(load_vehicle("vag-golf"), where="real", epoch_utc_s=0, audited=False)
    with pytest.raises(NotOnThisCarrier, match="cyclic messages"):
        car.change_rest_bus(ON)


def test_the_same_seed_gives_the_same_trace_and_the_trace_has_what_was_done() -> None:
    def digest() -> str:
        with Bench(seed=11, vehicle="vag-golf") as bench:
            bench.stage.rest_bus(ON)
            bench.stage.rest_bus(RestBusChange(message="Fahrt_01", counter_frozen=True, checksum_wrong=True))
            bench.sleep(seconds=1)
            assert [act for _, act, _ in bench.trace.notes].count("rest-bus") == 2
            return bench.trace.digest()

    assert digest() == digest()
