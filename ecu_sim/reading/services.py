"""Section `services`: what a unit offers, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecu_sim.order import ORDER, SERVICE_CONDITIONS, Row, may_swap
from ecu_sim.profile import ServiceRule
from ecu_sim.reading.fields import duration_of, hex_keyed, read_access
from ecu_sim.services import SERVICES
from wire.strict_yaml import Node
from wire.uds import Service

KEYS = ("services", "order")
TIMING_EDITION = 2013
"""The last edition of ISO 14229-1 with AccessTimingParameter."""


def read(node: Node) -> dict[str, Any]:
    """Return `services` and `order`."""
    services = _services(node.require("services"))
    edition = node.get("edition")
    if Service.AccessTimingParameter in services and (edition is None or edition.value != TIMING_EDITION):
        raise node.require("services").error(
            f"service 83 is of the edition {TIMING_EDITION}: say 'edition: {TIMING_EDITION}'"
        )
    return {"services": services, "order": _order(node.get("order"))}


def _services(node: Node) -> dict[int, ServiceRule]:
    rules = {}
    for sid, entry in hex_keyed(node, 0xFF).items():
        if sid not in SERVICES:
            raise entry.error(f"no service {sid:02X}; there are: {', '.join(f'{number:02X}' for number in SERVICES)}")
        if entry.value is None:
            rules[sid] = ServiceRule()
            continue
        entry.mapping(("access", "sub_functions", "work"))
        subs = entry.get("sub_functions")
        if subs is not None and SERVICES[sid].sub_functions is None:
            raise subs.error(f"service {sid:02X} offers no choice of sub-functions")
        access = entry.get("access")
        conditions = access.get("conditions") if access is not None and access.value is not None else None
        if conditions is not None and SERVICE_CONDITIONS not in ORDER[sid]:
            raise conditions.error(
                f"service {sid:02X} has no preconditions: they belong to its identifiers or routines"
            )
        rules[sid] = ServiceRule(
            access=read_access(access),
            sub_functions=frozenset(item.integer(0, 0x7F) for item in subs.items()) if subs else frozenset(),
            work_ns=duration_of(entry.get("work")),
        )
    return rules


def _order(node: Node | None) -> dict[int, tuple[str, ...]]:
    """Read where a unit refuses in another order: every row of the service once."""
    if node is None:
        return {}
    orders = {}
    for sid, entry in hex_keyed(node, 0xFF).items():
        if sid not in ORDER:
            raise entry.error(f"no service {sid:02X}; there are: {', '.join(f'{number:02X}' for number in ORDER)}")
        orders[sid] = _own_order(entry, ORDER[sid])
    return orders


def _own_order(node: Node, rows: Sequence[Row]) -> tuple[str, ...]:
    """Read one service's rows. What a row has found or made sure is not asked for before it."""
    by_name = {row.check: row for row in rows}
    names = [item.choice(tuple(by_name)) for item in node.items()]
    if sorted(names) != sorted(by_name):
        raise node.error(f"name every row once; the table's order is: {', '.join(by_name)}")
    for at, row in enumerate(rows):
        for later in rows[at + 1 :]:
            if names.index(later.check) < names.index(row.check) and not may_swap(row, later):
                raise node.error(f"{later.check!r} needs what {row.check!r} finds out: it cannot come before it")
    return tuple(names)
