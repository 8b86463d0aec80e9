"""What changes in an ECU: what a reset forgets (`Volatile`) and what it keeps (`NonVolatile`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecu_sim.dtc_records import DtcRecords
from ecu_sim.machines import Bound
from ecu_sim.storage.store import Storage, WorkingMemory
from wire.uds import Session

if TYPE_CHECKING:
    from ecu_sim.definitions import Definition
    from ecu_sim.io_control import Control
    from ecu_sim.periodic import Scheduled
    from ecu_sim.profile import EcuProfile
    from ecu_sim.response_on_event import Event


@dataclass(slots=True)
class RunningRoutine:
    """A routine that was started; `until_ns` is when it ends by itself."""

    until_ns: int
    stopped: bool = False


@dataclass(slots=True)
class Volatile:
    """Gone with a reset. `seed`: (level, seed) that waits for its key. `written`: identifiers written in this session.

    `communication`, `network_management`: the control type of 0x28 that is in force for each kind of message; `subnets` and
    `nodes`: for normal messages of other networks and of nodes behind this unit. `link_verified`, `link_bitrate`: of 0x87, in
    bit/s.
    """

    session: int = Session.defaultSession
    open_level: int | None = None
    seed: tuple[int, bytes] | None = None
    written: set[int] = field(default_factory=set)
    routines: dict[int, RunningRoutine] = field(default_factory=dict)
    communication: int = 0
    network_management: int = 0
    subnets: dict[int, int] = field(default_factory=dict)
    nodes: dict[int, int] = field(default_factory=dict)
    dtc_setting: bool = True
    storage: WorkingMemory = field(default_factory=WorkingMemory)
    controls: dict[int, Control] = field(default_factory=dict)
    periodic: dict[int, Scheduled] = field(default_factory=dict)
    definitions: dict[int, Definition] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    link_verified: int | None = None
    link_bitrate: int | None = None
    rapid_power_down: bool = False

    def may_send_normal(self) -> bool:
        """Whether 0x28 lets the unit send its normal (application) messages."""
        return self.communication in (0x00, 0x02, 0x05)

    def may_receive_normal(self) -> bool:
        """Whether 0x28 lets the unit take normal messages."""
        return self.communication in (0x00, 0x01, 0x04, 0x05)

    def restore_communication(self) -> None:
        """Undo every 0x28: as in the default session."""
        self.communication = self.network_management = 0
        self.subnets.clear()
        self.nodes.clear()

    def end(self, bound: Bound) -> None:
        """End what is bound to a session that is left."""
        match bound:
            case Bound.SECURITY:
                self.open_level = self.seed = None
            case Bound.SEQUENCE:
                self.written.clear()
            case Bound.CONTROL:
                self.routines.clear()
                self.restore_communication()
                self.dtc_setting = True


@dataclass(slots=True)
class Attempts:
    """Wrong keys at one 0x27 level so far, and until when no seed is given."""

    wrong: int = 0
    delay_until_ns: int = 0


@dataclass(slots=True)
class NonVolatile:
    """Kept without supply: written data, trouble codes, wrong keys and their delay, memory and files; where the profile or the
    tester says so, definitions of 0x2C and events of 0x86.
    """

    data: dict[int, bytes]
    dtcs: DtcRecords
    attempts: dict[int, Attempts]
    storage: Storage = field(default_factory=Storage)
    definitions: dict[int, Definition] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)

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
