"""Challenge-response: a unit's lock, opened by Authentication 0x29 (ACR, 05 to 07) with a proof over its challenge.

    locked --requestChallenge--> challenged --verifyProofOfOwnership--> open --deAuthenticate, time, reset, sleep--> locked

No certificate: the unit knows whose key counts, the back end's public keys (asymmetric) or a key it shares with the back end
(symmetric). The proof covers what it releases, so one grant is as wide as whoever holds the key lets it be. Unidirectional (06):
the client proves itself. Bidirectional (07): the unit answers with a proof of its own, over the client's challenge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ecu_sim.unlock.exchanges import (
    CHALLENGE_LIFETIME_NS,
    DEFAULT_CHALLENGE_LEN,
    VOIDS_CHALLENGE,
    Choice,
    Exchanges,
    GateFault,
    Open,
    ephemeral_bytes,
    long_enough,
    offered,
)
from ecu_sim.unlock.fields import Fields
from ecu_sim.unlock.gate import Fate, FateTable, GateEvent, GateLog, Grant, WithoutIdentifiers
from ecu_sim.unlock.trust import TrustStore
from wire.authentication import Exchange, Party, sized
from wire.challenge_response import (
    ALGORITHMS,
    MIN_SECRET_LEN,
    Crypto,
    Wish,
    WishFormatError,
    encode_needed,
    mac_exchange,
    mac_holds,
    sign_exchange,
    signature_holds,
    split_additional,
    unit_key,
)
from wire.clock import NS_PER_S, WallClock
from wire.diag_cert import ALGORITHM_INDICATOR_LEN
from wire.entropy import Entropy
from wire.errors import LocalMisuse
from wire.token import ALL_SCOPES, Role, Scope
from wire.uds import AuthenticationReturn, AuthenticationTask, Nrc, Service

UNI = AuthenticationTask.verifyProofOfOwnershipUnidirectional
BOTH = AuthenticationTask.verifyProofOfOwnershipBidirectional
_MINUTE_NS = 60 * NS_PER_S

CHALLENGE_RESPONSE_FATES: FateTable = {
    GateEvent.SESSION_CHANGE: Fate.KEPT,
    GateEvent.SAME_SESSION_AGAIN: Fate.KEPT,
    GateEvent.S3_TIMEOUT: Fate.KEPT,
    GateEvent.ECU_RESET: Fate.ENDED,
    GateEvent.TERMINAL_15_OFF: Fate.ENDED,
    GateEvent.SLEEP: Fate.ENDED,
    GateEvent.LOCK_COMMAND: Fate.KEPT,
    GateEvent.DE_AUTHENTICATE: Fate.ENDED,
    GateEvent.EXPIRY: Fate.ENDED,
    GateEvent.REVOKED: Fate.KEPT,
}
"""What keeps and what ends a grant (our own choice); `ends_on_terminal_15` switches its row. Nothing that could be revoked
outlives the exchange: the challenge makes each proof a new one."""

CONFIGURED_AS = {
    Crypto.ASYMMETRIC: AuthenticationReturn.authenticationConfigurationACRWithAsymmetricCryptography,
    Crypto.SYMMETRIC: AuthenticationReturn.authenticationConfigurationACRWithSymmetricCryptography,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeResponseOptions:
    """The scheme's profile values. `max_duration_min` bounds what a proof may ask for; `known_scopes`: the rights that this unit
    has to give. `secret`: symmetric alone, of the unit's family; each unit's own key is derived from it.

    `mutual`: whether the unit proves itself too (07); `required` offers no 06. `session_key`: whether an exchange may, or has
    to, agree on a session key.
    """

    refusal_nrc: int = Nrc.authenticationRequired
    crypto: Crypto = Crypto.ASYMMETRIC
    secret: bytes = field(default=b"", repr=False)
    challenge_lifetime_ns: int = CHALLENGE_LIFETIME_NS
    challenge_len: int = DEFAULT_CHALLENGE_LEN
    verification_ns: int = 20_000_000
    max_duration_min: int = 60
    ends_on_terminal_15: bool = True
    min_role: int = Role.AFTER_MARKET
    known_scopes: int = ALL_SCOPES
    mutual: Choice = "never"
    session_key: Choice = "never"
    fails: frozenset[GateFault] = frozenset()

    def fates(self) -> FateTable:
        """Return the event table with this profile's switches."""
        fate = Fate.ENDED if self.ends_on_terminal_15 else Fate.KEPT
        return {**CHALLENGE_RESPONSE_FATES, GateEvent.TERMINAL_15_OFF: fate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of requestChallengeForAuthentication."""

    configuration: int
    algorithm: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A request of verifyProofOfOwnership, either direction, and the exchange that it closes (None: there was none)."""

    task: int
    algorithm: bytes
    proof: bytes
    client_challenge: bytes
    additional: bytes
    opened: Open | None

    def wish(self) -> Wish | None:
        """Return what is to be released; None where the additional parameter cannot be read."""
        try:
            return split_additional(self.additional)[0]
        except WishFormatError:
            return None

    @property
    def exchange(self) -> Exchange:
        """The exchange as it ends."""
        assert self.opened is not None
        _, client_ephemeral = split_additional(self.additional)
        return replace(
            self.opened.exchange,
            task=self.task,
            client_challenge=self.client_challenge,
            client_ephemeral=client_ephemeral,
            additional=self.additional,
        )


class ChallengeResponseGate(WithoutIdentifiers):
    """The lock of one unit with address `ecu_address` in the vehicle `vin`. `own_key`: where it proves itself asymmetrically."""

    name = "challenge-response"

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        entropy: Entropy,
        options: ChallengeResponseOptions | None = None,
        own_key: Ed25519PrivateKey | None = None,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options = options or ChallengeResponseOptions()
        symmetric = options.crypto is Crypto.SYMMETRIC
        if symmetric and len(options.secret) < MIN_SECRET_LEN:
            raise LocalMisuse(f"symmetric challenge-response needs a secret of at least {MIN_SECRET_LEN} bytes")
        if options.mutual != "never" and not symmetric and own_key is None:
            raise LocalMisuse("a unit that is to prove itself (mutual) needs a key of its own")
        self._own_key = own_key
        self._shared_key = unit_key(options.secret, vin, ecu_address) if symmetric else b""
        self.refusal_nrc = options.refusal_nrc
        self.log = GateLog()
        self.fates = options.fates()
        self.tasks = offered(options.mutual, UNI, BOTH) | {
            AuthenticationTask.deAuthenticate,
            AuthenticationTask.requestChallengeForAuthentication,
            AuthenticationTask.authenticationConfiguration,
        }
        self.exchanges = Exchanges(options, entropy, self.log)
        self._grant: Grant | None = None
        self._until_ns = 0

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant. The time decides, not the timer: a late timer keeps nothing open."""
        if self._grant is not None and now_ns >= self._until_ns:
            self._end(now_ns, GateEvent.EXPIRY)
        return self._grant

    def minutes_left(self, now_ns: int) -> int:
        """Return whole minutes until the grant ends; 0 when locked."""
        return 0 if self.grant(now_ns) is None else (self._until_ns - now_ns) // _MINUTE_NS

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""
        grant = self.grant(now_ns)
        return grant is not None and grant.scope & scope == scope

    def session_key(self, now_ns: int) -> bytes | None:
        """Return the key that the live grant's authentication agreed on, None where there is none."""
        return self.exchanges.session_key if self.grant(now_ns) is not None else None

    def _end(self, now_ns: int, event: GateEvent) -> None:
        self._grant = None
        self.exchanges.keep(None)
        self.log.write(now_ns, "locked", event.value)

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a check for proofs, nothing for the rest."""
        checks = sid == Service.Authentication and len(payload) > 1 and payload[1] & 0x7F in (UNI, BOTH)
        return self.options.verification_ns if checks else 0

    def authenticate(self, task: int, data: bytes, now_ns: int) -> bytes:
        """Serve one task of 0x29; the answer begins with the authentication return parameter."""
        match task:
            case AuthenticationTask.deAuthenticate:
                return self._de_authenticate(data, now_ns)
            case AuthenticationTask.requestChallengeForAuthentication:
                return self._request_challenge(data, now_ns)
            case AuthenticationTask.authenticationConfiguration:
                Fields(data).end()
                return bytes((CONFIGURED_AS[self.options.crypto],))
            case _:
                return self._verify_proof(task, data, now_ns)

    def _de_authenticate(self, data: bytes, now_ns: int) -> bytes:
        Fields(data).end()
        self.exchanges.require_de_authentication(now_ns, authenticated=self.grant(now_ns) is not None)
        self.exchanges.forget()
        self.handle_event(GateEvent.DE_AUTHENTICATE, now_ns)
        return bytes((AuthenticationReturn.deAuthenticationSuccessful,))

    def _request_challenge(self, data: bytes, now_ns: int) -> bytes:
        """Take commConf and algorithm; give a fresh challenge, and say what a proof has to cover besides."""
        exchanges = self.exchanges
        exchanges.forget()
        fields = Fields(data)
        asked = Asked(configuration=fields.byte(), algorithm=fields.take(ALGORITHM_INDICATOR_LEN))
        fields.end()
        for reason, nrc, check in CHALLENGE_CHECKS:
            if not check(self, asked):
                exchanges.refuse(now_ns, reason, nrc)
        challenge = exchanges.challenge(now_ns)
        ephemeral = exchanges.new_ephemeral(asked.configuration)
        exchange = Exchange(
            task=UNI,
            configuration=asked.configuration,
            vin=self.vin,
            ecu_address=self.ecu_address,
            server_challenge=challenge,
            server_ephemeral=ephemeral_bytes(ephemeral),
            algorithm=asked.algorithm,
        )
        exchanges.open(exchange, ephemeral, now_ns)
        self.log.write(now_ns, "challenged", "any older challenge is void")
        head = bytes((AuthenticationReturn.requestAccepted,)) + asked.algorithm
        return head + sized(challenge) + sized(encode_needed(exchange.server_ephemeral))

    def _verify_proof(self, task: int, data: bytes, now_ns: int) -> bytes:
        opened = self.exchanges.take()
        fields = Fields(data)
        proof = Proof(
            task=task,
            algorithm=fields.take(ALGORITHM_INDICATOR_LEN),
            proof=fields.sized(),
            client_challenge=fields.sized(),
            additional=fields.sized(),
            opened=opened,
        )
        fields.end()
        for reason, nrc, check in PROOF_CHECKS:
            if not check(self, proof, now_ns):
                self.exchanges.refuse(now_ns, reason, nrc)
        assert opened is not None
        exchange = proof.exchange
        key = self.exchanges.agree(opened, exchange, now_ns)
        wish = proof.wish()
        assert wish is not None
        scope = self.exchanges.rights(wish.scope, self.options.known_scopes, now_ns)
        self._grant = Grant(scheme=self.name, role=wish.role, scope=scope, ident=wish.ident.hex(), since_ns=now_ns)
        self._until_ns = now_ns + min(wish.duration_min, self.options.max_duration_min) * _MINUTE_NS
        self.exchanges.keep(key)
        self.log.write(now_ns, "granted", f"proof {wish.ident.hex()[:8]}")
        answer = bytes((AuthenticationReturn.ownershipVerifiedAuthenticationComplete,)) + proof.algorithm
        if task == BOTH:
            answer += sized(self._own_proof(exchange))
        return answer + sized(b"" if key is None else key.info)

    def _own_proof(self, exchange: Exchange) -> bytes:
        if self.options.crypto is Crypto.SYMMETRIC:
            return mac_exchange(self._shared_key, exchange, Party.SERVER)
        assert self._own_key is not None
        return sign_exchange(self._own_key, exchange, Party.SERVER)

    # ---- the checks, in order

    def _configured(self, asked: Asked) -> bool:
        return self.exchanges.configured(asked.configuration)

    def _knows_algorithm(self, asked: Asked) -> bool:
        return asked.algorithm in ALGORITHMS[self.options.crypto]

    def _over_something(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.task != BOTH or long_enough(proof.client_challenge)

    def _readable(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.wish() is not None

    def _challenged(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.opened is not None

    def _in_time(self, proof: Proof, now_ns: int) -> bool:
        return proof.opened is not None and now_ns < proof.opened.until_ns

    def _same_algorithm(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.opened is not None and proof.algorithm == proof.opened.exchange.algorithm

    def _not_mirrored(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.opened is not None and proof.client_challenge != proof.opened.exchange.server_challenge

    def _key_known(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        wish = proof.wish()
        assert wish is not None
        return self.options.crypto is Crypto.SYMMETRIC or wish.key_id in self.trust.token_keys

    def _owned(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        if self.options.crypto is Crypto.SYMMETRIC:
            return mac_holds(self._shared_key, proof.proof, proof.exchange, Party.CLIENT)
        wish = proof.wish()
        assert wish is not None
        return signature_holds(self.trust.token_keys[wish.key_id], proof.proof, proof.exchange, Party.CLIENT)

    def _role(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        wish = proof.wish()
        assert wish is not None
        return wish.role in Role.__members__.values() and wish.role >= self.options.min_role

    def _duration(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        wish = proof.wish()
        assert wish is not None
        return wish.duration_min > 0

    # ---- what happens to the unit

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """End the grant where the table says so; a reset or sleep forgets the challenge too."""
        if event in VOIDS_CHALLENGE:
            self.exchanges.forget()
        if self.grant(now_ns) is not None and self.fates[event] is Fate.ENDED:
            self._end(now_ns, event)

    def wake(self, now_ns: int) -> None:
        """Sleep has ended the grant; there is nothing to resume."""

    def handle_timer(self, now_ns: int) -> None:
        """End the grant with its time."""
        self.grant(now_ns)

    def next_deadline(self) -> int | None:
        """Return when the grant ends."""
        return None if self._grant is None else self._until_ns


CHALLENGE_CHECKS: tuple[tuple[str, Nrc, Callable[[ChallengeResponseGate, Asked], bool]], ...] = (
    ("communication configuration", Nrc.configurationDataUsageFailed, ChallengeResponseGate._configured),
    # 0x31 is not among the response codes of the service (as udsoncan lists them): an algorithm is configuration, too.
    ("algorithm unknown", Nrc.configurationDataUsageFailed, ChallengeResponseGate._knows_algorithm),
)
"""What requestChallengeForAuthentication asks before it makes a challenge (0x59): (reason for the log, NRC, check)."""

PROOF_CHECKS: tuple[tuple[str, Nrc, Callable[[ChallengeResponseGate, Proof, int], bool]], ...] = (
    ("client challenge too short", Nrc.incorrectMessageLengthOrInvalidFormat, ChallengeResponseGate._over_something),
    ("additional parameter", Nrc.incorrectMessageLengthOrInvalidFormat, ChallengeResponseGate._readable),
    ("no challenge outstanding", Nrc.requestSequenceError, ChallengeResponseGate._challenged),
    ("challenge too old", Nrc.requestSequenceError, ChallengeResponseGate._in_time),
    ("another algorithm than asked for", Nrc.requestSequenceError, ChallengeResponseGate._same_algorithm),
    ("challenge sent back as one's own", Nrc.ownershipVerificationFailed, ChallengeResponseGate._not_mirrored),
    ("key unknown", Nrc.ownershipVerificationFailed, ChallengeResponseGate._key_known),
    ("ownership", Nrc.ownershipVerificationFailed, ChallengeResponseGate._owned),
    ("role", Nrc.settingAccessRightsFailed, ChallengeResponseGate._role),
    ("duration", Nrc.settingAccessRightsFailed, ChallengeResponseGate._duration),
)
"""What verifyProofOfOwnership asks; then the session key (0x5B) and the access rights (0x5A). Of what the proof releases nothing
is told before the proof holds."""
