"""A vehicle's rest bus as it stands in the car: made when it is started, gone when it is stopped.

While it runs, every unit on a bus judges the vehicle by what it hears there; before and after, by the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.rest_bus_file import RestBusSpec
from bench.vehicle_file import GATEWAY
from ecu_sim.restbus.dbc import load_dbc
from ecu_sim.restbus.message import CyclicMessage
from ecu_sim.restbus.node import NodePlan, RestBusNode, Sending
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from scenarios.stage import RestBusChange
from wire.can_bus import BusPort, CanBus
from wire.endpoint import Endpoint
from wire.errors import LocalMisuse
from wire.names import suggestion

if TYPE_CHECKING:
    from bench.topology import Unit


@dataclass(slots=True)
class _Plan:
    """A `NodePlan` in the making. Ports are those of the unit itself, in their order."""

    buses: tuple[str, ...]
    sends: list[tuple[CyclicMessage, tuple[int, ...]]] = field(default_factory=list)
    hears: list[list[CyclicMessage]] = field(default_factory=list)
    carries: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)


class RestBusPlace:
    """One unit's place on the rest bus: the node, and ports beside those for diagnostics, which count errors of their own."""

    def __init__(self, unit: Unit, state: VehicleState, buses: Mapping[str, CanBus], plan: _Plan) -> None:
        world = unit.endpoint.world
        on = [buses[name] for name in plan.buses]
        self.node = RestBusNode(
            unit.name,
            unit.server,
            state,
            NodePlan(sends=tuple(plan.sends), hears=tuple(map(tuple, plan.hears)), carries=plan.carries),
            ports=len(on),
            now_ns=world.now_ns,
        )
        self.ports: list[BusPort] = [bus.attach(unit.name) for bus in on]
        self._endpoint = Endpoint(
            world, self.node, [(port, self.node.listen_ids(number)) for number, port in enumerate(self.ports)]
        )
        if not state.supplied:
            self.lose_supply()
        if state.sleeping:
            self.node.sleep()
        self._endpoint.flush()

    def lose_supply(self) -> None:
        """Terminal 30 is gone."""
        for port in self.ports:
            port.switch_off()
        self.node.lose_supply()
        self._endpoint.flush()

    def regain_supply(self, now_ns: int) -> None:
        """Terminal 30 is back."""
        for port in self.ports:
            port.restart()
        self.node.regain_supply(now_ns)
        self._endpoint.flush()

    def power(self, event: PowerEvent, now_ns: int) -> None:
        """Learn of sleep and waking; terminal 15 each message looks at by itself."""
        if event is PowerEvent.SLEEP:
            self.node.sleep()
        elif event is PowerEvent.WAKE:
            self.node.wake(now_ns)
        self._endpoint.flush()

    def close(self) -> None:
        """Leave the buses for good."""
        self.node.lose_supply()
        self._endpoint.flush()
        for port in self.ports:
            port.close()


