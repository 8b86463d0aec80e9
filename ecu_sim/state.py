"""What changes in an ECU: what a reset forgets (`Volatile`) and what it keeps (`NonVolatile`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecu_sim.dtc_records import DtcRecords
from ecu_sim.machines import Bound
from ecu_sim.storage.store import Storage, WorkingMemory
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.profile import EcuProfile


@dataclass(slots=True)
class RunningRoutine:
    """A routine that was started; `until_ns` is when it ends by itself."""

    until_ns: int
    stopped: bool = False


@dataclass(slots=True)
class Volatile:
    """Gone with a reset. `seed`: (level, seed) that waits for its key. `written`: identifiers written in this session.
    `communication`: what CommunicationControl last said of normal messages; 1 and 3 stop sending them, 2 and 3 hearing them.
    """

    session: int = Session.defaultSession
    open_level: int | None = None
    seed: tuple[int, bytes] | None = None
    written: set[int] = field(default_factory=set)
    routines: dict[int, RunningRoutine] = field(default_factory=dict)
    communication: int = 0
    dtc_setting: bool = True
    storage: WorkingMemory = field(default_factory=WorkingMemory)

    def end(self, bound: Bound) -> None:
        """End what is bound to a session that is left."""
        match bound:
            case Bound.SECURITY:
                self.open_level = self.seed = None
            case Bound.SEQUENCE:
                self.written.clear()
            case Bound.CONTROL:
                self.routines.clear()
                self.communication = 0
                self.dtc_setting = True


@dataclass(slots=True)
class Attempts:
    """Wrong keys at one 0x27 level so far, and until when no seed is given."""

    wrong: int = 0
    delay_until_ns: int = 0


@dataclass(slots=True)
class NonVolatile:
    """Kept without supply: written data, trouble codes, wrong keys and their delay, memory and files."""

    data: dict[int, bytes]
    dtcs: DtcRecords
    attempts: dict[int, Attempts]
    storage: Storage = field(default_factory=Storage)

    @classmethod
    def fresh(cls, profile: EcuProfile) -> NonVolatile:
        """Return the memory of an ECU that just left the factory."""
        boot_loader = profile.boot_loader
        dids = (*(boot_loader.dids.values() if boot_loader else ()), *profile.dids.values())
        levels = (*(boot_loader.security if boot_loader else ()), *profile.security)
        return cls(
            data={did.did: did.value for did in dids if did.source is None},
            dtcs=DtcRecords.fresh(profile.dtcs, profile.dtc_memory),
            attempts={level: Attempts() for level in levels},
        )
