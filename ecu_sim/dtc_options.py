"""Trouble codes as profile data: each code, what is kept of it, and the memories that keep it. Frozen; read by `reading`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

PRIMARY = None
"""The primary memory; a number names a user-defined one."""
ALL_GROUPS = 0xFF_FFFF
FUNCTIONAL_GROUPS = 0xFF_FF00
"""groupOfDTC FFFFxx names functional group xx, as in FFFF33, all that is relevant for emissions (udsoncan, py-uds)."""
EMISSIONS_GROUP = 0x33
FIRST_OBD_RECORD, LAST_RECORD = 0x90, 0xEF
"""Extended data records: 01 to 8F are the maker's, 90 to EF are OBD's (general knowledge; py-uds has EF as the last)."""
ALL_OBD_RECORDS, ALL_RECORDS = 0xFE, 0xFF
SYSTEMS: Mapping[str, int] = MappingProxyType({"powertrain": 0, "chassis": 1, "body": 2, "network": 3})
"""The system is in the two top bits of a code (SAE J2012; scapy's DTC)."""


class RecordKind(StrEnum):
    """What an extended data record holds; each is one byte. A counter stops at its top."""

    OCCURRENCE_COUNTER = "occurrence-counter"
    AGEING_COUNTER = "ageing-counter"
    HEALING_COUNTER = "healing-counter"
    FAILED_CYCLES = "failed-cycles"
    FAULT_DETECTION_COUNTER = "fault-detection-counter"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """One freeze frame: which identifiers are read when the code fails. `keep` first: of its first failure; last: of the
    latest one.
    """

    number: int
    dids: tuple[int, ...]
    keep: Literal["first", "last"] = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedRecord:
    """One extended data record."""

    number: int
    kind: RecordKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """How the fault detection counter moves from -128 (passed) to 127 (failed). `jump`: it turns round at 0."""

    step_up: int = 32
    step_down: int = 32
    jump: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dtc:
    """A trouble code of three bytes. `status`: when the unit leaves the factory.

    `stays`: its fault is still there, so clearing leaves it as it is. `severity`: DTCSeverityMask, class in the low five bits.
    `memory` None: the primary one, else a user-defined one's number. `confirm_after`: cycles in a row in which it failed;
    `heal_after` and `age_after`: cycles that passed (`age_after` 0: never forgotten). `priority`: 1 is displaced last.
    `monitor`: a name of `dtc_monitors.MONITORS`, a fault that the unit sees by itself.
    """

    code: int
    status: int
    name: str = ""
    stays: bool = False
    severity: int = 0
    functional_unit: int = 0
    functional_group: int | None = None
    readiness_group: int | None = None
    memory: int | None = PRIMARY
    mirrored: bool = True
    permanent: bool = False
    warning: bool = False
    confirm_after: int = 1
    heal_after: int = 3
    age_after: int = 40
    priority: int = 128
    debounce: Debounce = Debounce()
    snapshots: tuple[SnapshotRecord, ...] | None = None
    extended: tuple[ExtendedRecord, ...] | None = None
    monitor: str | None = None

    @property
    def system(self) -> int:
        """The two top bits: powertrain, chassis, body, network."""
        return self.code >> 22


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingType:
    """A maker's own DTCSettingType: switches the setting of these groups of codes on or off."""

    on: bool
    groups: tuple[int, ...] = (ALL_GROUPS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class DtcMemoryOptions:
    """The memories of one unit. `entries`: codes that one memory keeps records of. `snapshots` and `extended`: of each code that
    has none of its own. `obd_format`: DTCFormatIdentifier of the WWH-OBD reports, which are SAE J2012-DA 04 or SAE J1939-73 there
    (udsoncan). `groups`: groupOfDTC values, and the system (0 to 3) that each stands for. `setting_types`: 0x40 to 0x7E.
    `ends_with_record`: testFailedSinceLastClear goes with the record when that is forgotten or displaced. `writes_from_mv`: below
    this supply the memory cannot be written, and clearing fails (0x72); 0: always can.
    """

    status_availability: int = 0xFF
    severity_availability: int = 0xFF
    format: int = 0x01
    obd_format: int = 0x04
    entries: int = 32
    mirror_entries: int = 32
    displacement: Literal["none", "oldest", "priority"] = "priority"
    operation_cycle: Literal["terminal-15", "supply"] = "terminal-15"
    store_at: Literal["failed", "confirmed"] = "failed"
    ends_with_record: bool = False
    user_memories: frozenset[int] = frozenset()
    groups: Mapping[int, int] = field(default_factory=dict)
    snapshots: tuple[SnapshotRecord, ...] = ()
    extended: tuple[ExtendedRecord, ...] = ()
    setting_types: Mapping[int, SettingType] = field(default_factory=dict)
    setting_option: Literal["none", "groups"] = "none"
    writes_from_mv: int = 0
