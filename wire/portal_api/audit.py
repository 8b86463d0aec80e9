"""The audit log, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One line of the append-only log: who did what to which vehicle and ECU, when. `company_id` tells companies of one name
    apart.
    """

    audit_id: str
    utc_s: int
    action: str
    person: str
    company: str
    make: str
    vin: str
    ecu_address: int | None
    role: int | None
    scope: int | None
    subject: str
    company_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A page of the log, oldest first; `more`: ask again with `after` set to the last `position`."""

    records: tuple[AuditRecord, ...]
    position: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditWish:
    """Which records are wanted; an empty value takes everything. `since_utc_s` and `until_utc_s` bound the time, the second one
    excluded.
    """

    person: str = ""
    action: str = ""
    make: str = ""
    vin: str = ""
    since_utc_s: int = 0
    until_utc_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAudit(Request[AuditPage], AuditWish):
    """The manager reads what the company's people did; other companies' records are not there. `after`: a position of an
    earlier page.
    """

    session: str = field(repr=False)
    after: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFile:
    """What the company's people did, as a file (UTF-8)."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAuditAsCsv(Request[AuditFile], AuditWish):
    """The manager takes the log home as a table (RFC 4180). No spreadsheet takes one of its values for a formula."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAuditAsLines(Request[AuditFile], AuditWish):
    """The manager takes the log home as JSON lines."""

    session: str = field(repr=False)
