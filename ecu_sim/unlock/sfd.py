"""SFD: one control unit's lock, opened for 90 minutes of awake time by a token that the back end signed for this unit.

The tester fetches a request structure (a fresh nonce), the back end signs a token over it, the tester writes the token. The
nonce outlives the session, because the manual flow takes hours; it dies with a reset, the next request, a success, or age.
Routine, DID numbers and the status bytes are public (domain facts); structure, token, NRCs and limits are our own choice.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.gate import Fate, FateTable, GateEvent, GateLog, Grant, WithoutAuthentication
from ecu_sim.unlock.trust import TrustStore
from wire.clock import NS_PER_S, WallClock
from wire.entropy import Entropy
from wire.token import NONCE_LEN, Generation, RequestStructure, Role, Scope, Token, TokenFormatError
from wire.uds import Nrc, Service

POSITIVE_STATUS = 0x24
USED_TOKENS_KEPT = 1000
"""Token ids remembered against replay. The nonce alone already makes a token single-use; this tells the reason apart."""

_MINUTE_NS = 60 * NS_PER_S
_DAY_NS = 24 * 3600 * NS_PER_S

BASE_FATES: FateTable = {
    GateEvent.SESSION_CHANGE: Fate.KEPT,
    GateEvent.SAME_SESSION_AGAIN: Fate.KEPT,
    GateEvent.S3_TIMEOUT: Fate.KEPT,
    GateEvent.ECU_RESET: Fate.ENDED,
    GateEvent.TERMINAL_15_OFF: Fate.KEPT,
    GateEvent.SLEEP: Fate.KEPT,
    GateEvent.LOCK_COMMAND: Fate.ENDED,
    GateEvent.DE_AUTHENTICATE: Fate.KEPT,
    GateEvent.EXPIRY: Fate.ENDED,
    GateEvent.REVOKED: Fate.KEPT,
}
"""What keeps and what ends an SFD grant; `ends_on_reset` and `ends_on_terminal_15` switch their rows. A token that is revoked
after it was written stays in force: the unit is offline and learns of it only with the next key set."""

VOIDS_REQUEST = frozenset((GateEvent.ECU_RESET,))
"""What an outstanding request does not outlive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SfdOptions:
    """The scheme's profile values. `max_duration_min` bounds what a token may ask for."""

    request_rid: int = 0xC008
    token_rid: int = 0xC004
    lock_rid: int = 0xC00A
    status_did: int = 0x0174
    refusal_nrc: int = Nrc.securityAccessDenied
    max_duration_min: int = 90
    nonce_lifetime_ns: int = _DAY_NS
    verification_ns: int = 20_000_000
    ends_on_reset: bool = True
    ends_on_terminal_15: bool = False
    needs_set_clock: bool = False
    min_role: int = Role.AFTER_MARKET

    def fates(self) -> FateTable:
        """Return the event table with this profile's switches."""
        return {
            **BASE_FATES,
            GateEvent.ECU_RESET: Fate.ENDED if self.ends_on_reset else Fate.KEPT,
            GateEvent.TERMINAL_15_OFF: Fate.ENDED if self.ends_on_terminal_15 else Fate.KEPT,
        }


@dataclass(slots=True)
class _State:
    """What changes: the outstanding nonce, the grant, and the awake time it has used."""

    nonce: bytes | None = None
    nonce_until_ns: int = 0
    grant: Grant | None = None
    left_ns: int = 0
    counting_since_ns: int | None = None
    used: deque[bytes] = field(default_factory=lambda: deque(maxlen=USED_TOKENS_KEPT))


