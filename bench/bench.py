"""The bench: one world, one vehicle, one portal, one tester, any number of people, and a witness who watches.

with Bench(seed=7, vehicle="vag-golf") as bench:
    tester = bench.tester(technician="validated")
    tester.login()
    tester.unlock("cluster", role="after-sales")
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bench.bench_file import VIRTUAL, BenchSpec, CarAt, load_bench
from bench.car import BenchCar, Findings
from bench.person import Person
from bench.plug import plug_in_tester
from bench.portal_port import DEFAULT_LATENCY_NS, Backend, DirectPortal
from bench.stage import BenchStage
from bench.tester import TESTER_SERIAL, BenchTester
from bench.topology import Car, Wiring
from bench.vehicle_file import VehicleSpec, load_vehicle
from ecu_sim.unlock.trust import TrustStore
from portal_sim.key_files import load_keys, save_keys
from portal_sim.keys import make_keys
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.portal import Portal
from scenarios.strategy import Goal, Strategy
from vci_driver.portal_client import PortalClient
from vci_driver.tester import Tester, bcd_date
from wire.clock import NS_PER_MS, NS_PER_S, RealClock
from wire.entropy import Entropy, LiveEntropy, SeededEntropy
from wire.errors import BenchError, CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.keeper import Keeper
from wire.key_set import save_key_set
from wire.portal_api import AuditRecord, GetKeySet, KeySet, PortalPort
from wire.trace import Trace
from wire.trace_files import ALL_FORMATS, write_all
from wire.world import World

if TYPE_CHECKING:
    from bench.live.reach import ServedProcess
    from vci_driver.portal_http import HttpPortal

LIVE_LATENCY_NS = 2 * NS_PER_MS
"""How long the portal in this process takes for an answer where time passes: nobody waits for a make-believe network."""
DEFAULT_VEHICLE = "vag-golf"


class WitnessViolation(BenchError):
    """The witness saw something that must not be: the message lists it."""


class Bench:
    """A bench; in virtual time, with everything in this process, unless a bench file says otherwise.

    `file`: a ready bench file by name (`vcan`), or one of your own by path: see docs/benches.md. In virtual time everything
    random follows from `seed`; on a bench whose time passes, keys, nonces and codes are real secrets.
    `keep_trace`: keep every frame for `write_trace` (the digest needs none). On leaving the `with` block, the witness's findings
    raise `WitnessViolation`, unless `check_on_close` is False. `served`: the process that serves the car, where the caller
    started it himself.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        vehicle: str | Path | None = None,
        file: BenchSpec | str | Path | None = None,
        keep_trace: bool = False,
        check_on_close: bool = True,
        witness: bool = True,
        served: ServedProcess | None = None,
    ) -> None:
        self._served = served
        self.spec = spec = _bench_spec(file)
        self.live = not spec.virtual_time
        self.world = World(seed, RealClock() if self.live else None)
        self.trace = Trace(keep=keep_trace)
        self.epoch_utc_s = self.world.clock.epoch_utc_s()
        self._keep_trace = keep_trace
        self._check_on_close = check_on_close
        self._watching = witness
        self._closing = ExitStack()
        self._backend: Backend | None = None
        self._mark = "" if spec.portal.url is None else f".{LiveEntropy().token_bytes(4).hex()}"
        self.people: dict[str, Person] = {}
        self._car: BenchCar | None = None
        self._tester: BenchTester | None = None
        self._stage: BenchStage | None = None
        self._strategy: Strategy | None = None
        try:
            if self.live:
                self._begin_real_time()
            self.portal = self._place_portal()
            if vehicle is not None:
                self.vehicle(vehicle)
        except BaseException:
            self._closing.close()
            raise

    def _begin_real_time(self) -> None:
        world, clock = self.world, self.world.clock
        assert isinstance(clock, RealClock)
        self._closing.callback(clock.close)
        world.longest_wait_ns = self.spec.longest_wait_ns
        self._closing.callback(Keeper(world).close)

    def _entropy(self, name: str) -> Entropy:
        return LiveEntropy() if self.live else SeededEntropy(self.world.rng(name))

    def _place_portal(self) -> PortalPort:
        spec = self.spec.portal
        if spec.url is not None:
            from vci_driver.portal_http import HttpPortal  # noqa: PLC0415 - an extra, and only some benches need it

            port = self._closing.enter_context(HttpPortal(spec.url, self.world, entropy=self._entropy("tester's keys")))
            return self._reach_behind(port) if port.controls else port
        keys = None if spec.keys_folder is None else load_keys(spec.keys_folder)
        if keys is None:
            keys = make_keys(self._entropy("backend keys"), self.epoch_utc_s)
            if spec.keys_folder is not None:
                save_keys(spec.keys_folder, keys)
        options = PortalOptions(cost=CHEAP_COST)
        if self.live and not self._dates_are_ours:
            review_s = -(-spec.review_ns // NS_PER_S)
            options = replace(options, review_min_s=review_s, review_max_s=review_s)
        self._backend = Portal(
            entropy=self._entropy("portal"), keys=keys, review_rng=self.world.rng("reviews"), options=options
        )
        self._publish_key_file()
        latency_ns = LIVE_LATENCY_NS if self.live else DEFAULT_LATENCY_NS
        return DirectPortal(self.world, self._backend, self._on_audit, latency_ns=latency_ns)

    def _reach_behind(self, port: HttpPortal) -> PortalPort:
        """Return a door to a served portal whose control token is known: it can be made to fail like one in this process."""
        from bench.portal_at_url import ServedBackend  # noqa: PLC0415 - only some benches need it

        folder = self.spec.portal.keys_folder
        keys = None if folder is None else load_keys(folder)
        self._backend = ServedBackend(port, keys, virtual=self.world.virtual)
        return DirectPortal(
            self.world, self._backend, self._on_audit, latency_ns=0 if self.live else DEFAULT_LATENCY_NS
        )

    @property
    def _dates_are_ours(self) -> bool:
        """Whether every calendar on this bench can be put forward: portal, phones, tester and car."""
        spec = self.spec
        reachable = spec.car in (CarAt.HERE, CarAt.SERVED) or (spec.car is CarAt.ELSEWHERE and spec.control is not None)
        return spec.portal.url is None and reachable

    def _put_date_forward(self, seconds: int) -> None:
        for person in self.people.values():
            person.phone_clock.epoch_utc_s += seconds
        self.car.put_date_forward(seconds)

    @property
    def backend(self) -> Backend:
        """The portal's inside. Raises `NotOnThisCarrier` where it stands behind a URL."""
        if self._backend is None:
            raise NotOnThisCarrier(
                f"the portal of this bench is at {self.spec.portal.url}: nobody reaches behind it from here"
            )
        return self._backend

    @property
    def direct_portal(self) -> DirectPortal:
        """The door to the portal in this process, which can be made to fail. Raises `NotOnThisCarrier` where there is none."""
        if not isinstance(self.portal, DirectPortal):
            raise NotOnThisCarrier(f"the portal of this bench is at {self.spec.portal.url}: nobody spoils it from here")
        return self.portal

    # ---- what stands on the bench

    def vehicle(self, name: str | Path | None = None) -> BenchCar:
        """Put a vehicle on the bench (a shipped one by name, or a file), or return the one that stands there.

        Raises `NotOnThisCarrier` where another one stands and nobody here can change it: a real car, say.
        """
        wanted = None if name is None else load_vehicle(str(name))
        if self._car is None:
            with self.world.hold:
                self._car = self._place_car(wanted)
            if self._backend is not None:
                self._car.take_keys(self._backend.key_set())
            if self.live and self._dates_are_ours:  # what waits for a date alone need not wait
                self.world.on_date = self._put_date_forward
        elif wanted is not None and wanted != self._car.spec:
            standing = self._car.spec.name
            raise LocalMisuse(f"{standing!r} stands on this bench already: take another bench for {str(name)!r}")
        return self._car

    def _place_car(self, wanted: VehicleSpec | None) -> BenchCar:
        spec = self.spec
        if spec.car is CarAt.HERE:
            vehicle = wanted or load_vehicle(spec.vehicle or DEFAULT_VEHICLE)
            return Car(
                self.world,
                vehicle,
                TrustStore(self._key_set()),
                self.trace,
                epoch_utc_s=self.epoch_utc_s,
                witness=self._watching,
                wiring=Wiring(paced=spec.paced, live=self.live, audited=self._backend is not None),
            )
        from bench.live.reach import reach_car  # noqa: PLC0415 - the virtual bench needs no processes

        return self._closing.enter_context(
            closing(
                reach_car(
                    spec,
                    wanted,
                    epoch_utc_s=self.epoch_utc_s,
                    audited=self._backend is not None,
                    served=self._served,
                )
            )
        )

    def _key_set(self) -> KeySet:
        return self.portal.call(GetKeySet()) if self._backend is None else self._backend.key_set()

    @property
    def car(self) -> BenchCar:
        """The vehicle, put there now if none was."""
        return self.vehicle() if self._car is None else self._car

    def ecu_names(self) -> tuple[str, ...]:
        """Return the names of the vehicle's units."""
        return self.car.car_map().names

    def tester(self, technician: str | None = None) -> BenchTester:
        """Return the tester at the vehicle's socket. `technician`: a state that the person at it is to be in (`validated`)."""
        if self._tester is None:
            self._tester = self._make_tester()
        if technician is not None:
            self.strategy.reach(technician, Goal())
        return self._tester

    def _make_tester(self) -> BenchTester:
        car = self.car
        with self.world.hold:
            plug, link = plug_in_tester(self.world, car, self.spec, self.trace, self._closing)
        tester = Tester(
            link=link,
            portal=PortalClient(self.portal, TESTER_SERIAL),
            entropy=self._entropy("tester"),
            today=lambda: bcd_date(self.world.utc_s()),
        )
        return BenchTester(self, tester, plug)

    def person(self, name: str = "technician") -> Person:
        """Return a person by name; everyone exists, but has no account until they sign up."""
        person = self.people.get(name)
        if person is None:
            person = self.people[name] = Person(name, self.world, self.portal, mark=self._mark)
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
        self._publish_key_file()
        self.car.take_keys(self.backend.key_set())

    def _publish_key_file(self) -> None:
        """Write the public keys where vehicles that read them from a file look."""
        keys = self.spec.portal.keys
        if keys is not None and self._backend is not None:
            save_key_set(Path(keys), self._backend.key_set())

    def findings(self) -> Findings:
        """Return what the witness has to say so far."""
        return self.car.findings()

    def violations(self) -> list[str]:
        """Return what the witness found, a line each."""
        return [] if self._car is None else list(self._car.findings().violations)

    def notices(self) -> list[CarrierFault]:
        """Return what the tester's adapter reported and went on: frames that were lost, others on its identifiers."""
        return [] if self._tester is None else list(self._tester.link.notices)

    def write_trace(self, folder: Path, stem: str, formats: Sequence[str] = ALL_FORMATS) -> tuple[Path, ...]:
        """Write a file a format (candump, asc, blf, pcapng). Raises `LocalMisuse` without `keep_trace=True`."""
        if not self._keep_trace:
            raise LocalMisuse("this bench keeps no trace: make it with keep_trace=True")
        return write_all(self.trace, folder, stem, self.epoch_utc_s, formats)

    def close(self) -> None:
        """End the bench: give back adapters, threads and the car. Raises `WitnessViolation` for what the witness found."""
        try:
            found = self.violations() if self._check_on_close else []
        finally:
            self._closing.close()
        if found:
            raise WitnessViolation("\n".join(found))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._closing.close()

    def _on_audit(self, record: AuditRecord) -> None:
        self.trace.note(self.world.now_ns, "audit", repr(record).encode())
        if self._car is not None:
            self._car.audit(record)


def _bench_spec(file: BenchSpec | str | Path | None) -> BenchSpec:
    if file is None:
        return VIRTUAL
    return file if isinstance(file, BenchSpec) else load_bench(str(file))
