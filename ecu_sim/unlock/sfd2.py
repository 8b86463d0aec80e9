"""SFD2: one control unit's lock, which each change opens for itself, signed by the back end for this one change.

    locked --0x84, verified--> open for its inner request --served or refused--> locked

The tester fetches a request (a fresh nonce, and the counter of the last change), the back end signs the change, the unit
verifies and takes it. A signature that verifies is used up at once, whatever becomes of its inner request: what was refused for
the voltage must not be replayed when the voltage is back. One that does not verify uses up nothing, or anybody could void an
outstanding request. The counter is kept without supply; the nonce dies with a reset, the next request, a change, or age.
Routine and DID numbers are those of SFD (public); everything else is our own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.gate import GateEvent, GateLog, Grant, WithoutAuthentication
from ecu_sim.unlock.trust import TrustStore
from wire.clock import NS_PER_S, WallClock
from wire.entropy import Entropy
from wire.secured import MAX_COUNTER, Administrative, SecuredMessage
from wire.signed_change import CALCULATION_ED25519, ChangeRequest, ChangeSignature, Place, sign_answer
from wire.token import NONCE_LEN, Generation, RequestStructure, Role, Scope, Token, TokenFormatError
from wire.uds import Nrc, Service

POSITIVE_STATUS = 0x24
STATUS = bytes((0x00, 0x00, Generation.SFD2, 0x00))
"""As SFD's while locked, but for byte 2, which is 01 in every public reading of SFD; here it says: signed changes only."""
ANSWER_KEY_LEN = 32
_MINUTE_NS = 60 * NS_PER_S

DEFAULT_SECURED = frozenset(
    (Service.WriteDataByIdentifier, Service.InputOutputControlByIdentifier, Service.RoutineControl)
)
"""What SFD protects: writing, output tests, routines (domain facts)."""

