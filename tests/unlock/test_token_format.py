"""Request structure and token on the wire: one value has one encoding, and whatever is not one is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unlock_forge import ADDRESS, VIN, claims, flip, keys, token

from wire.errors import LocalMisuse, RemoteFault
from wire.token import (
    KEY_ID_LEN,
    NONCE_LEN,
    REQUEST_LEN,
    SIGNATURE_LEN,
    TOKEN_ID_LEN,
    TOKEN_LEN,
    VIN_LEN,
    Generation,
    RequestStructure,
    Token,
    TokenClaims,
    TokenFormatError,
    key_id,
    sign,
)

STRUCTURE = RequestStructure(ecu_address=ADDRESS, vin=VIN, nonce=bytes(range(NONCE_LEN)))
GOOD = token(STRUCTURE)
Decode = Callable[[bytes], Token | RequestStructure]

u8, u16, u64 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 2**64 - 1)
vins = st.text(alphabet=st.characters(max_codepoint=0x7F), min_size=VIN_LEN, max_size=VIN_LEN)


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


structures = st.builds(RequestStructure, ecu_address=u16, vin=vins, nonce=exactly(NONCE_LEN), generation=u8)
any_claims = st.builds(
    TokenClaims,
    key_id=exactly(KEY_ID_LEN),
    token_id=exactly(TOKEN_ID_LEN),
    ecu_address=u16,
    vin=vins,
    role=u8,
    scope=u16,
    nonce=exactly(NONCE_LEN),
    not_before_utc_s=u64,
    not_after_utc_s=u64,
    duration_min=u16,
    generation=u8,
)
tokens = st.builds(Token, claims=any_claims, signature=exactly(SIGNATURE_LEN))


@given(structures)
def test_a_request_structure_comes_back_as_it_was(structure: RequestStructure) -> None:
    wire = structure.encode()
    assert len(wire) == REQUEST_LEN
    assert RequestStructure.decode(wire) == structure


@given(tokens)
def test_a_token_comes_back_as_it_was(one: Token) -> None:
    wire = one.encode()
    assert len(wire) == TOKEN_LEN
    assert Token.decode(wire) == one


@given(tokens, tokens)
def test_two_tokens_have_the_same_bytes_only_when_they_are_the_same(one: Token, other: Token) -> None:
    assert (one.encode() == other.encode()) == (one == other)


def test_the_request_structure_names_its_kind_version_generation_unit_and_vehicle() -> None:
    assert STRUCTURE.encode() == b"SR\x01\x01" + ADDRESS.to_bytes(2, "big") + VIN.encode() + bytes(range(16))


def test_the_token_is_its_claims_then_the_signature() -> None:
    said = claims(STRUCTURE)
    assert said.encode() == (
        b"ST\x01\x01"
        + said.key_id
        + said.token_id
        + ADDRESS.to_bytes(2, "big")
        + VIN.encode()
        + bytes((said.role,))
        + said.scope.to_bytes(2, "big")
        + STRUCTURE.nonce
        + said.not_before_utc_s.to_bytes(8, "big")
        + said.not_after_utc_s.to_bytes(8, "big")
        + (90).to_bytes(2, "big")
    )
    assert said.encode() + Token.decode(GOOD).signature == GOOD


def test_an_unlock_and_its_generation_default_to_ninety_minutes_of_sfd() -> None:
    assert claims(STRUCTURE).duration_min == 90
    assert claims(STRUCTURE).generation == Generation.SFD == STRUCTURE.generation


@pytest.mark.parametrize("decode", [Token.decode, RequestStructure.decode])
@given(data=st.binary(max_size=2 * TOKEN_LEN))
def test_random_bytes_are_refused_as_a_format_error_or_read_and_written_back(decode: Decode, data: bytes) -> None:
    try:
        read = decode(data)
    except TokenFormatError:
        return
    assert read.encode() == data


@pytest.mark.parametrize(
    ("decode", "good"), [(Token.decode, GOOD), (RequestStructure.decode, STRUCTURE.encode())], ids=["token", "request"]
)
def test_every_other_length_is_refused(decode: Decode, good: bytes) -> None:
    for wrong in [good[:size] for size in range(len(good))] + [good + b"\0", good + good, b"\0" + good]:
        with pytest.raises(TokenFormatError, match="bytes"):
            decode(wrong)


@pytest.mark.parametrize(
    ("decode", "good"), [(Token.decode, GOOD), (RequestStructure.decode, STRUCTURE.encode())], ids=["token", "request"]
)
def test_one_flipped_bit_is_a_format_error_or_another_value(decode: Decode, good: bytes) -> None:
    for bit in range(8 * len(good)):
        bad = flip(good, bit)
        try:
            read = decode(bad)
        except TokenFormatError:
            continue
        assert read != decode(good)
        assert read.encode() == bad


@pytest.mark.parametrize("at", range(3))
def test_another_magic_or_version_is_not_read(at: int) -> None:
    for decode, good in [(Token.decode, GOOD), (RequestStructure.decode, STRUCTURE.encode())]:
        with pytest.raises(TokenFormatError, match="version 1"):
            decode(flip(good, 8 * at + 7))


def test_a_vin_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(TokenFormatError, match="ASCII"):
        RequestStructure.decode(STRUCTURE.encode().replace(VIN.encode(), b"\xff" * VIN_LEN))
    with pytest.raises(TokenFormatError, match="ASCII"):
        Token.decode(GOOD.replace(VIN.encode(), b"\xff" * VIN_LEN))


def test_a_request_structure_is_no_token_and_a_token_no_request_structure() -> None:
    with pytest.raises(TokenFormatError):
        Token.decode(STRUCTURE.encode().ljust(TOKEN_LEN, b"\0"))
    with pytest.raises(TokenFormatError):
        RequestStructure.decode(GOOD[:REQUEST_LEN])


def test_a_format_error_blames_the_peer() -> None:
    assert issubclass(TokenFormatError, RemoteFault)


def test_the_signature_holds_for_its_own_key_alone() -> None:
    read = Token.decode(GOOD)
    assert read.signed_by(keys().token_key.public_key())
    assert not read.signed_by(keys(2).token_key.public_key())


def test_no_flipped_bit_keeps_the_signature() -> None:
    public_key = keys().token_key.public_key()
    survivors = []
    for bit in range(8 * len(GOOD)):
        try:
            read = Token.decode(flip(GOOD, bit))
        except TokenFormatError:
            continue
        if read.signed_by(public_key):
            survivors.append(bit)
    assert survivors == []


def test_the_signature_is_made_behind_a_domain_separator() -> None:
    """What the key signs for another purpose is never a token."""
    said = claims(STRUCTURE)
    bare = Token(claims=said, signature=keys().token_key.sign(said.encode()))
    assert not bare.signed_by(keys().token_key.public_key())


def test_signing_twice_gives_the_same_bytes() -> None:
    said = claims(STRUCTURE)
    assert sign(said, keys().token_key) == sign(said, keys().token_key)


def test_the_key_id_is_eight_bytes_and_tells_keys_apart() -> None:
    ids = {key_id(keys(seed).token_key.public_key()) for seed in range(1, 6)}
    assert len(ids) == 5
    assert {len(one) for one in ids} == {KEY_ID_LEN} == {8}


# ---- what we build ourselves


def request_structure(**changes: Any) -> RequestStructure:
    return RequestStructure(**{"ecu_address": ADDRESS, "vin": VIN, "nonce": bytes(NONCE_LEN), **changes})


def token_claims(**changes: Any) -> TokenClaims:
    return claims(STRUCTURE, **changes)


def whole_token(**changes: Any) -> Token:
    return Token(**{"claims": claims(STRUCTURE), "signature": bytes(SIGNATURE_LEN), **changes})


Make = Callable[..., RequestStructure | TokenClaims | Token]
BYTES = [
    (request_structure, "nonce", NONCE_LEN),
    (token_claims, "nonce", NONCE_LEN),
    (token_claims, "key_id", KEY_ID_LEN),
    (token_claims, "token_id", TOKEN_ID_LEN),
    (whole_token, "signature", SIGNATURE_LEN),
]
NUMBERS = [
    (request_structure, "ecu_address", 2),
    (request_structure, "generation", 1),
    (token_claims, "ecu_address", 2),
    (token_claims, "role", 1),
    (token_claims, "scope", 2),
    (token_claims, "not_before_utc_s", 8),
    (token_claims, "not_after_utc_s", 8),
    (token_claims, "duration_min", 2),
    (token_claims, "generation", 1),
]


@pytest.mark.parametrize(("make", "field", "size"), BYTES, ids=[f"{row[0].__name__} {row[1]}" for row in BYTES])
def test_a_field_of_another_length_is_our_mistake_and_neither_padded_nor_cut(make: Make, field: str, size: int) -> None:
    for wrong in (0, size - 1, size + 1):
        with pytest.raises(LocalMisuse, match=rf"{field} has {size} bytes.*{wrong}"):
            make(**{field: bytes(wrong)})


@pytest.mark.parametrize("make", [request_structure, token_claims])
@pytest.mark.parametrize("vin", ["", VIN[:-1], VIN + "1", "Ü" + VIN[1:], "Ü" * 8 + "1"])
def test_a_vin_has_17_ascii_characters(make: Make, vin: str) -> None:
    with pytest.raises(LocalMisuse, match="VIN has 17 ASCII characters"):
        make(vin=vin)


@pytest.mark.parametrize(("make", "field", "size"), NUMBERS, ids=[f"{row[0].__name__} {row[1]}" for row in NUMBERS])
def test_a_number_that_does_not_fit_its_field_is_our_mistake(make: Make, field: str, size: int) -> None:
    make(**{field: 0})
    make(**{field: 256**size - 1})
    for wrong in (-1, 256**size):
        with pytest.raises(LocalMisuse, match=rf"{field} is a number of {size} byte.*{wrong}"):
            make(**{field: wrong})


def test_a_claim_is_checked_when_it_is_changed_too() -> None:
    with pytest.raises(LocalMisuse, match="nonce"):
        replace(claims(STRUCTURE), nonce=b"short")
