"""Reads vehicle files: which units stand on which bus, behind which gateway. Errors name file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from bench.rest_bus_file import RestBusSpec, read_rest_bus
from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import load_profile
from sgw_sim.profile import GatewayProfile, load_gateway
from wire.errors import ConfigError, LocalMisuse
from wire.frame import Frame, checked
from wire.names import yaml_file
from wire.strict_yaml import Node, load
from wire.token import VIN_LEN

FOLDER = Path(__file__).parent / "vehicles"
OBD = "obd"
BITRATE, DATA_BITRATE = 500_000, 2_000_000
GATEWAY = "gateway"
VIN_DID = 0xF190
VIN_LETTERS = frozenset("ABCDEFGHJKLMNPRSTUVWXYZ0123456789")
"""ISO 3779: I, O and Q are left out, because they look like 1 and 0."""
T = TypeVar("T")
KEYS = ("title", "make", "vin", "odometer_km", "gateway", "functional_ids", "buses", "ecus", "rest_bus", "tester")


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSpec:
    """A bus. Rates in bit/s; `fd`: CAN FD, and units on it send frames of up to 64 bytes with the bit-rate switch."""

    name: str
    fd: bool = False
    bitrate: int = BITRATE
    data_bitrate: int = DATA_BITRATE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEcu:
    """A unit, its profile, and the bus it stands on."""

    name: str
    profile: EcuProfile
    bus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleSpec:
    """One vehicle as its file says. The first bus is the tester's."""

    name: str
    title: str
    make: str
    vin: str
    odometer_km: int
    gateway: GatewayProfile
    gateway_ecu: EcuProfile
    functional_ids: tuple[int, ...]
    buses: tuple[BusSpec, ...]
    ecus: tuple[PlacedEcu, ...]
    rest_bus: RestBusSpec | None
    padding: int | None
    installed_units_did: int | None
    path: Path


def vehicle_names() -> list[str]:
    """Return the names of the shipped vehicles."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_vehicle(name: str) -> VehicleSpec:
    """Return a shipped vehicle by name, or one from a file (`*.yaml`) by path. Raises `ConfigError`."""
    path = yaml_file("vehicle", name, Path(), FOLDER)
    return _shipped(path) if path.parent == FOLDER else _read_file(path)


def _read_file(path: Path) -> VehicleSpec:
    node = load(path)
    node.mapping(KEYS)
    buses = tuple(_bus(item) for item in node.require("buses").items())
    names = tuple(bus.name for bus in buses)
    if not names or names[0] != OBD or len(set(names)) != len(names):
        raise node.require("buses").error(f"the first bus is the tester's and is called {OBD!r}; each stands once")
    vin = node.require("vin").text()
    if len(vin) != VIN_LEN or not vin.isalnum() or not vin.isascii():
        raise node.require("vin").error(f"a VIN has {VIN_LEN} letters and digits, {vin!r} has {len(vin)} characters")
    if wrong := sorted(set(vin) - VIN_LETTERS):
        raise node.require("vin").error(
            f"a VIN has digits and capital letters without I, O, Q (ISO 3779), {vin!r} has {', '.join(wrong)}"
        )
    gateway, tester, rest_bus = node.require("gateway"), node.get("tester"), node.get("rest_bus")
    gateway.mapping(("profile", "ecu"))
    if tester is not None:
        tester.mapping(("padding", "installed_units_did"))
    odometer = node.get("odometer_km")
    gateway_ecu = _with_vin(_loaded(gateway.require("ecu"), load_profile), vin)
    placed = {key: (_placed(entry, key, names, vin), entry) for key, entry in node.require("ecus").mapping().items()}
    _check_identifiers(gateway, gateway_ecu, node.require("functional_ids"), placed.values())
    units_on = (*placed, GATEWAY)
    installed = _optional(tester, "installed_units_did", 0xFFFF)
    units = [gateway_ecu, *(ecu.profile for ecu, _ in placed.values())]
    gateway_ecu = _with_did(gateway_ecu, installed, bytes(unit.address & 0xFF for unit in units))
    return VehicleSpec(
        name=path.stem,
        title=node.require("title").text(),
        make=node.require("make").choice(("vag", "mercedes")),
        vin=vin,
        odometer_km=odometer.integer(0, 2_000_000) if odometer else 0,
        gateway=_loaded(gateway.require("profile"), load_gateway),
        gateway_ecu=gateway_ecu,
        functional_ids=tuple(item.integer() for item in node.require("functional_ids").items()),
        buses=buses,
        ecus=tuple(ecu for ecu, _ in placed.values()),
        rest_bus=read_rest_bus(rest_bus, units=units_on, buses=names) if rest_bus else None,
        padding=_optional(tester, "padding", 0xFF),
        installed_units_did=installed,
        path=path.resolve(),
    )


_shipped = lru_cache(maxsize=16)(_read_file)


def _loaded(node: Node, loader: Callable[..., T]) -> T:
    """Return a shipped profile by name, or one from a file beside the vehicle's."""
    try:
        return loader(node.text(), Path(node.path).parent)
    except ConfigError as error:
        if error.line is not None:
            raise
        raise node.error(error.problem) from None


