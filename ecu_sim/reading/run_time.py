"""Sections `definitions` (0x2C), `events` (0x86), `link` (0x87) and `communication` (0x28)."""

from __future__ import annotations

from typing import Any

from ecu_sim.reading.fields import hex_keyed, items_of, read_number
from ecu_sim.reading.periodic import read_rates
from ecu_sim.service_options import CommunicationOptions, DefinitionOptions, EventOptions, LinkOptions
from ecu_sim.services import SERVICES
from wire.durations import read_duration
from wire.strict_yaml import Node

KEYS = ("definitions", "events", "link", "communication")
MIN_SAMPLE_NS = 1_000_000
"""Looking more often than once in a millisecond costs time and shows nothing that a bus could carry."""
MAX_BITRATE = 0xFF_FFFF
"""The three bytes of a specific bit rate."""


def read(node: Node) -> dict[str, Any]:
    """Return `definitions`, `events`, `link` and `communication`."""
    definitions, events, link, communication = (node.get(key) for key in KEYS)
    return {
        "definitions": _definitions(definitions) if definitions else DefinitionOptions(),
        "events": _events(events) if events else EventOptions(),
        "link": _link(link) if link else LinkOptions(),
        "communication": _communication(communication) if communication else CommunicationOptions(),
    }


def _definitions(node: Node) -> DefinitionOptions:
    node.mapping(("kept", "count", "pieces"))
    kept, usual = node.get("kept"), DefinitionOptions()
    return DefinitionOptions(
        kept=kept.boolean() if kept else False,
        count=read_number(node.get("count"), usual.count, 1, 512),
        pieces=read_number(node.get("pieces"), usual.pieces, 1, 255),
    )


def _events(node: Node) -> EventOptions:
    node.mapping(("windows", "rates", "sample", "respond"))
    windows, rates, sample, respond = (node.get(key) for key in ("windows", "rates", "sample", "respond"))
    usual = EventOptions()
    sample_ns = sample.read(read_duration) if sample else usual.sample_ns
    if sample is not None and sample_ns < MIN_SAMPLE_NS:
        raise sample.error(f"expected a time from {MIN_SAMPLE_NS // 1_000_000} ms")
    return EventOptions(
        windows_ns=_windows(windows) if windows else usual.windows_ns,
        rates_ns=read_rates(rates) if rates else usual.rates_ns,
        sample_ns=sample_ns,
        respond=frozenset(_service(item) for item in items_of(respond)),
    )


def _windows(node: Node) -> dict[int, int]:
    windows = {}
    for number, entry in hex_keyed(node, 0xFF).items():
        windows[number] = entry.read(read_duration)
        if number == 0x02:
            raise entry.error("window 02 is the infinite one")
        if not windows[number]:
            raise entry.error("a window of no time sees nothing")
    return windows


def _service(node: Node) -> int:
    sid = node.integer(0, 0xFF)
    if sid not in SERVICES:
        raise node.error(f"no service {sid:02X}; there are: {', '.join(f'{number:02X}' for number in SERVICES)}")
    return sid


def _link(node: Node) -> LinkOptions:
    node.mapping(("bitrates", "programming", "switch"))
    switch, programming = node.get("switch"), node.get("programming")
    return LinkOptions(
        bitrates=frozenset(item.integer(1_000, MAX_BITRATE) for item in node.require("bitrates").items()),
        programming=programming.integer(1_000, MAX_BITRATE) if programming else None,
        switch_ns=switch.read(read_duration) if switch else LinkOptions().switch_ns,
    )


def _communication(node: Node) -> CommunicationOptions:
    node.mapping(("subnets", "nodes"))
    return CommunicationOptions(
        subnets=frozenset(item.integer(1, 0xE) for item in items_of(node.get("subnets"))),
        nodes=frozenset(item.integer(0, 0xFFFF) for item in items_of(node.get("nodes"))),
    )
