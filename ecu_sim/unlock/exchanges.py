"""What both 0x29 gates share: the one exchange that is open, fresh challenges, the session key, faults that are asked for.

    closed --challenge given--> open --proof (right or wrong), another request, time, reset, sleep--> closed

A challenge is random, serves once, and runs out. The session key belongs to the grant and goes with it; it is never logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.gate import GateEvent, GateLog
from wire.authentication import (
    MIN_CHALLENGE_LEN,
    Configuration,
    Exchange,
    SessionKey,
    SessionKeyError,
    agree,
    new_ephemeral,
    public_bytes,
)
from wire.clock import NS_PER_S
from wire.entropy import Entropy
from wire.uds import AuthenticationTask, Nrc

Choice = Literal["never", "allowed", "required"]
DEFAULT_CHALLENGE_LEN = 32
CHALLENGE_LIFETIME_NS = 30 * NS_PER_S
VOIDS_CHALLENGE = frozenset((GateEvent.ECU_RESET, GateEvent.SLEEP))
"""What a challenge does not outlive. It outlives the session: the way to the back end may take longer than S3."""


class GateFault(StrEnum):
    """What a unit can be told to fail at, for NRCs that have hardware behind them in a real one."""

    CHALLENGE = "challenge"
    ACCESS_RIGHTS = "access-rights"
    SESSION_KEY = "session-key"
    CONFIGURATION = "configuration"
    DE_AUTHENTICATION = "de-authentication"


FAULT_NRCS = {
    GateFault.CHALLENGE: Nrc.challengeCalculationFailed,
    GateFault.ACCESS_RIGHTS: Nrc.settingAccessRightsFailed,
    GateFault.SESSION_KEY: Nrc.sessionKeyCreationDerivationFailed,
    GateFault.CONFIGURATION: Nrc.configurationDataUsageFailed,
    GateFault.DE_AUTHENTICATION: Nrc.deAuthenticationFailed,
}
"""Meanings of 0x59 to 0x5D: as the documentation of py-uds has them (uds.message.nrc)."""


class ExchangeOptions(Protocol):
    """The profile values that the part shared by both schemes reads."""

    @property
    def challenge_len(self) -> int:
        """Bytes of a challenge."""

    @property
    def challenge_lifetime_ns(self) -> int:
        """How long a challenge waits for its proof."""

    @property
    def session_key(self) -> Choice:
        """Whether an exchange may, or has to, agree on a session key."""

    @property
    def fails(self) -> frozenset[GateFault]:
        """What the unit fails at from the start."""


def offered(mutual: Choice, uni: AuthenticationTask, both: AuthenticationTask) -> frozenset[int]:
    """Return the sub-functions of a scheme's two directions that a unit offers: none below what it requires."""
    return frozenset(({uni} if mutual != "required" else set()) | ({both} if mutual != "never" else set()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """An exchange that waits for its proof. `about`: what the scheme has to keep until then."""

    exchange: Exchange
    ephemeral: X25519PrivateKey | None
    until_ns: int
    about: Any = None


class Exchanges:
    """The exchanges of one gate. `faults` may be changed at any time."""

    def __init__(self, options: ExchangeOptions, entropy: Entropy, log: GateLog) -> None:
        self.faults = set(options.fails)
        self._options = options
        self._entropy = entropy
        self._log = log
        self._last_challenge = b""
        self._open: Open | None = None
        self._session_key: SessionKey | None = None

    # ---- the open exchange

    def configured(self, configuration: int) -> bool:
        """Return whether the unit can work with a communication configuration."""
        wanted = self._options.session_key
        known = {
            *((Configuration.PLAIN,) if wanted != "required" else ()),
            *((Configuration.SESSION_KEY,) if wanted != "never" else ()),
        }
        return configuration in known and GateFault.CONFIGURATION not in self.faults

    def challenge(self, now_ns: int) -> bytes:
        """Return a new challenge. Raises 0x59 where the random source fails, or gives the same twice in a row: it is stuck."""
        challenge = self._entropy.token_bytes(self._options.challenge_len)
        stuck = challenge == self._last_challenge or not any(challenge)
        self._last_challenge = challenge
        if stuck or GateFault.CHALLENGE in self.faults:
            self.refuse(now_ns, "no challenge: the random source fails", Nrc.challengeCalculationFailed)
        return challenge

    def new_ephemeral(self, configuration: int) -> X25519PrivateKey | None:
        """Return a key for the exchange where one is wanted."""
        return new_ephemeral(self._entropy) if configuration == Configuration.SESSION_KEY else None

    def open(self, exchange: Exchange, ephemeral: X25519PrivateKey | None, now_ns: int, about: Any = None) -> None:
        """Let an exchange wait for its proof."""
        until_ns = now_ns + self._options.challenge_lifetime_ns
        self._open = Open(exchange=exchange, ephemeral=ephemeral, until_ns=until_ns, about=about)

    def take(self) -> Open | None:
        """Return the open exchange, which is closed from here on: one try for each challenge."""
        taken, self._open = self._open, None
        return taken

    def forget(self) -> None:
        """Close the open exchange."""
        self._open = None

    # ---- what it ends with

    def agree(self, opened: Open, exchange: Exchange, now_ns: int) -> SessionKey | None:
        """Return the session key, None where none is wanted. Raises 0x5B where none can be made."""
        if opened.ephemeral is None:
            return None
        if GateFault.SESSION_KEY in self.faults:
            self.refuse(now_ns, "session key", Nrc.sessionKeyCreationDerivationFailed)
        try:
            return agree(opened.ephemeral, exchange.client_ephemeral, exchange)
        except SessionKeyError:
            self.refuse(now_ns, "session key", Nrc.sessionKeyCreationDerivationFailed)

    def keep(self, key: SessionKey | None) -> None:
        """Keep the key of the grant that begins, or drop that of one that ended."""
        self._session_key = key

    @property
    def session_key(self) -> bytes | None:
        """The key of the last authentication, which only counts under a live grant."""
        return None if self._session_key is None else self._session_key.key

    def rights(self, asked: int, known: int, now_ns: int) -> int:
        """Return the rights to set. Raises 0x5A where the unit has none of them, or fails to set them."""
        if not asked & known or GateFault.ACCESS_RIGHTS in self.faults:
            self.refuse(now_ns, "access rights", Nrc.settingAccessRightsFailed)
        return asked & known

    def require_de_authentication(self, now_ns: int, *, authenticated: bool) -> None:
        """Raise 0x5D where nobody is authenticated, or the unit fails to end it."""
        if not authenticated:
            raise Refusal(Nrc.deAuthenticationFailed, "nobody is authenticated")
        if GateFault.DE_AUTHENTICATION in self.faults:
            self.refuse(now_ns, "de-authentication", Nrc.deAuthenticationFailed)

    def refuse(self, now_ns: int, reason: str, nrc: int) -> NoReturn:
        """Log and raise."""
        self._log.write(now_ns, "refused", reason)
        raise Refusal(nrc, reason)


def ephemeral_bytes(key: X25519PrivateKey | None) -> bytes:
    """Return the public half as the answer carries it; empty where there is none."""
    return b"" if key is None else public_bytes(key)


def long_enough(challenge: bytes) -> bool:
    """Return whether a client's challenge is one to prove something over."""
    return len(challenge) >= MIN_CHALLENGE_LEN
