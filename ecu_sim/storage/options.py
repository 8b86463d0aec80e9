"""Memory, files and software as profile data. Frozen; read by `reading`.

A region says who may read, write, download and upload it; what it does not name is not offered. Software is logical blocks, each
one region of flash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.profile import Access

KIB = 1024
DEFAULT_BLOCK_LENGTH = 0x402
"""maxNumberOfBlockLength counts service and counter: 1 KiB of data in each TransferData."""


class Kind(StrEnum):
    """What a region is made of: RAM forgets, EEPROM is written as it is, flash only where it was erased."""

    RAM = "ram"
    EEPROM = "eeprom"
    FLASH = "flash"


class Record(StrEnum):
    """What RequestTransferExit carries: nothing, or the CRC-32 of all data that was transferred (our own choice)."""

    NONE = "none"
    CRC_32 = "crc-32"


class Checksum(StrEnum):
    """How a block's contents are proven to the check routine: over the whole region, erased cells too."""

    CRC_32 = "crc-32"
    SHA_256 = "sha-256"


CHECKSUM_LEN: Mapping[Checksum, int] = {Checksum.CRC_32: 4, Checksum.SHA_256: 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One stretch of memory. `contents`: (offset, bytes) of a new unit. An access of None: not offered.

    `alignment`: a block of TransferData that is not the last has a multiple of it. Times are for each KiB.
    """

    name: str
    address: int
    size: int
    kind: Kind
    fill: int = 0xFF
    contents: tuple[tuple[int, bytes], ...] = ()
    read: Access | None = None
    write: Access | None = None
    download: Access | None = None
    upload: Access | None = None
    alignment: int = 1
    erase_per_kib_ns: int = 0
    program_per_kib_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOptions:
    """`formats`: the values of addressAndLengthFormatIdentifier that the unit takes. `compressions`: by method, the high half of
    dataFormatIdentifier; no encryption method is known. `during_transfer`: what a new request for a transfer meets.
    """

    regions: Mapping[str, Region] = field(default_factory=dict)
    formats: frozenset[int] = frozenset((0x44,))
    max_block_length: int = DEFAULT_BLOCK_LENGTH
    compressions: Mapping[int, str] = field(default_factory=dict)
    during_transfer: Literal["refuse", "restart"] = "refuse"
    busy_nrc: int = Nrc.conditionsNotCorrect
    exit_request: Record = Record.NONE
    exit_answer: Record = Record.NONE

    def region_of(self, address: int, size: int) -> Region | None:
        """Return the region that holds all of an area; an area over two regions is in none."""
        for region in self.regions.values():
            if region.address <= address and 0 < size <= region.address + region.size - address:
                return region
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who may list it and read its files; who may add, replace and delete them."""

    read: Access | None = None
    write: Access | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesOptions:
    """The file system of a new unit. `capacity`: bytes of all files together."""

    directories: Mapping[str, Directory]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    capacity: int = 64 * KIB
    max_path: int = 255
    max_files: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalBlock:
    """One part of the software: `number` as routines name it, the region that it fills, where its version stands in there."""

    number: int
    region: str
    version_at: int = 0
    version_len: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Programming:
    """What the programming session asks for: from which sessions (empty: any), and with what switched off before."""

    session: int = 0x02
    enter_from: frozenset[int] = frozenset()
    dtc_setting_off: bool = False
    communication_off: bool = False
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashOptions:
    """The flash process. `fingerprint`: an identifier that is written in the session before anything is erased or loaded.

    `erase_by`: the option of the erase routine, a block's number or address and size. `same_version`: blocks of different
    versions do not fit together. `dtc`: the trouble code that says software incomplete.
    """

    blocks: Mapping[str, LogicalBlock]
    checksum: Checksum = Checksum.CRC_32
    erase_by: Literal["block", "area"] = "block"
    fingerprint: int | None = None
    same_version: bool = False
    dtc: int | None = None
    programming: Programming = Programming()

    def block_of(self, region: str) -> str | None:
        """Return the block that fills a region."""
        return next((name for name, block in self.blocks.items() if block.region == region), None)
