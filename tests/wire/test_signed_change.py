"""What SFD2 signs: every byte that makes a change this change, in this unit, for this request; round trips of its formats."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import LocalMisuse
from wire.secured import SECURED_ANSWER, Administrative, SecuredMessage
from wire.signed_change import (
    CALCULATION_ED25519,
    CHANGE_REQUEST_LEN,
    CHANGE_SIGNATURE_LEN,
    ChangeClaims,
    ChangeOrder,
    ChangeRequest,
    ChangeSignature,
    Place,
    answer_signed_by,
    change_digest,
    sign_answer,
    sign_change,
)
from wire.token import SIGNATURE_LEN, Generation, RequestStructure, TokenFormatError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PLACE = Place(vin="WVWZZZE1ZRP000024", ecu_address=0x17, nonce=bytes(range(16)))
CLAIMS = ChangeClaims(key_id=bytes(8), change_id=bytes(16), role=2, scope=1)
MESSAGE = SecuredMessage(
    administrative=Administrative.REQUEST | Administrative.SIGNED,
    calculation=CALCULATION_ED25519,
    counter=5,
    inner=bytes.fromhex("2E060001"),
)
ANSWER = SecuredMessage(sid=SECURED_ANSWER, administrative=Administrative.SIGNED, counter=5, inner=b"\x6e\x06\x00")
REQUEST = ChangeRequest(
    structure=RequestStructure(ecu_address=0x17, vin=PLACE.vin, nonce=PLACE.nonce, generation=Generation.SFD2),
    last_counter=4,
)

nonces = st.binary(min_size=16, max_size=16)


@given(st.integers(0, 0xFFFF), nonces, st.integers(0, 0xFFFF))
def test_what_a_unit_hands_out_is_read_back(address: int, nonce: bytes, counter: int) -> None:
    structure = RequestStructure(ecu_address=address, vin=PLACE.vin, nonce=nonce, generation=Generation.SFD2)
    request = ChangeRequest(structure=structure, last_counter=counter)
    assert ChangeRequest.decode(request.encode()) == request
    assert len(request.encode()) == CHANGE_REQUEST_LEN
    order = ChangeOrder(request=request, message=MESSAGE)
    assert ChangeOrder.decode(order.encode()) == order


@given(
    st.binary(min_size=8, max_size=8),
    nonces,
    st.integers(0, 0xFF),
    st.integers(0, 0xFFFF),
    st.binary(min_size=64, max_size=64),
)
def test_a_signature_field_is_read_back(key: bytes, change_id: bytes, role: int, scope: int, made: bytes) -> None:
    claims = ChangeClaims(key_id=key, change_id=change_id, role=role, scope=scope)
    signature = ChangeSignature(claims=claims, signature=made)
    assert ChangeSignature.decode(signature.encode()) == signature
    assert len(signature.encode()) == CHANGE_SIGNATURE_LEN


@given(st.binary(max_size=2 * CHANGE_SIGNATURE_LEN))
def test_any_bytes_are_a_signature_field_or_refused(data: bytes) -> None:
    for read in (ChangeSignature.decode, ChangeRequest.decode, ChangeOrder.decode):
        try:
            assert read(data).encode() == data
        except TokenFormatError:
            continue


def test_the_signature_holds_for_its_change() -> None:
    signature = sign_change(CLAIMS, PLACE, MESSAGE, KEY)
    assert signature.signed_by(KEY.public_key(), PLACE, MESSAGE)
    assert signature == sign_change(CLAIMS, PLACE, MESSAGE, KEY)
    sent = replace(MESSAGE, signature=signature.encode())
    assert ChangeSignature.decode(SecuredMessage.decode(sent.encode()).signature).signed_by(
        KEY.public_key(), PLACE, SecuredMessage.decode(sent.encode())
    )


@pytest.mark.parametrize(
    "place",
    [
        replace(PLACE, vin="WVWZZZE1ZRP000025"),
        replace(PLACE, ecu_address=0x15),
        replace(PLACE, nonce=bytes(16)),
    ],
    ids=["other VIN", "other unit", "other nonce"],
)
def test_the_signature_holds_nowhere_else(place: Place) -> None:
    assert not sign_change(CLAIMS, PLACE, MESSAGE, KEY).signed_by(KEY.public_key(), place, MESSAGE)


@pytest.mark.parametrize(
    "message",
    [
        replace(MESSAGE, counter=6),
        replace(MESSAGE, inner=MESSAGE.inner + b"\x00"),
        replace(MESSAGE, inner=MESSAGE.inner[:-1]),
        replace(MESSAGE, calculation=0),
        replace(MESSAGE, administrative=MESSAGE.administrative | Administrative.SIGNATURE_ON_ANSWER),
        replace(MESSAGE, sid=SECURED_ANSWER),
    ],
    ids=["counter", "longer", "shorter", "calculation", "signed answer", "an answer"],
)
def test_the_signature_holds_for_no_other_message(message: SecuredMessage) -> None:
    assert not sign_change(CLAIMS, PLACE, MESSAGE, KEY).signed_by(KEY.public_key(), PLACE, message)
    assert change_digest(message) != change_digest(MESSAGE)


@given(st.integers(0, CHANGE_SIGNATURE_LEN - 1), st.integers(0, 7))
def test_no_bit_of_a_signature_field_can_be_changed(at: int, bit: int) -> None:
    wire = bytearray(sign_change(CLAIMS, PLACE, MESSAGE, KEY).encode())
    wire[at] ^= 1 << bit
    try:
        signature = ChangeSignature.decode(bytes(wire))
    except TokenFormatError:
        return
    assert not signature.signed_by(KEY.public_key(), PLACE, MESSAGE)


def test_an_answer_is_signed_for_its_change_and_place() -> None:
    signed = replace(ANSWER, signature=sign_answer(PLACE, ANSWER, KEY))
    assert len(signed.signature) == SIGNATURE_LEN
    assert answer_signed_by(KEY.public_key(), PLACE, signed)
    assert not answer_signed_by(KEY.public_key(), replace(PLACE, nonce=bytes(16)), signed)
    assert not answer_signed_by(KEY.public_key(), PLACE, replace(signed, inner=b"\x7f\x2e\x22"))
    assert not answer_signed_by(KEY.public_key(), PLACE, replace(signed, counter=6))


def test_a_changes_signature_is_none_of_a_token_and_none_of_an_answer() -> None:
    """Each has its own domain, so that bytes signed for one purpose serve no other."""
    signature = sign_change(CLAIMS, PLACE, MESSAGE, KEY).signature
    assert not answer_signed_by(KEY.public_key(), PLACE, replace(MESSAGE, signature=signature))


def test_what_is_cut_off_or_of_another_kind_is_said() -> None:
    with pytest.raises(TokenFormatError, match="bytes"):
        ChangeRequest.decode(REQUEST.encode()[:-1])
    with pytest.raises(TokenFormatError, match="no message to sign"):
        ChangeOrder.decode(REQUEST.encode() + b"\x84")
    with pytest.raises(TokenFormatError, match="begins with"):
        ChangeSignature.decode(b"ST\x01".ljust(CHANGE_SIGNATURE_LEN, b"\0"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: replace(PLACE, vin="short"),
        lambda: replace(PLACE, nonce=bytes(15)),
        lambda: replace(CLAIMS, key_id=b""),
        lambda: replace(CLAIMS, change_id=b""),
        lambda: replace(CLAIMS, role=256),
        lambda: replace(CLAIMS, scope=1 << 16),
        lambda: ChangeSignature(claims=CLAIMS, signature=b""),
        lambda: replace(REQUEST, last_counter=1 << 16),
    ],
)
def test_a_field_that_does_not_fit_is_ones_own_mistake(build: object) -> None:
    with pytest.raises(LocalMisuse):
        build()
