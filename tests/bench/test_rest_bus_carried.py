"""The rest bus on a bus whose wire is elsewhere, and on buses whose frames take no time: as on any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bench.topology import Car, Wiring
from bench.vehicle_file import load_vehicle
from ecu_sim.unlock.trust import TrustStore
from portal_sim.keys import key_set_of, make_keys
from scenarios.stage import RestBusChange, VehicleChange
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.frame import Frame
from wire.trace import Trace
from wire.world import World

S = 1_000_000_000
SPEED, TERMINALS = 0x240, 0x3C0


class Wire:
    """A carrier that confirms each frame at once, and hears what the test says; `lost`: it swallows them."""

    def __init__(self) -> None:
        self.on_sent: Callable[[Frame], None] | None = None
        self.sent: Counter[int] = Counter()
        self.lost = False
        self._listeners: list[tuple[frozenset[int] | None, Callable[[Frame], None]]] = []

    def send(self, frame: Frame) -> None:
        if not self.lost:
            self.sent[frame.can_id] += 1
            assert self.on_sent is not None
            self.on_sent(frame)

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        self._listeners.append((None if can_ids is None else frozenset(can_ids), listener))

    def hear(self, frame: Frame) -> None:
        for can_ids, listener in self._listeners:
            if can_ids is None or frame.can_id in can_ids:
                listener(frame)


def car(*, paced: bool = True) -> tuple[World, Car, Wire]:
    world, wire = World(4), Wire()
    keys = key_set_of(make_keys(SeededEntropy(world.rng("keys")), VIRTUAL_EPOCH_UTC_S))
    made = Car(
        world,
        load_vehicle("vag-golf"),
        TrustStore(keys),
        Trace(),
        epoch_utc_s=VIRTUAL_EPOCH_UTC_S,
        wiring=Wiring(carriers={"body": wire}, paced=paced),
    )
    made.change_rest_bus(RestBusChange(on=True))
    return world, made, wire


def speed_of(car: Car, unit: str) -> float | None:
    return car.unit(unit).server.vehicle.read("speed_kmh", car.world.now_ns)


def test_what_is_sent_on_a_carried_bus_goes_out_and_is_heard_on_this_side_too() -> None:
    for paced in (True, False):
        world, made, wire = car(paced=paced)
        made.change(VehicleChange(speed_kmh=33))
        world.run_for(S)
        assert wire.sent[TERMINALS] in (10, 11)
        assert wire.sent[SPEED] in (19, 20, 21)
        assert speed_of(made, "cluster") == 33


def test_a_unit_that_somebody_else_simulates_is_heard_as_ours_are_and_carried_on() -> None:
    world, made, wire = car()
    message = next(message for message in made.rest_bus.messages if message.name == "Karosserie_01")
    made.change_rest_bus(RestBusChange(message="Karosserie_01", stopped=True))
    world.run_for(2 * S)
    assert made.unit("airbag").server.vehicle.read("bonnet_open", world.now_ns) is None
    wire.hear(Frame(message.can_id, message.encode({"Haube_offen": 1}, 3)))
    world.run_for(S // 100)
    assert made.unit("cluster").server.vehicle.read("bonnet_open", world.now_ns) == 1
    assert made.unit("airbag").server.vehicle.read("bonnet_open", world.now_ns) == 1


def test_a_wire_that_is_lost_for_a_while_holds_the_newest_frame_of_each_message_and_no_more() -> None:
    world, made, wire = car()
    world.run_for(S)
    wire.lost = True
    world.run_for(30 * S + S // 2)
    assert max(port.queued for port in made.buses["body"]._ports) <= 1
    wire.lost = False
    wire.sent.clear()
    made.buses["body"].carrier_is_back()  # type: ignore[attr-defined]
    world.run_for(S // 1000)
    assert set(wire.sent.values()) <= {1, 2, 3}, "what was on its way, the newest, and what falls due now"
