"""Two foreign readers of UDS: scapy dissects and rebuilds every byte, udsoncan reads requests and answers; both say what fits."""

from __future__ import annotations

import udsoncan
from scapy.contrib.automotive.uds import (
    UDS,
    UDS_ATPPR,
    UDS_CC,
    UDS_IOCBI,
    UDS_IOCBIPR,
    UDS_RC,
    UDS_RCPR,
    UDS_RDBIPR,
    UDS_ROEPR,
    UDS_WDBI,
)
from scapy.packet import NoPayload, Raw

from wire.uds import Nrc

RECORD_FOLLOWS = (UDS_RDBIPR, UDS_WDBI, UDS_RC, UDS_RCPR, UDS_IOCBI, UDS_IOCBIPR, UDS_ROEPR, UDS_ATPPR, UDS_CC)
"""Where the standard leaves the rest to the maker, scapy keeps bytes as they are. Nowhere else may any be left, but for what it
does not know: node numbers of 0x28, the limits of 0x83, an answer of 0x86 that is shorter than that of a set-up.
"""
NOT_READ = {
    b"\x6a": "the first answer of 0x2A is its service alone; both judges know only the messages of data that follow",
    b"\x2a\x04": "stopping all names no periodic identifier; scapy wants one",
    b"\xc6\x04\x00": "no active event has no window; scapy wants one",
    b"\x6c\x03": "clearing all names no identifier; scapy wants one",
}
"""Messages of the standard that a judge cannot read."""
EXITED = 0x77
"""RequestTransferExit is the one request of a single byte. udsoncan reads the answer's record and leaves it out where it writes
it again; scapy takes no answer that is longer than such a request."""
PENDING = bytes((Nrc.requestCorrectlyReceivedResponsePending,))


def read_by_scapy(payload: bytes) -> UDS:
    """Dissect, check that scapy has a name for every byte, and that it builds the same bytes from the fields."""
    packet = UDS(payload)
    assert not isinstance(packet.payload, Raw), payload.hex(" ")
    rest = packet.payload.payload
    assert isinstance(rest, NoPayload) or isinstance(packet.payload, RECORD_FOLLOWS), payload.hex(" ")
    rebuilt = packet.copy()
    rebuilt.clear_cache()
    assert bytes(rebuilt) == payload
    return packet


def judge(request: bytes, answers: list[bytes]) -> None:
    """Let both judges read a talk."""
    asked = read_by_scapy(request) if request not in NOT_READ else None
    assert udsoncan.Request.from_payload(request).get_payload() == request
    for answer in answers:
        if answer in NOT_READ:
            assert answer[0] == request[0] + 0x40
            continue
        said = read_by_scapy(answer)
        response = udsoncan.Response.from_payload(answer)
        assert response.valid, (answer.hex(" "), response.invalid_reason)
        if answer[0] == EXITED:
            assert response.data == answer[1:]
        else:
            assert response.get_payload() == answer
        if answer[0] == 0x7F:
            assert answer[1] == request[0]
            assert udsoncan.Response.Code.is_supported_by_standard(answer[2], 2020), answer.hex(" ")
        if answer[0] != EXITED and (answer[0] != 0x7F or answer[2:] != PENDING):
            assert asked is None or said.answers(asked), f"scapy: {answer.hex(' ')} does not answer {request.hex(' ')}"
    final = [answer for answer in answers if answer[0] != 0x7F or answer[2:] != PENDING]
    assert len(final) <= 1, "one final answer to one request"
