"""What a vehicle's file tells those who are not the vehicle: the tester its map, the witness what it is to watch."""

from __future__ import annotations

from collections.abc import Mapping

from bench.monitor.watched import WatchedCar, WatchedUnit
from bench.vehicle_file import GATEWAY, OBD, PlacedEcu, VehicleSpec
from ecu_sim.profile import EcuProfile
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Options
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from vci_driver.car_map import CarMap, EcuEntry, SeedKey, UnlockScheme

UNLOCKED_BY: Mapping[type, UnlockScheme] = {
    SfdOptions: UnlockScheme.SFD,
    Sfd2Options: UnlockScheme.SFD2,
    CertificateOptions: UnlockScheme.CERTIFICATE,
    SignedSeedOptions: UnlockScheme.SIGNED_SEED,
    ChallengeResponseOptions: UnlockScheme.CHALLENGE_RESPONSE,
}


def car_map(spec: VehicleSpec) -> CarMap:
    """Return the car as a tester knows it before it is plugged in."""
    for_all = isinstance(spec.gateway_ecu.gate, CertificateOptions | SignedSeedOptions | ChallengeResponseOptions)
    placed = [(GATEWAY, spec.gateway_ecu), *((ecu.name, ecu.profile) for ecu in spec.ecus)]
    return CarMap(
        make=spec.make,
        gateway=GATEWAY,
        ecus=tuple(_entry(name, profile, for_all=for_all) for name, profile in placed),
        functional_id=spec.functional_ids[0] if spec.functional_ids else None,
        padding=spec.padding,
        fd=spec.buses[0].fd,
        brs=spec.buses[0].fd,
        vin_sources=(GATEWAY,),
        installed_units_did=spec.installed_units_did,
        second_factor_per_unlock=spec.make == "vag",
    )


def watched_car(spec: VehicleSpec, *, ours: bool = True, audited: bool = True) -> WatchedCar:
    """Return the car as the witness knows it."""
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
                terminal_15_ends_grant=getattr(ecu.profile.gate, "ends_on_terminal_15", False),
                reset_ns=ecu.profile.timing.reset_ns,
                p2_ns=ecu.profile.timing.p2_ns,
                signed_changes=isinstance(ecu.profile.gate, Sfd2Options),
                unjudged_lock=_unjudged(spec.make, ecu),
            )
            for ecu in placed
        ),
        gateway=GATEWAY,
        obd_bus=OBD,
        functional_ids=spec.functional_ids,
        odometer_km=spec.odometer_km,
        unset_clock_refuses=not isinstance(lock, CertificateOptions) or lock.unset_clock_refuses,
        seed_level=lock.level if isinstance(lock, SignedSeedOptions) else None,
        ours=ours,
        signed_passes=spec.gateway.policy.signed_passes,
        audited=audited,
    )


JUDGED: Mapping[str, tuple[tuple[type, ...], tuple[type, ...]]] = {
    "vag": ((SfdOptions, Sfd2Options), (SfdOptions, Sfd2Options)),
    "mercedes": ((CertificateOptions, SignedSeedOptions), ()),
}
"""The locks that the witness has rules for, by make: in the gateway, in another unit."""


def _unjudged(make: str, ecu: PlacedEcu) -> str:
    """Return the scheme of a unit's lock that the witness has no rules for there, or nothing."""
    gate = ecu.profile.gate
    known = JUDGED[make][0 if ecu.name == GATEWAY else 1]
    return "" if gate is None or isinstance(gate, known) else UNLOCKED_BY[type(gate)].value


def _entry(name: str, profile: EcuProfile, *, for_all: bool) -> EcuEntry:
    """Return a unit as the tester knows it. `for_all`: the gateway holds the lock of all units."""
    own = None if profile.gate is None else UNLOCKED_BY[type(profile.gate)]
    return EcuEntry(
        name=name,
        title=profile.title,
        address=profile.address,
        request_id=profile.request_id,
        response_id=profile.response_id,
        periodic_ids=profile.periodic.can_ids,
        scheme=own,
        lock_holder=GATEWAY if for_all and name != GATEWAY else None,
        lock_level=profile.gate.level if isinstance(profile.gate, SignedSeedOptions) else None,
        security={
            level: SeedKey(algorithm=way.algorithm, secret=way.secret) for level, way in profile.security.items()
        },
    )