def _check_identifiers(
    gateway: Node, gateway_ecu: EcuProfile, functional: Node, placed: Iterable[tuple[PlacedEcu, Node]]
) -> None:
    """Refuse identifiers that do not exist, and those that two would answer to at the tester's socket."""
    owners: dict[int, str] = {}

    def claim(can_id: int, owner: str, node: Node) -> None:
        try:
            checked(Frame(can_id, b""))
        except LocalMisuse as error:
            raise node.error(f"{error}; a 29-bit identifier is written with bit 31, as in 0x97FC0017") from None
        other = owners.setdefault(can_id, owner)
        if other != owner:
            raise node.error(f"{owner} has the identifier {can_id:#x}, which {other} has already: each stands once")

    for can_id in (gateway_ecu.request_id, gateway_ecu.response_id, *gateway_ecu.periodic.can_ids):
        claim(can_id, "the gateway", gateway)
    for ecu, node in placed:
        for can_id in (ecu.profile.request_id, ecu.profile.response_id, *ecu.profile.periodic.can_ids):
            claim(can_id, repr(ecu.name), node)
    for number, item in enumerate(functional.items(), 1):
        claim(item.integer(0, 0x9FFF_FFFF), f"functional request {number}", item)


def _bus(node: Node) -> BusSpec:
    """Read a bus: its name alone, or a mapping with its rates."""
    if isinstance(node.value, str):
        return BusSpec(name=node.text())
    node.mapping(("name", "fd", "bitrate", "data_bitrate"))
    fd, bitrate, data_bitrate = (node.get(key) for key in ("fd", "bitrate", "data_bitrate"))
    return BusSpec(
        name=node.require("name").text(),
        fd=fd.boolean() if fd else False,
        bitrate=bitrate.integer(10_000, 1_000_000) if bitrate else BITRATE,
        data_bitrate=data_bitrate.integer(10_000, 8_000_000) if data_bitrate else DATA_BITRATE,
    )


def _placed(node: Node, name: str, buses: tuple[str, ...], vin: str) -> PlacedEcu:
    node.mapping(("profile", "bus"))
    if name == GATEWAY:
        raise node.error(f"{GATEWAY!r} is the name of the unit under the key 'gateway'; call this one otherwise")
    profile = _with_vin(_loaded(node.require("profile"), load_profile), vin)
    return PlacedEcu(name=name, profile=profile, bus=node.require("bus").choice(buses[1:]))


def _with_vin(profile: EcuProfile, vin: str) -> EcuProfile:
    """Return the profile with the vehicle's VIN in it: a unit knows in which car it stands."""
    return _with_did(profile, VIN_DID, vin.encode("ascii"))


def _with_did(profile: EcuProfile, number: int | None, value: bytes) -> EcuProfile:
    """Return the profile with another value in an identifier, if it has that."""
    if profile.boot_loader is not None:
        profile = replace(profile, boot_loader=_with_did(profile.boot_loader, number, value))
    did = None if number is None else profile.dids.get(number)
    if did is None:
        return profile
    return replace(profile, dids={**profile.dids, did.did: replace(did, value=value)})


def _optional(node: Node | None, key: str, high: int) -> int | None:
    entry = None if node is None else node.get(key)
    return None if entry is None else entry.integer(0, high)
