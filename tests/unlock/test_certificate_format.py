"""The certificate field of 0x29 and the claims in it: what cannot be read is a format error, never anything else."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import example, given
from hypothesis import strategies as st
from unlock_forge import ADDRESS, EPOCH_S, OTHER_VIN, VIN, chain, flip, keys, leaf, owner_key

from wire.diag_cert import (
    ALGORITHM_INDICATOR,
    CertificateFormatError,
    DiagnosticClaims,
    claims_of,
    decode_chain,
    encode_chain,
    ownership_proven,
    prove_ownership,
)
from wire.errors import LocalMisuse, RemoteFault
from wire.token import VIN_LEN, Role

CHALLENGE = bytes(range(32))
CHAIN = chain()
LEAF = leaf()
LEAF_LEN = 4 + int.from_bytes(CHAIN[2:4], "big")
"""A DER sequence of some hundred bytes: 30 82, two bytes of length, content."""

any_claims = st.builds(
    DiagnosticClaims,
    vin=st.text(alphabet=st.characters(max_codepoint=0x7F), min_size=VIN_LEN, max_size=VIN_LEN),
    ecu_address=st.integers(0, 0xFFFF),
    role=st.integers(0, 0xFF),
    scope=st.integers(0, 0xFFFF),
)


@given(any_claims)
def test_claims_come_back_as_they_were(claims: DiagnosticClaims) -> None:
    assert DiagnosticClaims.decode(claims.encode()) == claims


def test_claims_are_version_vin_unit_role_and_scope() -> None:
    claims = DiagnosticClaims(vin=VIN, ecu_address=0x1234, role=Role.AFTER_SALES, scope=0x0103)
    assert claims.encode() == b"\x01" + VIN.encode() + b"\x12\x34\x02\x01\x03"


@pytest.mark.parametrize(
    ("field", "wrong", "told"),
    [
        ("vin", VIN[:-1], "VIN has 17 ASCII characters"),
        ("vin", VIN + "1", "VIN has 17 ASCII characters"),
        ("vin", "Ü" + VIN[1:], "VIN has 17 ASCII characters"),
        ("ecu_address", -1, "ecu_address is a number of 2 bytes"),
        ("ecu_address", 0x1_0000, "ecu_address is a number of 2 bytes"),
        ("role", -1, "role is a number of 1 byte"),
        ("role", 0x100, "role is a number of 1 byte"),
        ("scope", -1, "scope is a number of 2 bytes"),
        ("scope", 0x1_0000, "scope is a number of 2 bytes"),
    ],
)
def test_claims_that_no_extension_can_carry_are_our_mistake(field: str, wrong: object, told: str) -> None:
    good: dict[str, Any] = {"vin": VIN, "ecu_address": ADDRESS, "role": 1, "scope": 1}
    with pytest.raises(LocalMisuse, match=told):
        DiagnosticClaims(**{**good, field: wrong})


@given(st.binary(max_size=40))
@example(b"\x02" + VIN.encode() + bytes(5))
@example(b"\x01" + b"\xff" * VIN_LEN + bytes(5))
def test_random_claims_are_refused_as_a_format_error_or_written_back(value: bytes) -> None:
    try:
        claims = DiagnosticClaims.decode(value)
    except CertificateFormatError:
        return
    assert claims.encode() == value


def test_a_chain_comes_back_as_it_was() -> None:
    assert decode_chain(encode_chain(LEAF, keys().backend_ca)) == (LEAF, keys().backend_ca)
    assert claims_of(LEAF).vin == VIN
    assert claims_of(LEAF).ecu_address == ADDRESS


def test_a_leaf_alone_can_be_read() -> None:
    assert decode_chain(CHAIN[:LEAF_LEN]) == (LEAF, None)


def test_a_certificate_without_claims_is_a_format_error() -> None:
    with pytest.raises(CertificateFormatError, match="claims"):
        claims_of(leaf(without_claims=True))


def test_every_truncation_is_a_format_error_but_the_leaf_alone() -> None:
    for size in set(range(len(CHAIN))) - {LEAF_LEN}:
        with pytest.raises(CertificateFormatError):
            decode_chain(CHAIN[:size])


@pytest.mark.parametrize("tail", [b"\0", b"\x30", b"\x30\x00", CHAIN], ids=["byte", "tag", "empty", "chain"])
def test_a_longer_field_is_a_format_error(tail: bytes) -> None:
    with pytest.raises(CertificateFormatError):
        decode_chain(CHAIN + tail)


@pytest.mark.parametrize("size_byte", [0x80, 0x84, 0xFF], ids=["indefinite", "four bytes", "reserved"])
def test_lengths_that_der_or_a_certificate_never_has_are_a_format_error(size_byte: int) -> None:
    with pytest.raises(CertificateFormatError):
        decode_chain(b"\x30" + bytes((size_byte,)) + bytes(200))


@given(st.binary(max_size=300))
def test_random_bytes_are_a_format_error(data: bytes) -> None:
    with pytest.raises(CertificateFormatError):
        decode_chain(data)


@given(st.lists(st.tuples(st.integers(0, len(CHAIN) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_chain_is_a_format_error_or_reads_without_surprise(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(CHAIN)
    for at, value in changes:
        damaged[at] = value
    _read_all(bytes(damaged))


def test_one_flipped_bit_is_a_format_error_or_reads_without_surprise() -> None:
    """Every bit: version, serial, names, times, key, extensions. The library reads some parts only when they are touched."""
    for bit in range(8 * len(CHAIN)):
        _read_all(flip(CHAIN, bit))


def _read_all(field: bytes) -> None:
    try:
        first, second = decode_chain(field)
        claims_of(first)
    except CertificateFormatError:
        return
    for certificate in (first, second or first):
        assert certificate.serial_number > 0
        assert certificate.not_valid_before_utc.tzinfo is not None
        assert certificate.not_valid_after_utc.tzinfo is not None
        assert certificate.issuer is not None
        assert certificate.subject is not None
        assert certificate.extensions is not None
        assert certificate.signature_algorithm_oid is not None


@pytest.mark.parametrize(
    "public_key",
    [
        ec.derive_private_key(5, ec.SECP384R1()).public_key(),
        ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key(),
    ],
    ids=["P-384", "Ed25519", "RSA"],
)
def test_a_key_of_another_kind_can_be_read(public_key: object) -> None:
    """Whether it is accepted is the gate's decision, which has its own NRC for it."""
    read, _ = decode_chain(chain(leaf(public_key=public_key)))
    assert claims_of(read).vin == VIN


