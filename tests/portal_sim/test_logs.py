"""One line an event, whatever is in it; `logging` and `warnings` come through it without their values."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.web.logs import ALLOWED, MESSAGE_MAX_LEN, REQUEST_ID, Event, Log, setup
from wire.clock import NS_PER_MS, NS_PER_S, VIRTUAL_EPOCH_UTC_S

SECRET = "SENTINEL-7f3a"
HOSTILE = [
    "a\nb",
    "a\r\nb",
    '{"event":"started"}\n',
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "\x7f\x08\x00",
    "\u2028\u2029\u202e",
    "\ud800",
    "\U0001f600",
    '" level=error x="',
    "x" * 1_000_000,
    "\x1b" * 1_000_000,
]


def utc_ns() -> int:
    return VIRTUAL_EPOCH_UTC_S * NS_PER_S + 7 * NS_PER_MS


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(out: io.StringIO) -> Iterator[Log]:
    with setup("json", out, utc_ns, level=logging.DEBUG) as made:
        yield made


def lines(out: io.StringIO) -> list[dict[str, object]]:
    text = out.getvalue()
    assert text.count("\n") == len(text.splitlines()), "no other line break than ours"
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert set(line) <= ALLOWED | {"time", "level", "event"}
    return found


# ---- lines


def test_a_line_says_when_how_bad_what_and_what_belongs_to_it(log: Log, out: io.StringIO) -> None:
    log.event(Event.STARTED, url="https://127.0.0.1:8443", version="1.0")
    log.event(Event.REQUEST, level=logging.ERROR, status=500, duration_ms=1.25, client="::1", request_id=None)
    assert lines(out) == [
        {
            "time": "2026-01-01T00:00:00.007Z",
            "level": "info",
            "event": "started",
            "url": "https://127.0.0.1:8443",
            "version": "1.0",
        },
        {
            "time": "2026-01-01T00:00:00.007Z",
            "level": "error",
            "event": "request",
            "status": 500,
            "duration_ms": 1.25,
            "client": "::1",
        },
    ]


def test_plain_lines_are_for_people(out: io.StringIO) -> None:
    log = Log("plain", out, utc_ns)
    log.event(Event.NOTE, mail_id=7, outcome="given up", client="")
    assert out.getvalue() == '2026-01-01T00:00:00.007Z info    note mail_id=7 outcome="given up" client=""\n'


def test_the_clock_may_go_anywhere(out: io.StringIO) -> None:
    times = iter([0, 999_999_999, NS_PER_S, 0, 4_102_444_800 * NS_PER_S])
    log = Log("json", out, lambda: next(times))
    for _ in range(5):
        log.event(Event.NOTE)
    assert [line["time"] for line in lines(out)] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:00.000Z",
        "2100-01-01T00:00:00.000Z",
    ]


def test_what_no_line_may_tell_is_left_out(log: Log, out: io.StringIO) -> None:
    log.event(Event.NOTE, password=SECRET, path=f"/{SECRET}", headers={"a": SECRET}, message="kept")
    assert lines(out)[0]["message"] == "kept"
    assert SECRET not in out.getvalue()


def test_what_is_below_the_level_is_not_written(out: io.StringIO) -> None:
    log = Log("json", out, utc_ns)
    log.event(Event.REQUEST, level=logging.DEBUG)
    assert out.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_makes_a_second_line_or_an_escape_sequence(form: str, value: str) -> None:
    out = io.StringIO()
    log = Log(form, out, utc_ns)
    log.event(Event.NOTE, message=value, method=value, client=value)
    text = out.getvalue()
    assert len(text.splitlines()) == 1
    assert text.endswith("\n")
    assert text.isascii()
    assert text[:-1].isprintable()
    assert len(text) < 15 * MESSAGE_MAX_LEN
    if form == "json":
        [line] = lines(out)
        assert all(str(each).isprintable() and str(each).isascii() for each in line.values()), "decoded, too"


@given(st.dictionaries(st.sampled_from(sorted(ALLOWED)), st.text() | st.integers() | st.binary() | st.floats(-9, 9)))
def test_whatever_the_fields_hold_a_line_is_one_object_of_allowed_fields(fields: dict[str, object]) -> None:
    out = io.StringIO()
    Log("json", out, utc_ns).event(Event.NOTE, **fields)
    [line] = lines(out)
    assert set(line) == {"time", "level", "event", *fields}


@given(st.text(), st.text())
def test_plain_values_end_where_they_end(first: str, second: str) -> None:
    out = io.StringIO()
    Log("plain", out, utc_ns).event(Event.NOTE, message=first, client=second)
    pairs = re.findall(r' (\w+)=("(?:[^"\\]|\\.)*"|[^ "=]+)', out.getvalue().partition(" note")[2])
    assert [name for name, _ in pairs] == ["message", "client"]


def test_threads_do_not_tear_each_others_lines(out: io.StringIO) -> None:
    log = Log("json", out, utc_ns)
    threads = [threading.Thread(target=lambda: [log.event(Event.NOTE, message="m" * 500) for _ in range(50)])] * 1
    threads += [threading.Thread(target=lambda: [log.event(Event.NOTE, count=1) for _ in range(50)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(out)) == 200


class Deaf(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_is_gone_costs_lines_and_nothing_else(closed: bool) -> None:
    stream = Deaf()
    if closed:
        stream.close()
    log = Log("json", stream, utc_ns)
    log.event(Event.STARTED)
    log.event(Event.STOPPED)
    assert log.lost == 2


# ---- logging, warnings, threads


@pytest.mark.parametrize("name", ["portal", "portal_sim.mail.postman", "sgw_bench.portal"])
def test_our_own_modules_are_heard_with_their_words(log: Log, out: io.StringIO, name: str) -> None:
    REQUEST_ID.set("ab12")
    try:
        logging.getLogger(name).info("mail %d was delivered", 7, extra={"mail_id": 7, "subject": SECRET})
    finally:
        REQUEST_ID.set(None)
    [line] = lines(out)
    assert line["message"] == "mail 7 was delivered"
    assert (line["mail_id"], line["logger"], line["request_id"], line["event"]) == (7, name, "ab12", "note")
    assert SECRET not in out.getvalue()


def failing() -> None:
    raise ValueError(SECRET) from OSError(SECRET)


def test_an_exception_is_told_by_types_and_places_and_never_by_its_text(log: Log, out: io.StringIO) -> None:
    try:
        failing()
    except ValueError:
        logging.getLogger("portal").exception("%s failed", "GET")
    [line] = lines(out)
    assert line["fault"] == "ValueError from OSError"
    assert re.match(r"test_logs\.py:\d+ failing < test_logs\.py:\d+ test_an_exception", str(line["where"]))
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize("name", ["sqlalchemy.pool", "mail.log", "httpx", "asyncio", "uvicorn.error", "aiosmtpd"])
def test_a_librarys_complaint_is_told_without_its_values(log: Log, out: io.StringIO, name: str) -> None:
    logging.getLogger(name).error("it failed for %s", SECRET, exc_info=ValueError(SECRET))
    logging.getLogger(name).error(f"Task failed\nfuture: {SECRET}")  # noqa: G004 - as libraries do
    found = lines(out)
    assert len(found) == 2
    assert all(line["logger"] == name and str(line["where"]) for line in found)
    assert found[0]["fault"] == "ValueError"
    assert SECRET not in out.getvalue()
    assert ("message" in found[0]) == (name in ("asyncio", "uvicorn.error"))


@pytest.mark.parametrize("name", ["httpx", "sqlalchemy.engine", "mail.log", "uvicorn.access", "uvicorn.error"])
def test_what_libraries_do_all_day_is_not_told(log: Log, out: io.StringIO, name: str) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        for level in (logging.DEBUG, logging.INFO):
            logging.getLogger(name).log(level, "GET /%s", SECRET)
    finally:
        root.setLevel(before)
    assert out.getvalue() == ""


def test_the_mail_servers_and_the_access_log_say_nothing_short_of_errors(log: Log, out: io.StringIO) -> None:
    logging.getLogger("mail.log").warning("from %s", SECRET)
    logging.getLogger("uvicorn.access").error("GET /%s", SECRET)
    assert out.getvalue() == ""


def test_a_warning_is_told_by_its_kind_and_place(log: Log, out: io.StringIO) -> None:
    with warnings.catch_warnings(action="always"):
        warnings.showwarning(UserWarning(SECRET), UserWarning, "/a/b/c.py", 3)
    [line] = lines(out)
    assert (line["event"], line["fault"], line["where"]) == ("warning", "UserWarning", "c.py:3")
    assert SECRET not in out.getvalue()


def test_a_thread_that_dies_is_told_and_not_printed(
    log: Log, out: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = threading.Thread(target=failing, name="postman")
    thread.start()
    thread.join()
    [line] = lines(out)
    assert (line["event"], line["level"], line["message"]) == ("failed", "error", "postman ended")
    assert SECRET not in out.getvalue() + capsys.readouterr().err


def test_a_record_that_cannot_be_written_out_is_told_as_it_can(log: Log, out: io.StringIO) -> None:
    [bridge] = [each for each in logging.getLogger().handlers if type(each).__module__.startswith("portal_sim")]
    bridge.emit(logging.LogRecord("portal", logging.ERROR, "a.py", 1, "%d of them", ("many",), None))
    assert lines(out)[0]["message"] == "%d of them"


def test_logging_is_given_back_as_it_was_found(out: io.StringIO) -> None:
    names = (None, "portal", "uvicorn", "uvicorn.error", "uvicorn.access", "mail.log")

    def state() -> list[object]:
        found = [logging.getLogger(name) for name in names]
        return [
            *((each.level, list(each.handlers), each.propagate) for each in found),
            *(warnings.showwarning, threading.excepthook),
        ]

    before = state()
    log = setup("json", out, utc_ns)
    assert state() != before
    log.close()
    assert state() == before
    logging.getLogger("portal").error("nobody hears it")
    assert out.getvalue() == ""
