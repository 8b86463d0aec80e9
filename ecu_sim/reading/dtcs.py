"""Sections `dtcs` and `dtc_memory`: the trouble codes, and the memories that keep them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ecu_sim.dtc_monitors import MONITORS
from ecu_sim.dtc_options import (
    ALL_GROUPS,
    FUNCTIONAL_GROUPS,
    LAST_RECORD,
    PRIMARY,
    SYSTEMS,
    Debounce,
    Dtc,
    DtcMemoryOptions,
    ExtendedRecord,
    RecordKind,
    SettingType,
    SnapshotRecord,
)
from ecu_sim.dtc_status import StatusBit
from ecu_sim.reading.fields import each, hex_keyed, items_of, read_number
from wire.strict_yaml import Node

KEYS = ("dtcs", "dtc_memory")
SEVERITIES: Mapping[str, int] = {
    "none": 0x00,
    "maintenance-only": 0x20,
    "check-at-next-halt": 0x40,
    "check-immediately": 0x80,
}
"""The three top bits of DTCSeverityMask (udsoncan, scapy)."""
FORMATS: Mapping[str, int] = {
    "sae-j2012-00": 0x00,
    "iso-14229-1": 0x01,
    "sae-j1939-73": 0x02,
    "iso-11992-4": 0x03,
    "sae-j2012-04": 0x04,
}
"""DTCFormatIdentifier (udsoncan, py-uds)."""
LAST_FRAME = 0xFE
"""Freeze frames: 00 is the legislator's, FF asks for all."""
_BYTE = (0, 0xFF)
_FLAGS = ("stays", "mirrored", "permanent", "warning")
_NUMBERS: Mapping[str, tuple[int, int]] = {
    "functional_unit": _BYTE,
    "functional_group": (0, 0xFE),
    "readiness_group": (0, 0xFE),
    "memory": _BYTE,
    "confirm_after": (1, 0xFF),
    "heal_after": (1, 0xFF),
    "age_after": _BYTE,
    "priority": (1, 0xFF),
}
_DTC_KEYS = ("name", "status", "severity", "class", "debounce", "snapshots", "extended", "monitor", *_FLAGS, *_NUMBERS)
_MEMORY_NUMBERS: Mapping[str, tuple[int, int]] = {
    "status_availability": _BYTE,
    "severity_availability": _BYTE,
    "entries": (1, 1000),
    "mirror_entries": (0, 1000),
    "writes_from_mv": (0, 32_000),
}
_MEMORY_CHOICES: Mapping[str, tuple[str, ...]] = {
    "displacement": ("none", "oldest", "priority"),
    "operation_cycle": ("terminal-15", "supply"),
    "store_at": ("failed", "confirmed"),
    "setting_option": ("none", "groups"),
}
_MEMORY_KEYS = (
    *_MEMORY_NUMBERS,
    *_MEMORY_CHOICES,
    "format",
    "obd_format",
    "ends_with_record",
    "user_memories",
    "groups",
    "snapshots",
    "extended",
    "setting_types",
)


def read(node: Node) -> dict[str, Any]:
    """Return `dtcs` and `dtc_memory`."""
    memory, dids = node.get("dtc_memory"), node.get("dids")
    readable = frozenset(hex_keyed(dids, 0xFFFF)) if dids else frozenset()
    dtcs = tuple(each(node, "dtcs", lambda entry, code: _dtc(entry, code, readable), 0xFF_FFFE))
    options = _memory(memory, readable) if memory else DtcMemoryOptions()
    _check_memories(node, dtcs, options)
    if memory:
        _check_setting_types(memory, dtcs, options)
    return {"dtcs": dtcs, "dtc_memory": options}


def without_frames(node: Node) -> dict[str, Node]:
    """Return both sections without freeze frames: a boot loader with other identifiers is read with these."""
    sections: dict[str, Node] = {}
    dtcs, memory = node.get("dtcs"), node.get("dtc_memory")
    if dtcs is not None:
        codes = {code: _without(entry) for code, entry in dtcs.mapping().items()}
        sections["dtcs"] = Node(codes, dtcs.path, dtcs.line, dtcs.key)
    if memory is not None:
        sections["dtc_memory"] = _without(memory)
    return sections


def _without(node: Node) -> Node:
    rest = {key: entry for key, entry in node.mapping().items() if key != "snapshots"}
    return Node(rest, node.path, node.line, node.key)


def _dtc(node: Node, code: int, readable: frozenset[int]) -> Dtc:
    node.mapping(_DTC_KEYS)
    get = node.get
    name, monitor, debounce, severity = get("name"), get("monitor"), get("debounce"), get("severity")
    values: dict[str, Any] = {key: entry.boolean() for key in _FLAGS if (entry := get(key)) is not None}
    values |= {key: entry.integer(*limits) for key, limits in _NUMBERS.items() if (entry := get(key)) is not None}
    dtc_class = read_number(get("class"), -1, 0, 4)
    word = severity.choice(tuple(SEVERITIES)) if severity else "none"
    return Dtc(
        code=code,
        status=node.require("status").integer(*_BYTE),
        name=name.text() if name else "",
        severity=SEVERITIES[word] | (1 << dtc_class if dtc_class >= 0 else 0),
        debounce=_debounce(debounce) if debounce else Debounce(),
        snapshots=_snapshots(get("snapshots"), readable),
        extended=_extended(get("extended")),
        monitor=monitor.choice(tuple(MONITORS)) if monitor else None,
        **values,
    )


