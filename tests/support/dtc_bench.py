"""A memory of trouble codes on a test bench: a few codes, freeze frames whose data tells when they were taken."""

from typing import Any

from ecu_sim.dtc_memory import DtcMemory, TestResult
from ecu_sim.dtc_options import Dtc, DtcMemoryOptions, ExtendedRecord, RecordKind, SnapshotRecord
from ecu_sim.dtc_records import DtcRecords

FAILED, PASSED = TestResult.FAILED, TestResult.PASSED
PREFAILED, PREPASSED = TestResult.PREFAILED, TestResult.PREPASSED
A, B, C = 0x010100, 0x410200, 0x810300
FRAMES = (SnapshotRecord(number=1, dids=(0x1001, 0x1002)), SnapshotRecord(number=2, dids=(0x1001,), keep="last"))
EXTENDED = tuple(ExtendedRecord(number=number, kind=kind) for number, kind in enumerate(RecordKind, 1))


class Memory:
    """A memory, the data that its freeze frames read, and every change of a status byte that it told of."""

    def __init__(self, *dtcs: Dtc, records: DtcRecords | None = None, **options: Any) -> None:
        self.options = DtcMemoryOptions(**{"snapshots": FRAMES, "extended": EXTENDED, **options})
        self.dtcs = dtcs or (Dtc(code=A, status=0x50), Dtc(code=B, status=0x50), Dtc(code=C, status=0x50))
        self.records = records or DtcRecords.fresh(self.dtcs, self.options)
        self.odometer = 100
        self.memory = DtcMemory(self.dtcs, self.options, self.records, self.read)
        self.changes: list[tuple[int, int, int]] = []
        self.memory.listeners.append(lambda code, before, after, _: self.changes.append((code, before, after)))

    def read(self, did: int, now_ns: int) -> bytes:
        return self.odometer.to_bytes(2, "big") if did == 0x1001 else b"\x77"

    def fails(self, code: int = A, times: int = 1) -> "Memory":
        for _ in range(times):
            assert self.memory.report(code, FAILED, 0)
        return self

    def passes(self, code: int = A) -> "Memory":
        assert self.memory.report(code, PASSED, 0)
        return self

    def next_cycle(self) -> "Memory":
        self.memory.end_cycle(0)
        self.memory.begin_cycle(0)
        return self

    def good_cycles(self, count: int, code: int = A) -> "Memory":
        """So many whole cycles in which the test runs and passes."""
        for _ in range(count):
            self.next_cycle().passes(code)
        self.memory.end_cycle(0)
        self.memory.begin_cycle(0)
        return self

    def status(self, code: int = A) -> int:
        return self.memory.status(code)

    def frames(self, code: int = A) -> dict[int, tuple[tuple[int, bytes], ...]]:
        return dict(self.memory.frames(self.memory.dtcs[code]))

    def extended(self, kind: RecordKind, code: int = A) -> int | None:
        numbers = {record.kind: record.number for record in EXTENDED}
        return dict(self.memory.extended_data(self.memory.dtcs[code])).get(numbers[kind])
