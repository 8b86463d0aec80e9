"""The memory behind the trouble codes: test results go in, status bytes move by `dtc_status`, records are kept and displaced.

An operation cycle has to run for a result to count. Trips, healing and ageing are counted in cycles; at a cycle's end those in
which a test ran and never failed count. A code is confirmed only while it has a record, so who is displaced is confirmed no more.
Time is an argument and only told on; nothing here is due by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from ecu_sim.dtc_monitors import MONITORS
from ecu_sim.dtc_options import Dtc, DtcMemoryOptions, ExtendedRecord, RecordKind, SnapshotRecord
from ecu_sim.dtc_records import COUNTER_MAX, DtcRecord, DtcRecords, DtcState, Frame, MirrorEntry
from ecu_sim.dtc_status import Happening, StatusBit, next_status
from ecu_sim.vehicle_state import VehicleView
from wire.errors import LocalMisuse

FAULT_MAX, FAULT_MIN = 127, -128
"""The fault detection counter: at the top a test has failed, at the bottom it has passed (ISO 14229-1 D.6, general knowledge)."""

Listener = Callable[[int, int, int, int], None]
"""Told of each change of a status byte: code, before, after, now_ns."""


class TestResult(StrEnum):
    """What a unit's own test reports."""

    __test__ = False  # pytest collects what begins with "Test"

    FAILED = "failed"
    PASSED = "passed"
    PREFAILED = "prefailed"
    PREPASSED = "prepassed"


