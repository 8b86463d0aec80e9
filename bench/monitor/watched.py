"""What the witness is told of a car: facts that stand on its parts, nothing of its state."""

from __future__ import annotations

from dataclasses import dataclass

ARMED_ABOVE_KM = 200
ALL_UNITS = -1
"""The address of who is asked by a functional request."""
P2_NS = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedUnit:
    """A control unit: identifiers, logical address, the bus it stands on, whether its lock is its own (SFD), and what ends a
    grant of its lock besides time and command.
    """

    name: str
    request_id: int
    response_id: int
    address: int
    bus: str
    own_lock: bool
    reset_ends_grant: bool = True
    terminal_15_ends_grant: bool = False
    reset_ns: int = 0
    """How long it is down after a reset, or after its supply is back."""
    p2_ns: int = P2_NS
    """When at the latest it has served what it does not answer: after it 0x78 would have to come, and then the answer too."""
    signed_changes: bool = False
    """Whether it changes anything by signed changes alone (SFD2)."""
    unjudged_lock: str = ""
    """The scheme of a lock that the witness has no rules for where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCar:
    """The car."""

    make: str
    vin: str
    units: tuple[WatchedUnit, ...]
    gateway: str
    obd_bus: str
    functional_ids: tuple[int, ...]
    odometer_km: int = ARMED_ABOVE_KM + 1
    unset_clock_refuses: bool = True
    """Whether the gateway takes no certificate without a set clock."""
    ours: bool = True
    """Whether somebody tells of the car's bonnet, kilometres, supply and ignition; else its filter is not judged."""
    seed_level: int | None = None
    """The 0x27 level that is the gateway's lock, where its key is signed over a seed."""
    signed_passes: bool = False
    """Whether its gateway leaves signed changes to the units."""
    audited: bool = True
    """Whether the portal's audit log can be read; else an unlock may have been issued without being seen."""

    @property
    def gateway_unjudged(self) -> bool:
        """Whether nobody can say if the gateway's lock is open."""
        return any(unit.unjudged_lock for unit in self.units if unit.name == self.gateway)

    def blind_spots(self) -> tuple[str, ...]:
        """Return what the witness cannot see of this car, whatever happens."""
        spots = [
            "who sent a request: a second tester on the same identifiers rides on a grant",
            "what is inside an encrypted SecuredDataTransmission",
            "what a token or certificate says beyond its number and VIN: role, scope, its own hours",
        ]
        if not self.unset_clock_refuses:
            spots.append(
                "whether the gateway, which takes certificates without a set clock, has one: it counts their hours anew"
            )
        if not self.ours:
            spots.append("what happens behind the gateway, and the car's bonnet, kilometres, ignition and supply")
        if self.seed_level is not None:
            spots.append("whether a key is the signature over its seed: only that the back end has signed that seed")
        if not self.audited:
            spots.append("whether the back end issued what was shown to the car: its audit log is not ours")
        if any(unit.signed_changes for unit in self.units):
            spots.append("what a signed change says of its role and scope")
        spots += [
            f"whether the lock of {unit.name} is open: the witness has no rules for {unit.unjudged_lock} there"
            for unit in self.units
            if unit.unjudged_lock
        ]
        return tuple(spots)


def all_units(can_id: int, bus: str) -> WatchedUnit:
    """Return who is asked by a functional request."""
    return WatchedUnit(
        name="all units", request_id=can_id, response_id=can_id, address=ALL_UNITS, bus=bus, own_lock=False
    )
