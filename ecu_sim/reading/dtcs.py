"""Section `dtcs`: the trouble codes."""

from __future__ import annotations

from typing import Any

from ecu_sim.profile import Dtc
from ecu_sim.reading.fields import each
from wire.strict_yaml import Node

KEYS = ("dtcs",)


def read(node: Node) -> dict[str, Any]:
    """Return `dtcs`."""
    return {"dtcs": tuple(each(node, "dtcs", _dtc, 0xFF_FFFE))}


def _dtc(node: Node, code: int) -> Dtc:
    node.mapping(("name", "status", "stays"))
    name, stays = node.get("name"), node.get("stays")
    return Dtc(
        code=code,
        status=node.require("status").integer(0, 0xFF),
        name=name.text() if name else "",
        stays=stays.boolean() if stays else False,
    )
