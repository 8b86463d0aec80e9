"""The only place that wires devices together: buses, units, gateway, gates, clocks, taps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.car import Findings, findings_of
from bench.car_facts import car_map, watched_car
from bench.monitor.witness import Witness
from bench.rest_bus import RestBus, RestBusPlace
from bench.vehicle_file import GATEWAY, OBD, BusSpec, PlacedEcu, VehicleSpec
from bench.works import Works
from ecu_sim.dtc_memory import TestResult
from ecu_sim.node import EcuNode
from ecu_sim.profile import EcuProfile
from ecu_sim.server import UdsServer
from ecu_sim.unlock.certificate import CertificateGate, CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseGate, ChallengeResponseOptions
from ecu_sim.unlock.sfd import SfdGate, SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Gate, Sfd2Options
from ecu_sim.unlock.signed_seed import SignedSeedGate, SignedSeedOptions
from ecu_sim.unlock.trust import TrustStore
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from scenarios.stage import RestBusChange, TransportChange, TroubleResult, VehicleChange
from sgw_sim.arming import Observation
from sgw_sim.gateway import Gateway, RouteSpec
from vci_driver.car_map import CarMap
from wire.can_bus import BusPort, CanBus
from wire.carried_bus import CarriedBus
from wire.clock import WallClock
from wire.endpoint import Carrier, Endpoint
from wire.entropy import Entropy, LiveEntropy, SeededEntropy
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.faults import FOREVER_NS, FaultInjector, FaultRule
from wire.isotp_door import IsoTpOptions
from wire.keeper import held
from wire.portal_api import AuditRecord, KeySet
from wire.trace import Trace
from wire.world import World

__all__ = ["GATEWAY", "Car", "Unit"]

Gate = SfdGate | Sfd2Gate | CertificateGate | SignedSeedGate | ChallengeResponseGate
GATES: Mapping[type, Callable[..., Gate]] = {
    SfdOptions: SfdGate,
    Sfd2Options: Sfd2Gate,
    CertificateOptions: CertificateGate,
    SignedSeedOptions: SignedSeedGate,
    ChallengeResponseOptions: ChallengeResponseGate,
}
"""Which lock a profile's options ask for."""
RESULTS: Mapping[TroubleResult, TestResult] = {
    TroubleResult.FAILS: TestResult.FAILED,
    TroubleResult.PASSES: TestResult.PASSED,
    TroubleResult.PREFAILS: TestResult.PREFAILED,
    TroubleResult.PREPASSES: TestResult.PREPASSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How a car stands in its world. `carriers`: for each of its buses whose wire is elsewhere, what carries it. `paced`: frames
    on its other buses take their bit time. `live`: nonces and seeds are real secrets, and not drawn from the world's seed.
    `audited`: whether the witness is told of the portal's audit records. `traced`: whether the trace is given the frames.
    """

    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    paced: bool = True
    live: bool = False
    audited: bool = True
    traced: bool = True


def carried_bus(world: World, spec: BusSpec, carrier: Carrier) -> CarriedBus:
    """Return a vehicle's bus whose wire is elsewhere."""
    return CarriedBus(world, spec.name, carrier, bitrate=spec.bitrate, data_bitrate=spec.data_bitrate, fd=spec.fd)


class Unit:
    """One control unit as it stands in the car: its server, its gate, its clock, its places on buses."""

    def __init__(self, name: str, server: UdsServer, gate: Gate | None, clock: WallClock) -> None:
        self.name = name
        self.server = server
        self.gate = gate
        self.clock = clock
        self.ports: list[BusPort] = []
        self.rest: RestBusPlace | None = None
        self.core: EcuNode | Gateway
        self.endpoint: Endpoint

    def lose_supply(self, now_ns: int) -> None:
        """Terminal 30 is gone: silence, and every transfer forgotten."""
        for port in self.ports:
            port.switch_off()
        self.server.power(PowerEvent.BATTERY_LOST, now_ns)
        self.core.lose_supply()
        self.endpoint.flush()
        if self.rest is not None:
            self.rest.lose_supply()

    def regain_supply(self, now_ns: int) -> None:
        """Terminal 30 is back: a restart."""
        for port in self.ports:
            port.restart()
        self.server.power(PowerEvent.BATTERY_BACK, now_ns)
        self.endpoint.flush()
        if self.rest is not None:
            self.rest.regain_supply(now_ns)

    def power(self, event: PowerEvent, now_ns: int) -> None:
        """Tell the server what happens to the supply."""
        self.server.power(event, now_ns)
        self.endpoint.flush()
        if self.rest is not None:
            self.rest.power(event, now_ns)


class Car:
    """A simulated vehicle in a world. The tester's bus is `buses["obd"]`.

    `epoch_utc_s`: what its calendars say at world time 0.
    """

    def __init__(
        self,
        world: World,
        spec: VehicleSpec,
        trust: TrustStore,
        trace: Trace,
        *,
        epoch_utc_s: int,
        witness: bool = True,
        wiring: Wiring | None = None,
    ) -> None:
        self.world = world
        self.spec = spec
        self.trust = trust
        self.state = VehicleState(odometer_km=spec.odometer_km)
        self.faults = FaultInjector(
            world.rng("faults"), on_strike=lambda now_ns, text: trace.note(now_ns, "fault", text.encode())
        )
        self._wiring = wiring or Wiring()
        self.buses = {bus.name: self._bus(bus) for bus in spec.buses}
        self.units: dict[str, Unit] = {}
        self.works: dict[str, Works] = {}
        """By unit, for those that prove themselves: what a tester checks them by."""
        self._epoch_utc_s = epoch_utc_s
        self.witness = Witness(watched_car(spec, audited=self._wiring.audited), epoch_utc_s)
        for bus in self.buses.values():
            if self._wiring.traced:
                trace.attach(bus)
            if witness:
                bus.tap(self.witness.tap(bus.name))
        self._place_gateway()
        for placed in spec.ecus:
            self._place(placed)
        self._rest_bus = (
            RestBus(spec.rest_bus, units=self.units, buses=self.buses, state=self.state) if spec.rest_bus else None
        )
        if self._rest_bus is not None and spec.rest_bus is not None and spec.rest_bus.start:
            self._rest_bus.start()

    # ---- wiring

    def _bus(self, spec: BusSpec) -> CanBus:
        carrier = self._wiring.carriers.get(spec.name)
        if carrier is not None:
            return carried_bus(self.world, spec, carrier)
        return CanBus(
            self.world,
            spec.name,
            bitrate=spec.bitrate,
            data_bitrate=spec.data_bitrate,
            fd=spec.fd,
            paced=self._wiring.paced,
        )

    def _entropy(self, name: str) -> Entropy:
        return LiveEntropy() if self._wiring.live else SeededEntropy(self.world.rng(name))

    def _unit(self, name: str, profile: EcuProfile) -> Unit:
        clock = WallClock(epoch_utc_s=self._epoch_utc_s)
        gate = self._gate(name, profile, clock)
        server = UdsServer(profile, entropy=self._entropy(f"ecu/{name}"), vehicle=self.state, gate=gate)
        unit = self.units[name] = Unit(name, server, gate, clock)
        return unit

    def _gate(self, name: str, profile: EcuProfile, clock: WallClock) -> Gate | None:
        if profile.gate is None:
            return None
        return GATES[type(profile.gate)](
            **self._given_by_the_works(name, profile),
            vin=self.spec.vin,
            ecu_address=profile.address,
            trust=self.trust,
            clock=clock,
            entropy=self._entropy(f"gate/{name}"),
            options=replace(profile.gate, refusal_nrc=profile.locked_nrc),
        )

    def _given_by_the_works(self, name: str, profile: EcuProfile) -> dict[str, Any]:
        """Return what a unit proves itself with, where it does."""
        options = profile.gate
        if not isinstance(options, CertificateOptions | ChallengeResponseOptions) or options.mutual == "never":
            return {}
        works = self.works[name] = Works(self.spec.vin, self._entropy(f"works/{name}"), self._epoch_utc_s)
        if isinstance(options, CertificateOptions):
            return {"identity": works.identity(profile.address)}
        return {"own_key": works.own_key()}

    def _place(self, placed: PlacedEcu) -> None:
        unit = self._unit(placed.name, placed.profile)
        bus = self.buses[placed.bus]
        node = EcuNode(unit.server, _transport(bus, placed.profile))
        node.name = placed.name
        port = bus.attach(placed.name)
        unit.ports, unit.core = [port], node
        node.on_bitrate = port.tune
        unit.endpoint = Endpoint(self.world, node, [(port, node.listen_ids())])

    def _place_gateway(self) -> None:
        spec = self.spec
        unit = self._unit(GATEWAY, spec.gateway_ecu)
        gate = unit.gate
        released = None if gate is None or isinstance(gate, SfdGate) else gate.allows
        ports = list(self.buses)
        gateway = Gateway(
            GATEWAY,
            spec.gateway,
            transport=[_transport(bus, spec.gateway_ecu) for bus in self.buses.values()],
            routes=[
                RouteSpec(
                    name=placed.name,
                    port=ports.index(placed.bus),
                    request_id=placed.profile.request_id,
                    response_id=placed.profile.response_id,
                    frame_ids=placed.profile.periodic.can_ids,
                )
                for placed in spec.ecus
            ],
            functional_ids=spec.functional_ids,
            server=unit.server,
            own_ids=(spec.gateway_ecu.request_id, spec.gateway_ecu.response_id),
            first=self._observation(),
            released=released,
        )
        unit.core = gateway
        unit.ports = [bus.attach(GATEWAY) for bus in self.buses.values()]
        carriers = [(port, gateway.listen_ids(number)) for number, port in enumerate(unit.ports)]
        unit.endpoint = Endpoint(self.world, gateway, carriers)

    @property
    def gateway(self) -> Gateway:
        """The security gateway."""
        core = self.units[GATEWAY].core
        assert isinstance(core, Gateway)
        return core

    def car_map(self) -> CarMap:
        """Return the car as a tester knows it before it is plugged in."""
        return car_map(self.spec)

    # ---- what happens to the car

    def unit(self, name: str) -> Unit:
        """Return a unit by name. Raises `LocalMisuse` that lists what there is."""
        try:
            return self.units[name]
        except KeyError:
            raise LocalMisuse(f"{self.spec.name!r} has no unit {name!r}; there are: {', '.join(self.units)}") from None

    @held
    def reset(self, name: str) -> None:
        """Take one unit's supply away and give it back."""
        unit, now_ns = self.unit(name), self.world.now_ns
        unit.lose_supply(now_ns)
        if self.state.supplied:
            unit.regain_supply(now_ns)
        self.witness.reset(now_ns, name)

    @held
    def change(self, change: VehicleChange) -> None:
        """Set values of the vehicle; units, gateway and witness learn of it at once."""
        state, now_ns = self.state, self.world.now_ns
        if change.speed_kmh is not None:
            state.speed_kmh = change.speed_kmh
        if change.engine_rpm is not None:
            state.engine_rpm = change.engine_rpm
        if change.bonnet_open is not None:
            state.bonnet_open = change.bonnet_open
            self.witness.bonnet(is_open=change.bonnet_open, odometer_km=state.odometer_km)
            self.gateway.observe(self._observation())
        if change.kilometres_driven is not None:
            state.odometer_km += change.kilometres_driven
            self.witness.odometer(state.odometer_km)
        if (change.crash and not state.crash) or (change.body_controller_lost and not state.body_controller_lost):
            self.witness.alarm()
        state.body_controller_lost = _given(change.body_controller_lost, state.body_controller_lost)
        state.crash = _given(change.crash, state.crash)
        self.gateway.observe(self._observation())
        self._change_power(change, now_ns)
        for unit in self.units.values():
            unit.server.observe_vehicle(now_ns)

    def _change_power(self, change: VehicleChange, now_ns: int) -> None:
        state = self.state
        supplied = state.supplied
        if change.supply_mv is not None:
            state.supply_mv = change.supply_mv
        state.battery = _given(change.battery, state.battery)
        if state.supplied != supplied:
            for unit in self.units.values():
                if state.supplied:
                    unit.regain_supply(now_ns)
                else:
                    unit.lose_supply(now_ns)
            self.witness.supply(now_ns, on=state.supplied)
            if state.supplied and state.sleeping and change.sleeping is None:
                change = replace(change, sleeping=False)  # who gets his supply back starts, and wakes the others
        if change.terminal_15 is not None and change.terminal_15 != state.terminal_15:
            state.terminal_15 = change.terminal_15
            event = PowerEvent.TERMINAL_15_ON if change.terminal_15 else PowerEvent.TERMINAL_15_OFF
            self._power_all(event, now_ns)
            if not change.terminal_15:
                self.witness.terminal_15_off(now_ns)
        if change.sleeping is not None and change.sleeping != state.sleeping:
            state.sleeping = change.sleeping
            self._power_all(PowerEvent.SLEEP if change.sleeping else PowerEvent.WAKE, now_ns)
            if change.sleeping:
                self.witness.sleep(now_ns)
            else:
                self.witness.wake(now_ns)

    def _power_all(self, event: PowerEvent, now_ns: int) -> None:
        for unit in self.units.values():
            unit.power(event, now_ns)

    def _observation(self) -> Observation:
        state = self.state
        return Observation(
            bonnet_open=state.bonnet_open,
            odometer_km=state.odometer_km,
            body_controller_lost=state.body_controller_lost,
            crash=state.crash,
        )

    @property
    def rest_bus(self) -> RestBus:
        """The cyclic messages. Raises `LocalMisuse` where the vehicle file has no section for them."""
        if self._rest_bus is None:
            raise LocalMisuse(f"{self.spec.name!r} has no rest bus: its vehicle file has no section 'rest_bus'")
        return self._rest_bus

    @property
    def rest_bus_runs(self) -> bool:
        """Whether the cyclic messages are sent."""
        return self._rest_bus is not None and self._rest_bus.running

    @held
    def change_rest_bus(self, change: RestBusChange) -> None:
        """Start or stop the cyclic messages, or make one wrong."""
        self.rest_bus.change(change)

    @held
    def set_clock(self, name: str, *, offset_s: int, is_set: bool) -> None:
        """Make a unit's calendar wrong, or lose it."""
        clock = self.unit(name).clock
        clock.offset_s, clock.is_set = offset_s, is_set

    @held
    def put_date_forward(self, seconds: int) -> None:
        """Let all calendars in the car run ahead by so much: on a bench in real time nobody waits for the date."""
        for unit in self.units.values():
            unit.clock.epoch_utc_s += seconds
            unit.endpoint.flush()
        self.witness.put_date_forward(seconds)

    @held
    def set_transport(self, name: str, change: TransportChange) -> None:
        """Change how a unit speaks ISO-TP (the gateway: towards the tester)."""
        given = {
            "block_size": change.block_size,
            "stmin": change.stmin,
            "wait_frames": change.wait_frames,
            "padding": change.padding,
            "rx_buffer_bytes": change.buffer_bytes,
        }
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        self.unit(name).core.stack.configure(0, lambda options: replace(options, **changes))

    @held
    def report_trouble(self, name: str, code: int, result: TroubleResult, times: int) -> bool:
        """Let a unit's own test of a trouble code say so, so many times; return whether the last one counted."""
        unit, counted = self.unit(name), False
        for _ in range(times):
            counted = unit.server.report_trouble(code, RESULTS[result], self.world.now_ns)
        unit.endpoint.flush()
        return counted

    @held
    def set_bitrate(self, bus: str, bitrate: int) -> None:
        """Run a bus at another bit rate, as a tester does with its own end after LinkControl 0x87. Raises `LocalMisuse`."""
        if bus not in self.buses:
            raise LocalMisuse(f"there is no bus {bus!r}; there are: {', '.join(self.buses)}")
        if isinstance(self.buses[bus], CarriedBus):
            raise NotOnThisCarrier(f"the wire of bus {bus!r} is elsewhere: its bit rate is not ours to set")
        self.buses[bus].set_bitrate(bitrate)

    @held
    def add_fault(self, rule: FaultRule) -> FaultRule:
        """Put a wire fault in force, its window counted from now; return the rule in world time.

        Raises `NotOnThisCarrier` for error frames on a bus whose wire is elsewhere.
        """
        if rule.bus is not None and rule.bus not in self.buses:
            raise LocalMisuse(f"there is no bus {rule.bus!r}; there are: {', '.join(self.buses)}")
        struck = self.buses.values() if rule.bus is None else (self.buses[rule.bus],)
        if rule.kind == "error" and any(isinstance(bus, CarriedBus) for bus in struck):
            raise NotOnThisCarrier(f"nobody here can destroy a frame on a wire that is elsewhere ({rule.bus or OBD})")
        if rule.kind == "corrupt":
            self.witness.doubt("what a status says while a fault corrupts frames")
        now_ns = self.world.now_ns
        until_ns = rule.until_ns if rule.until_ns >= FOREVER_NS else now_ns + rule.until_ns
        absolute = replace(rule, from_ns=now_ns + rule.from_ns, until_ns=until_ns)
        self.faults.add(absolute)
        self._inject_faults(on=True)
        return absolute

    @held
    def clear_faults(self) -> None:
        """Take all wire faults out of force."""
        self.faults.clear()
        self._inject_faults(on=False)

    def _inject_faults(self, *, on: bool) -> None:
        """Put the fault injector into the buses, or take it out (without it a frame costs less)."""
        for bus in self.buses.values():
            bus.faults = self.faults if on else None

    # ---- what is asked of it from outside the wire

    def bus_of(self, name: str) -> str:
        """Return the name of the bus on which a unit stands."""
        return self.unit(name).ports[0].bus.name

    @held
    def grant_ident(self, name: str) -> str | None:
        """Return what tells the grant that is in force at a unit from any other, or None."""
        gate = self.unit(name).gate
        grant = None if gate is None else gate.grant(self.world.now_ns)
        return None if grant is None else grant.ident

    @held
    def take_keys(self, keys: KeySet) -> None:
        """Learn the back end's current keys and revocations."""
        self.trust.update(keys)
        for unit in self.units.values():
            if unit.gate is not None:
                unit.gate.handle_timer(self.world.now_ns)
        self.witness.revoked(self.world.now_ns, self.trust.revoked_serials, self.trust.revoked_tokens)

    @held
    def audit(self, record: AuditRecord) -> None:
        """Tell the witness of an audit record."""
        self.witness.audit(record)

    @held
    def findings(self) -> Findings:
        """Return what the witness has to say."""
        return findings_of(self.witness)

    def close(self) -> None:
        """Do nothing: it stands and falls with its world."""


def _transport(bus: CanBus, profile: EcuProfile) -> IsoTpOptions:
    """Return how a unit speaks ISO-TP on a bus."""
    return IsoTpOptions(padding=profile.padding, tx_dl=64 if bus.fd else 8)


def _given(new: bool | None, old: bool) -> bool:  # noqa: FBT001
    return old if new is None else new
