"""Where a foreign reader of UDS cannot read what the standard says, or reads it otherwise: one table, a reason each.

A row excuses a judge only at the question it names, and `test_departures` fails for a row that is no longer needed.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum
from fnmatch import fnmatchcase

from judge_ledger import CLIENT, SCAPY, UDSONCAN


class Question(Enum):
    """What a judge is asked of a message."""

    FIELDS = "name every byte"
    REBUILDS = "write the same bytes again"
    PAIRS = "take it for the answer to its request"
    CALLS = "ask for it by a call of its own client"
    DECODES = "decode it"


@dataclass(frozen=True, slots=True)
class Departure:
    """`message`: hex, with * for any rest; `example`: one such, in answer to `request` where it is an answer."""

    judge: str
    question: Question
    message: str
    reason: str
    _: KW_ONLY
    example: str
    request: str = ""


SNAPSHOTS = (
    "scapy wants a code and a record number in this request; py-uds, iso14229 and a footnote of udsoncan's say none"
)
UNKNOWN_REPORT = "scapy has no fields for this report"
NO_LIST = "scapy wants an identifier where the standard lets none stand for all"
FIRST_ANSWER = "udsoncan wants data in it, as in the messages that follow this answer"
NO_CALL = "udsoncan's client has no call for this service"
DEPARTURES = (
    Departure(
        SCAPY,
        Question.PAIRS,
        "7F ?? 78",
        "to scapy 0x78 is no answer, but the promise of one",
        example="7F 22 78",
        request="22 F1 90",
    ),
    Departure(
        SCAPY, Question.FIELDS, "14 ?? ?? ?? ??", "scapy does not know the memory selection", example="14 FF FF FF 10"
    ),
    Departure(SCAPY, Question.FIELDS, "19 03", SNAPSHOTS, example="19 03"),
    Departure(SCAPY, Question.PAIRS, "59 03*", SNAPSHOTS, example="59 03", request="19 03"),
    Departure(
        SCAPY,
        Question.PAIRS,
        "59 02 ??",
        "scapy pairs by a status bit of mask and answer, and a mask of 00 has none",
        example="59 02 FF",
        request="19 02 00",
    ),
    Departure(SCAPY, Question.FIELDS, "?9 1[6-9A]*", UNKNOWN_REPORT, example="19 16 90"),
    Departure(SCAPY, Question.FIELDS, "?9 42*", UNKNOWN_REPORT, example="19 42 33 FF FF"),
    Departure(SCAPY, Question.FIELDS, "?9 5[56]*", UNKNOWN_REPORT, example="19 55 33"),
    Departure(SCAPY, Question.FIELDS, "59 05*", UNKNOWN_REPORT, example="59 05 01", request="19 05 01"),
    Departure(
        SCAPY,
        Question.FIELDS,
        "78 06*",
        "scapy does not know where a file is resumed",
        example="78 06 01 82 00 00 00 00 00 00 00 00 80",
        request="38 06 00 01 2F 00 01 01 01",
    ),
    Departure(
        SCAPY,
        Question.FIELDS,
        "59 04*",
        "scapy cannot know how long the identifiers of a freeze frame are",
        example="59 04 02 99 00 AF 01 02 10 01 00 30 39 10 02 31 38 02 01 F1 86 01",
        request="19 04 02 99 00 FF",
    ),
    Departure(
        SCAPY,
        Question.FIELDS,
        "C3 01*",
        "scapy has no fields for the limits of timing",
        example="C3 01 00 14 00 0A",
        request="83 01",
    ),
    Departure(
        SCAPY, Question.FIELDS, "28 0[45] ?? ?? ??", "scapy does not know the node number", example="28 04 01 00 0A"
    ),
    Departure(SCAPY, Question.FIELDS, "2A 04", NO_LIST, example="2A 04"),
    Departure(SCAPY, Question.FIELDS, "6C 03", NO_LIST, example="6C 03", request="2C 03"),
    Departure(UDSONCAN, Question.FIELDS, "6A", FIRST_ANSWER, example="6A", request="2A 01 01"),
    Departure(UDSONCAN, Question.REBUILDS, "6A", FIRST_ANSWER, example="6A", request="2A 01 01"),
    Departure(
        SCAPY,
        Question.PAIRS,
        "77 ?*",
        "scapy takes no answer that is longer than a request of one byte",
        example="77 00 00",
        request="37",
    ),
    Departure(
        UDSONCAN,
        Question.REBUILDS,
        "77 ?*",
        "udsoncan reads the record of this answer, and leaves it out where it writes it",
        example="77 00 00",
        request="37",
    ),
    Departure(
        SCAPY,
        Question.FIELDS,
        "C6 04 00",
        "scapy wants a window where no event is set up",
        example="C6 04 00",
        request="86 04 02",
    ),
    Departure(CLIENT, Question.CALLS, "24*", NO_CALL, example="24 F1 90"),
    Departure(
        CLIENT,
        Question.DECODES,
        "59 55*",
        "udsoncan's client wants a severity in report 55, which udsoncan alone does",
        example="59 55 33 FF 04 02 99 00 AF",
        request="19 55 33",
    ),
    Departure(CLIENT, Question.CALLS, "2A*", NO_CALL, example="2A 01 01"),
    Departure(CLIENT, Question.CALLS, "84*", NO_CALL, example="84 00 21 01 00 00 00 01 3E 00"),
    Departure(CLIENT, Question.CALLS, "86*", NO_CALL, example="86 04 02"),
)


def departure(judge: str, question: Question, payload: bytes) -> Departure | None:
    """Return the row that excuses a judge."""
    text = payload.hex(" ").upper()
    for row in DEPARTURES:
        if row.judge == judge and row.question is question and fnmatchcase(text, row.message):
            return row
    return None
