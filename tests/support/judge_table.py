"""Plugin: under `pytest -m judge` the run ends with a table of what foreign stacks and published vectors decided.

A mark `judge("name")` says who decides; `JUDGES` says about what. Workers of xdist hand their ledgers to the run that has them.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from judge_ledger import ANSWER, CALL, CLIENT, LEDGER, READ, REFUSED, REQUEST, SCAPY, UDSONCAN, Verdict
from uds_departures import DEPARTURES

from wire.uds import Service

UDS_READERS = "scapy and udsoncan"
JUDGES = {
    UDS_READERS: "UDS, both ways: the table above",
    "foreign testers": "the served car: udsoncan, scapy, isotpsend",
    "can-isotp": "ISO-TP, ours against its own",
    "scapy's ISO-TP": "ISO-TP, ours against its own",
    "Linux's ISO-TP": "ISO-TP, ours against the kernel's",
    "can-utils": "frames on vcan; recordings: candump, ASC",
    "python-can": "recordings: candump, ASC, BLF",
    "scapy's readers": "recordings: candump, pcapng",
    "tshark": "recordings: candump, BLF, pcapng",
    "cantools": "every frame of the rest bus",
    "odxtools": "units imported from ODX",
    "RFC 4226": "one-time codes: vectors of appendix D",
    "RFC 6238": "one-time codes: vectors of appendix B",
    "RFC 4231": "keys of SecurityAccess: vector 2 of HMAC",
    "pyotp": "one-time codes, and the URI in the QR code",
    "OpenSSL": "certificates and revocation lists (RFC 5280)",
    "OpenAPI validator": "the portal's two OpenAPI documents",
}
"""Who judges, and what."""
WIDTH = 80
READERS = ((SCAPY, REQUEST), (SCAPY, ANSWER), (UDSONCAN, REQUEST), (UDSONCAN, ANSWER))
ON_REAL_INTERFACES = "by make test-vcan"


def judges_alone(config: pytest.Config) -> bool:
    """Whether judges are what runs."""
    return str(config.option.markexpr).strip() == "judge"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("judge"):
            if mark.args[:1] not in {(name,) for name in JUDGES}:
                raise pytest.UsageError(f"{item.nodeid}: judge{mark.args} is none of `judge_table.JUDGES`")
        mark = item.get_closest_marker("judge")
        if mark is not None:
            item.user_properties.append(("judge", mark.args[0]))
            if any(item.get_closest_marker(name) for name in ("vcan", "kernel_isotp")):
                item.user_properties.append(("not run", ON_REAL_INTERFACES))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with LEDGER.trial(item.nodeid):
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None and judges_alone(session.config):
        output["judges"] = LEDGER.as_rows()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    LEDGER.add_rows(getattr(node, "workeroutput", {}).get("judges", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not judges_alone(config):
        return
    terminalreporter.section("judges that no one here wrote")
    for line in (*uds_table(LEDGER.verdicts), "", *judges_table(terminalreporter.stats)):
        terminalreporter.write_line(line, red=" !" in line)


# ---- UDS


def cell(verdicts: set[Verdict], sid: int, judge: str, way: str) -> str:
    """How many different messages were read; - where none is to be had; with ! how many were refused."""
    said = Counter(verdict.said for verdict in verdicts if verdict[:3] == (sid, judge, way))
    return f"!{said[REFUSED]}" if said[REFUSED] else str(said[READ] or "-")


def excuses(verdicts: set[Verdict], sid: int) -> dict[str, int]:
    """Return each reason for which a judge is excused at a service, with the number of messages (0: no call is made)."""
    no_call = {
        row.reason: 0 for row in DEPARTURES if row.judge == CLIENT and int((row.request or row.example)[:2], 16) == sid
    }
    found = Counter(verdict.said for verdict in verdicts if verdict.sid == sid and verdict.said not in (READ, REFUSED))
    return {**found, **no_call}


def uds_table(verdicts: set[Verdict]) -> Iterator[str]:
    """Yield a line for each service, then the reasons of the exceptions."""
    yield "Different messages that each reader named byte for byte, wrote again alike and"
    yield "took for the answer to the request; calls of udsoncan's client that gave what"
    yield "was set; messages in which a reader is excused, with the reason below. What was"
    yield "refused is marked with !"
    yield ""
    yield f"{'':35}{'scapy':^12}{'udsoncan':^12}{'':>6} {'exceptions':>11}"
    yield f"{'service':35}{'asked':>6}{'said':>6}{'asked':>6}{'said':>6}{'calls':>6} {'and why':>11}"
    notes: dict[str, str] = {}
    for service in Service:
        cells = [cell(verdicts, service, judge, way) for judge, way in (*READERS, (CLIENT, CALL))]
        found = excuses(verdicts, service)
        for reason in sorted(found):
            notes.setdefault(reason, chr(ord("a") + len(notes)))
        letters = "".join(sorted(notes[reason] for reason in found))
        count = f"{sum(found.values()) or ''} {letters}".strip()
        columns = "".join(f"{text:>6}" for text in cells)
        yield f"{service:02X} {service.name:32}{columns} {count:>11}".rstrip()
    yield ""
    for reason, letter in notes.items():
        yield from textwrap.wrap(f"{letter}  {reason}", WIDTH, subsequent_indent="   ")


# ---- the others


def judges_table(stats: dict[str, list[Any]]) -> Iterator[str]:
    """Yield a line for each judge: tests that passed, and that failed or did not run."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in JUDGES}
    why: dict[str, str] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, ()):
            properties = dict(getattr(report, "user_properties", ()))
            name = properties.get("judge")
            if name is None:
                continue
            counts[name]["failed" if outcome == "error" else outcome] += 1
            if outcome == "skipped":
                why[name] = properties.get("not run", "not installed")
    yield f"{'judge':20}{'what it decides':46}{'passed':>7}{'failed':>7}"
    for name, what in JUDGES.items():
        outcomes = counts[name]
        failed = f"!{outcomes['failed']}" if outcomes["failed"] else ""
        yield f"{name:20}{what:46}{outcomes['passed'] or '-':>7}{failed:>7}".rstrip()
        if outcomes["skipped"]:
            yield f"{'':20}{outcomes['skipped']} not run here: {why[name]}"
