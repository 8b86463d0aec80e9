"""ECU profiles: all that makes one control unit differ from another, as data. Frozen; built and checked by `profile_file`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ecu_sim.dtc_options import Dtc, DtcMemoryOptions
from ecu_sim.service_options import (
    CommunicationOptions,
    DefinitionOptions,
    EventOptions,
    LinkOptions,
    Output,
    PeriodicOptions,
    SessionRule,
    TimingLimits,
)
from ecu_sim.storage.options import FilesOptions, FlashOptions, MemoryOptions
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Options
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from wire.token import Scope
from wire.uds import P2_SERVER_MAX_NS, P2_STAR_SERVER_MAX_NS, S3_SERVER_NS, Nrc

NO_SCOPE = Scope(0)
ACTIVE_SESSION = "active-session"
"""The source of F186, which is the server's own and not the vehicle's."""
PROGRAMMING_STATE = "programming-state"
"""The source of an identifier that says how far the software's blocks have come."""
VERSION = "version of "
"""Begins the source of an identifier that holds a block's version; the block's name follows."""
FIXED = "fixed"
"""The source of a value in the boot loader's own code: it is the profile's, whatever the application has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may: in which sessions (empty: all), at which open 0x27 level, with which grant scope, under which conditions.

    `secured`: only by SecuredDataTransmission 0x84, whose signature then stands for the grant, within its scope.
    """

    sessions: frozenset[int] = frozenset()
    security: int | None = None
    scope: Scope = NO_SCOPE
    conditions: tuple[str, ...] = ()
    secured: bool = False


FREE = Access()


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """One data identifier. `source`: a measured value of `vehicle_state.SOURCES`, or one of the unit's own (above), instead of
    `value`. `read` or `write` None: not offered. `requires_written`: identifiers that must have been written in the same session
    before.
    """

    did: int
    name: str = ""
    value: bytes = b""
    source: str | None = None
    read: Access | None = FREE
    write: Access | None = None
    requires_written: tuple[int, ...] = ()
    work_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine:
    """One routine. `duration_ns`: it runs in the background so long; `result` is its record when it has ended.

    `act`: a step of the flash process (`services.flash_routines.ACTS`), which has option and record of its own.
    """

    rid: int
    name: str = ""
    access: Access = FREE
    option_len: int = 0
    duration_ns: int = 0
    stoppable: bool = False
    result: bytes = b"\x00"
    work_ns: int = 0
    act: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityLevel:
    """One 0x27 level, named by its odd request number."""

    level: int
    algorithm: str
    secret: bytes = field(repr=False)
    seed_len: int = 8
    attempts: int = 3
    delay_ns: int = 10_000_000_000
    sessions: frozenset[int] = frozenset((0x03,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the ECU keeps: P2, P2*, S3, and how long it is silent in a reset."""

    p2_ns: int = P2_SERVER_MAX_NS
    p2_star_ns: int = P2_STAR_SERVER_MAX_NS
    s3_ns: int = S3_SERVER_NS
    reset_ns: int = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRule:
    """One service as this ECU offers it. `sub_functions` empty: those of the service itself. `work_ns`: how long the unit takes
    before it looks into a request, beyond service, session and sub-function; what one identifier or routine takes is said there.
    """

    access: Access = FREE
    sub_functions: frozenset[int] = frozenset()
    work_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EcuProfile:
    """One control unit. `address`: logical, which unlocks are bound to."""

    name: str
    title: str
    address: int
    request_id: int
    response_id: int
    functional_ids: tuple[int, ...]
    services: Mapping[int, ServiceRule]
    sessions: frozenset[int]
    dids: Mapping[int, Did]
    routines: Mapping[int, Routine]
    dtcs: tuple[Dtc, ...] = ()
    dtc_memory: DtcMemoryOptions = field(default_factory=DtcMemoryOptions)
    security: Mapping[int, SecurityLevel] = field(default_factory=dict)
    security_access: Literal["none", "after_grant"] = "none"
    timing: Timing = Timing()
    gate: SfdOptions | Sfd2Options | CertificateOptions | SignedSeedOptions | ChallengeResponseOptions | None = None
    locked_nrc: int = Nrc.securityAccessDenied
    busy: Literal["refuse", "ignore"] = "refuse"
    max_dids: int = 8
    max_answer_bytes: int = 4095
    edition: Literal[2013, 2020] = 2020
    """Of ISO 14229-1: which services and sub-functions there are."""
    order: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Where this unit refuses in another order than `ecu_sim.order.ORDER`: the names of a service's rows, in its own order."""
    padding: int | None = 0xAA
    memory: MemoryOptions = field(default_factory=MemoryOptions)
    files: FilesOptions | None = None
    flash: FlashOptions | None = None
    boot_loader: EcuProfile | None = None
    """What the unit is while its software is incomplete: the same unit, other sections."""
    scaling: Mapping[int, bytes] = field(default_factory=dict)
    """What 0x24 answers for an identifier: its scaling bytes, as `ecu_sim.scaling` encodes them."""
    outputs: Mapping[int, Output] = field(default_factory=dict)
    periodic: PeriodicOptions = field(default_factory=PeriodicOptions)
    definitions: DefinitionOptions = field(default_factory=DefinitionOptions)
    events: EventOptions = field(default_factory=EventOptions)
    link: LinkOptions = field(default_factory=LinkOptions)
    communication: CommunicationOptions = field(default_factory=CommunicationOptions)
    session_rules: Mapping[int, SessionRule] = field(default_factory=dict)
    timing_limits: TimingLimits = field(default_factory=TimingLimits)
    power_down_s: int | None = None
    """powerDownTime of ECUReset 04 in s (0xFF: not known); None: the unit has no rapid power shut-down."""


def timing_in(profile: EcuProfile, session: int) -> Timing:
    """Return what a unit keeps in a session, where nobody has set other values by 0x83."""
    rule = profile.session_rules.get(session)
    if rule is None or (rule.p2_ns is None and rule.p2_star_ns is None):
        return profile.timing
    return replace(
        profile.timing,
        p2_ns=rule.p2_ns or profile.timing.p2_ns,
        p2_star_ns=rule.p2_star_ns or profile.timing.p2_star_ns,
    )
