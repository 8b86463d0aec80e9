"""Section `scaling`: what ReadScalingDataByIdentifier 0x24 says of an identifier, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ecu_sim.reading.fields import hex_keyed, read_number
from ecu_sim.scaling import MAX_COUNT, ScalingEntry, ScalingKind, encode_real, encode_scaling
from wire.strict_yaml import Node

KEYS = ("scaling",)
_COUNTED = {
    "unsigned": ScalingKind.UNSIGNED,
    "signed": ScalingKind.SIGNED,
    "bit-mapped": ScalingKind.BIT_MAPPED_WITHOUT_MASK,
    "bcd": ScalingKind.BCD,
    "state-encoded": ScalingKind.STATE_ENCODED,
    "ascii": ScalingKind.ASCII,
    "float": ScalingKind.FLOAT,
    "packet": ScalingKind.PACKET,
}
"""Kinds that count bytes of data: `{unsigned: 2}`."""


def read(node: Node) -> dict[str, Any]:
    """Return `scaling`."""
    section = node.get("scaling")
    return {"scaling": _scaling(section, node) if section else {}}


def _scaling(node: Node, profile: Node) -> dict[int, bytes]:
    dids, outputs = (profile.get(key) for key in ("dids", "outputs"))
    known = {int(text, 16) for section in (dids, outputs) if section is not None for text in section.mapping()}
    records = {}
    for number, entry in hex_keyed(node, 0xFFFF).items():
        if number not in known:
            raise entry.error(f"no identifier {number:04X} under 'dids' or 'outputs'")
        records[number] = encode_scaling([_entry(item) for item in entry.items()])
        if not records[number]:
            raise entry.error("an identifier with scaling has at least one entry")
    return records


def _entry(node: Node) -> ScalingEntry:
    entries = node.mapping((*_COUNTED, *_EXTENDED, "constants"))
    kinds = [key for key in entries if key != "constants"]
    if len(kinds) != 1 or ("constants" in entries) != (kinds == ["formula"]):
        raise node.error("an entry is of one kind, as in {unsigned: 2}; a formula, and nothing else, has 'constants'")
    kind = kinds[0]
    if kind in _COUNTED:
        return ScalingEntry(_COUNTED[kind], entries[kind].integer(0, MAX_COUNT))
    return _EXTENDED[kind](node, entries[kind])


def _masked(node: Node, value: Node) -> ScalingEntry:  # noqa: ARG001 - one signature for all kinds
    mask = value.hex_bytes()
    if not 1 <= len(mask) <= MAX_COUNT:
        raise value.error(f"a validity mask has 1 to {MAX_COUNT} bytes")
    return ScalingEntry(ScalingKind.BIT_MAPPED, extension=mask)


def _formula(node: Node, value: Node) -> ScalingEntry:
    constants = node.require("constants").items()
    if not 1 <= len(constants) <= (MAX_COUNT - 1) // 2:
        raise node.require("constants").error("a formula has 1 to 7 constants")
    reals = b"".join(item.read(lambda plain: encode_real(str(plain))) for item in constants)
    return ScalingEntry(ScalingKind.FORMULA, extension=bytes((value.integer(0, 0xFF),)) + reals)


def _unit(node: Node, value: Node) -> ScalingEntry:  # noqa: ARG001
    return ScalingEntry(ScalingKind.UNIT, extension=bytes((read_number(value, 0, 0, 0xFF),)))


def _state(node: Node, value: Node) -> ScalingEntry:  # noqa: ARG001
    return ScalingEntry(ScalingKind.STATE_AND_CONNECTION, extension=bytes((read_number(value, 0, 0, 0xFF),)))


_EXTENDED: Mapping[str, Callable[[Node, Node], ScalingEntry]] = {
    "masked": _masked,
    "formula": _formula,
    "unit": _unit,
    "state-and-connection": _state,
}
"""Kinds with an extension: `{masked: "7F"}`, `{formula: 0, constants: [0.75, 30]}`, `{unit: 0x30}`."""
