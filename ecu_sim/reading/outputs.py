"""Section `outputs`: what InputOutputControlByIdentifier 0x2F can take over."""

from __future__ import annotations

from typing import Any

from ecu_sim.reading.fields import each, items_of, read_access
from ecu_sim.service_options import ADJUST, FREEZE, RESET_TO_DEFAULT, RETURN_CONTROL, Output
from wire.strict_yaml import Node

KEYS = ("outputs",)
OPTIONS = {
    "return": RETURN_CONTROL,
    "default": RESET_TO_DEFAULT,
    "freeze": FREEZE,
    "adjust": ADJUST,
}
MAX_OUTPUT_BYTES = 64
"""Outputs are a few bytes; more is a wrong file."""


def read(node: Node) -> dict[str, Any]:
    """Return `outputs`."""
    outputs = {output.did: output for output in each(node, "outputs", _output, 0xFFFF)}
    dids, entries = node.get("dids"), node.get("outputs")
    if dids is not None and entries is not None:
        taken = {int(text, 16) for text in dids.mapping()}
        for output, entry in zip(outputs.values(), entries.mapping().values(), strict=True):
            if output.did in taken:
                raise entry.error(f"{output.did:04X} stands under 'dids' too: an output can be read there by itself")
    return {"outputs": outputs}


def _output(node: Node, number: int) -> Output:
    node.mapping(("name", "value", "default", "highest", "parts", "options", "access", "read"))
    name, default, highest, options = (node.get(key) for key in ("name", "default", "highest", "options"))
    value = node.require("value").hex_bytes()
    if not 1 <= len(value) <= MAX_OUTPUT_BYTES:
        raise node.require("value").error(f"an output has 1 to {MAX_OUTPUT_BYTES} bytes")
    parts = tuple(item.integer(1, 8 * MAX_OUTPUT_BYTES) for item in items_of(node.get("parts")))
    if sum(parts) > 8 * len(value):
        raise node.require("parts").error(f"{sum(parts)} bits are more than the output's {len(value)} bytes hold")
    return Output(
        did=number,
        name=name.text() if name else "",
        value=value,
        default=default.hex_bytes(len(value)) if default else bytes(len(value)),
        highest=highest.hex_bytes(len(value)) if highest else None,
        parts=parts,
        options=_options(options) if options else frozenset(OPTIONS.values()),
        access=read_access(node.get("access")),
        read=read_access(node.get("read")),
    )


def _options(node: Node) -> frozenset[int]:
    chosen = frozenset(OPTIONS[item.choice(tuple(OPTIONS))] for item in node.items())
    if RETURN_CONTROL not in chosen:
        raise node.error("'return' is among them always: whoever takes control can give it back")
    return chosen
