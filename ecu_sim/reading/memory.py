"""Section `memory`: regions, and how addresses, sizes and transfers look."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from ecu_sim.reading.fields import duration_of, read_nrc, read_number, read_offered
from ecu_sim.storage.encoding import COMPRESSIONS
from ecu_sim.storage.options import DEFAULT_BLOCK_LENGTH, Kind, MemoryOptions, Record, Region
from wire.strict_yaml import Node
from wire.uds import Nrc

KEYS = ("memory",)
MAX_ADDRESS = 0xFFFF_FFFF
MAX_SIZE = 64 << 20
"""64 MiB: more than any unit's flash here; a bigger one is a typing error."""
SHORTEST_BLOCK, LONGEST_BLOCK = 3, 4095
"""maxNumberOfBlockLength: service, counter, one byte; and what ISO-TP carries with a length of 12 bits."""
BUSY_NRCS = ("conditionsNotCorrect", "uploadDownloadNotAccepted")
_REGION_KEYS = (
    "address",
    "size",
    "kind",
    "fill",
    "contents",
    "read",
    "write",
    "download",
    "upload",
    "alignment",
    "erase_per_kib",
    "program_per_kib",
)
_OPTION_KEYS = (
    "regions",
    "formats",
    "max_block_length",
    "compressions",
    "during_transfer",
    "busy_nrc",
    "exit_request",
    "exit_answer",
)


def read(node: Node) -> dict[str, Any]:
    """Return `memory`."""
    memory = node.get("memory")
    return {"memory": _options(memory) if memory else MemoryOptions()}


def _options(node: Node) -> MemoryOptions:
    node.mapping(_OPTION_KEYS)
    regions = {name: _region(entry, name) for name, entry in node.require("regions").mapping().items()}
    _check_apart(node.require("regions"), regions)
    formats, busy, during = node.get("formats"), node.get("busy_nrc"), node.get("during_transfer")
    if busy is not None:
        busy.choice(BUSY_NRCS)
    return MemoryOptions(
        regions=regions,
        formats=frozenset(_format(item) for item in formats.items()) if formats else frozenset((0x44,)),
        max_block_length=read_number(node.get("max_block_length"), DEFAULT_BLOCK_LENGTH, SHORTEST_BLOCK, LONGEST_BLOCK),
        compressions=_compressions(node.get("compressions")),
        during_transfer=_during(during) if during else "refuse",
        busy_nrc=read_nrc(busy) if busy else Nrc.conditionsNotCorrect,
        exit_request=_record(node.get("exit_request")),
        exit_answer=_record(node.get("exit_answer")),
    )


def _during(node: Node) -> Literal["refuse", "restart"]:
    return "restart" if node.choice(("refuse", "restart")) == "restart" else "refuse"


def _record(node: Node | None) -> Record:
    return Record(node.choice(tuple(Record))) if node else Record.NONE


def _format(node: Node) -> int:
    value = node.integer(0, 0xFF)
    if not (1 <= value >> 4 <= 4 and 1 <= value & 0x0F <= 4):
        raise node.error(f"size and address have 1 to 4 bytes each, as in 0x44, not {value:#04x}")
    return value


def _compressions(node: Node | None) -> dict[int, str]:
    methods: dict[int, str] = {}
    for text, entry in node.mapping().items() if node else ():
        if text not in "123456789ABCDEF" or len(text) != 1:
            raise entry.error(f"a compression method is one hex digit from 1 to F, not {text!r}")
        methods[int(text, 16)] = entry.choice(tuple(name for name in COMPRESSIONS if name != "none"))
    return methods


def _region(node: Node, name: str) -> Region:
    node.mapping(_REGION_KEYS)
    size, kind = node.require("size").integer(1, MAX_SIZE), Kind(node.require("kind").choice(tuple(Kind)))
    address = node.require("address").integer(0, MAX_ADDRESS)
    if address + size - 1 > MAX_ADDRESS:
        raise node.require("size").error("the region does not end before FFFFFFFF")
    write = node.get("write")
    if kind is Kind.FLASH and write is not None:
        raise write.error("flash is not written byte by byte: it is erased, then loaded ('download')")
    return Region(
        name=name,
        address=address,
        size=size,
        kind=kind,
        fill=read_number(node.get("fill"), 0xFF, 0, 0xFF),
        contents=_contents(node.get("contents"), size),
        read=read_offered(node.get("read")),
        write=read_offered(write),
        download=read_offered(node.get("download")),
        upload=read_offered(node.get("upload")),
        alignment=read_number(node.get("alignment"), 1, 1, 4096),
        erase_per_kib_ns=duration_of(node.get("erase_per_kib")),
        program_per_kib_ns=duration_of(node.get("program_per_kib")),
    )


def _contents(node: Node | None, size: int) -> tuple[tuple[int, bytes], ...]:
    contents = []
    for item in node.items() if node else ():
        item.mapping(("at", "text", "hex"))
        at, text, raw = item.require("at").integer(0, size - 1), item.get("text"), item.get("hex")
        if (text is None) == (raw is None):
            raise item.error("expected 'at' and one of text, hex")
        data = raw.hex_bytes() if raw is not None else ascii_bytes(item.require("text"))
        if at + len(data) > size:
            raise item.error(f"{len(data)} bytes from {at:#x} on end behind the region's {size:#x}")
        contents.append((at, data))
    return tuple(contents)


def ascii_bytes(node: Node) -> bytes:
    """Read text as its bytes."""
    text = node.text()
    if not text.isascii():
        raise node.error("expected ASCII text; write other bytes as hex")
    return text.encode("ascii")


def _check_apart(node: Node, regions: dict[str, Region]) -> None:
    """Refuse regions that share addresses: a request there would name both."""
    in_order = sorted(regions.values(), key=lambda region: region.address)
    for before, after in pairwise(in_order):
        if after.address < before.address + before.size:
            raise node.require(after.name).error(f"overlaps {before.name!r}")
