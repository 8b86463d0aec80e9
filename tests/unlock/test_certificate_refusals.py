"""Certificates that must not open a gateway: one NRC and one reason for each fault, 0x50 to 0x58, and nothing granted."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING, CertificateUnit
from unlock_forge import (
    ADDRESS,
    EPOCH_S,
    NOBODY_KNOWS,
    OTHER_VIN,
    SIGNS,
    S,
    ca,
    chain,
    flip,
    key_set,
    key_usage,
    keys,
    leaf,
    owner_key,
    root,
)

from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.certificate_checks import CERTIFICATE_CHECKS
from portal_sim.keys import name
from wire.clock import WallClock
from wire.diag_cert import CLAIMS_OID, DiagnosticClaims
from wire.token import Role, Scope

CA_NAME = keys().backend_ca.subject
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
P384 = ec.derive_private_key(5, ec.SECP384R1())
RSA_PUBLIC = rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key()
Case = tuple[CertificateUnit, bytes]


def forged(backend_ca: x509.Certificate | None = None, **changes: Any) -> Callable[[], Case]:
    return lambda: (CertificateUnit(), chain(leaf(**changes), backend_ca))


def under(**changes: Any) -> Callable[[], Case]:
    """A good diagnostic certificate under a back-end CA with something changed."""
    return forged(ca(**changes))


def under_a_root_that_allows_no_ca_below_it() -> Case:
    unit = CertificateUnit()
    unit.trust.update(key_set(root_ca=root(path_length=0).public_bytes(Encoding.DER)))
    return unit, chain()


def leaf_alone() -> Case:
    return CertificateUnit(), leaf().public_bytes(Encoding.DER)


def self_signed() -> Case:
    """The tester's own certificate over its own key, once as leaf, once as its issuer."""
    own = leaf(issuer=name("diagnostic authentication"), signing_key=owner_key())
    return CertificateUnit(), chain(own, own)


def self_made_ca() -> Case:
    made = ca(key=owner_key(), issuer=CA_NAME, signing_key=owner_key())
    return CertificateUnit(), chain(leaf(signing_key=owner_key()), made)


def issued_by_a_leaf() -> Case:
    """A good diagnostic certificate used as if it were a CA."""
    first = leaf()
    return CertificateUnit(), chain(leaf(issuer=first.subject, signing_key=owner_key(), serial=2), first)


def swapped_intermediate() -> Case:
    """The root's other CA of the same name, which did not sign this leaf."""
    return CertificateUnit(), chain(leaf(), ca(key=owner_key(5)))


def revoked(serial: int) -> Callable[[], Case]:
    def make() -> Case:
        unit = CertificateUnit()
        unit.trust.update(key_set(revoked_serials=frozenset((serial,))))
        return unit, chain()

    return make


def unset_clock() -> Case:
    return CertificateUnit(clock=WallClock(is_set=False)), chain()


def after_the_roots_end() -> Case:
    """The root is valid for ten years; a CA and a leaf that outlive it are not."""
    far_s = 11 * 365 * 86400
    later = {"begin_s": EPOCH_S, "end_s": EPOCH_S + 2 * far_s}
    return CertificateUnit(clock=WallClock(offset_s=far_s)), chain(leaf(**later), ca(**later))


def low_role() -> Case:
    return CertificateUnit(CertificateOptions(min_role=Role.AFTER_SALES)), chain(leaf(role=Role.AFTER_MARKET))