def _debounce(node: Node) -> Debounce:
    node.mapping(("step_up", "step_down", "jump"))
    jump = node.get("jump")
    return Debounce(
        step_up=read_number(node.get("step_up"), 32, 1, 0xFF),
        step_down=read_number(node.get("step_down"), 32, 1, 0xFF),
        jump=jump.boolean() if jump else True,
    )


def _snapshots(node: Node | None, readable: frozenset[int]) -> tuple[SnapshotRecord, ...] | None:
    if node is None:
        return None
    return tuple(_snapshot(entry, number, readable) for number, entry in _records(node, LAST_FRAME))


def _records(node: Node, high: int) -> Iterable[tuple[int, Node]]:
    entries = hex_keyed(node, high)
    if 0 in entries:
        raise entries[0].error(f"a maker's record has a number from 01 to {high:02X}")
    return entries.items()


def _snapshot(node: Node, number: int, readable: frozenset[int]) -> SnapshotRecord:
    node.mapping(("dids", "keep"))
    keep, listed = node.get("keep"), node.require("dids")
    dids = listed.items()
    for did in dids:
        if did.integer(0, 0xFFFF) not in readable:
            raise did.error(f"no identifier {did.value:04X} under 'dids': a freeze frame reads what the unit has")
    if not dids or len(dids) > 0xFF:
        raise listed.error("a freeze frame holds from 1 to 255 identifiers")
    return SnapshotRecord(
        number=number,
        dids=tuple(did.value for did in dids),
        keep="last" if keep and keep.choice(("first", "last")) == "last" else "first",
    )


def _extended(node: Node | None) -> tuple[ExtendedRecord, ...] | None:
    if node is None:
        return None
    kinds = tuple(kind.value for kind in RecordKind)
    return tuple(
        ExtendedRecord(number=number, kind=RecordKind(entry.choice(kinds)))
        for number, entry in _records(node, LAST_RECORD)
    )


def _memory(node: Node, readable: frozenset[int]) -> DtcMemoryOptions:
    node.mapping(_MEMORY_KEYS)
    get = node.get
    values: dict[str, Any] = {
        key: entry.integer(*limits) for key, limits in _MEMORY_NUMBERS.items() if (entry := get(key)) is not None
    }
    values |= {key: entry.choice(words) for key, words in _MEMORY_CHOICES.items() if (entry := get(key)) is not None}
    values |= {
        key: FORMATS[entry.choice(tuple(FORMATS))]
        for key in ("format", "obd_format")
        if (entry := get(key)) is not None
    }
    groups, setting_types, ends = get("groups"), get("setting_types"), get("ends_with_record")
    return DtcMemoryOptions(
        ends_with_record=ends.boolean() if ends else False,
        user_memories=frozenset(item.integer(*_BYTE) for item in items_of(get("user_memories"))),
        groups=_groups(groups) if groups else {},
        snapshots=_snapshots(get("snapshots"), readable) or (),
        extended=_extended(get("extended")) or (),
        setting_types=_setting_types(setting_types) if setting_types else {},
        **values,
    )


def _groups(node: Node) -> dict[int, int]:
    groups = hex_keyed(node, FUNCTIONAL_GROUPS - 1)
    return {group: SYSTEMS[entry.choice(tuple(SYSTEMS))] for group, entry in groups.items()}


def _setting_types(node: Node) -> dict[int, SettingType]:
    types = {}
    for number, entry in hex_keyed(node, 0x7E).items():
        if number < 0x40:
            raise entry.error("a maker's DTCSettingType is from 40 to 5F, a supplier's from 60 to 7E")
        entry.mapping(("on", "groups"))
        groups = entry.get("groups")
        types[number] = SettingType(
            on=entry.require("on").boolean(),
            groups=tuple(item.integer(0, ALL_GROUPS) for item in groups.items()) if groups else (ALL_GROUPS,),
        )
    return types


def _check_memories(node: Node, dtcs: tuple[Dtc, ...], options: DtcMemoryOptions) -> None:
    """Refuse a code in a memory that the unit does not have, and more stored codes than a memory has places."""
    places = dict.fromkeys((PRIMARY, *options.user_memories), options.entries)
    stored = StatusBit.confirmedDTC | (StatusBit.pendingDTC if options.store_at == "failed" else 0)
    for dtc, entry in zip(dtcs, node.require("dtcs").mapping().values() if dtcs else (), strict=True):
        if dtc.memory not in places:
            there = ", ".join(str(number) for number in sorted(options.user_memories)) or "none"
            raise entry.require("memory").error(f"no such memory under 'dtc_memory.user_memories'; there are: {there}")
        if dtc.status & stored:
            places[dtc.memory] -= 1
        if places[dtc.memory] < 0:
            raise entry.error(f"more codes are stored from the start than the {options.entries} 'entries' of a memory")


def _check_setting_types(memory: Node, dtcs: tuple[Dtc, ...], options: DtcMemoryOptions) -> None:
    """Refuse a setting type for a group that the unit does not know: it would never be answered."""
    known = {ALL_GROUPS, *options.groups, *(dtc.code for dtc in dtcs)}
    known |= {FUNCTIONAL_GROUPS | dtc.functional_group for dtc in dtcs if dtc.functional_group is not None}
    types = memory.get("setting_types")
    for entry in types.mapping().values() if types else ():
        for item in items_of(entry.get("groups")):
            if item.value not in known:
                raise item.error(f"no group or code {item.value:06X} in this unit")
