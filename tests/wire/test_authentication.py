"""What both sides of Authentication 0x29 share: what a proof covers, the session key, the challenge-response formats."""

from dataclasses import fields, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire.authentication import Exchange, Party, SessionKeyError, agree, public_bytes, sized
from wire.challenge_response import (
    ALGORITHMS,
    WISH_LEN,
    Wish,
    WishFormatError,
    decode_needed,
    encode_needed,
    split_additional,
)
from wire.errors import LocalMisuse

VIN = "WVWZZZCDZNW000001"
BASE = Exchange(
    task=2,
    configuration=1,
    vin=VIN,
    ecu_address=0x17,
    server_challenge=b"server challenge",
    client_challenge=b"client challenge",
    server_ephemeral=b"server ephemeral",
    client_ephemeral=b"client ephemeral",
    algorithm=b"algorithm",
    additional=b"additional",
)
ONE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = X25519PrivateKey.from_private_bytes(bytes(range(32, 64)))


@pytest.mark.parametrize("name", [field.name for field in fields(Exchange)])
def test_a_proof_covers_every_field(name: str) -> None:
    value = getattr(BASE, name)
    other = "X" * 17 if name == "vin" else value + 1 if isinstance(value, int) else value + b"x"
    assert replace(BASE, **{name: other}).proof_bytes(Party.CLIENT) != BASE.proof_bytes(Party.CLIENT)


def test_a_proof_covers_whose_it_is() -> None:
    assert BASE.proof_bytes(Party.CLIENT) != BASE.proof_bytes(Party.SERVER)


parts = st.binary(max_size=6)
exchanges = st.builds(
    Exchange,
    task=st.sampled_from([1, 2, 6, 7]),
    configuration=st.integers(0, 1),
    vin=st.just(VIN),
    ecu_address=st.integers(0, 3),
    server_challenge=parts,
    client_challenge=parts,
    server_ephemeral=parts,
    client_ephemeral=parts,
    algorithm=parts,
    additional=parts,
)


@given(exchanges, exchanges)
def test_no_two_exchanges_have_one_proof(one: Exchange, other: Exchange) -> None:
    """Bytes cannot be moved from one field into the next."""
    assert (one.proof_bytes(Party.CLIENT) == other.proof_bytes(Party.CLIENT)) == (one == other)


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_bytes_cannot_move_between_the_challenges(first: bytes, second: bytes) -> None:
    one = replace(BASE, server_challenge=first + second, client_challenge=b"")
    other = replace(BASE, server_challenge=first, client_challenge=second)
    assert (one.proof_bytes(Party.CLIENT) == other.proof_bytes(Party.CLIENT)) == (not second)


def test_an_exchange_with_what_the_formats_cannot_carry_is_misuse() -> None:
    with pytest.raises(LocalMisuse, match="17"):
        replace(BASE, vin="short")
    with pytest.raises(LocalMisuse, match="ecu_address"):
        replace(BASE, ecu_address=0x10000)
    with pytest.raises(LocalMisuse, match="65535"):
        sized(bytes(0x10000))


# ---- session key


def test_both_sides_derive_the_same_key_and_check_value() -> None:
    one, other = agree(ONE, public_bytes(OTHER), BASE), agree(OTHER, public_bytes(ONE), BASE)
    assert one == other
    assert (len(one.key), len(one.info)) == (32, 32)
    assert one.key not in one.info


def test_another_talk_gives_another_key() -> None:
    assert agree(ONE, public_bytes(OTHER), BASE) != agree(ONE, public_bytes(OTHER), replace(BASE, additional=b""))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_no_key_is_agreed_with_what_is_none(key: bytes) -> None:
    with pytest.raises(SessionKeyError, match="no key agreement"):
        agree(ONE, key, BASE)


def test_a_session_key_does_not_print_itself() -> None:
    key = agree(ONE, public_bytes(OTHER), BASE)
    assert repr(key.key) not in repr(key)


# ---- challenge-response

wishes = st.builds(
    Wish,
    ident=st.binary(min_size=16, max_size=16),
    role=st.integers(0, 255),
    scope=st.integers(0, 0xFFFF),
    duration_min=st.integers(0, 0xFFFF),
    key_id=st.binary(min_size=8, max_size=8),
)


@given(wishes, st.binary(max_size=40))
def test_a_wish_is_read_back_as_it_was_written(wish: Wish, ephemeral: bytes) -> None:
    assert len(wish.encode()) == WISH_LEN
    assert split_additional(wish.encode() + ephemeral) == (wish, ephemeral)


@given(st.binary(max_size=WISH_LEN + 4))
def test_other_bytes_are_no_wish_or_one_that_writes_the_same(data: bytes) -> None:
    try:
        wish, rest = split_additional(data)
    except WishFormatError:
        return
    assert wish.encode() + rest == data


@pytest.mark.parametrize("field", [{"ident": bytes(15)}, {"role": 256}, {"scope": -1}, {"key_id": b""}])
def test_a_wish_that_cannot_be_carried_is_misuse(field: dict[str, object]) -> None:
    with pytest.raises(LocalMisuse):
        Wish(**{"ident": bytes(16), "role": 1, "scope": 1, "duration_min": 1, **field})


@pytest.mark.parametrize("ephemeral", [b"", bytes(32)])
def test_what_is_needed_is_read_back(ephemeral: bytes) -> None:
    assert decode_needed(encode_needed(ephemeral)) == ephemeral


@pytest.mark.parametrize("data", [b"", b"\x02", bytes(33), b"\x01" + bytes(31)])
def test_another_need_is_not_understood(data: bytes) -> None:
    with pytest.raises(WishFormatError, match="needs another"):
        decode_needed(data)


def test_every_algorithm_has_an_indicator_of_sixteen_bytes_of_its_own() -> None:
    every = [indicator for kind in ALGORITHMS.values() for indicator in kind]
    assert {len(indicator) for indicator in every} == {16}
    assert len(set(every)) == len(every)