CHAIN, CA_DEMAND = "chain of trust", "CA critical extension"
SOME_NAMES = x509.NameConstraints([x509.DirectoryName(CA_NAME)], None)
CLAIMS = x509.UnrecognizedExtension(
    CLAIMS_OID, DiagnosticClaims(vin=OTHER_VIN, ecu_address=ADDRESS, role=Role.AFTER_SALES, scope=1).encode()
)
REFUSALS: list[tuple[str, str, int, Callable[[], Case]]] = [
    ("for a key on another curve", "type", 0x53, forged(public_key=P384.public_key())),
    ("for an RSA key", "type", 0x53, forged(public_key=RSA_PUBLIC)),
    ("for an Ed25519 key", "type", 0x53, forged(public_key=ED25519.public_key())),
    ("signed with another hash", "type", 0x53, forged(algorithm=hashes.SHA384())),
    ("signed with Ed25519", "type", 0x53, forged(signing_key=ED25519)),
    ("that is a CA itself", "type", 0x53, forged(ca=True)),
    ("without its issuer", CHAIN, 0x52, leaf_alone),
    ("signed by itself", CHAIN, 0x52, self_signed),
    ("under a CA of one's own", CHAIN, 0x52, self_made_ca),
    ("issued by a leaf", CHAIN, 0x52, issued_by_a_leaf),
    ("under another root", CHAIN, 0x52, forged(keys(2).backend_ca, signing_key=keys(2).ca_key)),
    ("that names another issuer", CHAIN, 0x52, forged(issuer=name("somebody else"))),
    ("under an issuer that is no CA", CHAIN, 0x52, forged(ca(is_ca=False))),
    ("under an issuer that does not say", CHAIN, 0x52, forged(ca(is_ca=None))),
    ("under a root that allows no CA below it", "path length", 0x52, under_a_root_that_allows_no_ca_below_it),
    ("under a CA whose key may sign no certificates", "CA key usage", 0x52, under(usage=key_usage("crl_sign"))),
    ("under a CA whose key may sign data", "CA key usage", 0x52, under(usage=SIGNS)),
    ("under a CA that does not say what its key may do", "CA key usage", 0x52, under(usage=None)),
    ("under a CA with a demand that nobody knows", CA_DEMAND, 0x52, under(extra=((NOBODY_KNOWS, True),))),
    ("under a CA for some names alone", CA_DEMAND, 0x52, under(extra=((SOME_NAMES, True),))),
    ("under a CA with claims of its own", CA_DEMAND, 0x52, under(extra=((CLAIMS, True),))),
    ("signed by another key", "signature", 0x51, forged(signing_key=owner_key(9))),
    ("with the intermediate swapped", "signature", 0x51, swapped_intermediate),
    ("for a key that may not sign", "key usage", 0x53, forged(usage=key_usage("key_agreement"))),
    ("for a key that may sign certificates alone", "key usage", 0x53, forged(usage=key_usage("key_cert_sign"))),
    ("that does not say what its key may do", "key usage", 0x53, forged(usage=None)),
    ("for servers", "extended key usage", 0x53, forged(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))),
    ("for any purpose", "extended key usage", 0x53, forged(purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))),
    ("that does not say its purpose", "extended key usage", 0x53, forged(purposes=None)),
    ("with a demand that nobody knows", "critical extension", 0x55, forged(extra=((NOBODY_KNOWS, True),))),
    ("with a known demand that nobody meets", "critical extension", 0x55, forged(extra=((SOME_NAMES, True),))),
    ("to a gateway that has no time", "clock not set", 0x50, unset_clock),
    ("not yet valid", "not yet valid", 0x50, forged(begin_s=EPOCH_S + 60)),
    ("expired", "expired", 0x50, forged(begin_s=EPOCH_S - 600, end_s=EPOCH_S - 1)),
    ("under a CA that expired", "expired", 0x50, forged(ca(end_s=EPOCH_S - 1))),
    ("under a CA that is not yet valid", "not yet valid", 0x50, forged(ca(begin_s=EPOCH_S + 60))),
    ("under a root that expired", "expired", 0x50, after_the_roots_end),
    ("revoked", "revoked", 0x57, revoked(0x1234)),
    ("under a revoked CA", "revoked", 0x57, revoked(keys().backend_ca.serial_number)),
    ("for another vehicle", "other VIN", 0x55, forged(vin=OTHER_VIN)),
    ("for another gateway", "other control unit", 0x55, forged(ecu_address=ADDRESS + 1)),
    ("in no known role", "role", 0x56, forged(role=0)),
    ("in a role above all", "role", 0x56, forged(role=4)),
    ("in too low a role", "role", 0x56, low_role),
    ("for nothing", "scope", 0x56, forged(scope=0)),
]


@pytest.mark.parametrize(("reason", "nrc", "make"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_bad_certificate_is_refused_with_its_reason_in_the_log(
    reason: str, nrc: int, make: Callable[[], Case]
) -> None:
    unit, field = make()
    unit.extended()
    assert unit.present(field) == bytes((0x7F, 0x29, nrc))
    assert unit.log[-1] == ("refused", reason)
    assert unit.prove(unit.proof(bytes(32))) == bytes.fromhex("7f2924")
    assert not unit.open
    assert unit.nrc(CODING) == 0x34


def test_every_row_of_the_table_is_reached() -> None:
    assert {reason for _, reason, _, _ in REFUSALS} == {reason for reason, _, _ in CERTIFICATE_CHECKS}


def test_all_nrcs_of_the_certificate_are_reached() -> None:
    """0x54 and 0x58 have tests of their own."""
    assert {nrc for _, _, nrc, _ in REFUSALS} | {0x54, 0x58} == set(range(0x50, 0x59))


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"\0",
        b"certificate",
        b"\x30\x80" + bytes(50),
        chain()[:-1],
        chain() + b"\0",
        chain() + chain(),
        keys().backend_ca.public_bytes(Encoding.DER),
        chain(leaf(without_claims=True)),
    ],
    ids=["empty", "zero", "text", "indefinite", "cut off", "tail", "twice", "CA alone", "no claims"],
)
def test_a_malformed_certificate_is_a_format_error(field: bytes) -> None:
    unit = CertificateUnit()
    assert unit.presented(field) == 0x54
    assert unit.log[-1][0] == "refused"
    assert unit.log[-1][1].startswith("format")
    assert not unit.open