def test_times_are_read_as_they_were_signed() -> None:
    read, _ = decode_chain(chain(leaf(begin_s=EPOCH_S, end_s=EPOCH_S + 60)))
    assert read.not_valid_before_utc.timestamp() == EPOCH_S
    assert read.not_valid_after_utc.timestamp() == EPOCH_S + 60


def test_a_format_error_blames_the_peer() -> None:
    assert issubclass(CertificateFormatError, RemoteFault)


# ---- proof of ownership


def test_a_proof_holds_for_its_key_challenge_vehicle_and_unit_alone() -> None:
    proof = prove_ownership(owner_key(), CHALLENGE, VIN, ADDRESS)
    owner, stranger = owner_key().public_key(), owner_key(101).public_key()
    assert ownership_proven(owner, proof, CHALLENGE, VIN, ADDRESS)
    assert not ownership_proven(stranger, proof, CHALLENGE, VIN, ADDRESS)
    assert not ownership_proven(owner, proof, flip(CHALLENGE, 0), VIN, ADDRESS)
    assert not ownership_proven(owner, proof, CHALLENGE, OTHER_VIN, ADDRESS)
    assert not ownership_proven(owner, proof, CHALLENGE, VIN, ADDRESS + 1)


@given(st.binary(max_size=100))
def test_random_bytes_prove_nothing(proof: bytes) -> None:
    assert not ownership_proven(owner_key().public_key(), proof, CHALLENGE, VIN, ADDRESS)


def test_no_flipped_bit_of_a_proof_proves_anything() -> None:
    proof = prove_ownership(owner_key(), CHALLENGE, VIN, ADDRESS)
    owner = owner_key().public_key()
    assert not any(ownership_proven(owner, flip(proof, bit), CHALLENGE, VIN, ADDRESS) for bit in range(8 * len(proof)))


def test_a_proof_repeats_to_the_byte() -> None:
    assert prove_ownership(owner_key(), CHALLENGE, VIN, ADDRESS) == prove_ownership(
        owner_key(), CHALLENGE, VIN, ADDRESS
    )


def test_the_algorithm_indicator_is_ecdsa_with_sha256_left_aligned_in_16_bytes() -> None:
    """RFC 5758 section 3.2: 1.2.840.10045.4.3.2."""
    assert bytes.fromhex("06082a8648ce3d0403020000 00000000") == ALGORITHM_INDICATOR
