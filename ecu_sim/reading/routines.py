"""Section `routines`."""

from __future__ import annotations

from typing import Any

from ecu_sim.profile import Routine
from ecu_sim.reading.fields import duration_of, each, read_access, read_number
from wire.strict_yaml import Node

KEYS = ("routines",)


def read(node: Node) -> dict[str, Any]:
    """Return `routines`."""
    return {"routines": {routine.rid: routine for routine in each(node, "routines", _routine, 0xFFFF)}}


def _routine(node: Node, number: int) -> Routine:
    node.mapping(("name", "access", "option_len", "duration", "stoppable", "result", "work"))
    name, stoppable, result = node.get("name"), node.get("stoppable"), node.get("result")
    return Routine(
        rid=number,
        name=name.text() if name else "",
        access=read_access(node.get("access")),
        option_len=read_number(node.get("option_len"), 0, 0, 4000),
        duration_ns=duration_of(node.get("duration")),
        stoppable=stoppable.boolean() if stoppable else False,
        result=result.hex_bytes() if result else b"\x00",
        work_ns=duration_of(node.get("work")),
    )
