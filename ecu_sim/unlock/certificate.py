"""Certificates: a gateway's lock, opened by Authentication 0x29 (APCE) with a diagnostic certificate and proof of its key.

    locked --verifyCertificate--> challenged --proofOfOwnership--> open --deAuthenticate, end, reset, sleep--> locked

Unidirectional (01): the tester proves itself. Bidirectional (02): the gateway answers with a certificate and a proof of its own,
over the tester's challenge. A failed step falls back to where nothing is granted (an open grant stays while another certificate
is being verified). The X.509 check is `ecu_sim.unlock.certificate_checks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric import ec

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.certificate_checks import CertificateVerifier
from ecu_sim.unlock.certificate_grant import CertificateGrant
from ecu_sim.unlock.certification_path import Presented
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
from wire.authentication import Configuration, Exchange, Party, sized
from wire.clock import NS_PER_S, WallClock
from wire.diag_cert import chain_digest, exchange_proven, ownership_proven, prove_exchange
from wire.entropy import Entropy
from wire.errors import LocalMisuse
from wire.token import ALL_SCOPES, Role, Scope
from wire.uds import AuthenticationReturn, AuthenticationTask, Nrc, Service

CERTIFICATE_FATES: FateTable = {
    GateEvent.SESSION_CHANGE: Fate.KEPT,
    GateEvent.SAME_SESSION_AGAIN: Fate.KEPT,
    GateEvent.S3_TIMEOUT: Fate.KEPT,
    GateEvent.ECU_RESET: Fate.ENDED,
    GateEvent.TERMINAL_15_OFF: Fate.KEPT,
    GateEvent.SLEEP: Fate.ENDED,
    GateEvent.LOCK_COMMAND: Fate.KEPT,
    GateEvent.DE_AUTHENTICATE: Fate.ENDED,
    GateEvent.EXPIRY: Fate.ENDED,
    GateEvent.REVOKED: Fate.ENDED,
}
"""What keeps and what ends a certificate's grant."""

UNI, BOTH = AuthenticationTask.verifyCertificateUnidirectional, AuthenticationTask.verifyCertificateBidirectional
VERIFYING_TASKS = frozenset((UNI, BOTH, AuthenticationTask.proofOfOwnership, AuthenticationTask.transmitCertificate))
"""Sub-functions over which the gateway verifies a signature or makes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOptions:
    """The scheme's profile values. `enhanced_max_scope`: what a transmitted enhanced-rights certificate may add. `known_scopes`:
    the rights that this unit has to give.

    `unset_clock_refuses=False`: a gateway whose clock is not set checks no dates. Its grant then ends, by its own monotonic time,
    so long after it began as the shortest certificate of the chain is valid from begin to end. `mutual`: whether the gateway
    proves itself too (02); `required` offers no 01. `session_key`: whether an exchange may, or has to, agree on a session key.
    """

    refusal_nrc: int = Nrc.authenticationRequired
    challenge_lifetime_ns: int = CHALLENGE_LIFETIME_NS
    challenge_len: int = DEFAULT_CHALLENGE_LEN
    verification_ns: int = 60_000_000
    ends_on_terminal_15: bool = False
    unset_clock_refuses: bool = True
    min_role: int = Role.AFTER_MARKET
    enhanced_evaluation_id: int = 0x0001
    enhanced_max_scope: int = ALL_SCOPES
    known_scopes: int = ALL_SCOPES
    mutual: Choice = "never"
    session_key: Choice = "never"
    fails: frozenset[GateFault] = frozenset()

    def fates(self) -> FateTable:
        """Return the event table with this profile's switches."""
        fate = Fate.ENDED if self.ends_on_terminal_15 else Fate.KEPT
        return {**CERTIFICATE_FATES, GateEvent.TERMINAL_15_OFF: fate}


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    """What a gateway proves itself with: a key, and the certificate field that goes with it (`wire.diag_cert.encode_chain`)."""

    key: ec.EllipticCurvePrivateKey
    chain: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A request of verifyCertificate, either direction."""

    task: int
    configuration: int
    chain: bytes
    client_challenge: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A request of proofOfOwnership, and the exchange that it closes (None: there was none)."""

    proof: bytes
    client_ephemeral: bytes
    opened: Open | None

    @property
    def exchange(self) -> Exchange:
        """The exchange as it ends."""
        assert self.opened is not None
        return replace(self.opened.exchange, client_ephemeral=self.client_ephemeral)

    @property
    def presented(self) -> Presented:
        """The chain that was verified before."""
        assert self.opened is not None
        assert isinstance(self.opened.about, Presented)
        return self.opened.about


