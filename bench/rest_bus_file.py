"""Reads the section `rest_bus` of a vehicle file: which unit speaks for which node of a DBC, and what the gateway carries on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecu_sim.restbus.dbc import dbc_file
from ecu_sim.restbus.sources import SIGNAL_SOURCES
from wire.errors import ConfigError
from wire.names import suggestion
from wire.strict_yaml import Node

KEYS = ("dbc", "start", "nodes", "routes", "signals")
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBusSpec:
    """A vehicle's rest bus. `start`: whether it runs from the beginning. `nodes`: (node of the DBC, unit) pairs; a unit sends on
    the bus on which it stands. `routes`: for a bus, the messages of others that the gateway sends there (None: all).
    `signals`: (source, Message.Signal) pairs for a DBC that has no attribute SgwSource. `place`: file and line, for errors.
    """

    dbc: Path
    start: bool
    nodes: tuple[tuple[str, str], ...]
    routes: tuple[tuple[str, tuple[str, ...] | None], ...]
    signals: tuple[tuple[str, str], ...]
    place: tuple[str, int]

    def error(self, key: str, problem: str) -> ConfigError:
        """Return the error that says `problem` of an entry of the section."""
        path, line = self.place
        return ConfigError(problem, path=path, line=line, key=f"rest_bus.{key}")


def read_rest_bus(node: Node, *, units: tuple[str, ...], buses: tuple[str, ...]) -> RestBusSpec:
    """Read the section. `units`: those that may speak; the gateway among them, which stands on all of `buses`."""
    node.mapping(KEYS)
    start, routes, signals, name = node.get("start"), node.get("routes"), node.get("signals"), node.require("dbc")
    nodes = node.require("nodes").mapping()
    if not nodes:
        raise node.require("nodes").error(
            "no node, no message: name the unit that speaks for each, as in 'ESP: brakes'"
        )
    try:
        dbc = dbc_file(name.text(), Path(node.path).parent)
    except ConfigError as error:
        raise name.error(error.problem) from None
    return RestBusSpec(
        dbc=dbc.resolve(),
        start=start.boolean() if start else False,
        nodes=tuple((key, entry.choice(units)) for key, entry in nodes.items()),
        routes=tuple(_route(key, entry, buses) for key, entry in routes.mapping().items()) if routes else (),
        signals=tuple(_signal(key, entry) for key, entry in signals.mapping().items()) if signals else (),
        place=(node.path, node.line),
    )


def _route(bus: str, node: Node, buses: tuple[str, ...]) -> tuple[str, tuple[str, ...] | None]:
    if bus not in buses:
        raise node.error(f"no bus {bus!r}{suggestion(bus, buses)}")
    if node.value == ALL:
        return bus, None
    if isinstance(node.value, str):
        raise node.error(f"expected {ALL!r} or a list of messages, got {node.value!r}")
    return bus, tuple(item.text() for item in node.items())


def _signal(source: str, node: Node) -> tuple[str, str]:
    if source not in SIGNAL_SOURCES:
        raise node.error(f"no source {source!r}{suggestion(source, SIGNAL_SOURCES)}")
    return source, node.text()
