"""Section `routines`."""

from __future__ import annotations

from typing import Any

from ecu_sim.profile import Routine
from ecu_sim.reading.fields import duration_of, each, read_access, read_number
from ecu_sim.services.flash_routines import ACTS
from wire.strict_yaml import Node

KEYS = ("routines",)
_OF_ITS_OWN = ("option_len", "duration", "stoppable", "result")


def read(node: Node) -> dict[str, Any]:
    """Return `routines`."""
    return {"routines": {routine.rid: routine for routine in each(node, "routines", _routine, 0xFFFF)}}


def _routine(node: Node, number: int) -> Routine:
    node.mapping(("name", "access", "option_len", "duration", "stoppable", "result", "work", "act"))
    name, stoppable, result, act = node.get("name"), node.get("stoppable"), node.get("result"), node.get("act")
    for key in _OF_ITS_OWN if act is not None else ():
        left_over = node.get(key)
        if left_over is not None:
            raise left_over.error("a routine with 'act' has option, duration and record of its own")
    return Routine(
        rid=number,
        name=name.text() if name else "",
        access=read_access(node.get("access")),
        option_len=read_number(node.get("option_len"), 0, 0, 4000),
        duration_ns=duration_of(node.get("duration")),
        stoppable=stoppable.boolean() if stoppable else False,
        result=result.hex_bytes() if result else b"\x00",
        work_ns=duration_of(node.get("work")),
        act=act.choice(tuple(ACTS)) if act else None,
    )
