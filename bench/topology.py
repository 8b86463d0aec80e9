"""The only place that wires devices together: buses, units, gateway, gates, clocks, taps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.monitor.witness import WatchedCar, WatchedUnit, Witness
from bench.vehicle_file import GATEWAY, OBD, PlacedEcu, VehicleSpec
from ecu_sim.node import EcuNode
from ecu_sim.profile import EcuProfile
from ecu_sim.server import UdsServer
from ecu_sim.unlock.certificate import CertificateGate, CertificateOptions
from ecu_sim.unlock.sfd import SfdGate, SfdOptions
from ecu_sim.unlock.trust import TrustStore
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from scenarios.stage import VehicleChange
from sgw_sim.arming import Observation
from sgw_sim.gateway import Gateway, RouteSpec
from vci_driver.car_map import CarMap, EcuEntry, SeedKey, UnlockScheme
from wire.can_bus import BusPort, CanBus
from wire.clock import WallClock
from wire.endpoint import Endpoint
from wire.entropy import SeededEntropy
from wire.errors import LocalMisuse
from wire.faults import FaultInjector
from wire.isotp_door import IsoTpOptions
from wire.trace import Trace
from wire.world import World

__all__ = ["GATEWAY", "Car", "Unit"]

Gate = SfdGate | CertificateGate


class Unit:
    """One control unit as it stands in the car: its server, its gate, its clock, its places on buses."""

    def __init__(self, name: str, server: UdsServer, gate: Gate | None, clock: WallClock) -> None:
        self.name = name
        self.server = server
        self.gate = gate
        self.clock = clock
        self.ports: list[BusPort] = []
        self.core: EcuNode | Gateway
        self.endpoint: Endpoint

    def lose_supply(self, now_ns: int) -> None:
        """Terminal 30 is gone: silence, and every transfer forgotten."""
        for port in self.ports:
            port.switch_off()
        self.server.power(PowerEvent.BATTERY_LOST, now_ns)
        self.core.lose_supply()
        self.endpoint.flush()

    def regain_supply(self, now_ns: int) -> None:
        """Terminal 30 is back: a restart."""
        for port in self.ports:
            port.restart()
        self.server.power(PowerEvent.BATTERY_BACK, now_ns)
        self.endpoint.flush()

    def power(self, event: PowerEvent, now_ns: int) -> None:
        """Tell the server what happens to the supply."""
        self.server.power(event, now_ns)
        self.endpoint.flush()


class Car:
    """A simulated vehicle in a world. The tester's bus is `buses["obd"]`."""

    def __init__(
        self,
        world: World,
        spec: VehicleSpec,
        trust: TrustStore,
        trace: Trace,
        *,
        epoch_utc_s: int,
        witness: bool = True,
    ) -> None:
        self.world = world
        self.spec = spec
        self.trust = trust
        self.state = VehicleState(odometer_km=spec.odometer_km)
        self.faults = FaultInjector(
            world.rng("faults"), on_strike=lambda now_ns, text: trace.note(now_ns, "fault", text.encode())
        )
        self.buses = {
            bus.name: CanBus(world, bus.name, bitrate=bus.bitrate, data_bitrate=bus.data_bitrate, fd=bus.fd)
            for bus in spec.buses
        }
        self.units: dict[str, Unit] = {}
        self._epoch_utc_s = epoch_utc_s
        self.witness = Witness(self.watched(), epoch_utc_s)
        for bus in self.buses.values():
            trace.attach(bus)
            if witness:
                bus.tap(self.witness.tap(bus.name))
        self._place_gateway()
        for placed in spec.ecus:
            self._place(placed)

    # ---- wiring

    def _unit(self, name: str, profile: EcuProfile) -> Unit:
        clock = WallClock(epoch_utc_s=self._epoch_utc_s)
        gate = self._gate(name, profile, clock)
        server = UdsServer(profile, entropy=SeededEntropy(self.world.rng(f"ecu/{name}")), vehicle=self.state, gate=gate)
        unit = self.units[name] = Unit(name, server, gate, clock)
        return unit

    def _gate(self, name: str, profile: EcuProfile, clock: WallClock) -> Gate | None:
        if profile.gate is None:
            return None
        make: Callable[..., Gate] = SfdGate if isinstance(profile.gate, SfdOptions) else CertificateGate
        return make(
            vin=self.spec.vin,
            ecu_address=profile.address,
            trust=self.trust,
            clock=clock,
            entropy=SeededEntropy(self.world.rng(f"gate/{name}")),
            options=replace(profile.gate, refusal_nrc=profile.locked_nrc),
        )

    def _place(self, placed: PlacedEcu) -> None:
        unit = self._unit(placed.name, placed.profile)
        bus = self.buses[placed.bus]
        node = EcuNode(unit.server, _transport(bus, placed.profile))
        node.name = placed.name
        port = bus.attach(placed.name)
        unit.ports, unit.core = [port], node
        unit.endpoint = Endpoint(self.world, node, [(port, node.listen_ids())])

    def _place_gateway(self) -> None:
        spec = self.spec
        unit = self._unit(GATEWAY, spec.gateway_ecu)
        gate = unit.gate
        released = gate.allows if isinstance(gate, CertificateGate) else None
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

    # ---- what others are told of the car

    def car_map(self) -> CarMap:
        """Return the car as a tester knows it before it is plugged in."""
        spec = self.spec
        certificate = isinstance(spec.gateway_ecu.gate, CertificateOptions)
        placed = [(GATEWAY, spec.gateway_ecu), *((ecu.name, ecu.profile) for ecu in spec.ecus)]
        return CarMap(
            make=spec.make,
            gateway=GATEWAY,
            ecus=tuple(_entry(name, profile, certificate=certificate) for name, profile in placed),
            functional_id=spec.functional_ids[0] if spec.functional_ids else None,
            padding=spec.padding,
            fd=spec.buses[0].fd,
            brs=spec.buses[0].fd,
            vin_sources=(GATEWAY,),
            installed_units_did=spec.installed_units_did,
            second_factor_per_unlock=spec.make == "vag",
        )

    def watched(self) -> WatchedCar:
        """Return the car as the witness knows it."""
        spec = self.spec
        placed = [PlacedEcu(name=GATEWAY, profile=spec.gateway_ecu, bus=OBD), *spec.ecus]
        lock = spec.gateway_ecu.gate
        return WatchedCar(
            make=spec.make,
            vin=spec.vin,
            units=tuple(
                WatchedUnit(
                    name=ecu.name,
                    request_id=ecu.profile.request_id,
                    response_id=ecu.profile.response_id,
                    address=ecu.profile.address,
                    bus=ecu.bus,
                    own_lock=isinstance(ecu.profile.gate, SfdOptions),
                    reset_ends_grant=not isinstance(ecu.profile.gate, SfdOptions) or ecu.profile.gate.ends_on_reset,
                    terminal_15_ends_grant=ecu.profile.gate is not None and ecu.profile.gate.ends_on_terminal_15,
                    reset_ns=ecu.profile.timing.reset_ns,
                )
                for ecu in placed
            ),
            gateway=GATEWAY,
            obd_bus=OBD,
            functional_ids=spec.functional_ids,
            odometer_km=spec.odometer_km,
            unset_clock_refuses=not isinstance(lock, CertificateOptions) or lock.unset_clock_refuses,
        )

    # ---- what happens to the car

    def unit(self, name: str) -> Unit:
        """Return a unit by name. Raises `LocalMisuse` that lists what there is."""
        try:
            return self.units[name]
        except KeyError:
            raise LocalMisuse(f"{self.spec.name!r} has no unit {name!r}; there are: {', '.join(self.units)}") from None

    def reset(self, name: str) -> None:
        """Take one unit's supply away and give it back."""
        unit, now_ns = self.unit(name), self.world.now_ns
        unit.lose_supply(now_ns)
        if self.state.supplied:
            unit.regain_supply(now_ns)
        self.witness.reset(now_ns, name)

    def change(self, change: VehicleChange) -> None:
        """Set values of the vehicle; units, gateway and witness learn of it at once."""
        state, now_ns = self.state, self.world.now_ns
        if change.speed_kmh is not None:
            state.speed_kmh = change.speed_kmh
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

    def inject_faults(self, *, on: bool) -> None:
        """Put the fault injector into the buses, or take it out (without it a frame costs less)."""
        for bus in self.buses.values():
            bus.faults = self.faults if on else None


def _transport(bus: CanBus, profile: EcuProfile) -> IsoTpOptions:
    """Return how a unit speaks ISO-TP on a bus."""
    return IsoTpOptions(padding=profile.padding, tx_dl=64 if bus.fd else 8)


def _entry(name: str, profile: EcuProfile, *, certificate: bool) -> EcuEntry:
    own: UnlockScheme | None = None
    if isinstance(profile.gate, SfdOptions):
        own = UnlockScheme.SFD
    elif isinstance(profile.gate, CertificateOptions):
        own = UnlockScheme.CERTIFICATE
    return EcuEntry(
        name=name,
        title=profile.title,
        address=profile.address,
        request_id=profile.request_id,
        response_id=profile.response_id,
        scheme=own,
        lock_holder=GATEWAY if certificate and name != GATEWAY else None,
        security={
            level: SeedKey(algorithm=way.algorithm, secret=way.secret) for level, way in profile.security.items()
        },
    )


def _given(new: bool | None, old: bool) -> bool:  # noqa: FBT001
    return old if new is None else new
