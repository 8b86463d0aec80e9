"""Signed seed: a gateway's lock, opened at a 0x27 level of its own by the back end's signature over the seed.

    locked --requestSeed--> seed outstanding --sendKey--> open --reset, sleep, terminal 15 off, revocation--> locked

The shape stands for Mercedes-Benz's stage 1 (domain facts, section 3): 32 bytes of seed, 64 bytes of key that only the back end
makes are our own choice, as are level, NRCs and limits. The level is the lock itself: its grant outlives the session, and as
long as it lives the seed is all zero, in any session that offers the level. Everything else is as with SecurityAccess, which asks
in its own order of refusal (`ecu_sim.order`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecu_sim.state import Attempts
from ecu_sim.unlock.gate import Fate, FateTable, GateEvent, GateLog, Grant, WithoutAuthentication, WithoutIdentifiers
from ecu_sim.unlock.trust import TrustStore
from wire.clock import WallClock
from wire.entropy import Entropy
from wire.signed_seed import (
    GRANTED_ROLE,
    GRANTED_SCOPE,
    KEY_LEN,
    SEED_LEN,
    SEED_LIFETIME_NS,
    SeedRequest,
    key_fits,
    seed_id,
    signed_bytes,
)
from wire.token import Scope
from wire.uds import Nrc, Service, Session

SESSIONS = frozenset((int(Session.extendedDiagnosticSession),))
"""Where the level is offered (our own choice, as for the other levels)."""

SIGNED_SEED_FATES: FateTable = {
    GateEvent.SESSION_CHANGE: Fate.KEPT,
    GateEvent.SAME_SESSION_AGAIN: Fate.KEPT,
    GateEvent.S3_TIMEOUT: Fate.KEPT,
    GateEvent.ECU_RESET: Fate.ENDED,
    GateEvent.TERMINAL_15_OFF: Fate.ENDED,
    GateEvent.SLEEP: Fate.ENDED,
    GateEvent.LOCK_COMMAND: Fate.KEPT,
    GateEvent.DE_AUTHENTICATE: Fate.KEPT,
    GateEvent.EXPIRY: Fate.KEPT,
    GateEvent.REVOKED: Fate.ENDED,
}
"""What keeps and what ends the grant. It has no end in time; the scheme knows no lock command and no de-authentication."""

VOIDS_SEED = frozenset(
    {
        GateEvent.SESSION_CHANGE,
        GateEvent.SAME_SESSION_AGAIN,
        GateEvent.S3_TIMEOUT,
        GateEvent.ECU_RESET,
        GateEvent.TERMINAL_15_OFF,
        GateEvent.SLEEP,
    }
)
"""What a seed does not outlive, as with every 0x27 level: the way to the back end needs tester present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSeedOptions:
    """The scheme's profile values. `level`: the odd request number of the 0x27 level that is the lock. `attempts` wrong keys
    bring the delay.
    """

    level: int = 0x09
    refusal_nrc: int = Nrc.securityAccessDenied
    seed_lifetime_ns: int = SEED_LIFETIME_NS
    attempts: int = 3
    delay_ns: int = 10_000_000_000
    verification_ns: int = 20_000_000
    ends_on_terminal_15: bool = True

    def fates(self) -> FateTable:
        """Return the event table with this profile's switch."""
        fate = Fate.ENDED if self.ends_on_terminal_15 else Fate.KEPT
        return {**SIGNED_SEED_FATES, GateEvent.TERMINAL_15_OFF: fate}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outstanding:
    """A seed that waits for its key."""

    seed: bytes
    until_ns: int