def test_claims_that_cannot_be_read_are_a_format_error() -> None:
    good = chain()
    at = good.index(b"\x01" + CertificateUnit().gate.vin.encode())
    assert CertificateUnit().presented(good[:at] + b"\x02" + good[at + 1 :]) == 0x54


def test_no_flipped_bit_of_a_good_chain_is_answered_with_a_challenge() -> None:
    unit = CertificateUnit(CertificateOptions(verification_ns=0))
    good = chain()
    answers = {unit.presented(flip(good, bit)) for bit in range(8 * len(good))}
    assert answers == {0x51, 0x52, 0x53, 0x54}  # nothing about the content before the signature holds
    assert unit.presented(good) == 0


@given(st.binary(max_size=900))
def test_random_bytes_are_never_answered_with_a_challenge(field: bytes) -> None:
    assert CertificateUnit().presented(field) == 0x54


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=6))
def test_a_damaged_chain_is_never_answered_with_a_challenge(changes: list[tuple[int, int]]) -> None:
    unit = CertificateUnit()
    good = chain()
    field = bytearray(good)
    for at, mask in changes:
        field[at % len(field)] ^= mask
    assert (unit.presented(bytes(field)) == 0) == (bytes(field) == good)


@pytest.mark.parametrize(("begin_s", "end_s", "nrc"), [(0, 0, 0), (1, 2, 0x50), (-2, -1, 0x50), (-1, 1, 0)])
def test_a_certificate_is_valid_from_its_first_to_its_last_second(begin_s: int, end_s: int, nrc: int) -> None:
    """RFC 5280 section 4.1.2.5: both ends are included."""
    assert CertificateUnit().presented(chain(leaf(begin_s=EPOCH_S + begin_s, end_s=EPOCH_S + end_s))) == nrc


@pytest.mark.parametrize(("offset_s", "nrc"), [(-299, 0), (-301, 0x50), (3599, 0), (3601, 0x50)])
def test_validity_is_judged_by_the_gateways_own_clock(offset_s: int, nrc: int) -> None:
    assert CertificateUnit(clock=WallClock(offset_s=offset_s)).presented() == nrc


def test_a_certificate_that_ends_between_challenge_and_proof_grants_nothing() -> None:
    unit = CertificateUnit(CertificateOptions(verification_ns=0))
    challenge = unit.challenge(chain(leaf(end_s=EPOCH_S + 5)))
    unit.wait(6 * S)
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2950")
    assert not unit.open
    assert not unit.gate.allows(Scope.CODING, unit.now_ns)


def test_the_grant_ends_with_the_ca_when_that_ends_first() -> None:
    unit = CertificateUnit()
    unit.unlock(chain(leaf(end_s=EPOCH_S + 600), ca(end_s=EPOCH_S + 60)))
    unit.wait(61 * S - 1 - unit.now_ns)
    assert unit.open
    unit.wait(1)
    assert not unit.open


def test_a_certificate_that_is_revoked_between_challenge_and_proof_grants_nothing() -> None:
    unit = CertificateUnit()
    challenge = unit.challenge()
    unit.trust.update(key_set(revoked_serials=frozenset((0x1234,))))
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2957")
    assert not unit.open


def test_a_profile_may_accept_an_unset_clock() -> None:
    unit = CertificateUnit(CertificateOptions(unset_clock_refuses=False), WallClock(is_set=False))
    unit.unlock()


def test_the_log_of_the_server_tells_the_reason() -> None:
    unit = CertificateUnit()
    unit.presented(chain(leaf(vin=OTHER_VIN)))
    assert "other VIN" in unit.server.log[-1].text


def test_each_row_has_a_reason_of_its_own() -> None:
    reasons = [reason for reason, _, _ in CERTIFICATE_CHECKS]
    assert len(set(reasons)) == len(reasons)
