"""What the tester knows of a car before it is plugged in: which control units may be there, and how to reach them.

The bench passes it in; the tester never sees a profile of a simulated ECU. Identifiers are `wire.frame` integers: a 29-bit
identifier carries `EXTENDED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wire.errors import LocalMisuse
from wire.frame import Frame, checked
from wire.names import suggestion

DEFAULT_PADDING = 0x55
"""What VAG testers fill requests with (public traces)."""


class UnknownEcu(LocalMisuse):
    """The car has no control unit of that name; the text suggests one and lists all."""


class UnlockScheme(StrEnum):
    """How a control unit's protected services are opened; with SFD2 nothing is opened, each change is signed."""

    SFD = "sfd"
    SFD2 = "sfd2"
    CERTIFICATE = "certificate"
    SIGNED_SEED = "signed-seed"
    CHALLENGE_RESPONSE = "challenge-response"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedKey:
    """How the key for a 0x27 level is made: an algorithm of `wire.seed_key` and the secret it takes."""

    algorithm: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcuEntry:
    """One control unit. `address`: its logical address, which tokens and certificates are bound to (VAG: the unit number).

    `lock_holder` names the unit that holds this one's lock: itself (None) with SFD, the gateway with the other schemes.
    `lock_level`: the 0x27 level (the odd request number) that is the lock, with signed seeds.
    `security`: 0x27 level (the odd request number) to the way its key is made. `port`: which of the link's carriers.
    `periodic_ids`: the identifiers of its frames of periodic data.
    """

    name: str
    address: int
    request_id: int
    response_id: int
    title: str = ""
    scheme: UnlockScheme | None = None
    lock_holder: str | None = None
    lock_level: int | None = None
    security: Mapping[int, SeedKey] = field(default_factory=dict)
    port: int = 0
    periodic_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        checked(Frame(self.request_id, b""))
        checked(Frame(self.response_id, b""))
        if not 0 <= self.address <= 0xFFFF:
            raise LocalMisuse(f"{self.name}: the logical address {self.address:#x} does not fit two bytes")
        if (self.scheme is UnlockScheme.SIGNED_SEED) != (self.lock_level is not None):
            raise LocalMisuse(f"{self.name}: a lock of the scheme signed-seed has a 0x27 level, and no other has")
        if self.request_id == self.response_id:
            raise LocalMisuse(f"{self.name}: request and response identifier are both {self.request_id:#x}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CarMap:
    """A make's control units as seen from the diagnostic socket.

    `functional_id`: requests to all units; None where there is none. `padding`: fill byte of requests, None for frames that
    are as short as their content. `installed_units_did`: where the gateway lists the units it has, None where it does not.
    `second_factor_per_unlock`: the make asks for a new code at each unlock; `second_factor_per_change`: at each signed change.
    """

    make: str
    gateway: str
    ecus: tuple[EcuEntry, ...]
    functional_id: int | None
    padding: int | None = DEFAULT_PADDING
    fd: bool = False
    brs: bool = False
    vin_sources: tuple[str, ...] = ()
    installed_units_did: int | None = None
    second_factor_per_unlock: bool = False
    second_factor_per_change: bool = False

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.ecus]
        if len(set(names)) != len(names):
            raise LocalMisuse(f"the car map of {self.make!r} names a control unit twice: {', '.join(names)}")
        seen: dict[tuple[int, int], str] = {}
        for entry in self.ecus:
            for can_id in (entry.request_id, entry.response_id, *entry.periodic_ids):
                other = seen.setdefault((entry.port, can_id), entry.name)
                if other != entry.name:
                    raise LocalMisuse(f"{other!r} and {entry.name!r} share the identifier {can_id:#x}")
            for name in (entry.lock_holder,):
                if name is not None:
                    self.ecu(name)
        for name in (self.gateway, *self.vin_sources):
            self.ecu(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The control units' names, in the map's order."""
        return tuple(entry.name for entry in self.ecus)

    def ecu(self, name: str) -> EcuEntry:
        """Return the unit of that name; raise `UnknownEcu`."""
        for entry in self.ecus:
            if entry.name == name:
                return entry
        raise UnknownEcu(f"{self.make!r} has no control unit {name!r}{suggestion(name, self.names)}")

    def holder_of(self, name: str) -> EcuEntry:
        """Return the unit that holds the lock of `name`."""
        entry = self.ecu(name)
        return entry if entry.lock_holder is None else self.ecu(entry.lock_holder)
