"""One contract for the car of a bench: here and served it does the same; a foreign one refuses what nobody can do to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from served_car import served_here

from bench.car import BenchCar, ForeignCar
from bench.live.client import ControlClient
from bench.live.remote_car import RemoteCar
from bench.topology import Car, Wiring
from bench.vehicle_file import load_vehicle
from ecu_sim.unlock.trust import TrustStore
from portal_sim.keys import key_set_of, make_keys
from scenarios.stage import RestBusChange, TransportChange, TroubleResult, VehicleChange
from wire.clock import VIRTUAL_EPOCH_UTC_S, RealClock
from wire.entropy import SeededEntropy
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.faults import FOREVER_NS, FaultRule
from wire.key_set import read_key_set
from wire.portal_api import AuditRecord, KeySet
from wire.trace import Trace
from wire.world import World

pytestmark = pytest.mark.realtime
GOLF = load_vehicle("vag-golf")
RECORD = AuditRecord(
    audit_id="A-1",
    utc_s=VIRTUAL_EPOCH_UTC_S,
    action="issue",
    person="Tessa Example",
    company="Example",
    make="vag",
    vin=GOLF.vin,
    ecu_address=0x17,
    role=1,
    scope=1,
    subject="x",
)


def key_set(revoked: frozenset[bytes] = frozenset()) -> KeySet:
    keys = key_set_of(make_keys(SeededEntropy(World().rng("keys")), VIRTUAL_EPOCH_UTC_S))
    return KeySet(
        token_keys=keys.token_keys,
        root_ca=keys.root_ca,
        revoked_serials=keys.revoked_serials,
        revoked_tokens=revoked,
    )


@dataclass
class Stand:
    """A car as the bench has it, and the simulated one behind it, whose inside the test looks into."""

    car: BenchCar
    inside: Callable[[], Car]
    keys_file: Path


@pytest.fixture(scope="module", params=["here", "served"])
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    keys_file = tmp_path_factory.mktemp("keys") / "set.json"
    if request.param == "here":
        world = World()
        car = Car(world, GOLF, TrustStore(key_set()), Trace(), epoch_utc_s=VIRTUAL_EPOCH_UTC_S, wiring=Wiring())
        yield Stand(car, lambda: car, keys_file)
        car.close()
        return
    with served_here(keys=str(keys_file)) as served:
        client = ControlClient(served.control)
        released: list[int] = []
        remote = RemoteCar(GOLF, client, keys_file, lambda: released.append(1))
        yield Stand(remote, lambda: served.server.car, keys_file)
        remote.close()
        assert released == [1]


def test_it_knows_its_map_and_its_file(stand: Stand) -> None:
    assert stand.car.spec == GOLF
    assert "cluster" in stand.car.car_map().names


def test_a_trouble_code_fails_and_passes_and_says_whether_that_counted(stand: Stand) -> None:
    """Stands before what takes the supply away: a unit that restarts tests nothing, and nobody waits here."""
    dtcs = stand.inside().units["engine"].server.dtcs
    assert stand.car.report_trouble("engine", 0x029900, TroubleResult.PREFAILS, 3)
    assert dtcs.fault_counter(0x029900) == 96
    assert stand.car.report_trouble("engine", 0x029900, TroubleResult.FAILS, 1)
    assert dtcs.status(0x029900) & 0x0F == 0x0F
    assert stand.car.report_trouble("engine", 0x029900, TroubleResult.PREPASSES, 1)
    assert dtcs.fault_counter(0x029900) == -32
    assert stand.car.report_trouble("engine", 0x029900, TroubleResult.PASSES, 1)
    assert dtcs.status(0x029900) & 0x01 == 0
    stand.car.change(VehicleChange(terminal_15=False))
    assert stand.car.report_trouble("engine", 0x029900, TroubleResult.FAILS, 1) is False
    stand.car.change(VehicleChange(terminal_15=True))
    with pytest.raises(LocalMisuse, match="no trouble code 123456 in this unit; there are: 029900, 030000"):
        stand.car.report_trouble("engine", 0x123456, TroubleResult.FAILS, 1)


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (VehicleChange(bonnet_open=True), "bonnet_open", True),
        (VehicleChange(terminal_15=False), "terminal_15", False),
        (VehicleChange(terminal_15=True), "terminal_15", True),
        (VehicleChange(speed_kmh=30), "speed_kmh", 30),
        (VehicleChange(speed_kmh=0), "speed_kmh", 0),
        (VehicleChange(supply_mv=11_800), "supply_mv", 11_800),
        (VehicleChange(crash=True), "crash", True),
        (VehicleChange(body_controller_lost=True), "body_controller_lost", True),
        (VehicleChange(sleeping=True), "sleeping", True),
        (VehicleChange(sleeping=False), "sleeping", False),
        (VehicleChange(battery=False), "battery", False),
        (VehicleChange(battery=True), "battery", True),
    ],
)
def test_a_change_is_there_at_once(stand: Stand, change: VehicleChange, name: str, value: object) -> None:
    assert stand.car.change(change) is None
    assert getattr(stand.inside().state, name) == value


def test_kilometres_add_up(stand: Stand) -> None:
    before_km = stand.inside().state.odometer_km
    stand.car.change(VehicleChange(kilometres_driven=7))
    stand.car.change(VehicleChange(kilometres_driven=7))
    assert stand.inside().state.odometer_km == before_km + 14


def test_a_reset_takes_one_unit_back_to_its_default_session(stand: Stand) -> None:
    unit = stand.inside().units["cluster"]
    unit.server.state.session = 3
    assert stand.car.reset("cluster") is None
    assert unit.server.state.session == 1


def test_calendars_can_be_wrong_lost_and_put_forward(stand: Stand) -> None:
    clock, other = stand.inside().units["cluster"].clock, stand.inside().units["airbag"].clock
    stand.car.set_clock("cluster", offset_s=-90, is_set=False)
    assert (clock.offset_s, clock.is_set) == (-90, False)
    stand.car.set_clock("cluster", offset_s=0, is_set=True)
    before_s = other.epoch_utc_s
    stand.car.put_date_forward(86_400)
    assert other.epoch_utc_s == before_s + 86_400
    assert clock.utc_s(0) == other.utc_s(0)


def test_the_cyclic_messages_are_started_made_wrong_and_stopped(stand: Stand) -> None:
    inside = stand.inside()
    assert stand.car.change_rest_bus(RestBusChange(on=True)) is None
    stand.car.change_rest_bus(RestBusChange(message="Fahrt_01", signal="Tempo", raw=4_200, counter_frozen=True))
    sending = inside.rest_bus.sending("Fahrt_01")
    assert (sending.raw, sending.counter_frozen, sending.stopped) == ({"Tempo": 4_200}, True, False)
    with pytest.raises(LocalMisuse, match=r"nobody sends a message 'Fart_01'; did you mean 'Fahrt_01'\?"):
        stand.car.change_rest_bus(RestBusChange(message="Fart_01", stopped=True))
    stand.car.change_rest_bus(RestBusChange(on=False))
    assert not inside.rest_bus_runs


def test_a_units_transport_changes_and_a_value_that_is_none_is_refused(stand: Stand) -> None:
    assert stand.car.set_transport("cluster", TransportChange(stmin=5, block_size=2, wait_frames=1)) is None
    for change in (TransportChange(stmin=300), TransportChange(padding=256), TransportChange(buffer_bytes=1)):
        with pytest.raises(LocalMisuse, match=r"one byte|rx_buffer_bytes"):
            stand.car.set_transport("cluster", change)


def test_a_fault_comes_back_in_the_cars_own_time_and_can_be_taken_away(stand: Stand) -> None:
    inside = stand.inside()
    rule = FaultRule(
        kind="delay", bus="body", can_id=0x1, delay_ns=5, from_ns=10, until_ns=10**12, probability=0.5, skip=1, count=2
    )
    before_ns = inside.world.now_ns
    placed = stand.car.add_fault(rule)
    assert before_ns <= placed.from_ns - 10 <= inside.world.now_ns
    assert placed.until_ns - placed.from_ns == 10**12 - 10
    assert (placed.kind, placed.bus, placed.can_id, placed.delay_ns) == ("delay", "body", 1, 5)
    assert (placed.probability, placed.skip, placed.count) == (0.5, 1, 2)
    assert stand.car.add_fault(FaultRule(kind="drop", can_id=0x1)).until_ns == FOREVER_NS
    assert inside.buses["body"].faults is not None
    assert stand.car.clear_faults() is None
    assert inside.buses["body"].faults is None
    with pytest.raises(LocalMisuse, match="there is no bus 'odb'; there are: obd"):
        stand.car.add_fault(FaultRule(kind="drop", bus="odb"))


def test_units_stand_on_their_buses(stand: Stand) -> None:
    assert stand.car.bus_of("cluster") == "body"
    assert stand.car.bus_of("gateway") == "obd"


@pytest.mark.parametrize(
    "act",
    [
        lambda car: car.reset("clutch"),
        lambda car: car.set_clock("clutch", offset_s=0, is_set=True),
        lambda car: car.set_transport("clutch", TransportChange(stmin=1)),
        lambda car: car.report_trouble("clutch", 0x029900, TroubleResult.FAILS, 1),
        lambda car: car.bus_of("clutch"),
        lambda car: car.grant_ident("clutch"),
    ],
)
def test_a_unit_that_there_is_not_is_named_with_those_that_there_are(
    stand: Stand, act: Callable[[BenchCar], object]
) -> None:
    with pytest.raises(LocalMisuse, match="'vag-golf' has no unit 'clutch'; there are: gateway, engine"):
        act(stand.car)


def test_where_nothing_is_granted_there_is_nothing_to_tell_apart(stand: Stand) -> None:
    assert stand.car.grant_ident("cluster") is None
    assert stand.car.grant_ident("gateway") is None


def test_it_learns_keys_and_revocations(stand: Stand) -> None:
    keys = key_set(frozenset({b"\x01" * 16}))
    assert stand.car.take_keys(keys) is None
    trust = stand.inside().trust
    assert trust.revoked_tokens == keys.revoked_tokens
    if isinstance(stand.car, RemoteCar):
        assert read_key_set(stand.keys_file.read_text(), "file") == keys


def test_the_witness_has_seen_nothing_wrong_and_says_what_it_cannot_see(stand: Stand) -> None:
    assert stand.car.audit(RECORD) is None
    found = stand.car.findings()
    assert found == stand.inside().findings()
    assert found.violations == ()
    assert found.blind_spots


def test_the_inside_of_a_unit_is_there_or_out_of_reach_by_name(stand: Stand) -> None:
    if isinstance(stand.car, Car):
        assert stand.car.unit("cluster").name == "cluster"
    else:
        with pytest.raises(NotOnThisCarrier, match="unit 'cluster' lives in the process that serves the car"):
            stand.car.unit("cluster")


# ---- a car that nobody here can reach but over its bus


@pytest.fixture
def foreign() -> ForeignCar:
    return ForeignCar(GOLF, where="real", epoch_utc_s=VIRTUAL_EPOCH_UTC_S, audited=True)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda car: car.unit("cluster"), "look into unit 'cluster'"),
        (lambda car: car.change(VehicleChange(bonnet_open=True)), "set bonnet_open=True$"),
        (lambda car: car.change_rest_bus(RestBusChange(on=True)), "start, stop or change its cyclic messages"),
        (lambda car: car.reset("cluster"), "take the supply of 'cluster' away"),
        (lambda car: car.set_clock("cluster", offset_s=1, is_set=True), "set the calendar of 'cluster'"),
        (lambda car: car.put_date_forward(1), "put its calendars forward"),
        (lambda car: car.set_transport("cluster", TransportChange(stmin=1)), "change how 'cluster' speaks ISO-TP"),
        (
            lambda car: car.report_trouble("engine", 0x029900, TroubleResult.FAILS, 1),
            "let trouble code 029900 of 'engine' fail$",
        ),
        (lambda car: car.add_fault(FaultRule(kind="drop")), r"put a fault \(drop\) on its wire"),
    ],
)
def test_a_foreign_car_refuses_what_nobody_can_do_to_it(
    foreign: ForeignCar, act: Callable[[BenchCar], object], says: str
) -> None:
    with pytest.raises(NotOnThisCarrier, match=f"the car on this bench is real: nobody here can {says}"):
        act(foreign)


def test_a_foreign_car_takes_what_needs_nobody(foreign: ForeignCar) -> None:
    assert foreign.car_map().names == Car.car_map(foreign).names  # type: ignore[arg-type]
    assert foreign.clear_faults() is None
    assert foreign.take_keys(key_set()) is None
    assert foreign.grant_ident("cluster") is None
    assert (foreign.bus_of("cluster"), foreign.bus_of("gateway")) == ("body", "obd")
    foreign.audit(RECORD)
    assert foreign.findings().requests_seen == 0
    assert any("behind the gateway" in spot for spot in foreign.findings().blind_spots)
    foreign.close()


def test_a_car_in_real_time_here_may_be_changed_while_its_keeper_runs_it(tmp_path: Path) -> None:
    from bench.bench import Bench

    path = tmp_path / "own.yaml"
    path.write_text("title: T\nclock: real\n")
    with contextlib.closing(Bench(file=str(path), vehicle="vag-golf")) as bench:
        assert isinstance(bench.world.clock, RealClock)
        tester = bench.tester()
        tester.core.link.keep_alive()
        held: list[int] = []
        bench.car.witness.odometer = lambda _: held.append(bench.world.hold._depth)
        for turn in range(200):
            bench.car.change(VehicleChange(speed_kmh=turn, kilometres_driven=1))
            bench.car.reset("cluster")
        tester.unplug()
        tester.plug_in()
        assert tester.identify().vin == GOLF.vin
        assert held == [1] * 200, "whoever changes the car holds its world"
