"""The audit log as a manager reads it: page by page, or as a file to take home. Of their own company, and of no other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from portal_sim.company import managed_company
from portal_sim.desk import Call, Desk, Look
from portal_sim.forms import invalid, plain_address
from portal_sim.records import AuditEntry, AuditFilter
from wire.plain import to_plain
from wire.portal_api import (
    AuditFile,
    AuditPage,
    AuditRecord,
    AuditWish,
    ExportAuditAsCsv,
    ExportAuditAsLines,
    ReadAudit,
)

AUDIT_PAGE_MAX = 1000
"""Records in one answer: more are asked for page by page."""
EXPORT_MAX = 100_000
"""Records in one file, some 30 MB: whoever has more takes them home by years."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a value begins that a spreadsheet would compute; an apostrophe before it makes it text (OWASP, CSV injection)."""


class LogReading:
    """Each method takes its request and the call, and raises `PortalError` where it refuses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, request: ReadAudit, call: Call) -> AuditPage:
        """Show a page of what the company's people did."""
        with self._desk.look(call) as look:
            wanted = _wanted(look, request.session, request)
            if not 1 <= request.limit <= AUDIT_PAGE_MAX or request.after < 0:
                raise invalid("the page", f"it takes 1 to {AUDIT_PAGE_MAX} records after a position from 0 up")
            found = look.reading.audit(request.after, request.limit + 1, wanted)
        page = found[: request.limit]
        return AuditPage(
            records=tuple(entry.record for entry in page),
            position=page[-1].position if page else request.after,
            more=len(found) > request.limit,
        )

    def as_csv(self, request: ExportAuditAsCsv, call: Call) -> AuditFile:
        """Return the log as a table with a head."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(AuditRecord.__slots__)
        for record in self._records(request.session, request, call):
            writer.writerow(map(_cell, to_plain(record).values()))
        return AuditFile(data=text.getvalue().encode())

    def as_lines(self, request: ExportAuditAsLines, call: Call) -> AuditFile:
        """Return the log as JSON lines."""
        records = self._records(request.session, request, call)
        lines = (json.dumps(to_plain(record), ensure_ascii=False) for record in records)
        return AuditFile(data="".join(f"{line}\n" for line in lines).encode())

    def _records(self, session: str, wish: AuditWish, call: Call) -> Iterator[AuditRecord]:
        """Yield what is wanted, read page by page, so that nobody waits for a long look. Raises where it is too much."""
        with self._desk.look(call) as look:
            wanted = _wanted(look, session, wish)
        position, count = 0, 0
        while page := self._page(position, wanted, call):
            count += len(page)
            if count > EXPORT_MAX:
                raise invalid("the time", f"more than {EXPORT_MAX:,} records are wanted at once; take less of it")
            yield from (entry.record for entry in page)
            position = page[-1].position

    def _page(self, after: int, wanted: AuditFilter, call: Call) -> list[AuditEntry]:
        with self._desk.look(call) as look:
            return look.reading.audit(after, AUDIT_PAGE_MAX, wanted)


def _wanted(look: Look, session: str, wish: AuditWish) -> AuditFilter:
    """Return what a manager wants of their company's records; raise where nobody of that kind asks."""
    company = managed_company(look, look.account_of(session))
    return AuditFilter(
        company_id=company.company_id,
        person=plain_address(wish.person),
        action=wish.action,
        make=wish.make,
        vin=wish.vin,
        since_utc_s=wish.since_utc_s,
        until_utc_s=wish.until_utc_s,
    )


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
