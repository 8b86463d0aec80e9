"""Certificates: a gateway's lock, opened by Authentication 0x29 (APCE) with a diagnostic certificate and proof of its key.

    locked --verifyCertificate--> challenged --proofOfOwnership--> open --deAuthenticate, end, reset, sleep--> locked

A challenge is fresh for each verification, single-use, and runs out. A failed step falls back to where nothing is granted
(an open grant stays while another certificate is being verified). The X.509 check is an ordered table over the questions of
`ecu_sim.unlock.certification_path`, one NRC a row: a library's own verifier folds every fault into one error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.certification_path import (
    CA_EXTENSIONS,
    LEAF_EXTENSIONS,
    Presented,
    allows_below,
    demands_only,
    is_ca,
    is_for_clients,
    issued_by,
    may_sign,
    may_sign_certificates,
)
from ecu_sim.unlock.fields import Fields
from ecu_sim.unlock.gate import Fate, FateTable, GateEvent, GateLog, Grant, WithoutIdentifiers
from ecu_sim.unlock.trust import TrustStore
from wire.clock import NS_PER_S, WallClock
from wire.diag_cert import (
    CHALLENGE_LEN,
    COMMUNICATION_CONFIGURATION,
    CertificateFormatError,
    claims_of,
    decode_chain,
    ownership_proven,
)
from wire.entropy import Entropy
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOptions:
    """The scheme's profile values. `enhanced_max_scope`: what a transmitted enhanced-rights certificate may add.

    `unset_clock_refuses=False`: a gateway whose clock is not set checks no dates. Its grant then ends, by its own monotonic time,
    so long after it began as the shortest certificate of the chain is valid from begin to end.
    """

    refusal_nrc: int = Nrc.authenticationRequired
    challenge_lifetime_ns: int = 30 * NS_PER_S
    verification_ns: int = 60_000_000
    ends_on_terminal_15: bool = False
    unset_clock_refuses: bool = True
    min_role: int = Role.AFTER_MARKET
    enhanced_evaluation_id: int = 0x0001
    enhanced_max_scope: int = ALL_SCOPES

    def fates(self) -> FateTable:
        """Return the event table with this profile's switches."""
        fate = Fate.ENDED if self.ends_on_terminal_15 else Fate.KEPT
        return {**CERTIFICATE_FATES, GateEvent.TERMINAL_15_OFF: fate}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenged:
    """A verified certificate whose owner has yet to prove that the key is theirs."""

    presented: Presented
    challenge: bytes
    until_ns: int


