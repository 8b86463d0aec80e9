"""What a unit keeps of its trouble codes without supply: status bytes, counters, freeze frames, mirror and permanent memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecu_sim.dtc_options import Dtc, DtcMemoryOptions
from ecu_sim.dtc_status import StatusBit

COUNTER_MAX = 0xFF
"""A counter of one byte stops here (ISO 14229-1 D.2 leaves the size to the maker; one byte is our own choice)."""
Frame = tuple[tuple[int, bytes], ...]
"""A freeze frame: each identifier with what it said when the code failed."""


@dataclass(slots=True)
class DtcRecord:
    """A code's place in a memory. `since` and `last_failed` count events, so that the oldest is known."""

    since: int
    last_failed: int
    occurrences: int = 0
    frames: dict[int, Frame] = field(default_factory=dict)


@dataclass(slots=True)
class DtcState:
    """One code now. `failed_cycles` and `passed_cycles`: in a row. The last four number events since it was cleared; 0: none."""

    status: int
    failed_cycles: int = 0
    passed_cycles: int = 0
    ageing: int = 0
    record: DtcRecord | None = None
    first_failed: int = 0
    recent_failed: int = 0
    first_confirmed: int = 0
    recent_confirmed: int = 0


@dataclass(frozen=True, slots=True)
class MirrorEntry:
    """What the mirror memory knows of a code: as it was when its record last changed."""

    status: int
    extended: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class DtcRecords:
    """All of it. `permanent`: codes in the order in which they came. `overflowed`: memories that had no room for a code."""

    states: dict[int, DtcState]
    mirror: dict[int, MirrorEntry] = field(default_factory=dict)
    permanent: dict[int, None] = field(default_factory=dict)
    overflowed: set[int | None] = field(default_factory=set)
    events: int = 0

    @classmethod
    def fresh(cls, dtcs: Sequence[Dtc], options: DtcMemoryOptions) -> DtcRecords:
        """Return the records of a unit that just left the factory: a code that is confirmed there has one, without frames."""
        records = cls(states={})
        for dtc in dtcs:
            records.states[dtc.code] = state = DtcState(status=dtc.status)
            confirmed = dtc.status & StatusBit.confirmedDTC != 0
            pending = dtc.status & StatusBit.pendingDTC != 0
            if dtc.status & StatusBit.testFailedSinceLastClear or confirmed or pending:
                records.events += 1
                state.first_failed = state.recent_failed = records.events
            if confirmed:
                state.first_confirmed = state.recent_confirmed = records.events
                state.failed_cycles = dtc.confirm_after
                if dtc.permanent:
                    records.permanent[dtc.code] = None
            elif pending:
                state.failed_cycles = 1
            if confirmed or (pending and options.store_at == "failed"):
                state.record = DtcRecord(records.events, records.events, occurrences=1)
        return records

    def statuses(self) -> Mapping[int, int]:
        """Return a copy of every code's status byte."""
        return {code: state.status for code, state in self.states.items()}