class DtcMemory:
    """The trouble codes of one unit. `read`: an identifier's data at a time, for freeze frames. `records` need no supply."""

    def __init__(
        self,
        dtcs: Sequence[Dtc],
        options: DtcMemoryOptions,
        records: DtcRecords,
        read: Callable[[int, int], bytes],
        *,
        running: bool = True,
    ) -> None:
        self.options = options
        self.dtcs: Mapping[int, Dtc] = {dtc.code: dtc for dtc in dtcs}
        self.records = records
        self.running = running
        self.frozen: frozenset[int] = frozenset()
        self.listeners: list[Listener] = []
        self._read = read
        self._counters: dict[int, int] = {}
        self._monitored = tuple(dtc for dtc in dtcs if dtc.monitor is not None)

    # ---- what is asked

    def status(self, code: int) -> int:
        """Return a code's status byte, all eight bits."""
        return self.records.states[code].status

    def fault_counter(self, code: int) -> int:
        """Return the fault detection counter, -128 to 127."""
        return self._counters.get(code, 0)

    def snapshots_of(self, dtc: Dtc) -> tuple[SnapshotRecord, ...]:
        """Return which freeze frames a code can have."""
        return self.options.snapshots if dtc.snapshots is None else dtc.snapshots

    def extended_of(self, dtc: Dtc) -> tuple[ExtendedRecord, ...]:
        """Return which extended data records a code can have."""
        return self.options.extended if dtc.extended is None else dtc.extended

    def frames(self, dtc: Dtc) -> Iterable[tuple[int, Frame]]:
        """Return the freeze frames that are stored for a code, with their record numbers in order."""
        record = self.records.states[dtc.code].record
        return () if record is None else sorted(record.frames.items())

    def extended_data(self, dtc: Dtc) -> tuple[tuple[int, int], ...]:
        """Return the extended data of a code that has a record: record number and its byte."""
        state = self.records.states[dtc.code]
        if state.record is None:
            return ()
        return tuple((one.number, self._byte(one.kind, dtc, state, state.record)) for one in self.extended_of(dtc))

    def _byte(self, kind: RecordKind, dtc: Dtc, state: DtcState, record: DtcRecord) -> int:
        match kind:
            case RecordKind.OCCURRENCE_COUNTER:
                return record.occurrences
            case RecordKind.AGEING_COUNTER:
                return state.ageing
            case RecordKind.HEALING_COUNTER:
                return state.passed_cycles
            case RecordKind.FAILED_CYCLES:
                return state.failed_cycles
            case RecordKind.FAULT_DETECTION_COUNTER:
                return self.fault_counter(dtc.code) & 0xFF
            case RecordKind.PRIORITY:
                return dtc.priority

    # ---- test results

    def report(self, code: int, result: TestResult, now_ns: int) -> bool:
        """Take a test's result; return whether it counted: a cycle runs, and ControlDTCSetting does not stand in its way."""
        dtc = self.dtcs.get(code)
        if dtc is None:
            there = ", ".join(f"{number:06X}" for number in self.dtcs) or "none"
            raise LocalMisuse(f"no trouble code {code:06X} in this unit; there are: {there}")
        if not self.running or code in self.frozen:
            return False
        counter = self._counted(dtc, result)
        self._counters[code] = counter
        state = self.records.states[code]
        if counter == FAULT_MAX:
            self._failed(dtc, state, now_ns)
        elif counter == FAULT_MIN:
            self._move(dtc, state, Happening.PASSED, now_ns)
        self._mirror(dtc, state)
        return True

    def observe(self, vehicle: VehicleView, now_ns: int) -> None:
        """Let the unit's own monitors look at the vehicle."""
        for dtc in self._monitored:
            fails = MONITORS[dtc.monitor or ""](vehicle, now_ns)
            if fails is not None:
                self.report(dtc.code, TestResult.FAILED if fails else TestResult.PASSED, now_ns)

    def _counted(self, dtc: Dtc, result: TestResult) -> int:
        counter, debounce = self.fault_counter(dtc.code), dtc.debounce
        match result:
            case TestResult.FAILED:
                return FAULT_MAX
            case TestResult.PASSED:
                return FAULT_MIN
            case TestResult.PREFAILED:
                start = max(counter, 0) if debounce.jump else counter
                return min(start + debounce.step_up, FAULT_MAX)
            case TestResult.PREPASSED:
                start = min(counter, 0) if debounce.jump else counter
                return max(start - debounce.step_down, FAULT_MIN)

    def _failed(self, dtc: Dtc, state: DtcState, now_ns: int) -> None:
        is_new = not state.status & StatusBit.testFailed
        if not state.status & StatusBit.testFailedThisOperationCycle:
            state.failed_cycles = min(state.failed_cycles + 1, COUNTER_MAX)
        state.passed_cycles = state.ageing = 0
        self.records.events += 1
        event = self.records.events
        state.first_failed = state.first_failed or event
        if is_new:
            state.recent_failed = event
        self._move(dtc, state, Happening.FAILED, now_ns)
        enough = state.failed_cycles >= dtc.confirm_after
        if enough or self.options.store_at == "failed":
            self._keep(dtc, state, event, now_ns, is_new=is_new)
        if state.record is None:
            return
        if enough and not state.status & StatusBit.confirmedDTC:
            state.first_confirmed = state.first_confirmed or event
            state.recent_confirmed = event
            self._move(dtc, state, Happening.CONFIRMED, now_ns)
            if dtc.permanent:
                self.records.permanent.setdefault(dtc.code)
        if dtc.warning and state.status & StatusBit.confirmedDTC:
            self._move(dtc, state, Happening.WARNED, now_ns)

    def _keep(self, dtc: Dtc, state: DtcState, event: int, now_ns: int, *, is_new: bool) -> None:
        """Give a code that failed a record, if there is room, and write into it."""
        record = state.record
        if record is None:
            if not self._make_room(dtc, now_ns):
                self.records.overflowed.add(dtc.memory)
                return
            record = state.record = DtcRecord(since=event, last_failed=event)
            is_new = True
        record.last_failed = event
        if is_new:
            record.occurrences = min(record.occurrences + 1, COUNTER_MAX)
            for frame in self.snapshots_of(dtc):
                if frame.keep == "last" or frame.number not in record.frames:
                    record.frames[frame.number] = tuple((did, self._read(did, now_ns)) for did in frame.dids)

    def _make_room(self, dtc: Dtc, now_ns: int) -> bool:
        """Return whether there is room for one more record; displaces another's if that is the policy."""
        states, policy = self.records.states, self.options.displacement
        kept = [
            (other, states[other.code], record)
            for other in self.dtcs.values()
            if other.memory == dtc.memory and (record := states[other.code].record) is not None
        ]
        if len(kept) < self.options.entries:
            return True
        if policy == "none":
            return False
        if policy == "priority":
            kept = [entry for entry in kept if entry[0].priority >= dtc.priority]
        if not kept:
            return False

        def rank(entry: tuple[Dtc, DtcState, DtcRecord]) -> tuple[int, bool, int]:
            other, state, record = entry
            fails = state.status & StatusBit.testFailed != 0
            return (
                (-other.priority, fails, record.last_failed) if policy == "priority" else (0, False, record.last_failed)
            )

        victim, state, _ = min(kept, key=rank)
        self._forget(victim, state, Happening.DISPLACED, now_ns)
        return True

    def _forget(self, dtc: Dtc, state: DtcState, happening: Happening, now_ns: int) -> None:
        """Take a code's record away."""
        state.record = None
        state.failed_cycles = state.ageing = 0
        state.first_confirmed = state.recent_confirmed = 0
        self._move(dtc, state, happening, now_ns)
        if self.options.ends_with_record:
            self._set(dtc, state, state.status & ~StatusBit.testFailedSinceLastClear, now_ns)

    def _mirror(self, dtc: Dtc, state: DtcState) -> None:
        if state.record is None or not dtc.mirrored or not self.options.mirror_entries:
            return
        mirror = self.records.mirror
        if dtc.code not in mirror and len(mirror) >= self.options.mirror_entries:
            del mirror[next(iter(mirror))]
        mirror[dtc.code] = MirrorEntry(state.status, self.extended_data(dtc))

    # ---- operation cycles

    def begin_cycle(self, now_ns: int) -> None:
        """An operation cycle begins; an end that was missed is made up for first."""
        self.end_cycle(now_ns)
        self.running = True
        self._counters.clear()
        for dtc, state in self._each():
            self._move(dtc, state, Happening.CYCLE_BEGINS, now_ns)

    def end_cycle(self, now_ns: int) -> None:
        """The running cycle ends: what passed in it heals and ages."""
        if not self.running:
            return
        self.running = False
        for dtc, state in self._each():
            ran = not state.status & StatusBit.testNotCompletedThisOperationCycle
            if ran and not state.status & StatusBit.testFailedThisOperationCycle:
                self._cycle_passed(dtc, state, now_ns)
                self._mirror(dtc, state)

    def _cycle_passed(self, dtc: Dtc, state: DtcState, now_ns: int) -> None:
        state.failed_cycles = 0
        state.passed_cycles = min(state.passed_cycles + 1, COUNTER_MAX)
        warned = state.status & StatusBit.warningIndicatorRequested
        self._move(dtc, state, Happening.CYCLE_PASSED, now_ns)
        if warned and state.passed_cycles >= dtc.heal_after:
            self._move(dtc, state, Happening.HEALED, now_ns)
        if not state.status & StatusBit.warningIndicatorRequested:
            self.records.permanent.pop(dtc.code, None)
        if not state.status & StatusBit.confirmedDTC:
            state.record = None  # it was pending and never got further
        elif not warned:  # ageing begins in the cycle after the warning went out
            state.ageing = min(state.ageing + 1, COUNTER_MAX)
            if dtc.age_after and state.ageing >= dtc.age_after:
                self._forget(dtc, state, Happening.AGED, now_ns)

    def restart(self) -> None:
        """The unit starts anew: what stood in volatile memory is gone."""
        self._counters.clear()
        self.frozen = frozenset()

    # ---- what services do

    def clear(self, codes: Iterable[int], now_ns: int) -> None:
        """Forget codes (0x14): status, records, counters. Mirror and permanent memory stay, and so does a fault that `stays`."""
        for code in codes:
            dtc, state = self.dtcs[code], self.records.states[code]
            if dtc.stays:
                continue
            before = state.status
            self.records.states[code] = fresh = DtcState(status=before)
            self._counters.pop(code, None)
            self._move(dtc, fresh, Happening.CLEARED, now_ns)
            self.records.overflowed.discard(dtc.memory)

    def switch(self, codes: Iterable[int], *, on: bool) -> None:
        """ControlDTCSetting: let the results of these codes count, or not."""
        self.frozen = self.frozen - frozenset(codes) if on else self.frozen | frozenset(codes)

    # ---- status bytes

    def _each(self) -> Iterable[tuple[Dtc, DtcState]]:
        return ((dtc, self.records.states[code]) for code, dtc in self.dtcs.items())

    def _move(self, dtc: Dtc, state: DtcState, happening: Happening, now_ns: int) -> None:
        self._set(dtc, state, next_status(state.status, happening), now_ns)

    def _set(self, dtc: Dtc, state: DtcState, status: int, now_ns: int) -> None:
        before, state.status = state.status, status
        if before != status:
            for listener in self.listeners:
                listener(dtc.code, before, status, now_ns)
