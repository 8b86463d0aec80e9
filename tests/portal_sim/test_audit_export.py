"""The audit log to take home: the same records as page by page, as a table and as JSON lines, and nobody else's."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import Counter, Visitor, colleague, manager

from portal_sim import log_reading
from portal_sim.log_reading import FORMULA
from wire import portal_api as api
from wire.plain import to_plain
from wire.portal_api import PortalErrorCode

FORMS = (api.ExportAuditAsCsv, api.ExportAuditAsLines)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def boss(counter: Counter) -> Visitor:
    """The manager of a company with a colleague; there is another company of the same name."""
    manager(counter, "rita").log_in()
    boss = manager(counter)
    colleague(counter, boss).log_in()
    return boss


def pages(counter: Counter, boss: Visitor, **wanted: object) -> list[dict[str, object]]:
    page = counter.call(api.ReadAudit(session=boss.browser, limit=1000, **wanted))
    return [to_plain(record) for record in page.records]


@pytest.mark.parametrize("wanted", [{}, {"action": "login"}, {"person": "mila@workshop.example"}, {"vin": "none"}])
def test_the_files_have_what_the_pages_have(counter: Counter, boss: Visitor, wanted: dict[str, str]) -> None:
    expected = pages(counter, boss, **wanted)
    lines = counter.call(api.ExportAuditAsLines(session=boss.browser, **wanted)).data.decode()
    assert [json.loads(line) for line in lines.splitlines()] == expected
    table = counter.call(api.ExportAuditAsCsv(session=boss.browser, **wanted)).data.decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert rows == [{name: "" if value is None else str(value) for name, value in each.items()} for each in expected]


def test_another_companys_records_are_in_no_file(counter: Counter, boss: Visitor) -> None:
    for form in FORMS:
        assert b"rita@" not in counter.call(form(session=boss.browser)).data


@pytest.mark.parametrize("form", FORMS)
def test_only_the_manager_takes_it_home(counter: Counter, boss: Visitor, form: type) -> None:
    other = Visitor(counter, "conrad")
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(form(session="x"))
    counter.call(api.RequestReset(email=other.email))
    counter.call(api.ConfirmReset(link_code=other.link(), new_password=other.password))
    other.sign_in()
    with counter.refused(PortalErrorCode.NOT_THE_MANAGER):
        counter.call(form(session=other.browser))


def test_a_long_log_comes_page_by_page_and_whole(
    counter: Counter, boss: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reading, "AUDIT_PAGE_MAX", 2)
    lines = counter.call(api.ExportAuditAsLines(session=boss.browser)).data.splitlines()
    monkeypatch.undo()
    assert len(lines) == len(pages(counter, boss)) > 4


def test_more_than_a_file_holds_is_refused_and_says_what_to_do(
    counter: Counter, boss: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reading, "EXPORT_MAX", 2)
    with counter.refused(PortalErrorCode.INVALID_INPUT) as refused:
        counter.call(api.ExportAuditAsCsv(session=boss.browser))
    assert "take less of it" in refused.value.sentence


@given(st.text(max_size=30))
def test_no_value_is_a_formula_and_every_value_comes_back(text: str) -> None:
    cell = log_reading._cell(text)
    assert not str(cell).startswith(FORMULA)
    written = io.StringIO()
    csv.writer(written).writerow([cell, "beside"])
    assert next(csv.reader(io.StringIO(written.getvalue(), newline="")))[0].removeprefix("'") == text.removeprefix("'")
