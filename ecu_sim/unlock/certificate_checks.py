"""The X.509 check of a certificate gate: an ordered table over the questions of `certification_path`, one NRC a row.

A library's own verifier folds every fault into one error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, Protocol

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
from ecu_sim.unlock.gate import GateLog
from ecu_sim.unlock.trust import TrustStore
from wire.clock import WallClock
from wire.diag_cert import CertificateFormatError, claims_of, decode_chain
from wire.token import Role
from wire.uds import Nrc


class VerifierOptions(Protocol):
    """The profile values that the verification reads."""

    @property
    def min_role(self) -> int:
        """The lowest role that is let in."""

    @property
    def unset_clock_refuses(self) -> bool:
        """Whether a unit that knows no time refuses."""


class CertificateVerifier:
    """Verifies chains for the unit with address `ecu_address` in the vehicle `vin`."""

    def __init__(
        self,
        *,
        vin: str,
        ecu_address: int,
        trust: TrustStore,
        clock: WallClock,
        options: VerifierOptions,
        log: GateLog,
    ) -> None:
        self.vin = vin
        self.ecu_address = ecu_address
        self.trust = trust
        self.clock = clock
        self.options = options
        self._log = log

    def checked(self, field: bytes, now_ns: int) -> Presented:
        """Decode a chain and run the table; the first row that fails names reason and NRC."""
        try:
            leaf, backend_ca = decode_chain(field)
            presented = Presented(leaf=leaf, backend_ca=backend_ca, claims=claims_of(leaf))
        except CertificateFormatError as error:
            self._log.write(now_ns, "refused", f"format: {error}")
            raise Refusal(Nrc.certificateVerificationFailedInvalidFormat, "certificate refused: format") from None
        self.run(presented, now_ns)
        return presented

    def run(self, presented: Presented, now_ns: int) -> None:
        """Run the table over a chain that was decoded before: it may have ended or been revoked since."""
        for reason, nrc, check in CERTIFICATE_CHECKS:
            if not check(self, presented, now_ns):
                self._refuse(now_ns, reason, nrc)

    def _refuse(self, now_ns: int, reason: str, nrc: int) -> NoReturn:
        self._log.write(now_ns, "refused", reason)
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


CERTIFICATE_CHECKS: tuple[tuple[str, Nrc, Callable[[CertificateVerifier, Presented, int], bool]], ...] = (
    ("type", Nrc.certificateVerificationFailedInvalidType, CertificateVerifier._type),
    # What stands above the tester's certificate: whatever is wrong there, the way to the root is broken, which is 0x52.
    ("chain of trust", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateVerifier._chain),
    ("path length", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateVerifier._path_length),
    ("CA key usage", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateVerifier._ca_key_usage),
    ("CA critical extension", Nrc.certificateVerificationFailedInvalidChainOfTrust, CertificateVerifier._ca_demands),
    ("signature", Nrc.certificateVerificationFailedInvalidSignature, CertificateVerifier._signature),
    # Made for another use than this one: the wrong type, 0x53. Demands that the gateway cannot meet stand in the content, 0x55.
    ("key usage", Nrc.certificateVerificationFailedInvalidType, CertificateVerifier._key_usage),
    ("extended key usage", Nrc.certificateVerificationFailedInvalidType, CertificateVerifier._extended_key_usage),
    ("critical extension", Nrc.certificateVerificationFailedInvalidContent, CertificateVerifier._demands),
    ("clock not set", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateVerifier._clock_set),
    ("not yet valid", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateVerifier._begun),
    ("expired", Nrc.certificateVerificationFailedInvalidTimePeriod, CertificateVerifier._not_ended),
    ("revoked", Nrc.certificateVerificationFailedInvalidCertificate, CertificateVerifier._not_revoked),
    ("other VIN", Nrc.certificateVerificationFailedInvalidContent, CertificateVerifier._vin),
    ("other control unit", Nrc.certificateVerificationFailedInvalidContent, CertificateVerifier._ecu),
    ("role", Nrc.certificateVerificationFailedInvalidScope, CertificateVerifier._role),
    ("scope", Nrc.certificateVerificationFailedInvalidScope, CertificateVerifier._scope),
)
"""The verification, in order: (reason for the log, NRC for the tester, check). Before its signature holds, nothing is told
about the leaf but that it is of a type that cannot be verified here (key, algorithm, a CA itself); nothing about the use and the
demands of the CA before the root's signature over it holds."""
