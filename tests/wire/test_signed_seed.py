"""What tester and back end agree on of a signed seed: the request as it travels, and the bytes that are signed."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import LocalMisuse
from wire.signed_seed import (
    KEY_LEN,
    REQUEST_LEN,
    SEED_LEN,
    SeedFormatError,
    SeedRequest,
    key_fits,
    seed_id,
    sign_seed,
    signed_bytes,
)

VIN = "W1KZZZ2050A000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SEED = bytes(range(1, 33))
seeds = st.binary(min_size=SEED_LEN, max_size=SEED_LEN).filter(any)
levels = st.integers(0, 0x7F).map(lambda half: 2 * half + 1)
requests = st.builds(lambda level, seed: SeedRequest(level=level, seed=seed), levels, seeds)


@given(request=requests)
def test_a_request_that_was_encoded_is_decoded_to_itself(request: SeedRequest) -> None:
    wire = request.encode()
    assert len(wire) == REQUEST_LEN
    assert SeedRequest.decode(wire) == request


def test_the_bytes_of_a_request() -> None:
    assert SeedRequest(level=9, seed=SEED).encode() == bytes.fromhex("5353 01 09") + SEED


@given(data=st.binary(max_size=2 * REQUEST_LEN))
def test_bytes_that_are_no_request_are_told_so_and_nothing_else_is_raised(data: bytes) -> None:
    try:
        request = SeedRequest.decode(data)
    except SeedFormatError:
        return
    assert request.encode() == data


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"", "has 36 bytes, this has 0"),
        (b"SS\x01\x09" + SEED[:-1], "this has 35"),
        (b"ST\x01\x09" + SEED, "begins with 535401"),
        (b"SS\x02\x09" + SEED, "begins with 535302"),
        (b"SS\x01\x0a" + SEED, "not level 0A"),
        (b"SS\x01\x09" + bytes(32), "not all zero"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(wire: bytes, why: str) -> None:
    with pytest.raises(SeedFormatError, match=why):
        SeedRequest.decode(wire)


@pytest.mark.parametrize("fields", [{"level": 256, "seed": SEED}, {"level": 9, "seed": SEED[:-1]}])
def test_a_request_that_cannot_be_carried_is_not_built(fields: dict[str, object]) -> None:
    with pytest.raises(LocalMisuse):
        SeedRequest(**fields)


@pytest.mark.parametrize(("vin", "address"), [("SHORT", 0x20), (VIN[:-1] + "é", 0x20), (VIN, 0x1_0000), (VIN, -1)])
def test_nothing_is_signed_for_a_vehicle_or_unit_that_cannot_be(vin: str, address: int) -> None:
    with pytest.raises(LocalMisuse):
        signed_bytes(vin, address, SeedRequest(level=9, seed=SEED))


def test_the_signed_bytes_say_scheme_unit_vehicle_level_and_seed() -> None:
    expected = b"sgw-bench/signed-seed/1\0" + struct.pack(">H", 0x0120) + VIN.encode() + b"\x09" + SEED
    assert signed_bytes(VIN, 0x0120, SeedRequest(level=9, seed=SEED)) == expected


@given(one=requests, other=requests, addresses=st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)))
def test_a_key_fits_only_what_it_was_made_for(one: SeedRequest, other: SeedRequest, addresses: tuple[int, int]) -> None:
    key = sign_seed(KEY, VIN, addresses[0], one)
    assert len(key) == KEY_LEN
    assert key == sign_seed(KEY, VIN, addresses[0], one), "deterministic"
    same = (one, addresses[0]) == (other, addresses[1])
    assert key_fits(KEY.public_key(), key, signed_bytes(VIN, addresses[1], other)) == same


@given(key=st.binary(max_size=80))
def test_bytes_that_are_no_signature_fit_nothing(key: bytes) -> None:
    assert not key_fits(KEY.public_key(), key, signed_bytes(VIN, 0x20, SeedRequest(level=9, seed=SEED)))


def test_an_unlock_is_called_by_the_head_of_its_seeds_hash_which_is_as_long_as_a_tokens_id() -> None:
    assert seed_id(b"abc") == bytes.fromhex("ba7816bf8f01cfea414140de5dae2223"), "SHA-256 of abc, FIPS 180-4 example"
