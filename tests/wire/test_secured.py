"""SecuredDataTransmission's bytes: what goes in comes out, lengths that do not add up are said, and foreign readings agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.automotive.uds import UDS, UDS_SDT, UDS_SDTPR

from wire.errors import LocalMisuse
from wire.secured import HEADER_LEN, SECURED_ANSWER, Administrative, SecuredFormatError, SecuredMessage

REQUEST = bytes.fromhex("84 0061 00 0006 0124 2E F123AA55 DBD10EDC55AA")
REFUSED_INSIDE = bytes.fromhex("C4 0020 00 0006 0136 7F2E13 FEC9A180ECFF")
"""Both stand in the tests of the Rust crate iso14229-1, which no one here wrote."""

messages = st.builds(
    SecuredMessage,
    administrative=st.integers(0, 0xFFFF),
    counter=st.integers(0, 0xFFFF),
    calculation=st.integers(0, 0xFF),
    inner=st.binary(min_size=1, max_size=80),
    signature=st.binary(max_size=120),
    sid=st.sampled_from((0x84, 0xC4)),
)


@given(messages)
def test_what_is_encoded_is_read_back(message: SecuredMessage) -> None:
    wire = message.encode()
    assert SecuredMessage.decode(wire, message.sid) == message
    assert wire == message.before_signature(len(message.signature)) + message.signature


@given(st.binary(max_size=40), st.sampled_from((0x84, 0xC4)))
def test_any_bytes_are_read_or_refused_and_what_is_read_is_the_same_bytes(data: bytes, sid: int) -> None:
    try:
        message = SecuredMessage.decode(data, sid)
    except SecuredFormatError:
        return
    assert message.encode() == data
    assert message.inner


def test_a_foreign_implementations_request_is_read_as_it_means_it() -> None:
    message = SecuredMessage.decode(REQUEST)
    wanted = Administrative.REQUEST | Administrative.SIGNED | Administrative.SIGNATURE_ON_ANSWER
    assert message.administrative == wanted
    assert (message.calculation, message.counter) == (0x00, 0x0124)
    assert message.inner == bytes.fromhex("2EF123AA55")
    assert message.signature == bytes.fromhex("DBD10EDC55AA")
    assert message.readable
    assert message.encode() == REQUEST


def test_a_foreign_implementations_refusal_stands_inside_a_positive_answer() -> None:
    message = SecuredMessage.decode(REFUSED_INSIDE, SECURED_ANSWER)
    assert message.administrative == Administrative.SIGNED
    assert message.inner == bytes.fromhex("7F2E13")
    assert message.encode() == REFUSED_INSIDE


@pytest.mark.judge("scapy and udsoncan")
@pytest.mark.parametrize(("wire", "kind"), [(REQUEST, UDS_SDT), (REFUSED_INSIDE, UDS_SDTPR)])
def test_scapy_finds_the_same_fields(wire: bytes, kind: type) -> None:
    """But for the administrative parameter, whose bits it counts from the other end."""
    read = UDS(wire)[kind]
    message = SecuredMessage.decode(wire, wire[0])
    assert read.signatureEncryptionCalculation == message.calculation
    assert read.signatureLength == len(message.signature)
    assert read.antiReplayCounter == message.counter
    inner_sid = read.internalMessageServiceRequestId if kind is UDS_SDT else read.internalMessageServiceResponseId
    assert bytes((inner_sid,)) + read.dataRecord == message.inner + message.signature


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "0 bytes"),
        ("84 0021 01 0000 0001", "8 bytes"),
        ("85 0021 01 0000 0001 3E", "begins with 85"),
        ("84 0021 01 0001 0001 3E", "leaves nothing inside"),
        ("84 0021 01 FFFF 0001 3E 00", "leaves nothing inside"),
    ],
)
def test_what_does_not_add_up_is_said(data: str, said: str) -> None:
    with pytest.raises(SecuredFormatError, match=said):
        SecuredMessage.decode(bytes.fromhex(data))


def test_a_header_and_one_byte_are_the_least() -> None:
    assert SecuredMessage.decode(bytes.fromhex("84 0001 00 0000 0000 3E")).inner == b"\x3e"
    assert HEADER_LEN == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"inner": b""},
        {"administrative": 0x10000},
        {"counter": -1},
        {"calculation": 0x100},
        {"signature": bytes(0x10000)},
    ],
)
def test_a_field_that_does_not_fit_is_ones_own_mistake(wrong: dict) -> None:
    with pytest.raises(LocalMisuse):
        SecuredMessage(**{"administrative": 1, "counter": 1, "inner": b"\x3e", **wrong})
