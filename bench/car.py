"""The car as the bench sees it, wherever it is: here (`bench.topology.Car`), in a process of its own, or real.

A tester reaches a car through its buses alone. What is done to it from outside the wire (bonnet, ignition, faults, keys) and what
is asked of it (grants, the witness's findings) goes through this door; where nobody stands at it, each call says so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NoReturn, Protocol

from bench.car_facts import car_map, watched_car
from bench.monitor.witness import Witness
from bench.vehicle_file import VehicleSpec
from scenarios.stage import RestBusChange, TransportChange, TroubleResult, VehicleChange
from vci_driver.car_map import CarMap
from wire.can_bus import CanBus
from wire.errors import NotOnThisCarrier
from wire.faults import FaultRule
from wire.portal_api import AuditRecord, KeySet

if TYPE_CHECKING:
    from bench.topology import Unit


_PLAIN = {
    TroubleResult.FAILS: "fail",
    TroubleResult.PASSES: "pass",
    TroubleResult.PREFAILS: "prefail",
    TroubleResult.PREPASSES: "prepass",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the witness has to say: what should not have happened, how many requests it read, what it cannot see."""

    violations: tuple[str, ...]
    requests_seen: int
    blind_spots: tuple[str, ...]


def findings_of(witness: Witness) -> Findings:
    """Return what a witness has to say so far."""
    return Findings(
        violations=tuple(str(violation) for violation in witness.violations),
        requests_seen=witness.requests_seen,
        blind_spots=witness.blind_spots(),
    )


class BenchCar(Protocol):
    """A car that a tester is plugged into."""

    spec: VehicleSpec

    def car_map(self) -> CarMap:
        """Return the car as a tester knows it before it is plugged in."""

    def unit(self, name: str) -> Unit:
        """Return a unit by name, to look into. Raises `NotOnThisCarrier` where its inside is out of reach."""

    def change(self, change: VehicleChange) -> None:
        """Set values of the vehicle."""

    def change_rest_bus(self, change: RestBusChange) -> None:
        """Start or stop the cyclic messages, or make one wrong."""

    def reset(self, name: str) -> None:
        """Take one unit's supply away and give it back."""

    def set_clock(self, name: str, *, offset_s: int, is_set: bool) -> None:
        """Make a unit's calendar wrong, or lose it."""

    def put_date_forward(self, seconds: int) -> None:
        """Let all calendars in the car run ahead by so much."""

    def set_transport(self, name: str, change: TransportChange) -> None:
        """Change how a unit speaks ISO-TP."""

    def report_trouble(self, name: str, code: int, result: TroubleResult, times: int) -> bool:
        """Let a unit's own test of a trouble code say so; return whether the last one counted."""

    def set_bitrate(self, bus: str, bitrate: int) -> None:
        """Run a bus at another bit rate, in bit/s."""

    def add_fault(self, rule: FaultRule) -> FaultRule:
        """Put a wire fault in force, its window counted from now; return the rule in the car's world time."""

    def clear_faults(self) -> None:
        """Take all wire faults out of force."""

    def bus_of(self, name: str) -> str:
        """Return the name of the bus on which a unit stands."""

    def grant_ident(self, name: str) -> str | None:
        """Return what tells the grant that is in force at a unit from any other, or None."""

    def take_keys(self, keys: KeySet) -> None:
        """Learn the back end's current keys and revocations."""

    def audit(self, record: AuditRecord) -> None:
        """Tell the witness of an audit record."""

    def findings(self) -> Findings:
        """Return what the witness has to say."""

    def close(self) -> None:
        """Leave the car."""


class ForeignCar:
    """A car that the bench can only talk to over its bus: a real one, or one that somebody else simulates.

    The witness watches the tester's bus alone, and says so.
    """

    def __init__(self, spec: VehicleSpec, *, where: str, epoch_utc_s: int, audited: bool) -> None:
        self.spec = spec
        self._where = where
        self.witness = Witness(watched_car(spec, ours=False, audited=audited), epoch_utc_s)

    def watch(self, bus: CanBus) -> None:
        """Let the witness read the tester's bus."""
        bus.tap(self.witness.tap(bus.name))

    def car_map(self) -> CarMap:
        """See `BenchCar`."""
        return car_map(self.spec)

    def unit(self, name: str) -> Unit:
        """Refuse."""
        self._out_of_reach(f"look into unit {name!r}")

    def change(self, change: VehicleChange) -> None:
        """Refuse."""
        given = {field.name: getattr(change, field.name) for field in fields(change)}
        self._out_of_reach(f"set {', '.join(f'{name}={value}' for name, value in given.items() if value is not None)}")

    def change_rest_bus(self, change: RestBusChange) -> None:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach("start, stop or change its cyclic messages")

    def reset(self, name: str) -> None:
        """Refuse."""
        self._out_of_reach(f"take the supply of {name!r} away")

    def set_clock(self, name: str, *, offset_s: int, is_set: bool) -> None:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach(f"set the calendar of {name!r}")

    def put_date_forward(self, seconds: int) -> None:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach("put its calendars forward")

    def set_transport(self, name: str, change: TransportChange) -> None:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach(f"change how {name!r} speaks ISO-TP")

    def report_trouble(self, name: str, code: int, result: TroubleResult, times: int) -> bool:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach(f"let trouble code {code:06X} of {name!r} {_PLAIN[result]}")

    def set_bitrate(self, bus: str, bitrate: int) -> None:  # noqa: ARG002
        """Refuse."""
        self._out_of_reach(f"set the bit rate of bus {bus!r}")

    def add_fault(self, rule: FaultRule) -> FaultRule:
        """Refuse."""
        self._out_of_reach(f"put a fault ({rule.kind}) on its wire")

    def clear_faults(self) -> None:
        """Do nothing: none can have been put in force."""

    def bus_of(self, name: str) -> str:
        """See `BenchCar`."""
        return next((ecu.bus for ecu in self.spec.ecus if ecu.name == name), self.spec.buses[0].name)

    def grant_ident(self, name: str) -> str | None:  # noqa: ARG002 - nobody can say
        """Return None: nobody can say, so an unlock is not taken to stand."""
        return None

    def take_keys(self, keys: KeySet) -> None:
        """Do nothing: it learns its keys by its own ways."""

    def audit(self, record: AuditRecord) -> None:
        """See `BenchCar`."""
        self.witness.audit(record)

    def findings(self) -> Findings:
        """See `BenchCar`."""
        return findings_of(self.witness)

    def close(self) -> None:
        """Do nothing."""

    def _out_of_reach(self, act: str) -> NoReturn:
        raise NotOnThisCarrier(f"the car on this bench is {self._where}: nobody here can {act}")
