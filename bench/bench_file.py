"""Reads bench files: where the car, the tester and the portal are, and by which carriers they meet.

A bench file changes no test and no scenario: what it says is where things stand. Errors name file, line and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from bench.vehicle_file import OBD
from scenarios.kinds import DURATION
from vci_driver.registry import driver_names
from wire.clock import NS_PER_MS, NS_PER_S
from wire.names import suggestion, yaml_file
from wire.strict_yaml import Node, load

FOLDER = Path(__file__).parent / "benches"
DEFAULT_BENCH = "virtual"
KEYS = ("title", "vehicle", "clock", "car", "buses", "tester", "portal", "longest_wait")
LONGEST_WAIT_NS = 10 * NS_PER_S
"""How long a scenario may wait on a bench whose time passes: longer waits are for the virtual bench."""
DELTA_P2_NS = 25 * NS_PER_MS
REVIEW_NS = 1 * NS_PER_S


class CarAt(StrEnum):
    """Where the car is: simulated in this process; simulated by a process of its own, which is started where none runs;
    simulated by somebody else; real.
    """

    HERE = "here"
    SERVED = "served"
    ELSEWHERE = "elsewhere"
    REAL = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSpec:
    """A place on a real bus: a driver, its channel and its options (see docs/drivers.md)."""

    driver: str
    channel: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TesterSpec:
    """The tester's adapter. `kernel_isotp`: the kernel's own ISO-TP instead of ours. `delta_p2_ns`: patience beyond P2."""

    carrier: CarrierSpec
    kernel_isotp: bool = False
    delta_p2_ns: int = DELTA_P2_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSpec:
    """The portal: in the tester's process (`url` None) or behind a URL. `keys`: where the vehicle learns the public keys, a file
    or a URL; `keys_folder`: where a portal in this process keeps its own keys from one run to the next.
    """

    url: str | None = None
    keys: str | None = None
    keys_folder: Path | None = None
    review_ns: int = REVIEW_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSpec:
    """A bench as its file says. `buses`: those of the vehicle's buses that a carrier carries; the others are virtual."""

    name: str
    title: str
    path: Path | None = None
    vehicle: str | None = None
    virtual_time: bool = True
    car: CarAt = CarAt.HERE
    paced: bool = True
    control: Path | None = None
    buses: Mapping[str, CarrierSpec] = field(default_factory=dict)
    tester: TesterSpec | None = None
    portal: PortalSpec = field(default_factory=PortalSpec)
    longest_wait_ns: int = LONGEST_WAIT_NS


VIRTUAL = BenchSpec(name=DEFAULT_BENCH, title="Everything in this process, in virtual time")
"""What there is without a bench file; `benches/virtual.yaml` says the same."""


def bench_names() -> list[str]:
    """Return the names of the ready bench files."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_bench(name: str) -> BenchSpec:
    """Return a ready bench by name, or one from a file (`*.yaml`) by path. Raises `ConfigError`."""
    return _read(yaml_file("bench", name, Path(), FOLDER))


def _read(path: Path) -> BenchSpec:
    node = load(path)
    node.mapping(KEYS)
    car, car_at = _car(node.get("car"))
    clock = node.get("clock")
    virtual_time = clock.choice(("virtual", "real")) == "virtual" if clock else car_at is CarAt.HERE
    if virtual_time and car_at is not CarAt.HERE:
        assert clock is not None
        raise clock.error(f"virtual time ends at this process, and the car is {car_at.value}: clock: real")
    buses, tester = _buses(node.get("buses")), node.get("tester")
    if car_at is CarAt.HERE:
        _refuse(node, ("buses", "tester"), "stands in this process, its buses are virtual")
    elif tester is None:
        raise node.error(
            f"the car is {car_at.value}: say under 'tester' through which driver and channel it is reached"
        )
    if car_at is CarAt.SERVED and OBD not in buses and not _sits_on_the_bench(tester):
        raise node.error(
            f"the car is served: say under 'buses' which driver and channel carry its bus {OBD!r}, or let the tester sit on the "
            "bench (driver: python_can, options: {interface: sgwbench})"
        )
    if car_at in (CarAt.ELSEWHERE, CarAt.REAL):
        _refuse(node, ("buses",), f"is {car_at.value}: its buses are where it is")
        _refuse(car, ("paced",), f"is {car_at.value}: its buses take the time that they take")
    if car_at in (CarAt.HERE, CarAt.REAL):
        _refuse(car, ("control",), f"is {car_at.value}: nobody steers it through a socket")
    vehicle, wait = node.get("vehicle"), node.get("longest_wait")
    paced, control = car.get("paced") if car else None, car.get("control") if car else None
    return BenchSpec(
        name=path.stem,
        title=node.require("title").text(),
        path=path,
        vehicle=_beside(path, vehicle.text()) if vehicle else None,
        virtual_time=virtual_time,
        car=car_at,
        paced=paced.boolean() if paced else virtual_time,
        control=path.parent / control.text() if control else None,
        buses=buses,
        tester=_tester(tester) if tester else None,
        portal=_portal(node.get("portal"), path),
        longest_wait_ns=wait.read(DURATION.read) if wait else LONGEST_WAIT_NS,
    )


def _sits_on_the_bench(tester: Node | None) -> bool:
    """Return whether the tester joins the car's virtual bus through its control socket."""
    options = None if tester is None else tester.get("options")
    interface = None if options is None else options.get("interface")
    return interface is not None and interface.value == "sgwbench"


