"""A control unit with trouble codes of every kind: emissions, user-defined memory, freeze frames, a monitor of its supply."""

from typing import Any

from ecu_bench import DIDS, Ecu

from ecu_sim.dtc_memory import TestResult
from ecu_sim.dtc_options import Dtc, DtcMemoryOptions, ExtendedRecord, RecordKind, SettingType, SnapshotRecord
from ecu_sim.profile import ACTIVE_SESSION, Did
from ecu_sim.vehicle_state import PowerEvent

BOOST, SENSOR, BRAKE, DOOR, SUPPLY = 0x029900, 0x010300, 0x410200, 0x810300, 0xC10400
OBD, SAFETY = 0x33, 0xD0
CODES = (
    Dtc(
        code=BOOST, status=0x50, severity=0x22, functional_unit=0x11, functional_group=OBD, permanent=True, warning=True
    ),
    Dtc(code=SENSOR, status=0x50, severity=0x40, functional_group=OBD, readiness_group=0x01, confirm_after=2),
    Dtc(code=BRAKE, status=0x50, severity=0x80, functional_unit=0x12, functional_group=SAFETY),
    Dtc(code=DOOR, status=0x50, memory=0x10),
    Dtc(code=SUPPLY, status=0x50, monitor="supply-voltage-low", snapshots=(), extended=()),
)
OPTIONS = DtcMemoryOptions(
    user_memories=frozenset((0x10, 0x11)),
    groups={0x000000: 0, 0x400000: 1, 0x800000: 2, 0xC00000: 3},
    snapshots=(SnapshotRecord(number=1, dids=(0x1001, 0x1002)), SnapshotRecord(number=2, dids=(0xF186,), keep="last")),
    extended=(
        ExtendedRecord(number=0x01, kind=RecordKind.OCCURRENCE_COUNTER),
        ExtendedRecord(number=0x02, kind=RecordKind.AGEING_COUNTER),
        ExtendedRecord(number=0x90, kind=RecordKind.FAULT_DETECTION_COUNTER),
    ),
    setting_types={0x40: SettingType(on=False, groups=(0x400000,)), 0x41: SettingType(on=True, groups=(0x400000,))},
)


class DtcUnit(Ecu):
    """The unit, and what can be done to its faults."""

    def __init__(self, *, dtcs: tuple[Dtc, ...] = CODES, options: DtcMemoryOptions = OPTIONS, **changes: Any) -> None:
        dids = {did.did: did for did in (*DIDS, Did(did=0xF186, source=ACTIVE_SESSION))}
        super().__init__(dtcs=dtcs, dtc_memory=options, dids=dids, **changes)

    def fails(self, *codes: int) -> "DtcUnit":
        for code in codes:
            assert self.server.report_trouble(code, TestResult.FAILED, self.now_ns)
        return self

    def passes(self, *codes: int) -> "DtcUnit":
        for code in codes:
            assert self.server.report_trouble(code, TestResult.PASSED, self.now_ns)
        return self

    def next_cycle(self) -> "DtcUnit":
        """Terminal 15 off and on again."""
        self.terminal_15(on=False)
        self.terminal_15(on=True)
        return self

    def terminal_15(self, *, on: bool) -> None:
        self.vehicle.terminal_15 = on
        self.server.power(PowerEvent.TERMINAL_15_ON if on else PowerEvent.TERMINAL_15_OFF, self.now_ns)

    def supply(self, millivolts: int) -> None:
        self.vehicle.supply_mv = millivolts
        self.server.observe_vehicle(self.now_ns)
