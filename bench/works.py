"""The works that built the car: gives its control units the keys by which they prove themselves, and a root to check them by.

Not the back end: it signs no tester's certificate, and no unit trusts it. Made by the bench, used nowhere else.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from ecu_sim.unlock.certificate import GatewayIdentity
from portal_sim.keys import CA_YEARS, SIGNS, make_keys, name, p256_key, serial, sign_certificate, utc
from wire.diag_cert import DiagnosticClaims, encode_chain, with_claims
from wire.entropy import Entropy

_YEAR_S = 365 * 24 * 3600


class Works:
    """One car's works. `root_ca`: what a tester checks a unit's certificate by."""

    def __init__(self, vin: str, entropy: Entropy, utc_s: int) -> None:
        self._vin = vin
        self._entropy = entropy
        self._utc_s = utc_s
        self._keys = make_keys(entropy, utc_s)

    @property
    def root_ca(self) -> x509.Certificate:
        """The root over all units of the car."""
        return self._keys.root_ca

    def identity(self, ecu_address: int) -> GatewayIdentity:
        """Return a key and a certificate for one unit: a server's, without role and scope, for this car and address."""
        key = p256_key(self._entropy)
        builder = (
            x509.CertificateBuilder(
                issuer_name=self._keys.backend_ca.subject,
                subject_name=name("control unit"),
                public_key=key.public_key(),
                serial_number=serial(self._entropy),
                not_valid_before=utc(self._utc_s),
                not_valid_after=utc(self._utc_s + (CA_YEARS - 1) * _YEAR_S),
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(SIGNS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        claims = DiagnosticClaims(vin=self._vin, ecu_address=ecu_address, role=0, scope=0)
        leaf = sign_certificate(with_claims(builder, claims), self._keys.ca_key)
        return GatewayIdentity(key, encode_chain(leaf, self._keys.backend_ca))

    def own_key(self) -> Ed25519PrivateKey:
        """Return a key for a unit that proves itself without a certificate."""
        return Ed25519PrivateKey.from_private_bytes(self._entropy.token_bytes(32))