class SignedSeedGate(WithoutIdentifiers, WithoutAuthentication):
    """The lock of one gateway with address `ecu_address` in the vehicle `vin`. `levels`: its 0x27 level, with its sessions."""

    name = "signed-seed"
    key_len = KEY_LEN

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        entropy: Entropy,
        options: SignedSeedOptions | None = None,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options or SignedSeedOptions()
        self.refusal_nrc = self.options.refusal_nrc
        self.levels: Mapping[int, frozenset[int]] = {self.options.level: SESSIONS}
        self.log = GateLog()
        self.fates = self.options.fates()
        self._entropy = entropy
        self._outstanding: _Outstanding | None = None
        self._grant: Grant | None = None
        self._signer = b""
        self._attempts = Attempts()
        """Kept without supply, so pulling the plug gains nothing."""

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant. A revocation of the unlock, or of the key that signed it, counts at once."""
        grant = self._grant
        if grant is not None and (
            self._signer not in self.trust.token_keys or bytes.fromhex(grant.ident) in self.trust.revoked_tokens
        ):
            self._end(now_ns, GateEvent.REVOKED)
        return self._grant

    def minutes_left(self, now_ns: int) -> int | None:  # noqa: ARG002 - as the other schemes
        """Return None: nothing runs out."""
        return None

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""
        grant = self.grant(now_ns)
        return grant is not None and grant.scope & scope == scope

    def _end(self, now_ns: int, event: GateEvent) -> None:
        self._grant = None
        self.log.write(now_ns, "locked", event.value)

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a signature check for a key, nothing for the rest."""
        is_key = (
            sid == Service.SecurityAccess
            and payload[1] & 0x7F == self.options.level + 1
            and self._outstanding is not None
        )
        return self.options.verification_ns if is_key else 0

    def delay_runs(self, now_ns: int) -> bool:
        """Return whether no seed is given because of wrong keys. An open lock says so (a zero seed) even then."""
        return self.grant(now_ns) is None and now_ns < self._attempts.delay_until_ns

    def seed(self, level: int, now_ns: int) -> bytes:  # noqa: ARG002 - it has one level
        """Return the seed: all zero when open; asked again, the same one, so that nobody may pick."""
        if self.grant(now_ns) is not None:
            return bytes(SEED_LEN)
        outstanding = self._outstanding
        if outstanding is None or now_ns >= outstanding.until_ns:
            outstanding = _Outstanding(seed=self._new_seed(), until_ns=now_ns + self.options.seed_lifetime_ns)
            self._outstanding = outstanding
            self.log.write(now_ns, "request", f"new seed {seed_id(outstanding.seed).hex()[:8]}")
        return outstanding.seed

    def _new_seed(self) -> bytes:
        seed = self._entropy.token_bytes(SEED_LEN)
        while not any(seed):  # zero means open
            seed = self._entropy.token_bytes(SEED_LEN)
        return seed

    def take_seed(self, level: int, now_ns: int) -> bytes | None:  # noqa: ARG002 - it has one level
        """Return the seed that waits for its key, and use it up: one try for each. None where none waits, or it is too old."""
        outstanding, self._outstanding = self._outstanding, None
        if outstanding is None or now_ns >= outstanding.until_ns:
            self.log.write(now_ns, "refused", "no seed outstanding" if outstanding is None else "seed too old")
            return None
        return outstanding.seed

    def key(self, level: int, seed: bytes, key: bytes, now_ns: int) -> int:
        """Open and return 0, or count a wrong key and return the NRC: 0x36 for the one that reaches the limit."""
        signer = self._signer_of(key, signed_bytes(self.vin, self.ecu_address, SeedRequest(level=level, seed=seed)))
        if signer is None or seed_id(seed) in self.trust.revoked_tokens:
            return self._wrong(now_ns, "signature" if signer is None else "revoked")
        self._attempts.wrong = 0
        self._signer = signer
        ident = seed_id(seed).hex()
        self._grant = Grant(scheme=self.name, role=GRANTED_ROLE, scope=GRANTED_SCOPE, ident=ident, since_ns=now_ns)
        self.log.write(now_ns, "granted", f"seed {ident[:8]}")
        return 0

    def _signer_of(self, key: bytes, signed: bytes) -> bytes | None:
        """Return the id of the token key that signed, or None. A key does not say whose it is, so each is tried."""
        for ident, public_key in self.trust.token_keys.items():
            if key_fits(public_key, key, signed):
                return ident
        return None

    def _wrong(self, now_ns: int, reason: str) -> int:
        """Count. The tester is not told whether VIN, unit, level, seed or issuer was another one, or the unlock was revoked."""
        self.log.write(now_ns, "refused", reason)
        self._attempts.wrong += 1
        if self._attempts.wrong < self.options.attempts:
            return Nrc.invalidKey
        self._attempts.wrong = 0
        self._attempts.delay_until_ns = now_ns + self.options.delay_ns
        return Nrc.exceedNumberOfAttempts

    # ---- what happens to the gateway

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """End the grant where the table says so, and void the seed."""
        if event in VOIDS_SEED:
            self._outstanding = None
        if self.grant(now_ns) is not None and self.fates[event] is Fate.ENDED:
            self._end(now_ns, event)

    def wake(self, now_ns: int) -> None:
        """Sleep has ended the grant; there is nothing to resume."""

    def handle_timer(self, now_ns: int) -> None:
        """End the grant that was revoked."""
        self.grant(now_ns)

    def next_deadline(self) -> int | None:
        """Return None: nothing runs out by itself; the age of a seed is asked about when its key comes."""
        return None
