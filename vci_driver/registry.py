"""Which drivers there are: a literal table, imported when used, extended by entry points of the group `sgw_bench.drivers`.

An entry point names a class or function that is called without arguments and returns a `Driver`. It cannot replace a
driver of the table: what `virtual` means does not depend on what else is installed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from vci_driver.api import Driver, FoundChannel, InterfaceMissing, RawChannel
from wire.errors import CarrierFault, LocalMisuse
from wire.world import World

ENTRY_POINT_GROUP = "sgw_bench.drivers"

DRIVERS: Mapping[str, str] = {
    "virtual": "vci_driver.drivers.virtual:VirtualDriver",
    "python_can": "vci_driver.drivers.python_can:PythonCanDriver",
    "replay": "vci_driver.drivers.replay:ReplayDriver",
    "socketcan": "vci_driver.drivers.socketcan:SocketCanDriver",
}
"""Driver name: `module:class`."""


class UnknownDriver(LocalMisuse):
    """There is no driver of that name; the text suggests one and lists all."""


def driver_names() -> tuple[str, ...]:
    """Return the names of all drivers, those of the table first."""
    return (*DRIVERS, *sorted(name for name in _foreign() if name not in DRIVERS))


def driver(name: str) -> Driver:
    """Return the driver of that name; raise `UnknownDriver`, or `InterfaceMissing` when its module cannot be imported."""
    path = DRIVERS.get(name)
    if path is not None:
        module, _, attribute = path.partition(":")
        return _make(name, lambda: getattr(import_module(module), attribute))
    foreign = _foreign().get(name)
    if foreign is None:
        raise UnknownDriver(_unknown(name))
    return _make(name, foreign.load)


def open_channel(name: str, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
    """Open `channel` with the driver of that name."""
    return driver(name).open(channel, options, world)


def detect() -> tuple[tuple[FoundChannel, ...], Mapping[str, CarrierFault]]:
    """Return the channels that all drivers find, and for each driver that could not look, why.

    python-can's socketcand is left out: its servers tell of themselves every few seconds, which is long to wait.
    """
    found: list[FoundChannel] = []
    failed: dict[str, CarrierFault] = {}
    for name in driver_names():
        try:
            found += driver(name).detect()
        except CarrierFault as fault:
            failed[name] = fault
    return tuple(found), failed


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _make(name: str, load: Callable[[], object]) -> Driver:
    try:
        return cast("Callable[[], Driver]", load())()
    except (ImportError, AttributeError) as error:
        raise InterfaceMissing(f"driver {name!r} cannot be loaded: {error}; install what it needs") from error


def _unknown(name: str) -> str:
    names = driver_names()
    close = difflib.get_close_matches(name.replace("-", "_"), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"no VCI driver is called {name!r}.{hint} There are: {', '.join(names)}"
