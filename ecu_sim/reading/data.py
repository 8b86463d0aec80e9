"""Section `dids`: the data identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecu_sim.profile import ACTIVE_SESSION, PROGRAMMING_STATE, VERSION, Did
from ecu_sim.reading.fields import duration_of, each, items_of, read_access, read_number
from ecu_sim.vehicle_state import SOURCES
from wire.strict_yaml import Node

KEYS = ("dids", "max_dids")


def read(node: Node) -> dict[str, Any]:
    """Return `dids` and `max_dids`."""
    dids = {did.did: did for did in each(node, "dids", _did, 0xFFFF)}
    _check_required(node, dids)
    return {"dids": dids, "max_dids": read_number(node.get("max_dids"), 8, 1, 100)}


def _did(node: Node, number: int) -> Did:
    node.mapping(("name", "text", "hex", "source", "version_of", "read", "write", "requires_written", "work"))
    text, raw, source = node.get("text"), node.get("hex"), node.get("source") or node.get("version_of")
    if sum(node.get(key) is not None for key in ("text", "hex", "source", "version_of")) != 1:
        raise node.error("a data identifier has exactly one of text, hex, source, version_of")
    if text is not None:
        if not text.text().isascii():
            raise text.error("expected ASCII text; write other bytes as hex")
        value = text.text().encode("ascii")
    else:
        value = raw.hex_bytes() if raw is not None else b""
    read, write, requires, name = node.get("read"), node.get("write"), node.get("requires_written"), node.get("name")
    if source is not None and write is not None:
        raise write.error("a measured value (source, version_of) cannot be written")
    return Did(
        did=number,
        name=name.text() if name else "",
        value=value,
        source=_source(node),
        read=None if read is not None and read.value == "never" else read_access(read),
        write=read_access(write) if write is not None else None,
        requires_written=tuple(item.integer(0, 0xFFFF) for item in requires.items()) if requires else (),
        work_ns=duration_of(node.get("work")),
    )


def _source(node: Node) -> str | None:
    version, source = node.get("version_of"), node.get("source")
    if version is not None:
        return VERSION + version.text()  # the flash section makes sure that there is such a block
    return source.choice((*SOURCES, ACTIVE_SESSION, PROGRAMMING_STATE)) if source else None


def _check_required(node: Node, dids: Mapping[int, Did]) -> None:
    """Refuse a write that waits for another which the unit does not offer."""
    for did, entry in zip(dids.values(), node.require("dids").mapping().values() if dids else (), strict=True):
        for number, item in zip(did.requires_written, items_of(entry.get("requires_written")), strict=True):
            if number not in dids:
                raise item.error(f"no identifier {number:04X} under 'dids'")
            if dids[number].write is None:
                raise item.error(f"identifier {number:04X} cannot be written: it has no 'write'")
