"""What the table says that foreign readers cannot do, they still cannot do: else a row would hide a mistake of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import udsoncan
from judge_ledger import SCAPY, UDSONCAN
from own_client import client_of
from uds_departures import DEPARTURES, Departure, Question, departure
from uds_judges import questions_to_scapy, questions_to_udsoncan
from udsoncan.BaseService import BaseService
from udsoncan.exceptions import InvalidResponseException

pytestmark = pytest.mark.judge("scapy and udsoncan")


def asked(row: Departure) -> Iterator[tuple[Question, bool]]:
    payload, request = bytes.fromhex(row.example), bytes.fromhex(row.request)
    if row.judge == SCAPY:
        return questions_to_scapy(payload, request or None)
    return questions_to_udsoncan(payload, is_answer=bool(request))


READERS = [row for row in DEPARTURES if row.judge in (SCAPY, UDSONCAN)]


@pytest.mark.parametrize("row", READERS, ids=lambda row: f"{row.judge} {row.question.name} {row.message}")
def test_a_judge_still_fails_where_it_is_excused(row: Departure) -> None:
    assert not dict(asked(row))[row.question]
    assert departure(row.judge, row.question, bytes.fromhex(row.example)) is row


@pytest.mark.parametrize(
    "row", [row for row in DEPARTURES if row.question is Question.CALLS], ids=lambda row: row.message
)
def test_udsoncan_still_has_no_call_for_these_services(row: Departure) -> None:
    service = BaseService.from_request_id(int(row.message[:2], 16))
    assert service is not None
    with pytest.raises(NotImplementedError):
        service.make_request()


def test_udsoncan_still_wants_a_severity_in_report_55() -> None:
    (row,) = (row for row in DEPARTURES if row.question is Question.DECODES)
    with client_of(lambda _: [bytes.fromhex(row.example)]) as client, pytest.raises(InvalidResponseException):
        client.get_wwh_obd_dtc_with_permanent_status(0x33)


def test_an_excuse_is_for_its_judge_its_question_and_its_message_alone() -> None:
    pending = bytes.fromhex("7F 22 78")
    assert departure(SCAPY, Question.PAIRS, pending) is not None
    assert departure(SCAPY, Question.FIELDS, pending) is None
    assert departure(UDSONCAN, Question.PAIRS, pending) is None
    assert departure(SCAPY, Question.PAIRS, bytes.fromhex("7F 22 31")) is None
    assert not udsoncan.Response.from_payload(b"\x7f\x22").valid
