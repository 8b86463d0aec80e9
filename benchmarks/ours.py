"""Our side of the benchmark, with trace digest and witness on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.bench import Bench
from bench.monitor.watched import WatchedCar, WatchedUnit
from bench.monitor.witness import Witness
from benchmarks.measure import Act, seconds
from ecu_sim.node import EcuNode
from ecu_sim.profile import Did, EcuProfile
from ecu_sim.profile_file import load_profile
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import VehicleState
from scenarios.strategy import Goal
from vci_driver.car_map import CarMap, EcuEntry
from vci_driver.link import DiagnosticLink
from vci_driver.uds_connection import make_client
from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.entropy import SeededEntropy
from wire.isotp_door import IsoTpOptions
from wire.trace import Trace
from wire.uds import Session
from wire.world import World

SHORT_DID, LONG_DID = 0xF186, 0x2000
READ_SHORT = bytes((0x22, 0xF1, 0x86))
MINUTE_NS = 60_000_000_000


class OneBus:
    """A tester and one unit (of `units`) on one bus, with trace digest and witness."""

    def __init__(self, *, answer_len: int = 4, units: int = 1) -> None:
        self.world = World(0)
        bus = CanBus(self.world, "obd")
        Trace().attach(bus)
        base = load_profile("vag/cluster")
        long = Did(did=LONG_DID, value=bytes(max(0, answer_len - 3)))
        profiles = [_numbered(base, long, number) for number in range(units)]
        watched = tuple(
            WatchedUnit(
                name=p.name, request_id=p.request_id, response_id=p.response_id, address=1, bus="obd", own_lock=True
            )
            for p in profiles
        )
        car = WatchedCar(
            make="vag", vin="WVWZZZCDZSW000001", units=watched, gateway="none", obd_bus="obd", functional_ids=()
        )
        bus.tap(Witness(car, 0).tap("obd"))
        for profile in profiles:
            server = UdsServer(profile, entropy=SeededEntropy(self.world.rng("ecu")), vehicle=VehicleState())
            node = EcuNode(server, IsoTpOptions(padding=0xAA))
            Endpoint(self.world, node, [(bus.attach(profile.name), node.listen_ids())])
        first = profiles[0]
        ecu = EcuEntry(name="unit", address=1, request_id=first.request_id, response_id=first.response_id)
        car_map = CarMap(make="vag", gateway="unit", ecus=(ecu,), functional_id=None)
        self.link = DiagnosticLink(self.world, [bus.attach("tester")], car_map)
        self.read = READ_SHORT if answer_len <= 7 else bytes((0x22, LONG_DID >> 8, LONG_DID & 0xFF))


def _numbered(base: EcuProfile, long: Did, number: int) -> EcuProfile:
    first = 0x8000_0000 | 0x17FC_0000 if number else 0x714
    last = 0x8000_0000 | 0x17FE_0000 if number else 0x77E
    return replace(
        base,
        name=f"unit{number}",
        gate=None,
        request_id=first + number,
        response_id=last + number,
        functional_ids=(),
        dids={**base.dids, LONG_DID: long},
    )


def on_one_bus(answer_len: int, *, units: int = 1) -> Act:
    """Link to unit and back."""
    setup = OneBus(answer_len=answer_len, units=units)
    request, read = setup.link.request, setup.read
    return lambda: request("unit", read)


def through_udsoncan() -> Act:
    """The same with udsoncan's client on top."""
    client = make_client(OneBus().link, "unit")
    return lambda: client.read_data_by_identifier(SHORT_DID)


def through_gateway() -> Act:
    """Single frames through the gateway: two buses, judged and re-originated."""
    bench = Bench(vehicle="vag-golf")
    request = bench.tester().core.link.request
    return lambda: request("cluster", READ_SHORT)


def chains(vehicle: str, holder: str) -> Act:
    """Login to unlock, again and again, on one bench."""
    bench = Bench(vehicle=vehicle)
    tester = bench.tester("validated")
    tester.login()

    def chain() -> None:
        bench.sleep(seconds=31)
        tester.login()
        tester.unlock(holder)

    return chain


def expiry(*, traffic: bool) -> float:
    """Return the seconds that 90 minutes take: bus silent, or with tester present all the time."""

    def once() -> Callable[[], None]:
        bench = Bench(vehicle="vag-golf")
        bench.strategy.reach("unlocked", Goal(ecu="cluster"))
        tester = bench.tester()
        tester.core.link.keep_alive(on=traffic)
        if traffic:
            tester.ecu("cluster").change_session(Session.extendedDiagnosticSession)

        def run() -> None:
            if traffic:
                for _ in range(90):
                    bench.sleep(minutes=1)
                    tester.ecu("cluster").read_data_by_identifier(SHORT_DID)
            else:
                bench.sleep(minutes=90)
            if not tester.unlock_state("cluster").locked:
                raise RuntimeError("the grant outlived 90 minutes")

        return run

    runs = [once() for _ in range(3)]
    return seconds(runs.pop())
