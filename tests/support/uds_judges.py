"""Two foreign readers of UDS, each asked in one place: scapy dissects, rebuilds and pairs, udsoncan reads and writes again.

Each verdict goes into the ledger. A judge that fails at a question is excused only by a row of `uds_departures`.
"""

from __future__ import annotations

from collections.abc import Iterator

import udsoncan
from judge_ledger import ANSWER, LEDGER, READ, REFUSED, REQUEST, SCAPY, UDSONCAN
from scapy.contrib.automotive.uds import UDS, UDS_IOCBI, UDS_IOCBIPR, UDS_RC, UDS_RCPR, UDS_RDBIPR, UDS_WDBI
from scapy.fields import FieldLenField
from scapy.packet import NoPayload, Packet, Raw
from uds_departures import Question, departure

from wire.uds import NEGATIVE_RESPONSE, POSITIVE_OFFSET, Nrc

EDITION = 2020
RECORD_FOLLOWS = (UDS_RDBIPR, UDS_WDBI, UDS_RC, UDS_RCPR, UDS_IOCBI, UDS_IOCBIPR)
"""Where the standard leaves the rest to the maker, scapy keeps bytes as they are. Nowhere else may any be left."""


def has_a_field_for_every_byte(packet: Packet) -> bool:
    """Whether scapy kept nothing as mere bytes. A message of its service alone has no more to name."""
    inner = packet.payload
    if isinstance(inner, RECORD_FOLLOWS):
        return True
    return packet.getlayer(Raw) is None and (isinstance(inner, NoPayload) or isinstance(inner.payload, NoPayload))


def rebuilt(packet: Packet) -> bytes:
    """Let scapy write the message again from the values of its fields; what it can count, it counts anew."""
    again = packet.copy()
    again.clear_cache()
    layer = again
    while not isinstance(layer, NoPayload):
        for field in layer.fields_desc:
            if isinstance(getattr(field, "fld", field), FieldLenField):
                layer.fields.pop(field.name, None)
        layer = layer.payload
    return bytes(again)


def questions_to_scapy(payload: bytes, request: bytes | None) -> Iterator[tuple[Question, bool]]:
    packet = UDS(payload)
    yield Question.FIELDS, has_a_field_for_every_byte(packet)
    yield Question.REBUILDS, rebuilt(packet) == payload
    if request is not None:
        yield Question.PAIRS, bool(packet.answers(UDS(request)))


def questions_to_udsoncan(payload: bytes, *, is_answer: bool) -> Iterator[tuple[Question, bool]]:
    if not is_answer:
        request = udsoncan.Request.from_payload(payload)
        yield Question.FIELDS, request.service is not None
        yield Question.REBUILDS, request.service is not None and request.get_payload() == payload
        return
    answer = udsoncan.Response.from_payload(payload)
    negative = payload[0] == NEGATIVE_RESPONSE
    sid = payload[1] if negative else payload[0] - POSITIVE_OFFSET
    yield (
        Question.FIELDS,
        bool(
            answer.valid
            and answer.positive is not negative
            and answer.service is not None
            and answer.service.request_id() == sid
            and (answer.code == payload[2] if negative else answer.data == payload[1:])
            and (not negative or udsoncan.Response.Code.is_supported_by_standard(payload[2], EDITION))
        ),
    )
    yield Question.REBUILDS, answer.valid and answer.get_payload() == payload


def read_by_scapy(payload: bytes, *, request: bytes | None = None, is_answer: bool = True) -> UDS:
    """Let scapy judge a message; where it answers `request`, that it fits it."""
    _decide(SCAPY, payload, is_answer, questions_to_scapy(payload, request))
    return UDS(payload)


def read_by_udsoncan(payload: bytes, *, is_answer: bool = True) -> None:
    """Let udsoncan judge a message."""
    _decide(UDSONCAN, payload, is_answer, questions_to_udsoncan(payload, is_answer=is_answer))


def _decide(judge: str, payload: bytes, is_answer: bool, questions: Iterator[tuple[Question, bool]]) -> None:
    sid = payload[0]
    if is_answer:
        sid = payload[1] if sid == NEGATIVE_RESPONSE else sid - POSITIVE_OFFSET
    said = READ
    for question, passed in questions:
        if passed:
            continue
        known = departure(judge, question, payload)
        if known is None:
            LEDGER.write(sid, judge, ANSWER if is_answer else REQUEST, REFUSED, payload)
            raise AssertionError(f"{judge}: {question.value} it does not: {payload.hex(' ')}")
        said = known.reason
    LEDGER.write(sid, judge, ANSWER if is_answer else REQUEST, said, payload)


def read_request(payload: bytes) -> None:
    """Let both judges read a request."""
    read_by_scapy(payload, is_answer=False)
    read_by_udsoncan(payload, is_answer=False)


def read_answer(payload: bytes, request: bytes | None = None) -> None:
    """Let both judges read an answer; with `request`, that it answers this."""
    read_by_scapy(payload, request=request)
    read_by_udsoncan(payload)


def judge(request: bytes, answers: list[bytes]) -> None:
    """Let both judges read a talk."""
    read_request(request)
    for answer in answers:
        assert answer[: 1 if answer[0] != NEGATIVE_RESPONSE else 2] in (
            bytes((request[0] + POSITIVE_OFFSET,)),
            bytes((NEGATIVE_RESPONSE, request[0])),
        ), f"{answer.hex(' ')} to {request.hex(' ')}"
        read_answer(answer, request)
    pending = bytes((NEGATIVE_RESPONSE, request[0], Nrc.requestCorrectlyReceivedResponsePending))
    assert sum(answer != pending for answer in answers) <= 1, "one final answer to one request"