def _beside(path: Path, name: str) -> str:
    """Return a shipped vehicle's name as it is, a file's from where the bench file stands."""
    return str(path.parent / name) if name.endswith(".yaml") else name


def _car(node: Node | None) -> tuple[Node | None, CarAt]:
    """Read where the car is: a word, or a mapping with more."""
    words = [at.value for at in CarAt]
    if node is None:
        return None, CarAt.HERE
    if isinstance(node.value, str):
        return None, CarAt(node.choice(words))
    node.mapping(("at", "paced", "control"))
    return node, CarAt(node.require("at").choice(words))


def _refuse(node: Node | None, keys: tuple[str, ...], why: str) -> None:
    for key in keys:
        entry = None if node is None else node.get(key)
        if entry is not None:
            raise entry.error(f"{key!r} has no place here: the car {why}")


def _buses(node: Node | None) -> dict[str, CarrierSpec]:
    return {} if node is None else {name: _carrier(entry) for name, entry in node.mapping().items()}


def _carrier(node: Node, more: tuple[str, ...] = ()) -> CarrierSpec:
    node.mapping(("driver", "channel", "options", *more))
    driver, options = node.require("driver"), node.get("options")
    name = driver.text()
    if name not in driver_names():
        raise driver.error(f"no driver {name!r}{suggestion(name, driver_names())}")
    plain = {} if options is None else {key: entry.plain() for key, entry in options.mapping().items()}
    return CarrierSpec(driver=name, channel=node.require("channel").text(), options=plain)


def _tester(node: Node) -> TesterSpec:
    carrier = _carrier(node, ("isotp", "delta_p2"))
    isotp, delta = node.get("isotp"), node.get("delta_p2")
    kernel_isotp = isotp is not None and isotp.choice(("own", "kernel")) == "kernel"
    if isotp is not None and kernel_isotp and carrier.driver != "socketcan":
        raise isotp.error("the kernel's ISO-TP stands on Linux's own CAN interfaces: driver: socketcan")
    return TesterSpec(
        carrier=carrier,
        kernel_isotp=kernel_isotp,
        delta_p2_ns=delta.read(DURATION.read) if delta else DELTA_P2_NS,
    )


def _portal(node: Node | None, path: Path) -> PortalSpec:
    if node is None:
        return PortalSpec()
    node.mapping(("at", "keys", "keys_folder", "reviews"))
    at, keys, folder, reviews = (node.get(key) for key in ("at", "keys", "keys_folder", "reviews"))
    where = at.text() if at else "here"
    if at is not None and where != "here" and not _is_url(where):
        raise at.error(f"the portal is 'here' or at a URL (https://...), not at {where!r}")
    named = keys.text() if keys else None
    return PortalSpec(
        url=None if where == "here" else where.rstrip("/"),
        keys=named if named is None or _is_url(named) else str(path.parent / named),
        keys_folder=path.parent / folder.text() if folder else None,
        review_ns=reviews.read(DURATION.read) if reviews else REVIEW_NS,
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        return False
