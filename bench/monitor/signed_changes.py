"""The witness's own reading of SecuredDataTransmission, and its ledger of changes that the back end signed, each for once.

Written from the domain's facts, not from the simulator's formats: a record of the audit log ends in the SHA-256 of the whole
request up to its signature, so what went over the wire either is exactly that change or is not.
"""

from __future__ import annotations

import hashlib

from wire.portal_api import AuditRecord

SECURED, SECURED_ANSWER = 0x84, 0xC4
HEADER_LEN, ENCRYPTED, SIGNED = 8, 0x10, 0x20
"""Service, administrative parameter 2 (bit 4: encrypted, bit 5: signed), calculation 1, signature length 2, counter 2."""
NEGATIVE = 0x7F


def inside(message: bytes) -> bytes:
    """Return the inner message of a request or answer, empty where it cannot be read or lengths do not add up."""
    if message[:1] not in (b"\x84", b"\xc4") or len(message) <= HEADER_LEN or message[2] & ENCRYPTED:
        return b""
    end = len(message) - int.from_bytes(message[4:6], "big")
    return message[HEADER_LEN:end] if end > HEADER_LEN else b""


def is_signed(message: bytes) -> bool:
    """Return whether a readable request says that it is signed, and carries something where its signature belongs."""
    return bool(inside(message)) and bool(message[2] & SIGNED) and message[4:6] != b"\0\0"


class Ledger:
    """The changes that were signed for one vehicle; each is good for one answer."""

    def __init__(self, vin: str) -> None:
        self._vin = vin
        self._signed: set[tuple[int, str]] = set()
        self._taken: set[tuple[int, str]] = set()

    def note(self, record: AuditRecord) -> None:
        """Learn of an audit record of a signed change."""
        if record.vin == self._vin and record.ecu_address is not None:
            self._signed.add((record.ecu_address, record.subject.rpartition(":")[2]))

    def take(self, address: int, request: bytes) -> str:
        """Book the answer of a unit to a secured request; return what is wrong with it, or nothing."""
        end = len(request) - int.from_bytes(request[4:6], "big")
        entry = (address, hashlib.sha256(request[:end]).hexdigest())
        if entry not in self._signed:
            return "change without a signed order"
        if entry in self._taken:
            return "a signed change was taken twice"
        self._taken.add(entry)
        return ""
