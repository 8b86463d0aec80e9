"""What can be looked at in the database: each question one statement, compiled once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, select

from portal_sim.records import (
    Account,
    AuditEntry,
    AuditFilter,
    Company,
    KeptReply,
    OutgoingMail,
    PendingLogin,
    Tries,
    Visitor,
)
from portal_sim.sealing import Sealing
from portal_sim.sql import tables as t
from portal_sim.sql.rows import (
    ABOUT_MAIL,
    COMPANY,
    about_reply,
    account_of,
    company_of,
    entry_of,
    mail_of,
    session_of,
    tries_of,
)
from wire.portal_api import AuditRecord, CheckState

NOW: sa.BindParameter[int] = bindparam("now_s")
_OPEN = t.accounts.c.identity == sa.literal(CheckState.IN_PROGRESS.value)

_ACCOUNT = select(t.accounts).where(t.accounts.c.email == bindparam("email"))
_PASSWORD = select(t.accounts.c.password_hash).where(t.accounts.c.email == bindparam("email"))
_COMPANY = select(t.companies).where(t.companies.c.company_id == bindparam("company_id"))
_USERS = select(t.accounts).where(t.accounts.c.company_id == bindparam("company_id"))
_INVITED = (
    select(t.links.c.email)
    .distinct()
    .where(t.links.c.kind == "invite", t.links.c.company_id == bindparam("company_id"), t.links.c.expires_s > NOW)
)
_LICENCES = select(t.licences.c.make, t.licences.c.until_s).where(t.licences.c.company_id == bindparam("company_id"))
_ENTITLEMENTS = select(t.entitlements.c.make, t.entitlements.c.role).where(t.entitlements.c.email == bindparam("email"))
_REVIEWS_OPEN = select(t.accounts).where(_OPEN).order_by(t.accounts.c.email)
_REVIEWS_DUE = select(t.accounts).where(_OPEN, t.accounts.c.review_due_s <= NOW).order_by(t.accounts.c.review_due_s)
_NEXT_REVIEW = select(sa.func.min(t.accounts.c.review_due_s)).where(_OPEN)
_LOGIN = select(t.logins).where(t.logins.c.login_hash == bindparam("login_hash"), t.logins.c.expires_s > NOW)
_VISITOR = (
    select(
        t.sessions.c.family,
        t.sessions.c.strong,
        t.sessions.c.expires_s,
        t.accounts,
        *(column.label(f"{COMPANY}{column.name}") for column in t.companies.c),
    )
    .join_from(t.sessions, t.accounts, t.sessions.c.email == t.accounts.c.email)
    .outerjoin(t.companies, t.accounts.c.company_id == t.companies.c.company_id)
    .where(t.sessions.c.token_hash == bindparam("token_hash"), t.sessions.c.expires_s > NOW)
)
_TRIES = select(t.tries).where(t.tries.c.subject == bindparam("subject"))
_BOTH_TRIES = select(t.tries).where(t.tries.c.subject.in_((bindparam("one"), bindparam("other"))))
_CODES_LEFT = select(sa.func.count()).where(t.recovery_codes.c.email == bindparam("email"))
_REPLY = select(t.replies).where(t.replies.c.key_hash == bindparam("key_hash"), t.replies.c.expires_s > NOW)
_ISSUED = select(t.issued.c.issue_key).where(t.issued.c.audit_id == bindparam("audit_id"))
_ISSUED_TO = (
    select(t.issued.c.person)
    .where(t.issued.c.issue_key == bindparam("issue_key"))
    .order_by(t.issued.c.position)
    .limit(1)
)
_REVOKED = select(t.revoked.c.issue_key, t.revoked.c.since_s)
_RECORD = select(t.audit).where(t.audit.c.audit_id == bindparam("audit_id"))
_AUDIT = select(t.audit).where(t.audit.c.position > bindparam("after")).order_by(t.audit.c.position)
_HEAD = select(t.audit_head.c.position, t.audit_head.c.digest)
_UNDELIVERED = (
    select(t.outbox).where(t.outbox.c.next_try_s <= NOW).order_by(t.outbox.c.mail_id).limit(bindparam("limit"))
)
_MEDIA = select(t.accounts.c.media, t.accounts.c.email).where(t.accounts.c.media != "[]")


class SqlReading:
    """What one transaction sees. See `portal_sim.store.Reading` for what each method promises."""

    def __init__(self, connection: sa.Connection, sealing: Sealing) -> None:
        self._connection = connection
        self._sealing = sealing

    def _row(self, statement: sa.Executable, **values: object) -> Any:
        return self._connection.execute(statement, values).first()

    def _rows(self, statement: sa.Executable, **values: object) -> Sequence[Any]:
        return self._connection.execute(statement, values).all()

    def _value(self, statement: sa.Executable, **values: object) -> Any:
        return self._connection.execute(statement, values).scalar()

    # ---- people and companies

    def account(self, email: str) -> Account | None:
        """See `Reading`."""
        row = self._row(_ACCOUNT, email=email)
        return None if row is None else account_of(row, self._sealing)

    def password_hash(self, email: str) -> bytes | None:
        """See `Reading`."""
        found: bytes | None = self._value(_PASSWORD, email=email)
        return found

    def company(self, company_id: int) -> Company | None:
        """See `Reading`."""
        row = self._row(_COMPANY, company_id=company_id)
        return None if row is None else company_of(row._mapping)

    def users(self, company_id: int) -> list[Account]:
        """See `Reading`. In Python's order of text, not the database's."""
        found = self._accounts(_USERS, company_id=company_id)
        return sorted(found, key=lambda account: account.email)

    def _accounts(self, statement: sa.Executable, **values: object) -> list[Account]:
        return [account_of(row, self._sealing) for row in self._rows(statement, **values)]

    def invited(self, company_id: int, now_s: int) -> list[str]:
        """See `Reading`."""
        return sorted(row.email for row in self._rows(_INVITED, company_id=company_id, now_s=now_s))

    def licences(self, company_id: int) -> Mapping[str, int]:
        """See `Reading`."""
        return {row.make: row.until_s for row in self._rows(_LICENCES, company_id=company_id)}

    def entitlements(self, email: str) -> frozenset[tuple[str, int]]:
        """See `Reading`."""
        return frozenset((row.make, row.role) for row in self._rows(_ENTITLEMENTS, email=email))

    def reviews_due(self, now_s: int) -> list[Account]:
        """See `Reading`."""
        return self._accounts(_REVIEWS_DUE, now_s=now_s)

    def reviews_open(self) -> list[Account]:
        """See `Reading`."""
        return self._accounts(_REVIEWS_OPEN)

    def next_review_s(self) -> int | None:
        """See `Reading`."""
        due_s: int | None = self._value(_NEXT_REVIEW)
        return due_s

    def media(self) -> Mapping[str, str]:
        """See `Reading`."""
        return {name: row.email for row in self._rows(_MEDIA) for name in json.loads(row.media)}

    # ---- logins and sessions

    def login(self, login_hash: str, now_s: int) -> PendingLogin | None:
        """See `Reading`."""
        row = self._row(_LOGIN, login_hash=login_hash, now_s=now_s)
        return None if row is None else PendingLogin(row.email, row.tester_serial, row.expires_s)

    def visitor(self, token_hash: str, now_s: int) -> Visitor | None:
        """See `Reading`."""
        row = self._row(_VISITOR, token_hash=token_hash, now_s=now_s)
        if row is None:
            return None
        values = row._mapping
        company = None if values[f"{COMPANY}company_id"] is None else company_of(values, COMPANY)
        return Visitor(session_of(row), account_of(row, self._sealing), company)

    def tries(self, subject: str) -> Tries:
        """See `Reading`."""
        row = self._row(_TRIES, subject=subject)
        return Tries() if row is None else tries_of(row)

    def both_tries(self, one: str, other: str) -> tuple[Tries, Tries]:
        """See `Reading`."""
        found = {row.subject: tries_of(row) for row in self._rows(_BOTH_TRIES, one=one, other=other)}
        return found.get(one) or Tries(), found.get(other) or Tries()

    def recovery_codes_left(self, email: str) -> int:
        """See `Reading`."""
        return int(self._value(_CODES_LEFT, email=email))

    # ---- unlocks and the log

    def kept_reply(self, key_hash: str, now_s: int) -> KeptReply | None:
        """See `Reading`."""
        row = self._row(_REPLY, key_hash=key_hash, now_s=now_s)
        if row is None:
            return None
        reply = self._sealing.unseal(row.reply, about_reply(key_hash)).decode()
        return KeptReply(key_hash=key_hash, request_hash=row.request_hash, reply=reply, expires_s=row.expires_s)

    def issued(self, audit_id: str) -> str | None:
        """See `Reading`."""
        issue_key: str | None = self._value(_ISSUED, audit_id=audit_id)
        return issue_key

    def issued_to(self, issue_key: str) -> str | None:
        """See `Reading`."""
        person: str | None = self._value(_ISSUED_TO, issue_key=issue_key)
        return person

    def revoked(self) -> Mapping[str, int]:
        """See `Reading`."""
        return {row.issue_key: row.since_s for row in self._rows(_REVOKED)}

    def audit_record(self, audit_id: str) -> AuditRecord | None:
        """See `Reading`."""
        row = self._row(_RECORD, audit_id=audit_id)
        return None if row is None else entry_of(row).record

    def audit(self, after: int = 0, limit: int | None = None, wanted: AuditFilter | None = None) -> list[AuditEntry]:
        """See `Reading`."""
        statement = _AUDIT if wanted is None else _AUDIT.where(*_conditions(wanted))
        if limit is not None:
            statement = statement.limit(limit)
        return [entry_of(row) for row in self._rows(statement, after=after)]

    def audit_head(self) -> tuple[int, bytes]:
        """See `Reading`."""
        position, digest = self._row(_HEAD)
        return position, digest

    # ---- mail

    def undelivered(self, now_s: int, limit: int) -> list[OutgoingMail]:
        """See `Reading`."""
        rows = self._rows(_UNDELIVERED, now_s=now_s, limit=limit)
        return [
            OutgoingMail(
                mail_id=row.mail_id,
                mail=mail_of(self._sealing.unseal(row.mail, ABOUT_MAIL)),
                attempts=row.attempts,
            )
            for row in rows
        ]


def _conditions(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    c = t.audit.c
    conditions = [c.utc_s >= wanted.since_utc_s]
    if wanted.company_id is not None:
        conditions.append(c.company_id == wanted.company_id)
    if wanted.until_utc_s is not None:
        conditions.append(c.utc_s < wanted.until_utc_s)
    for column, value in (
        (c.person, wanted.person),
        (c.action, wanted.action),
        (c.make, wanted.make),
        (c.vin, wanted.vin),
    ):
        if value:
            conditions.append(column == value)
    return conditions