class SfdGate(WithoutAuthentication):
    """The lock of one control unit with address `ecu_address` in the vehicle `vin`."""

    name = "sfd"

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        entropy: Entropy,
        options: SfdOptions | None = None,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options or SfdOptions()
        self.refusal_nrc = self.options.refusal_nrc
        self.rids = frozenset((self.options.request_rid, self.options.token_rid, self.options.lock_rid))
        self.dids = frozenset((self.options.status_did,))
        self.log = GateLog()
        self.fates = self.options.fates()
        self._entropy = entropy
        self._state = _State()
        self._awake = True

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant. The time decides, not the timer: a late timer keeps nothing open."""
        state = self._state
        if state.grant is not None and self._left_ns(now_ns) <= 0:
            self._end(now_ns, GateEvent.EXPIRY)
        return state.grant

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""
        grant = self.grant(now_ns)
        return grant is not None and grant.scope & scope == scope

    def minutes_left(self, now_ns: int) -> int:
        """Return whole minutes of awake time left; 0 when locked."""
        return self._left_ns(now_ns) // _MINUTE_NS if self.grant(now_ns) is not None else 0

    def _left_ns(self, now_ns: int) -> int:
        since_ns = self._state.counting_since_ns
        return self._state.left_ns - (now_ns - since_ns if since_ns is not None else 0)

    def _end(self, now_ns: int, event: GateEvent) -> None:
        self._state.grant = None
        self._state.counting_since_ns = None
        self.log.write(now_ns, "locked", event.value)

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a signature check for a token, nothing for the rest."""
        writes = sid == Service.RoutineControl and payload[2:4] == self.options.token_rid.to_bytes(2, "big")
        return self.options.verification_ns if writes else 0

    def routine(self, rid: int, option: bytes, now_ns: int) -> bytes:
        """Serve the three routines of the scheme: request structure, write token, lock."""
        options = self.options
        if rid == options.token_rid:
            self._write_token(option, now_ns)
            return bytes((POSITIVE_STATUS,))
        if option:
            raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "an SFD request takes no option")
        if rid == options.request_rid:
            return bytes((POSITIVE_STATUS,)) + self._new_request(now_ns)
        if self._state.grant is not None:
            self._end(now_ns, GateEvent.LOCK_COMMAND)
        return bytes((POSITIVE_STATUS,))

    def read_did(self, did: int, now_ns: int) -> bytes:  # noqa: ARG002 - it has one
        """Serve the status: locked `00 00 01 00`, open `01 02 01 <minutes left>` (the first reading after an unlock is 89)."""
        if self.grant(now_ns) is None:
            return b"\x00\x00\x01\x00"
        return bytes((0x01, 0x02, 0x01, min(0xFF, max(0, self._left_ns(now_ns) - 1) // _MINUTE_NS)))

    def _new_request(self, now_ns: int) -> bytes:
        nonce = self._entropy.token_bytes(NONCE_LEN)
        self._state.nonce = nonce
        self._state.nonce_until_ns = now_ns + self.options.nonce_lifetime_ns
        self.log.write(now_ns, "request", "new nonce; any older request is void")
        return RequestStructure(ecu_address=self.ecu_address, vin=self.vin, nonce=nonce).encode()

    def _write_token(self, data: bytes, now_ns: int) -> None:
        """Verify in order; the first check that fails names reason and NRC. A refused token leaves the nonce standing."""
        try:
            token = Token.decode(data)
        except TokenFormatError as error:
            self._refuse(now_ns, "format", Nrc.certificateVerificationFailedInvalidFormat, str(error))
        for reason, nrc, check in TOKEN_CHECKS:
            if not check(self, token, now_ns):
                self._refuse(now_ns, reason, nrc)
        claims = token.claims
        state = self._state
        state.nonce = None
        state.used.append(claims.token_id)
        state.left_ns = min(claims.duration_min, self.options.max_duration_min) * _MINUTE_NS
        state.counting_since_ns = now_ns if self._awake else None
        state.grant = Grant(
            scheme=self.name, role=claims.role, scope=claims.scope, ident=claims.token_id.hex(), since_ns=now_ns
        )
        self.log.write(now_ns, "granted", f"token {claims.token_id.hex()[:8]}")

    def _refuse(self, now_ns: int, reason: str, nrc: int, detail: str = "") -> None:
        self.log.write(now_ns, "refused", f"{reason}: {detail}" if detail else reason)
        raise Refusal(nrc, f"token refused: {reason}")

    # ---- the checks, in order

    def _request_outstanding(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return self._state.nonce is not None

    def _nonce_fresh(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return now_ns < self._state.nonce_until_ns

    def _issuer_known(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.key_id in self.trust.token_keys

    def _signature(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.signed_by(self.trust.token_keys[token.claims.key_id])

    def _generation(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.generation == Generation.SFD

    def _vin(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.vin == self.vin

    def _ecu(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.ecu_address == self.ecu_address

    def _once(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.token_id not in self._state.used

    def _challenge(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return hmac.compare_digest(token.claims.nonce, self._state.nonce or b"")

    def _not_revoked(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.token_id not in self.trust.revoked_tokens

    def _clock_set(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return self.clock.is_set or not self.options.needs_set_clock

    def _begun(self, token: Token, now_ns: int) -> bool:
        utc_s = self.clock.utc_s_or_none(now_ns)
        return utc_s is None or token.claims.not_before_utc_s <= utc_s

    def _not_ended(self, token: Token, now_ns: int) -> bool:
        utc_s = self.clock.utc_s_or_none(now_ns)
        return utc_s is None or utc_s < token.claims.not_after_utc_s

    def _duration(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.duration_min > 0

    def _role(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.role in Role.__members__.values() and token.claims.role >= self.options.min_role

    def _scope(self, token: Token, now_ns: int) -> bool:  # noqa: ARG002
        return token.claims.scope != 0

    # ---- what happens to the unit

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """End the grant where the table says so. Sleep and a reset stop the count of awake time; a reset forgets the nonce."""
        self.grant(now_ns)
        state = self._state
        if event in VOIDS_REQUEST:
            state.nonce = None
        if state.grant is not None and self.fates[event] is Fate.ENDED:
            self._end(now_ns, event)
        if event in (GateEvent.SLEEP, GateEvent.ECU_RESET) and self._awake:
            state.left_ns = self._left_ns(now_ns)
            state.counting_since_ns = None
            self._awake = False

    def wake(self, now_ns: int) -> None:
        """Go on counting awake time: the unit runs again."""
        if not self._awake:
            self._awake = True
            if self._state.grant is not None:
                self._state.counting_since_ns = now_ns

    def handle_timer(self, now_ns: int) -> None:
        """Lock at the deadline."""
        self.grant(now_ns)

    def next_deadline(self) -> int | None:
        """Return when the awake time runs out; None while locked, asleep, restarting or without supply."""
        state = self._state
        if state.grant is None or state.counting_since_ns is None:
            return None
        return state.counting_since_ns + state.left_ns


TOKEN_CHECKS: tuple[tuple[str, Nrc, Callable[[SfdGate, Token, int], bool]], ...] = (
    ("issuer unknown", Nrc.certificateVerificationFailedInvalidChainOfTrust, SfdGate._issuer_known),
    ("signature", Nrc.certificateVerificationFailedInvalidSignature, SfdGate._signature),
    ("generation", Nrc.certificateVerificationFailedInvalidType, SfdGate._generation),
    ("other VIN", Nrc.certificateVerificationFailedInvalidContent, SfdGate._vin),
    ("other control unit", Nrc.certificateVerificationFailedInvalidContent, SfdGate._ecu),
    ("revoked", Nrc.certificateVerificationFailedInvalidCertificate, SfdGate._not_revoked),
    ("used before", Nrc.certificateVerificationFailedInvalidCertificate, SfdGate._once),
    ("no request outstanding", Nrc.requestSequenceError, SfdGate._request_outstanding),
    ("request too old", Nrc.requestSequenceError, SfdGate._nonce_fresh),
    ("stale challenge", Nrc.requestSequenceError, SfdGate._challenge),
    ("clock not set", Nrc.certificateVerificationFailedInvalidTimePeriod, SfdGate._clock_set),
    ("not yet valid", Nrc.certificateVerificationFailedInvalidTimePeriod, SfdGate._begun),
    ("expired", Nrc.certificateVerificationFailedInvalidTimePeriod, SfdGate._not_ended),
    ("duration", Nrc.certificateVerificationFailedInvalidContent, SfdGate._duration),
    ("role", Nrc.certificateVerificationFailedInvalidScope, SfdGate._role),
    ("scope", Nrc.certificateVerificationFailedInvalidScope, SfdGate._scope),
)
"""The verification, in order: (reason for the log, NRC for the tester, check). The issuer comes first, because it says which key
verifies the signature; of everything else that the token says, nothing is told before the signature holds."""