class CertificateGate(WithoutIdentifiers):
    """The lock of one gateway with address `ecu_address` in the vehicle `vin`."""

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
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options or CertificateOptions()
        self.refusal_nrc = self.options.refusal_nrc
        self.log = GateLog()
        self.fates = self.options.fates()
        self._entropy = entropy
        self._challenged: _Challenged | None = None
        self._grant: Grant | None = None
        self._serials: frozenset[int] = frozenset()
        self._owner: ec.EllipticCurvePublicKey | None = None
        self._until_utc_s = 0
        self._until_ns = 0
        self._by_own_time = False

    # ---- the grant

    def grant(self, now_ns: int) -> Grant | None:
        """Return the live grant. The certificate's end and its revocation count at once, whatever the timer does."""
        if self._grant is not None:
            if self._has_ended(now_ns):
                self._end(now_ns, GateEvent.EXPIRY)
            elif not self._serials.isdisjoint(self.trust.revoked_serials):
                self._end(now_ns, GateEvent.REVOKED)
        return self._grant

    def minutes_left(self, now_ns: int) -> int:
        """Return whole minutes until the grant ends; 0 when locked."""
        end_ns = self.next_deadline() if self.grant(now_ns) is not None else None
        return 0 if end_ns is None else max(0, end_ns - now_ns) // (60 * NS_PER_S)

    def allows(self, scope: Scope, now_ns: int) -> bool:
        """Return whether a live grant releases all of `scope`."""
        grant = self.grant(now_ns)
        return grant is not None and grant.scope & scope == scope

    def _has_ended(self, now_ns: int) -> bool:
        """Ask the calendar where it is set, and one's own time where it is not, or was not when the grant began."""
        if self.clock.is_set:
            if self.clock.utc_s(now_ns) > self._until_utc_s:
                return True
            if not self._by_own_time:
                return False
        return now_ns >= self._until_ns

    def _end_ns(self, presented: Presented, now_ns: int) -> int:
        """Return when what rests on this chain ends by one's own time: a clock that may be lost later still says when."""
        if self.clock.is_set:
            return self.clock.first_ns(presented.end_utc_s() + 1)
        return now_ns + presented.valid_s() * NS_PER_S

    def _end(self, now_ns: int, event: GateEvent) -> None:
        self._grant = None
        self.log.write(now_ns, "locked", event.value)

    # ---- what the tester does

    def work_ns(self, sid: int, payload: bytes) -> int:
        """Return the time of a signature check for certificates and proofs, nothing for the rest."""
        checks = sid == Service.Authentication and len(payload) > 1 and payload[1] & 0x7F in (0x01, 0x03, 0x04)
        return self.options.verification_ns if checks else 0

    def authenticate(self, task: int, data: bytes, now_ns: int) -> bytes | None:
        """Serve one task of 0x29; the answer begins with the authentication return parameter."""
        match task:
            case AuthenticationTask.deAuthenticate:
                return self._de_authenticate(data, now_ns)
            case AuthenticationTask.verifyCertificateUnidirectional:
                return self._verify_certificate(data, now_ns)
            case AuthenticationTask.proofOfOwnership:
                return self._proof_of_ownership(data, now_ns)
            case AuthenticationTask.transmitCertificate:
                return self._transmit_certificate(data, now_ns)
            case AuthenticationTask.authenticationConfiguration:
                _exactly(data, b"")
                return bytes((AuthenticationReturn.authenticationConfigurationAPCE,))
            case _:
                raise Refusal(Nrc.subFunctionNotSupported, f"authentication task {task:#04x}")

    def _de_authenticate(self, data: bytes, now_ns: int) -> bytes:
        _exactly(data, b"")
        if self.grant(now_ns) is None:
            raise Refusal(Nrc.deAuthenticationFailed, "nobody is authenticated")
        self._challenged = None
        self.handle_event(GateEvent.DE_AUTHENTICATE, now_ns)
        return bytes((AuthenticationReturn.deAuthenticationSuccessful,))

    def _verify_certificate(self, data: bytes, now_ns: int) -> bytes:
        """Take commConf, certificate and the client's challenge (may be empty); give a fresh challenge."""
        self._challenged = None
        fields = Fields(data)
        if fields.byte() != COMMUNICATION_CONFIGURATION:
            raise Refusal(Nrc.requestOutOfRange, "communication configuration")
        chain, _client_challenge = fields.sized(), fields.sized()
        fields.end()
        presented = self._checked(chain, now_ns)
        challenge = self._entropy.token_bytes(CHALLENGE_LEN)
        self._challenged = _Challenged(
            presented=presented, challenge=challenge, until_ns=now_ns + self.options.challenge_lifetime_ns
        )
        self.log.write(now_ns, "challenged", f"certificate {presented.leaf.serial_number:x}")
        head = bytes((AuthenticationReturn.certificateVerifiedOwnershipVerificationNecessary,))
        return head + CHALLENGE_LEN.to_bytes(2, "big") + challenge + b"\0\0"

    def _proof_of_ownership(self, data: bytes, now_ns: int) -> bytes:
        challenged, self._challenged = self._challenged, None  # one try for each challenge
        fields = Fields(data)
        proof, _ephemeral = fields.sized(), fields.sized()
        fields.end()
        if challenged is None:
            raise Refusal(Nrc.requestSequenceError, "no challenge outstanding")
        if now_ns >= challenged.until_ns:
            self._refuse(now_ns, "challenge too old", Nrc.requestSequenceError)
        leaf = challenged.presented.leaf
        public_key = leaf.public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        if not ownership_proven(public_key, proof, challenged.challenge, self.vin, self.ecu_address):
            self._refuse(now_ns, "ownership", Nrc.ownershipVerificationFailed)
        self._run_checks(challenged.presented, now_ns)  # it may have ended or been revoked since
        claims = challenged.presented.claims
        self._serials = challenged.presented.serials()
        self._owner = public_key
        self._until_utc_s = challenged.presented.end_utc_s()
        self._until_ns = self._end_ns(challenged.presented, now_ns)
        self._by_own_time = not self.clock.is_set
        self._grant = Grant(
            scheme=self.name, role=claims.role, scope=claims.scope, ident=f"{leaf.serial_number:x}", since_ns=now_ns
        )
        self.log.write(now_ns, "granted", f"certificate {leaf.serial_number:x}")
        return bytes((AuthenticationReturn.ownershipVerifiedAuthenticationComplete, 0, 0))

    def _transmit_certificate(self, data: bytes, now_ns: int) -> bytes:
        """Take an enhanced-rights certificate: its scopes join the grant until the earlier end of both."""
        fields = Fields(data)
        evaluation_id = int.from_bytes(fields.take(2), "big")
        chain = fields.sized()
        fields.end()
        grant = self.grant(now_ns)
        if grant is None:
            raise Refusal(Nrc.authenticationRequired, "nobody is authenticated")
        if evaluation_id != self.options.enhanced_evaluation_id:
            raise Refusal(Nrc.requestOutOfRange, f"certificate evaluation id {evaluation_id:#06x}")
        presented = self._checked(chain, now_ns)
        if presented.leaf.public_key() != self._owner:  # certificates travel in clear: another person's adds nothing
            self._refuse(now_ns, "ownership", Nrc.ownershipVerificationFailed)
        added = presented.claims.scope & self.options.enhanced_max_scope
        self._serials |= presented.serials()
        self._until_utc_s = min(self._until_utc_s, presented.end_utc_s())
        self._until_ns = min(self._until_ns, self._end_ns(presented, now_ns))
        self._by_own_time |= not self.clock.is_set
        self._grant = Grant(
            scheme=self.name, role=grant.role, scope=grant.scope | added, ident=grant.ident, since_ns=grant.since_ns
        )
        self.log.write(now_ns, "granted", f"enhanced rights {presented.leaf.serial_number:x}")
        return bytes((AuthenticationReturn.certificateVerified,))

    def _checked(self, field: bytes, now_ns: int) -> Presented:
        """Decode a chain and run the table; the first row that fails names reason and NRC."""
        try:
            leaf, backend_ca = decode_chain(field)
            presented = Presented(leaf=leaf, backend_ca=backend_ca, claims=claims_of(leaf))
        except CertificateFormatError as error:
            self.log.write(now_ns, "refused", f"format: {error}")
            raise Refusal(Nrc.certificateVerificationFailedInvalidFormat, "certificate refused: format") from None
        self._run_checks(presented, now_ns)
        return presented

    def _run_checks(self, presented: Presented, now_ns: int) -> None:
        for reason, nrc, check in CERTIFICATE_CHECKS:
            if not check(self, presented, now_ns):
                self._refuse(now_ns, reason, nrc)

    def _refuse(self, now_ns: int, reason: str, nrc: int) -> None:
        self.log.write(now_ns, "refused", reason)
        raise Refusal(nrc, f"certificate refused: {reason}")

    # ---- the checks, in order

    def _type(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        """A leaf for P-256 and ecdsa-with-SHA256, which is no CA itself."""
        leaf = presented.leaf
        try:
            key = leaf.public_key()
        except UnsupportedAlgorithm:
            return False
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            return False
        return leaf.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256 and not is_ca(leaf)

    def _chain(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        """The back-end CA is there, is a CA, was issued by the root we trust, and names itself as the leaf's issuer."""
        backend_ca = presented.backend_ca
        if backend_ca is None or not is_ca(backend_ca) or presented.leaf.issuer != backend_ca.subject:
            return False
        return issued_by(backend_ca, self.trust.root_ca)

    def _path_length(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        assert presented.backend_ca is not None
        return allows_below(self.trust.root_ca, presented.backend_ca)

    def _ca_key_usage(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        assert presented.backend_ca is not None
        return may_sign_certificates(presented.backend_ca)

    def _ca_demands(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        assert presented.backend_ca is not None
        return demands_only(presented.backend_ca, CA_EXTENSIONS)

    def _signature(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        assert presented.backend_ca is not None
        return issued_by(presented.leaf, presented.backend_ca)

    def _key_usage(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return may_sign(presented.leaf)

    def _extended_key_usage(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return is_for_clients(presented.leaf)

    def _demands(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return demands_only(presented.leaf, LEAF_EXTENSIONS)

    def _clock_set(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return self.clock.is_set or not self.options.unset_clock_refuses

    def _begun(self, presented: Presented, now_ns: int) -> bool:
        utc_s = self.clock.utc_s_or_none(now_ns)
        assert presented.backend_ca is not None
        path = (presented.leaf, presented.backend_ca, self.trust.root_ca)
        return utc_s is None or all(one.not_valid_before_utc.timestamp() <= utc_s for one in path)

    def _not_ended(self, presented: Presented, now_ns: int) -> bool:
        utc_s = self.clock.utc_s_or_none(now_ns)
        assert presented.backend_ca is not None
        path = (presented.leaf, presented.backend_ca, self.trust.root_ca)
        return utc_s is None or all(utc_s <= one.not_valid_after_utc.timestamp() for one in path)

    def _not_revoked(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        assert presented.backend_ca is not None
        revoked = self.trust.revoked_serials
        return presented.leaf.serial_number not in revoked and presented.backend_ca.serial_number not in revoked

    def _vin(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return presented.claims.vin == self.vin

    def _ecu(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return presented.claims.ecu_address == self.ecu_address

    def _role(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        role = presented.claims.role
        return role in Role.__members__.values() and role >= self.options.min_role

    def _scope(self, presented: Presented, now_ns: int) -> bool:  # noqa: ARG002
        return presented.claims.scope != 0

    # ---- what happens to the gateway

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        """End the grant where the table says so; a reset or sleep forgets the challenge too."""
        if event in (GateEvent.ECU_RESET, GateEvent.SLEEP):
            self._challenged = None
        if self.grant(now_ns) is not None and self.fates[event] is Fate.ENDED:
            self._end(now_ns, event)

    def wake(self, now_ns: int) -> None:
        """Sleep has ended the grant; there is nothing to resume."""

    def handle_timer(self, now_ns: int) -> None:
        """End the grant with the certificate."""
        self.grant(now_ns)

    def next_deadline(self) -> int | None:
        """Return when the grant ends, by the calendar or by one's own time."""
        if self._grant is None:
            return None
        if not self.clock.is_set:
            return self._until_ns
        calendar_ns = self.clock.first_ns(self._until_utc_s + 1)
        return min(calendar_ns, self._until_ns) if self._by_own_time else calendar_ns


def _exactly(data: bytes, want: bytes) -> None:
    if data != want:
        raise Refusal(Nrc.incorrectMessageLengthOrInvalidFormat, "bytes are left over")


CERTIFICATE_CHECKS: tuple[tuple[str, Nrc, Callable[[CertificateGate, Presented, int], bool]], ...] = (
    ("type", Nrc.certificateVerificationFailedInvalidType, CertificateGate._type),
    # What stands above the tester's certificate: whatever is wrong there, the way to the root is broken, which is 0x52.
    ("chain of trust", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateGate._chain),
    ("path length", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateGate._path_length),
    ("CA key usage", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateGate._ca_key_usage),
    ("CA critical extension", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateGate._ca_demands),
    ("signature", Nrc.certificateVerificationFailedInvalidSignature, CertificateGate._signature),
    # Made for another use than this one: the wrong type, 0x53. Demands that the gateway cannot meet stand in the content, 0x55.
    ("key usage", Nrc.certificateVerificationFailedInvalidType, CertificateGate._key_usage),
    ("extended key usage", Nrc.certificateVerificationFailedInvalidType, CertificateGate._extended_key_usage),
    ("critical extension", Nrc.certificateVerificationFailedInvalidContent, CertificateGate._demands),
    ("clock not set", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateGate._clock_set),
    ("not yet valid", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateGate._begun),
    ("expired", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateGate._not_ended),
    ("revoked", Nrc.certificateVerificationFailedInvalidCertificate, CertificateGate._not_revoked),
    ("other VIN", Nrc.certificateVerificationFailedInvalidContent, CertificateGate._vin),
    ("other control unit", Nrc.certificateVerificationFailedInvalidContent, CertificateGate._ecu),
    ("role", Nrc.certificateVerificationFailedInvalidScope, CertificateGate._role),
    ("scope", Nrc.certificateVerificationFailedInvalidScope, CertificateGate._scope),
)
"""The verification, in order: (reason for the log, NRC for the tester, check). Before its signature holds, nothing is told
about the leaf but that it is of a type that cannot be verified here (key, algorithm, a CA itself); nothing about the use and the
demands of the CA before the root's signature over it holds."""