class CertificateGate(WithoutIdentifiers):
    """The lock of one gateway with address `ecu_address` in the vehicle `vin`. `identity`: where it proves itself too."""

    name = "certificate"

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        entropy: Entropy,
        options: CertificateOptions | None = None,
        identity: GatewayIdentity | None = None,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options = options or CertificateOptions()
        if options.mutual != "never" and identity is None:
            raise LocalMisuse("a gateway that is to prove itself (mutual) needs an identity")
        self.identity = identity
        self.refusal_nrc = options.refusal_nrc
        self.log = GateLog()
        self.fates = options.fates()
        self.tasks = offered(options.mutual, UNI, BOTH) | {
            AuthenticationTask.deAuthenticate,
            AuthenticationTask.proofOfOwnership,
            AuthenticationTask.transmitCertificate,
            AuthenticationTask.authenticationConfiguration,
        }
        self.exchanges = Exchanges(options, entropy, self.log)
        self._verifier = CertificateVerifier(
            vin=vin, ecu_address=ecu_address, trust=trust, clock=clock, options=options, log=self.log
        )
        self._held = CertificateGrant(trust, clock)

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant. The certificate's end and its revocation count at once, whatever the timer does."""
        over = self._held.over(now_ns)
        if over is not None:
            self._end(now_ns, over)
        return self._held.current

    def minutes_left(self, now_ns: int) -> int:
        """Return whole minutes until the grant ends; 0 when locked."""
        end_ns = self.next_deadline() if self.grant(now_ns) is not None else None
        return 0 if end_ns is None else max(0, end_ns - now_ns) // (60 * NS_PER_S)

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""
        grant = self.grant(now_ns)
        return grant is not None and grant.scope & scope == scope

    def session_key(self, now_ns: int) -> bytes | None:
        """Return the key that the live grant's authentication agreed on, None where there is none."""
        return self.exchanges.session_key if self.grant(now_ns) is not None else None

    def _end(self, now_ns: int, event: GateEvent) -> None:
        self._held.current = None
        self.exchanges.keep(None)
        self.log.write(now_ns, "locked", event.value)

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a signature check for certificates and proofs, nothing for the rest."""
        checks = sid == Service.Authentication and len(payload) > 1 and payload[1] & 0x7F in VERIFYING_TASKS
        return self.options.verification_ns if checks else 0

    def authenticate(self, task: int, data: bytes, now_ns: int) -> bytes:
        """Serve one task of 0x29; the answer begins with the authentication return parameter."""
        match task:
            case AuthenticationTask.deAuthenticate:
                return self._de_authenticate(data, now_ns)
            case AuthenticationTask.proofOfOwnership:
                return self._proof_of_ownership(data, now_ns)
            case AuthenticationTask.transmitCertificate:
                return self._transmit_certificate(data, now_ns)
            case AuthenticationTask.authenticationConfiguration:
                Fields(data).end()
                return bytes((AuthenticationReturn.authenticationConfigurationAPCE,))
            case _:
                return self._verify_certificate(task, data, now_ns)

    def _de_authenticate(self, data: bytes, now_ns: int) -> bytes:
        Fields(data).end()
        self.exchanges.require_de_authentication(now_ns, authenticated=self.grant(now_ns) is not None)
        self.exchanges.forget()
        self.handle_event(GateEvent.DE_AUTHENTICATE, now_ns)
        return bytes((AuthenticationReturn.deAuthenticationSuccessful,))

    def _verify_certificate(self, task: int, data: bytes, now_ns: int) -> bytes:
        """Take commConf, certificate and the client's challenge (may be empty in 01); give a challenge, in 02 a proof too."""
        exchanges = self.exchanges
        exchanges.forget()
        fields = Fields(data)
        shown = Shown(task=task, configuration=fields.byte(), chain=fields.sized(), client_challenge=fields.sized())
        fields.end()
        for reason, nrc, check in SHOWN_CHECKS:
            if not check(self, shown):
                exchanges.refuse(now_ns, reason, nrc)
        presented = self._verifier.checked(shown.chain, now_ns)
        challenge = exchanges.challenge(now_ns)
        ephemeral = exchanges.new_ephemeral(shown.configuration)
        exchange = Exchange(
            task=task,
            configuration=shown.configuration,
            vin=self.vin,
            ecu_address=self.ecu_address,
            server_challenge=challenge,
            client_challenge=shown.client_challenge,
            server_ephemeral=ephemeral_bytes(ephemeral),
            additional=chain_digest(shown.chain),
        )
        exchanges.open(exchange, ephemeral, now_ns, presented)
        self.log.write(now_ns, "challenged", f"certificate {presented.leaf.serial_number:x}")
        answer = bytes((AuthenticationReturn.certificateVerifiedOwnershipVerificationNecessary,)) + sized(challenge)
        if task == BOTH:
            assert self.identity is not None
            proof = prove_exchange(self.identity.key, exchange, Party.SERVER)
            answer += sized(self.identity.chain) + sized(proof)
        return answer + sized(exchange.server_ephemeral)

    def _proof_of_ownership(self, data: bytes, now_ns: int) -> bytes:
        opened = self.exchanges.take()
        fields = Fields(data)
        proof = Proof(proof=fields.sized(), client_ephemeral=fields.sized(), opened=opened)
        fields.end()
        for reason, nrc, check in PROOF_CHECKS:
            if not check(self, proof, now_ns):
                self.exchanges.refuse(now_ns, reason, nrc)
        presented = proof.presented
        self._verifier.run(presented, now_ns)  # it may have ended or been revoked since
        assert opened is not None
        key = self.exchanges.agree(opened, proof.exchange, now_ns)
        claims = presented.claims
        scope = self.exchanges.rights(claims.scope, self.options.known_scopes, now_ns)
        ident = f"{presented.leaf.serial_number:x}"
        grant = Grant(scheme=self.name, role=claims.role, scope=scope, ident=ident, since_ns=now_ns)
        self._held.begin(grant, presented, _key_of(presented), now_ns)
        self.exchanges.keep(key)
        self.log.write(now_ns, "granted", f"certificate {ident}")
        head = bytes((AuthenticationReturn.ownershipVerifiedAuthenticationComplete,))
        return head + sized(b"" if key is None else key.info)

    def _transmit_certificate(self, data: bytes, now_ns: int) -> bytes:
        """Take an enhanced-rights certificate: its scopes join the grant until the earlier end of both."""
        fields = Fields(data)
        evaluation_id = int.from_bytes(fields.take(2), "big")
        chain = fields.sized()
        fields.end()
        if self.grant(now_ns) is None:
            raise Refusal(Nrc.authenticationRequired, "nobody is authenticated")
        if evaluation_id != self.options.enhanced_evaluation_id:
            raise Refusal(Nrc.requestOutOfRange, f"certificate evaluation id {evaluation_id:#06x}")
        presented = self._verifier.checked(chain, now_ns)
        if (
            presented.leaf.public_key() != self._held.owner
        ):  # certificates travel in clear: another person's adds nothing
            self.exchanges.refuse(now_ns, "ownership", Nrc.ownershipVerificationFailed)
        known = self.options.known_scopes & self.options.enhanced_max_scope
        added = self.exchanges.rights(presented.claims.scope, known, now_ns)
        self._held.widen(added, presented, now_ns)
        self.log.write(now_ns, "granted", f"enhanced rights {presented.leaf.serial_number:x}")
        return bytes((AuthenticationReturn.certificateVerified,))

    # ---- the checks, in order

    def _over_something(self, shown: Shown) -> bool:
        return shown.task != BOTH or long_enough(shown.client_challenge)

    def _configured(self, shown: Shown) -> bool:
        return self.exchanges.configured(shown.configuration)

    def _challenged(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        return proof.opened is not None

    def _in_time(self, proof: Proof, now_ns: int) -> bool:
        return proof.opened is not None and now_ns < proof.opened.until_ns

    def _owned(self, proof: Proof, now_ns: int) -> bool:  # noqa: ARG002
        key, exchange = _key_of(proof.presented), proof.exchange
        if exchange.task == UNI and exchange.configuration == Configuration.PLAIN:
            return ownership_proven(key, proof.proof, exchange.server_challenge, self.vin, self.ecu_address)
        return exchange_proven(key, proof.proof, exchange, Party.CLIENT)

    # ---- what happens to the gateway

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """End the grant where the table says so; a reset or sleep forgets the challenge too."""
        if event in VOIDS_CHALLENGE:
            self.exchanges.forget()
        if self.grant(now_ns) is not None and self.fates[event] is Fate.ENDED:
            self._end(now_ns, event)

    def wake(self, now_ns: int) -> None:
        """Sleep has ended the grant; there is nothing to resume."""

    def handle_timer(self, now_ns: int) -> None:
        """End the grant with the certificate."""
        self.grant(now_ns)

    def next_deadline(self) -> int | None:
        """Return when the grant ends."""
        return self._held.next_deadline()


def _key_of(presented: Presented) -> ec.EllipticCurvePublicKey:
    public_key = presented.leaf.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return public_key


SHOWN_CHECKS: tuple[tuple[str, Nrc, Callable[[CertificateGate, Shown], bool]], ...] = (
    ("client challenge too short", Nrc.incorrectMessageLengthOrInvalidFormat, CertificateGate._over_something),
    ("communication configuration", Nrc.configurationDataUsageFailed, CertificateGate._configured),
)
"""What verifyCertificate asks before the certificate is looked at: (reason for the log, NRC for the tester, check)."""

PROOF_CHECKS: tuple[tuple[str, Nrc, Callable[[CertificateGate, Proof, int], bool]], ...] = (
    ("no challenge outstanding", Nrc.requestSequenceError, CertificateGate._challenged),
    ("challenge too old", Nrc.requestSequenceError, CertificateGate._in_time),
    ("ownership", Nrc.ownershipVerificationFailed, CertificateGate._owned),
)
"""What proofOfOwnership asks; then the certificate once more, the session key (0x5B) and the access rights (0x5A)."""
