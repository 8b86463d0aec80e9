"""Section `flash`: the blocks of the software, what programming asks for, and the boot loader.

The boot loader is the same unit with other sections: what `boot_loader` names replaces the application's section as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ecu_sim.profile import FIXED, PROGRAMMING_STATE, Did, EcuProfile
from ecu_sim.reading.dtcs import without_frames
from ecu_sim.reading.fields import read_number, read_sessions
from ecu_sim.storage.options import Checksum, FlashOptions, Kind, LogicalBlock, Programming
from ecu_sim.vehicle_state import CONDITIONS
from wire.strict_yaml import Node

KEYS = ("flash",)
REPLACED = ("services", "sessions", "dids", "routines", "order", "max_answer_bytes")
"""Sections that a boot loader may have of its own. Lock, levels, memory and trouble codes are the unit's."""


def read(node: Node) -> dict[str, Any]:
    """Return `flash`."""
    flash = node.get("flash")
    options = _options(flash, node) if flash else None
    _check_sources(node, options)
    return {"flash": options}


def _options(node: Node, unit: Node) -> FlashOptions:
    node.mapping(("blocks", "checksum", "erase_by", "fingerprint", "same_version", "dtc", "programming", "boot_loader"))
    get = node.get
    checksum, erase_by, same, programming = get("checksum"), get("erase_by"), get("same_version"), get("programming")
    return FlashOptions(
        blocks=_blocks(node.require("blocks"), unit),
        checksum=Checksum(checksum.choice(tuple(Checksum))) if checksum else Checksum.CRC_32,
        erase_by="area" if erase_by and erase_by.choice(("block", "area")) == "area" else "block",
        fingerprint=_known(get("fingerprint"), unit, "dids", 0xFFFF),
        same_version=same.boolean() if same else False,
        dtc=_known(get("dtc"), unit, "dtcs", 0xFF_FFFE),
        programming=_programming(programming) if programming else Programming(),
    )


def _known(node: Node | None, unit: Node, table: str, high: int) -> int | None:
    """Read a number that stands in another section too."""
    if node is None:
        return None
    number, entries = node.integer(0, high), unit.get(table)
    if number not in {int(key, 16) for key in (entries.mapping() if entries else ())}:
        raise node.error(f"no {number:X} under {table!r}")
    return number


def _blocks(node: Node, unit: Node) -> dict[str, LogicalBlock]:
    memory = unit.get("memory")
    regions = memory.require("regions").mapping() if memory else {}
    blocks: dict[str, LogicalBlock] = {}
    for name, entry in node.mapping().items():
        entry.mapping(("number", "region", "version"))
        region = entry.require("region")
        described = regions[region.choice(tuple(regions))]
        if described.require("kind").value != Kind.FLASH:
            raise region.error("software is in a region of kind flash")
        version = entry.get("version")
        at, length = _version(version, described.require("size").integer(1, 1 << 32)) if version else (0, 0)
        block = LogicalBlock(
            number=entry.require("number").integer(0, 0xFF), region=region.text(), version_at=at, version_len=length
        )
        for other in blocks.values():
            if other.number == block.number or other.region == block.region:
                raise entry.error("number and region belong to one block alone")
        blocks[name] = block
    if not blocks:
        raise node.error("software has at least one block")
    return blocks


def _version(node: Node, size: int) -> tuple[int, int]:
    node.mapping(("at", "length"))
    at, length = node.require("at").integer(0, size - 1), node.require("length").integer(1, 64)
    if at + length > size:
        raise node.error("the version does not end within the region")
    return at, length


def _programming(node: Node) -> Programming:
    node.mapping(("session", "enter_from", "dtc_setting_off", "communication_off", "conditions"))
    enter_from, conditions = node.get("enter_from"), node.get("conditions")
    dtc, communication = node.get("dtc_setting_off"), node.get("communication_off")
    return Programming(
        session=read_number(node.get("session"), 0x02, 2, 0x7F),
        enter_from=read_sessions(enter_from) if enter_from else frozenset(),
        dtc_setting_off=dtc.boolean() if dtc else False,
        communication_off=communication.boolean() if communication else False,
        conditions=tuple(item.choice(tuple(CONDITIONS)) for item in conditions.items()) if conditions else (),
    )


def _check_sources(node: Node, options: FlashOptions | None) -> None:
    """Refuse identifiers and routines that tell of software or work on it where there is none."""
    blocks = [name for name, block in options.blocks.items() if block.version_len] if options else []
    dids, routines = node.get("dids"), node.get("routines")
    for entry in dids.mapping().values() if dids else ():
        version, source = entry.get("version_of"), entry.get("source")
        if version is not None and version.value not in blocks:
            raise version.error(f"no block with a version under 'flash'; there are: {', '.join(blocks) or 'none'}")
        if source is not None and source.value == PROGRAMMING_STATE and options is None:
            raise source.error("this unit has no 'flash' to tell the state of")
    for entry in routines.mapping().values() if routines else ():
        act = entry.get("act")
        if act is not None and options is None:
            raise act.error("this unit has no 'flash' to work on")


def with_boot_loader(profile: EcuProfile, node: Node, read_profile: Callable[[Node, str], EcuProfile]) -> EcuProfile:
    """Return a profile with its boot loader, if its file describes one."""
    flash = node.get("flash")
    section = flash.get("boot_loader") if flash else None
    if section is None or flash is None or profile.flash is None:
        return profile
    own = section.mapping((*REPLACED, "programming"))
    entries: dict[str, Node] = {key: entry for key, entry in node.mapping().items() if key != "flash"}
    entries |= {key: entry for key, entry in own.items() if key != "programming"} | without_frames(node)
    rest = {key: entry for key, entry in flash.mapping().items() if key not in ("boot_loader", "programming")}
    if "programming" in own:
        rest["programming"] = own["programming"]
    entries["flash"] = Node(rest, flash.path, flash.line, flash.key)
    loader = read_profile(Node(entries, node.path, node.line, node.key), profile.name)
    loader = replace(loader, dids=_in_its_own_code(loader.dids), dtcs=profile.dtcs, dtc_memory=profile.dtc_memory)
    return replace(profile, boot_loader=loader)


def _in_its_own_code(dids: Mapping[int, Did]) -> dict[int, Did]:
    """What the boot loader cannot write is a constant of its own: it shares no identification with the application."""
    constant = {number: did for number, did in dids.items() if did.source is None and did.write is None}
    return {**dids, **{number: replace(did, source=FIXED) for number, did in constant.items()}}
