"""SecuredDataTransmission 0x84: the message that wraps another request or answer, as bytes and as fields.

    84 | administrative parameter 2 | calculation 1 | signature length 2 | anti-replay counter 2 | inner message | signature
    C4 | the same; the inner message is the inner service's answer, positive or negative

Read in the tests of the Rust crate iso14229-1 (`84 0061 00 0006 0124 2E F123AA55 DBD10EDC55AA`, `C4 0020 00 0006 0136 7F2E13
FEC9A180ECFF`): a refusal of the inner service comes inside C4, one of 0x84 itself is `7F 84`. scapy has the same fields, but
reads the administrative parameter from the other end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from wire.errors import LocalMisuse, RemoteFault
from wire.token import require_number
from wire.uds import POSITIVE_OFFSET, Service

SECURED_REQUEST = int(Service.SecuredDataTransmission)
SECURED_ANSWER = SECURED_REQUEST + POSITIVE_OFFSET
_HEADER = struct.Struct(">BHBHH")
HEADER_LEN = _HEADER.size
"""Service, administrative parameter, calculation, signature length, counter: the inner message follows."""
MAX_COUNTER = 0xFFFF


class Administrative(IntFlag):
    """Bits of the administrative parameter (ISO 14229-1:2020 table "administrative parameter", as in the crate named above)."""

    REQUEST = 0x0001
    PRE_ESTABLISHED_KEY = 0x0008
    ENCRYPTED = 0x0010
    SIGNED = 0x0020
    SIGNATURE_ON_ANSWER = 0x0040


class SecuredFormatError(RemoteFault):
    """The bytes are no SecuredDataTransmission: too short, or lengths that do not add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredMessage:
    """One message of the service. `sid`: 0x84 or 0xC4; `inner`: the whole inner message, its service identifier first.

    Building one with a field of another width, or with nothing inside, raises `LocalMisuse`.
    """

    administrative: int
    counter: int
    inner: bytes
    signature: bytes = b""
    calculation: int = 0
    sid: int = SECURED_REQUEST

    def __post_init__(self) -> None:
        """Check every field against its width."""
        require_number("administrative", self.administrative, 2)
        require_number("calculation", self.calculation, 1)
        require_number("counter", self.counter, 2)
        require_number("length of the signature", len(self.signature), 2)
        if not self.inner:
            raise LocalMisuse("a secured message without an inner message: there is nothing to secure")

    @property
    def readable(self) -> bool:
        """Whether the inner message can be read by who has no key."""
        return not self.administrative & Administrative.ENCRYPTED

    def encode(self) -> bytes:
        """Return the wire bytes."""
        return self.before_signature(len(self.signature)) + self.signature

    def before_signature(self, signature_len: int) -> bytes:
        """Return the header and the inner message, for a signature of this length: what a signature is made over."""
        return _HEADER.pack(self.sid, self.administrative, self.calculation, signature_len, self.counter) + self.inner

    @classmethod
    def decode(cls, data: bytes, sid: int = SECURED_REQUEST) -> SecuredMessage:
        """Read wire bytes that begin with `sid`; raise `SecuredFormatError` that says what is wrong."""
        if len(data) <= HEADER_LEN:
            raise SecuredFormatError(f"{len(data)} bytes: nothing stands behind a header of {HEADER_LEN}")
        found, administrative, calculation, signature_len, counter = _HEADER.unpack(data[:HEADER_LEN])
        if found != sid:
            raise SecuredFormatError(f"begins with {found:02X}, not with {sid:02X}")
        end = len(data) - signature_len
        if end <= HEADER_LEN:
            raise SecuredFormatError(f"a signature of {signature_len} bytes leaves nothing inside of {len(data)}")
        return cls(
            administrative=administrative,
            counter=counter,
            inner=data[HEADER_LEN:end],
            signature=data[end:],
            calculation=calculation,
            sid=sid,
        )
