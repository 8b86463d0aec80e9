"""The status byte of a trouble code (ISO 14229-1 annex D.2): eight bits, and one table of what moves them.

A row says: this happening makes this bit that value. What no row names, stays. When something happens (how many cycles
confirm, heal or age a code) is counted in `dtc_memory`; this table only knows bits.

Sources: [1] an article on the transitions of bits 0 to 4 (scribd.com/document/528561198), [2] the open mcu_uds project's page on
its status bits (deepwiki.com/miaozhendaoren/mcu_uds), [3] a car maker's public workshop text on the eight bits (Ford, "DTC Status
Bit Definitions").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class StatusBit(IntEnum):
    """The bits of statusOfDTC, by the standard's names."""

    testFailed = 0x01
    testFailedThisOperationCycle = 0x02
    pendingDTC = 0x04
    confirmedDTC = 0x08
    testNotCompletedSinceLastClear = 0x10
    testFailedSinceLastClear = 0x20
    testNotCompletedThisOperationCycle = 0x40
    warningIndicatorRequested = 0x80


class Happening(StrEnum):
    """What can happen to a trouble code."""

    FAILED = "a test has failed"
    PASSED = "a test has passed"
    CONFIRMED = "it failed in as many cycles as confirm it"
    WARNED = "it is confirmed, fails, and has a warning indicator"
    CYCLE_BEGINS = "an operation cycle begins"
    CYCLE_PASSED = "a cycle ends in which its test ran and never failed"
    HEALED = "as many such cycles as put the warning indicator out"
    AGED = "as many such cycles as let it be forgotten"
    DISPLACED = "its record makes way for another code's"
    CLEARED = "ClearDiagnosticInformation"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: `happening` makes `bit` this `value`."""

    happening: Happening
    bit: StatusBit
    value: int
    source: str


_B, _H = StatusBit, Happening
_CHOICE = "our own choice: a warning belongs to a confirmed code"
TRANSITIONS: tuple[Transition, ...] = (
    Transition(_H.FAILED, _B.testFailed, 1, "[1]"),
    Transition(_H.FAILED, _B.testFailedThisOperationCycle, 1, "[1]"),
    Transition(_H.FAILED, _B.pendingDTC, 1, "[1]"),
    Transition(_H.FAILED, _B.testFailedSinceLastClear, 1, "[2] [3]"),
    Transition(_H.FAILED, _B.testNotCompletedSinceLastClear, 0, "[1]"),
    Transition(_H.FAILED, _B.testNotCompletedThisOperationCycle, 0, "[2] [3]"),
    Transition(_H.PASSED, _B.testFailed, 0, "[1]"),
    Transition(_H.PASSED, _B.testNotCompletedSinceLastClear, 0, "[1]"),
    Transition(_H.PASSED, _B.testNotCompletedThisOperationCycle, 0, "[2] [3]"),
    Transition(_H.CONFIRMED, _B.confirmedDTC, 1, "[1]"),
    Transition(_H.WARNED, _B.warningIndicatorRequested, 1, "[3]"),
    Transition(_H.CYCLE_BEGINS, _B.testFailedThisOperationCycle, 0, "[1]"),
    Transition(_H.CYCLE_BEGINS, _B.testNotCompletedThisOperationCycle, 1, "[2]"),
    Transition(_H.CYCLE_PASSED, _B.pendingDTC, 0, "[1]"),
    Transition(_H.HEALED, _B.warningIndicatorRequested, 0, "[3]"),
    Transition(_H.AGED, _B.confirmedDTC, 0, "[1] [2]"),
    Transition(_H.AGED, _B.warningIndicatorRequested, 0, _CHOICE),
    Transition(_H.DISPLACED, _B.confirmedDTC, 0, "[1]"),
    Transition(_H.DISPLACED, _B.warningIndicatorRequested, 0, _CHOICE),
    Transition(_H.CLEARED, _B.testFailed, 0, "[1]"),
    Transition(_H.CLEARED, _B.testFailedThisOperationCycle, 0, "[1]"),
    Transition(_H.CLEARED, _B.pendingDTC, 0, "[1]"),
    Transition(_H.CLEARED, _B.confirmedDTC, 0, "[1]"),
    Transition(_H.CLEARED, _B.testNotCompletedSinceLastClear, 1, "[1]"),
    Transition(_H.CLEARED, _B.testFailedSinceLastClear, 0, "[2]"),
    Transition(_H.CLEARED, _B.testNotCompletedThisOperationCycle, 1, "general knowledge"),
    Transition(_H.CLEARED, _B.warningIndicatorRequested, 0, "general knowledge"),
)


def _masks(happening: Happening) -> tuple[int, int]:
    """Return which bits stay, and which are set."""
    rows = [row for row in TRANSITIONS if row.happening is happening]
    return 0xFF & ~sum(row.bit for row in rows), sum(row.bit for row in rows if row.value)


_MASKS: Mapping[Happening, tuple[int, int]] = {happening: _masks(happening) for happening in Happening}


def next_status(status: int, happening: Happening) -> int:
    """Return the status byte after `happening`."""
    stays, is_set = _MASKS[happening]
    return status & stays | is_set
