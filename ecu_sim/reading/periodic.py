"""Section `periodic`: rates, limits and frames of ReadDataByPeriodicIdentifier 0x2A."""

from __future__ import annotations

from typing import Any

from ecu_sim.reading.fields import items_of, read_can_id, read_number
from ecu_sim.service_options import CLASSIC_ROOM, FAST, MEDIUM, SLOW, PeriodicOptions
from wire.durations import read_duration
from wire.strict_yaml import Node

KEYS = ("periodic",)
RATES = {"slow": SLOW, "medium": MEDIUM, "fast": FAST}
MIN_PERIOD_NS = 1_000_000
"""A frame of 500 kbit/s takes a quarter of it: faster would be nothing but these frames."""
MAX_SCHEDULED = 255
"""As many as there are periodic identifiers."""


def read(node: Node) -> dict[str, Any]:
    """Return `periodic`."""
    section = node.get("periodic")
    return {"periodic": _options(section) if section else PeriodicOptions()}


def _options(node: Node) -> PeriodicOptions:
    node.mapping(("rates", "scheduled", "at_once", "transport", "can_ids", "room"))
    rates, transport, can_ids = node.get("rates"), node.get("transport"), node.get("can_ids")
    usual = PeriodicOptions()
    word = transport.choice(("uudt", "usdt")) if transport else "usdt"
    if word == "uudt" and not items_of(can_ids):
        raise node.error("frames of their own (transport: uudt) have identifiers of their own: name 'can_ids'")
    if word == "usdt" and can_ids is not None:
        raise can_ids.error(
            "messages under the response identifier need none: say 'transport: uudt', or leave them out"
        )
    return PeriodicOptions(
        periods_ns=read_rates(rates) if rates else usual.periods_ns,
        scheduled=read_number(node.get("scheduled"), usual.scheduled, 1, MAX_SCHEDULED),
        at_once=read_number(node.get("at_once"), usual.at_once, 1, MAX_SCHEDULED),
        transport="uudt" if word == "uudt" else "usdt",
        can_ids=tuple(read_can_id(item) for item in items_of(can_ids)),
        room=read_number(node.get("room"), CLASSIC_ROOM, 1, CLASSIC_ROOM),
    )


def read_rates(node: Node) -> dict[int, int]:
    """Read periods by their words; a rate that is left out is not offered."""
    periods = {RATES[word]: entry.read(read_duration) for word, entry in node.mapping(tuple(RATES)).items()}
    for word, entry in node.mapping().items():
        if periods[RATES[word]] < MIN_PERIOD_NS:
            raise entry.error(f"expected a period from {MIN_PERIOD_NS // 1_000_000} ms")
    return periods