class RestBus:
    """Starts and stops a vehicle's cyclic messages, and makes single ones wrong. What was made wrong ends with a stop."""

    def __init__(
        self, spec: RestBusSpec, *, units: Mapping[str, Unit], buses: Mapping[str, CanBus], state: VehicleState
    ) -> None:
        self._spec = spec
        self._units = units
        self._buses = buses
        self._state = state
        self.running = False
        self.messages: tuple[CyclicMessage, ...] = ()

    def change(self, change: RestBusChange) -> None:
        """Do what a change says. Raises `LocalMisuse`, `ConfigError` for a DBC that does not fit, `NotOnThisCarrier`."""
        if change.on is not None and change.on != self.running:
            if change.on:
                self.start()
            else:
                self.stop()
        if change.message is not None:
            self._change_message(self.sending(change.message), change)

    def start(self) -> None:
        """Put every unit on the rest bus; all messages go out at once."""
        self.messages = self._messages()
        plans = self._plans(self.messages)
        for name, plan in plans.items():
            unit = self._units[name]
            unit.rest = RestBusPlace(unit, self._state, self._buses, plan)
            unit.server.vehicle = unit.rest.node.view
        self.running = True

    def stop(self) -> None:
        """Take every unit off it: they know the truth again."""
        for unit in self._units.values():
            if unit.rest is not None:
                unit.rest.close()
                unit.rest = None
                unit.server.vehicle = self._state
        self.running = False

    def sending(self, message: str) -> Sending:
        """Return a message as its unit sends it. Raises `LocalMisuse`."""
        if not self.running:
            raise LocalMisuse("the rest bus does not run: start it first (rest-bus: true)")
        sendings = {
            name: sending
            for unit in self._units.values()
            if unit.rest is not None
            for name, sending in unit.rest.node.sendings.items()
        }
        if message not in sendings:
            raise LocalMisuse(f"nobody sends a message {message!r}{suggestion(message, sendings)}")
        return sendings[message]

    @staticmethod
    def _change_message(sending: Sending, change: RestBusChange) -> None:
        if change.signal is not None:
            sending.set_raw(change.signal, change.raw)
        if change.stopped is not None:
            sending.stopped = change.stopped
        if change.counter_frozen is not None:
            sending.freeze_counter(frozen=change.counter_frozen)
        if change.checksum_wrong is not None:
            sending.break_checksum(wrong=change.checksum_wrong)

    # ---- who sends what where

    def _messages(self) -> tuple[CyclicMessage, ...]:
        spec = self._spec
        messages = load_dbc(spec.dbc, [node for node, _ in spec.nodes], dict(spec.signals))
        taken = {
            can_id: unit.name
            for unit in self._units.values()
            for can_id in (
                unit.server.profile.request_id,
                unit.server.profile.response_id,
                *unit.server.profile.functional_ids,
            )
        }
        for message in messages:
            if message.can_id in taken:
                raise spec.error(
                    "dbc",
                    f"{message.name} has the identifier {message.can_id:#x}, by which {taken[message.can_id]!r} is diagnosed",
                )
        return messages

    def _plans(self, messages: tuple[CyclicMessage, ...]) -> dict[str, _Plan]:
        """Return what each unit does. On a bus, a message has one sender: its unit, or the gateway that carries it there."""
        plans = {name: _Plan(tuple(port.bus.name for port in unit.ports)) for name, unit in self._units.items()}
        unit_of = dict(self._spec.nodes)
        stands_on: dict[str, list[CyclicMessage]] = {name: [] for name in self._buses}
        for message in messages:
            sender = unit_of[message.node]
            home = None if sender == GATEWAY else plans[sender].buses[0]
            routed = [name for name in self._routed(message, messages) if name != home]
            for name in (home, *routed):
                if name is not None:
                    self._check_fits(message, name)
                    stands_on[name].append(message)
            gateway = plans[GATEWAY]
            targets = tuple(gateway.buses.index(name) for name in routed)
            if home is None:
                gateway.sends.append((message, targets))
            else:
                plans[sender].sends.append((message, (0,)))
                gateway.carries[gateway.buses.index(home), message.can_id] = targets
        for name, plan in plans.items():
            for number, bus in enumerate(plan.buses):
                plan.hears.append([message for message in stands_on[bus] if self._hears(plan, name, number, message)])
        return plans

    @staticmethod
    def _hears(plan: _Plan, unit: str, port: int, message: CyclicMessage) -> bool:
        """A unit hears what others send on its bus; the gateway only where the message comes from."""
        if unit == GATEWAY:
            return (port, message.can_id) in plan.carries
        return all(own is not message for own, _ in plan.sends)

    def _routed(self, message: CyclicMessage, messages: tuple[CyclicMessage, ...]) -> list[str]:
        names = [each.name for each in messages]
        found = []
        for bus, wanted in self._spec.routes:
            for name in wanted or ():
                if name not in names:
                    raise self._spec.error(f"routes.{bus}", f"nobody sends a message {name!r}{suggestion(name, names)}")
            if wanted is None or message.name in wanted:
                found.append(bus)
        return found

    def _check_fits(self, message: CyclicMessage, bus: str) -> None:
        if message.fd and not self._buses[bus].fd:
            raise self._spec.error(
                f"routes.{bus}", f"{message.name} is a CAN FD message, and bus {bus!r} is classic CAN"
            )
