"""The bench: one world, one vehicle, one portal, one tester, any number of people, and a witness who watches.

with Bench(seed=7, vehicle="vag-golf") as bench:
    tester = bench.tester(technician="validated")
    tester.login()
    tester.unlock("cluster", role="after-sales")
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from bench.person import Person
from bench.portal_port import DirectPortal
from bench.stage import BenchStage
from bench.tester import TESTER_SERIAL, BenchTester
from bench.topology import Car
from bench.vehicle_file import OBD, load_vehicle
from ecu_sim.unlock.trust import TrustStore
from portal_sim.keys import make_keys
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.portal import Portal
from scenarios.strategy import Goal, Strategy
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.link import DiagnosticLink
from vci_driver.portal_client import PortalClient
from vci_driver.registry import open_channel
from vci_driver.tester import Tester, bcd_date
from wire.entropy import SeededEntropy
from wire.errors import BenchError, LocalMisuse
from wire.portal_api import AuditRecord
from wire.trace import Trace
from wire.trace_files import write_all
from wire.world import World

DEFAULT_VEHICLE = "vag-golf"


class WitnessViolation(BenchError):
    """The witness saw something that must not be: the message lists it."""


class Bench:
    """A bench in virtual time. Everything random follows from `seed`.

    `keep_trace`: keep every frame for `write_trace` (the digest needs none). On leaving the `with` block, the witness's findings
    raise `WitnessViolation`, unless `check_on_close` is False.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        vehicle: str | Path | None = None,
        keep_trace: bool = False,
        check_on_close: bool = True,
        witness: bool = True,
    ) -> None:
        self.world = World(seed)
        self.trace = Trace(keep=keep_trace)
        self.epoch_utc_s = self.world.clock.epoch_utc_s()
        self._keep_trace = keep_trace
        self._check_on_close = check_on_close
        self._watching = witness
        rng = self.world.rng
        self.backend = Portal(
            entropy=SeededEntropy(rng("portal")),
            keys=make_keys(SeededEntropy(rng("backend keys")), self.epoch_utc_s),
            review_rng=rng("reviews"),
            options=PortalOptions(cost=CHEAP_COST),
        )
        self.portal = DirectPortal(self.world, self.backend, self._on_audit)
        self.trust = TrustStore(self.backend.key_set())
        self.people: dict[str, Person] = {}
        self._car: Car | None = None
        self._tester: BenchTester | None = None
        self._stage: BenchStage | None = None
        self._strategy: Strategy | None = None
        if vehicle is not None:
            self.vehicle(vehicle)

    # ---- what stands on the bench

    def vehicle(self, name: str | Path | None = None) -> Car:
        """Put a vehicle on the bench (a shipped one by name, or a file), or return the one that stands there."""
        if self._car is not None:
            spec = self._car.spec
            if name is not None and load_vehicle(str(name)) != spec:
                raise LocalMisuse(f"{spec.name!r} stands on this bench already: take another bench for {str(name)!r}")
            return self._car
        spec = load_vehicle(str(name or DEFAULT_VEHICLE))
        self._car = Car(self.world, spec, self.trust, self.trace, epoch_utc_s=self.epoch_utc_s, witness=self._watching)
        return self._car

    @property
    def car(self) -> Car:
        """The vehicle, put there now if none was."""
        return self.vehicle() if self._car is None else self._car

    def ecu_names(self) -> tuple[str, ...]:
        """Return the names of the vehicle's units."""
        return tuple(self.car.units)

    def tester(self, technician: str | None = None) -> BenchTester:
        """Return the tester at the vehicle's socket. `technician`: a state that the person at it is to be in (`validated`)."""
        if self._tester is None:
            self._tester = self._make_tester()
        if technician is not None:
            self.strategy.reach(technician, Goal())
        return self._tester

    def _make_tester(self) -> BenchTester:
        car = self.car
        options = {"bus": car.buses[OBD], "name": "tester", "supply_mv": lambda: car.state.supply_mv}
        channel = open_channel("virtual", OBD, options, self.world)
        assert isinstance(channel, VirtualChannel)
        link = DiagnosticLink(self.world, [channel], car.car_map())
        tester = Tester(
            link=link,
            portal=PortalClient(self.portal, TESTER_SERIAL),
            entropy=SeededEntropy(self.world.rng("tester")),
            today=lambda: bcd_date(self.world.utc_s()),
        )
        return BenchTester(self, tester, channel)

    def person(self, name: str = "technician") -> Person:
        """Return a person by name; everyone exists, but has no account until they sign up."""
        person = self.people.get(name)
        if person is None:
            person = self.people[name] = Person(name, self.world, self.portal)
        return person

    @property
    def stage(self) -> BenchStage:
        """The bench as a scenario sees it."""
        if self._stage is None:
            self._stage = BenchStage(self)
        return self._stage

    @property
    def strategy(self) -> Strategy:
        """The way to states, with what was reached so far."""
        if self._strategy is None:
            self._strategy = Strategy(self.stage)
        return self._strategy

    # ---- time, findings, end

    def sleep(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Let bench time pass."""
        self.world.run_for(round((seconds + 60 * minutes + 3600 * hours) * 1_000_000_000))

    def publish_keys(self) -> None:
        """Let the vehicle learn the back end's current keys and revocations."""
        self.trust.update(self.backend.key_set())
        for unit in self.car.units.values():
            if unit.gate is not None:
                unit.gate.handle_timer(self.world.now_ns)
        if self.trust.revoked_serials:
            self.car.witness.revoked(self.world.now_ns)

    def violations(self) -> list[str]:
        """Return what the witness found, a line each."""
        return [] if self._car is None else [str(violation) for violation in self._car.witness.violations]

    def write_trace(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """Write candump and pcapng files. Raises `LocalMisuse` without `keep_trace=True`."""
        if not self._keep_trace:
            raise LocalMisuse("this bench keeps no trace: make it with keep_trace=True")
        return write_all(self.trace, folder, stem, self.epoch_utc_s)

    def close(self) -> None:
        """End the bench. Raises `WitnessViolation` for what the witness found."""
        found = self.violations()
        if found and self._check_on_close:
            raise WitnessViolation("\n".join(found))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()

    def _on_audit(self, record: AuditRecord) -> None:
        self.trace.note(self.world.now_ns, "audit", repr(record).encode())
        if self._car is not None:
            self._car.witness.audit(record)
