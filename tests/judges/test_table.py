"""The table with which `make judges` ends: what was refused and what did not run cannot be overlooked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from judge_ledger import ANSWER, CLIENT, READ, REFUSED, REQUEST, SCAPY, UDSONCAN, Ledger
from judge_table import JUDGES, WIDTH, judges_table, uds_table
from uds_departures import DEPARTURES

REASON = DEPARTURES[0].reason


def row_of(ledger: Ledger, service: str) -> list[str]:
    (line,) = (line for line in uds_table(ledger.verdicts) if service in line)
    return line.split()


def test_a_message_counts_once_and_a_service_that_nobody_read_shows_so() -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.write(0x22, SCAPY, REQUEST, READ, b"\x22\xf1\x90")
    ledger.write(0x22, SCAPY, ANSWER, READ, b"\x62\xf1\x90\x00")
    assert row_of(ledger, "ReadDataByIdentifier") == ["22", "ReadDataByIdentifier", "1", "1", "-", "-", "-"]
    assert row_of(ledger, "ECUReset") == ["11", "ECUReset", "-", "-", "-", "-", "-"]


def test_what_was_refused_is_marked_however_much_was_read() -> None:
    ledger = Ledger()
    ledger.write(0x3E, UDSONCAN, ANSWER, READ, b"\x7e\x00")
    ledger.write(0x3E, UDSONCAN, ANSWER, REFUSED, b"\x7e\x01")
    assert row_of(ledger, "TesterPresent")[-2:] == ["!1", "-"]


def test_an_exception_has_its_number_and_its_reason() -> None:
    ledger = Ledger()
    ledger.write(0x22, SCAPY, ANSWER, REASON, b"\x7f\x22\x78")
    letter = row_of(ledger, "ReadDataByIdentifier")[-1]
    assert row_of(ledger, "ReadDataByIdentifier")[-2] == "1"
    assert f"{letter}  {REASON}" in list(uds_table(ledger.verdicts))


def fail(ledger: Ledger) -> None:
    ledger.call(0x2E)
    raise ZeroDivisionError


def test_calls_count_when_their_test_passes() -> None:
    ledger = Ledger()
    with ledger.trial("good"):
        ledger.call(0x22)
        ledger.call(0x22)
    with pytest.raises(ZeroDivisionError), ledger.trial("bad"):
        fail(ledger)
    assert row_of(ledger, "ReadDataByIdentifier")[-1] == "2"
    assert row_of(ledger, "WriteDataByIdentifier")[-1] == "!1"
    assert {verdict.judge for verdict in ledger.verdicts} == {CLIENT}


def test_ledgers_of_workers_add_up() -> None:
    one, other = Ledger(), Ledger()
    one.write(0x22, SCAPY, REQUEST, READ, b"\x22\xf1\x90")
    other.write(0x22, SCAPY, REQUEST, READ, b"\x22\xf1\x90")
    other.write(0x22, SCAPY, REQUEST, READ, b"\x22\xf1\x87")
    one.add_rows(other.as_rows())
    assert row_of(one, "ReadDataByIdentifier")[2] == "2"


def report(judge: str, **more: str) -> SimpleNamespace:
    return SimpleNamespace(user_properties=[("judge", judge), *((key.replace("_", " "), more[key]) for key in more)])


def test_a_judge_that_failed_or_did_not_run_says_so() -> None:
    stats = {
        "passed": [report("cantools"), SimpleNamespace(user_properties=[])],
        "failed": [report("cantools")],
        "skipped": [report("Linux's ISO-TP", not_run="by make test-vcan"), report("tshark")],
    }
    lines = [line.split() for line in judges_table(stats)]
    assert ["1", "!1"] in [line[-2:] for line in lines if line[0] == "cantools"]
    said = [" ".join(line) for line in lines]
    assert "1 not run here: by make test-vcan" in said
    assert "1 not run here: not installed" in said


def test_the_table_can_be_read_at_80_columns() -> None:
    ledger = Ledger()
    for row in DEPARTURES:
        ledger.write(int((row.request or row.example)[:2], 16), SCAPY, ANSWER, row.reason, bytes.fromhex(row.example))
    assert max(map(len, (*uds_table(ledger.verdicts), *judges_table({})))) <= WIDTH
    assert all(len(name) < 20 and len(what) < 46 for name, what in JUDGES.items())