VOIDS_REQUEST = frozenset((GateEvent.ECU_RESET,))
"""What an outstanding request does not outlive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sfd2Options:
    """The scheme's profile values. `secured_services`: which inner services may come secured; others get 0x39.

    `nonce_lifetime_ns` is short, because a change is signed online. `answer_key_did`: where the unit tells the public key with
    which it signs answers.
    """

    request_rid: int = 0xC008
    token_rid: int = 0xC004
    lock_rid: int = 0xC00A
    status_did: int = 0x0174
    answer_key_did: int = 0x0175
    refusal_nrc: int = Nrc.securityAccessDenied
    nonce_lifetime_ns: int = 10 * _MINUTE_NS
    verification_ns: int = 20_000_000
    min_role: int = Role.AFTER_MARKET
    secured_services: frozenset[int] = DEFAULT_SECURED


@dataclass(slots=True)
class _State:
    """What changes. `last_counter` is kept without supply; `grant` lives while a change is being served."""

    last_counter: int = 0
    nonce: bytes | None = None
    nonce_until_ns: int = 0
    grant: Grant | None = None
    place: Place | None = None


class Sfd2Gate(WithoutAuthentication):
    """The lock of one control unit with address `ecu_address` in the vehicle `vin`."""

    name = "sfd2"
    administrative = Administrative.REQUEST | Administrative.SIGNED | Administrative.SIGNATURE_ON_ANSWER

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        entropy: Entropy,
        options: Sfd2Options | None = None,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options or Sfd2Options()
        self.refusal_nrc = self.options.refusal_nrc
        self.rids = frozenset((self.options.request_rid, self.options.token_rid, self.options.lock_rid))
        self.dids = frozenset((self.options.status_did, self.options.answer_key_did))
        self.log = GateLog()
        self._entropy = entropy
        self._state = _State()

    @cached_property
    def _answer_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._entropy.token_bytes(ANSWER_KEY_LEN))

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:  # noqa: ARG002 - protocol
        """Return the grant of the change that is being served right now, if any."""
        return self._state.grant

    def minutes_left(self, now_ns: int) -> int:  # noqa: ARG002 - as other locks
        """Return 0: nothing is opened for a time."""
        return 0

    def allows(self, scope: Scope, now_ns: int) -> bool:  # noqa: ARG002 - protocol
        """Return whether the change that is being served releases all of `scope`."""
        grant = self._state.grant
        return grant is not None and grant.scope & scope == scope

    @property
    def last_counter(self) -> int:
        """The anti-replay counter of the last change that was taken."""
        return self._state.last_counter

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a signature check for a secured request (and for a token, to say no), nothing for the rest."""
        token = sid == Service.RoutineControl and payload[2:4] == self.options.token_rid.to_bytes(2, "big")
        return self.options.verification_ns if token or sid == Service.SecuredDataTransmission else 0

    def routine(self, rid: int, option: bytes, now_ns: int) -> bytes:
        """Serve the routines of SFD as this generation does: a request for a change; no token is ever taken."""
        options = self.options
        if rid == options.token_rid:
            self._refuse_token(option, now_ns)
        if option:
            raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "an SFD request takes no option")
        if rid == options.request_rid:
            return bytes((POSITIVE_STATUS,)) + self._new_request(now_ns)
        self._state.nonce = None  # it is locked already; what was asked for is void
        self.log.write(now_ns, "locked", GateEvent.LOCK_COMMAND.value)
        return bytes((POSITIVE_STATUS,))

    def read_did(self, did: int, now_ns: int) -> bytes:  # noqa: ARG002 - protocol
        """Serve the status (always locked, byte 2 says SFD2), and the public key with which answers are signed."""
        if did == self.options.status_did:
            return STATUS
        return self._answer_key.public_key().public_bytes_raw()

    def _new_request(self, now_ns: int) -> bytes:
        state = self._state
        if state.last_counter == MAX_COUNTER:
            raise Refusal(Nrc.conditionsNotCorrect, "the anti-replay counter is used up")
        state.nonce = self._entropy.token_bytes(NONCE_LEN)
        state.nonce_until_ns = now_ns + self.options.nonce_lifetime_ns
        self.log.write(now_ns, "request", "new nonce; any older request is void")
        structure = RequestStructure(
            ecu_address=self.ecu_address, vin=self.vin, nonce=state.nonce, generation=Generation.SFD2
        )
        return ChangeRequest(structure=structure, last_counter=state.last_counter).encode()

    def _refuse_token(self, data: bytes, now_ns: int) -> None:
        """Refuse a token, whoever signed it: this unit opens for signed changes alone."""
        try:
            Token.decode(data)
        except TokenFormatError as error:
            self.log.write(now_ns, "refused", f"format: {error}")
            raise Refusal(Nrc.certificateVerificationFailedInvalidFormat, "token refused: format") from None
        self.log.write(now_ns, "refused", "generation")
        raise Refusal(Nrc.certificateVerificationFailedInvalidType, "token refused: generation")

    # ---- a change

    def takes_secured(self, inner: bytes) -> bool:
        """Return whether the profile lets this come secured; the unlock's own routines never do."""
        if inner[0] not in self.options.secured_services:
            return False
        return inner[0] != Service.RoutineControl or int.from_bytes(inner[2:4], "big") not in self.rids

    def change_refused(self, message: SecuredMessage, now_ns: int) -> str:
        """Run the table; return the reason of the first row that fails, or nothing."""
        try:
            signature = ChangeSignature.decode(message.signature)
        except TokenFormatError as error:
            return f"format: {error}"
        return next((reason for reason, check in CHANGE_CHECKS if not check(self, message, signature, now_ns)), "")

    @contextmanager
    def opened_for(self, message: SecuredMessage, now_ns: int) -> Iterator[None]:
        """Be open within the claims' scope while the block runs. Raises `Refusal` (0x3A) for what does not verify."""
        reason = self.change_refused(message, now_ns)
        if reason:
            raise Refusal(Nrc.secureDataVerificationFailed, f"change refused: {reason}")
        claims = ChangeSignature.decode(message.signature).claims
        self._state.grant = Grant(
            scheme=self.name, role=claims.role, scope=claims.scope, ident=claims.change_id.hex(), since_ns=now_ns
        )
        try:
            yield
        finally:
            self._state.grant = None

    def use_up(self, message: SecuredMessage, now_ns: int) -> None:
        """Take the counter, and void the request that the change was signed for."""
        state = self._state
        assert state.grant is not None, "what is used up is open"
        state.place = self._place()
        state.nonce = None
        state.last_counter = message.counter
        self.log.write(now_ns, "granted", f"change {state.grant.ident[:8]}, counter {message.counter}")

    def signed_answer(self, message: SecuredMessage) -> SecuredMessage:
        """Return the answer with this unit's signature, over the place of the change it answers."""
        assert self._state.place is not None, "an answer follows a change"
        message = replace(message, administrative=message.administrative | Administrative.SIGNED)
        return replace(message, signature=sign_answer(self._state.place, message, self._answer_key))

    def _place(self) -> Place:
        return Place(vin=self.vin, ecu_address=self.ecu_address, nonce=self._state.nonce or bytes(NONCE_LEN))

    # ---- the checks, in order

    def _calculation(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return message.calculation == CALCULATION_ED25519

    def _issuer_known(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return signature.claims.key_id in self.trust.token_keys

    def _outstanding(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return self._state.nonce is not None

    def _fresh(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return now_ns < self._state.nonce_until_ns

    def _signature(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return signature.signed_by(self.trust.token_keys[signature.claims.key_id], self._place(), message)

    def _counter(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return message.counter > self._state.last_counter

    def _not_revoked(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return signature.claims.change_id not in self.trust.revoked_tokens

    def _role(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        role = signature.claims.role
        return role in Role.__members__.values() and role >= self.options.min_role

    def _scope(self, message: SecuredMessage, signature: ChangeSignature, now_ns: int) -> bool:  # noqa: ARG002
        return signature.claims.scope != 0

    # ---- what happens to the unit

    def handle_event(self, event: GateEvent, now_ns: int) -> None:  # noqa: ARG002 - protocol
        """A reset forgets the outstanding request; nothing else matters to a lock that is never left open."""
        if event in VOIDS_REQUEST:
            self._state.nonce = None

    def wake(self, now_ns: int) -> None:
        """Nothing counts awake time here."""

    def handle_timer(self, now_ns: int) -> None:
        """Nothing runs out by itself."""

    def next_deadline(self) -> int | None:
        """Return None: the age of a request is looked at when a change comes."""
        return None


CHANGE_CHECKS: tuple[tuple[str, Callable[[Sfd2Gate, SecuredMessage, ChangeSignature, int], bool]], ...] = (
    ("calculation", Sfd2Gate._calculation),
    ("issuer unknown", Sfd2Gate._issuer_known),
    ("no request outstanding", Sfd2Gate._outstanding),
    ("request too old", Sfd2Gate._fresh),
    ("signature", Sfd2Gate._signature),
    ("counter", Sfd2Gate._counter),
    ("revoked", Sfd2Gate._not_revoked),
    ("role", Sfd2Gate._role),
    ("scope", Sfd2Gate._scope),
)
"""The verification, in order: (reason for the log, check). All rows answer 0x3A: what was wrong is for the unit's log alone.
Another VIN, unit, nonce, counter or byte than was signed is the row "signature": they are signed over, not said in the claims."""
