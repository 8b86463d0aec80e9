"""A unit's intents about what people hold and get: links, logins, sessions, unlocks; the log, and the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam, delete, insert, select, update

from portal_sim.audit_chain import AuditChain
from portal_sim.records import AuditEntry, KeptReply, Link, LiveSession, PendingLogin, RefreshToken
from portal_sim.sealing import Sealing
from portal_sim.sql import tables as t
from portal_sim.sql.dialect import Statements, Together
from portal_sim.sql.people_unit import PeopleUnit
from portal_sim.sql.reading import NOW
from portal_sim.sql.rows import ABOUT_MAIL, about_reply, entry_values, mail_text
from portal_sim.store import STRANGERS_LIMIT
from wire.portal_api import AuditRecord, Mail

_ADD_LINK, _ADD_LOGIN, _ADD_SESSION = insert(t.links), insert(t.logins), insert(t.sessions)
_ADD_REFRESH, _ADD_MAIL = insert(t.refresh_tokens), insert(t.outbox).inline()

_USE_LINK = (
    delete(t.links)
    .where(t.links.c.code_hash == bindparam("code"), t.links.c.kind == bindparam("what"), t.links.c.expires_s > NOW)
    .returning(t.links.c.email, t.links.c.company_id, t.links.c.expires_s)
)
_DROP_LINKS = delete(t.links).where(
    t.links.c.kind == bindparam("what"),
    t.links.c.email == bindparam("who"),
    t.links.c.company_id.is_not_distinct_from(bindparam("which", type_=sa.BigInteger)),
)
_END_LOGIN = delete(t.logins).where(t.logins.c.login_hash == bindparam("which"))
_FAMILY = select(t.sessions.c.family).where(t.sessions.c.token_hash == bindparam("token"))
_END_ALL = tuple(
    delete(table).where(table.c.email == bindparam("who"), table.c.family != bindparam("but"))
    for table in (t.sessions, t.refresh_tokens)
)
_END_LOGINS = delete(t.logins).where(t.logins.c.email == bindparam("who"))
_END_FAMILY = tuple(
    delete(table).where(table.c.family == bindparam("which")) for table in (t.sessions, t.refresh_tokens)
)
_R = t.refresh_tokens.c
_KNOWN = (_R.token_hash == bindparam("token"), _R.expires_s > NOW)
_USE_NEW_REFRESH = (
    update(t.refresh_tokens)
    .where(*_KNOWN, _R.used.is_(sa.false()))
    .values(used=True)
    .returning(_R.email, _R.family, _R.strong, _R.expires_s)
)
_USED_REFRESH = select(_R.email, _R.family, _R.strong, _R.expires_s).where(*_KNOWN)

_DELIVERED = delete(t.outbox).where(t.outbox.c.mail_id == bindparam("which"))
_FAILED = (
    update(t.outbox)
    .where(t.outbox.c.mail_id == bindparam("which"))
    .values(attempts=t.outbox.c.attempts + 1, next_try_s=bindparam("next_s"))
)
_FORGET = tuple(
    delete(table).where(table.c.expires_s <= NOW)
    for table in (t.links, t.logins, t.sessions, t.refresh_tokens, t.replies)
)
_SUBJECTS = select(sa.func.count()).select_from(t.tries)
_STRANGERS = (
    select(t.tries.c.subject)
    .where(~sa.exists().where(t.tries.c.subject == sa.literal("account:") + t.accounts.c.email))
    .order_by(t.tries.c.last_s.desc(), t.tries.c.subject)
    .offset(STRANGERS_LIMIT)
)
_FORGET_STRANGERS = delete(t.tries).where(t.tries.c.subject.in_(_STRANGERS))


class SqlUnit(PeopleUnit):
    """One transaction that changes things. See `portal_sim.store.Unit` for what each method promises.

    `head`: where the log ends, if that is known already.
    """

    def __init__(
        self,
        connection: sa.Connection,
        sealing: Sealing,
        statements: Statements,
        chain: AuditChain,
        head: tuple[int, bytes] | None,
    ) -> None:
        super().__init__(connection, sealing, statements)
        self._chain = chain
        self._head = head

    # ---- links, logins, sessions

    def add_link(self, code_hash: str, link: Link) -> None:
        """See `Unit`."""
        self._do(
            _ADD_LINK,
            code_hash=code_hash,
            kind=link.kind,
            email=link.email,
            company_id=link.company_id,
            expires_s=link.expires_s,
        )

    def use_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        """See `Unit`."""
        row = self._row(_USE_LINK, code=code_hash, what=kind, now_s=now_s)
        return None if row is None else Link(kind, row.email, row.company_id, row.expires_s)

    def drop_links(self, kind: str, email: str, company_id: int | None = None) -> int:
        """See `Unit`."""
        return self._do(_DROP_LINKS, what=kind, who=email, which=company_id)

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        """See `Unit`."""
        self._do(
            _ADD_LOGIN,
            login_hash=login_hash,
            email=login.email,
            tester_serial=login.tester_serial,
            expires_s=login.expires_s,
        )

    def end_login(self, login_hash: str) -> None:
        """See `Unit`."""
        self._do(_END_LOGIN, which=login_hash)

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        """See `Unit`."""
        self._do(
            _ADD_SESSION,
            token_hash=token_hash,
            email=session.email,
            family=session.family,
            strong=session.strong,
            expires_s=session.expires_s,
        )

    def end_session(self, token_hash: str) -> None:
        """See `Unit`."""
        family = self._value(_FAMILY, token=token_hash)
        if family is not None:
            self.end_family(family)

    def end_sessions(self, email: str, *, but: str | None = None) -> None:
        """See `Unit`."""
        kept = "" if but is None else self._value(_FAMILY, token=but) or ""
        for statement in _END_ALL:
            self._do(statement, who=email, but=kept)
        self._do(_END_LOGINS, who=email)

    def add_refresh(self, token_hash: str, token: RefreshToken) -> None:
        """See `Unit`."""
        self._do(
            _ADD_REFRESH,
            token_hash=token_hash,
            email=token.email,
            family=token.family,
            strong=token.strong,
            expires_s=token.expires_s,
            used=token.used,
        )

    def use_refresh(self, token_hash: str, now_s: int) -> RefreshToken | None:
        """See `Unit`."""
        row = self._row(_USE_NEW_REFRESH, token=token_hash, now_s=now_s)
        used = row is None
        if row is None:
            row = self._row(_USED_REFRESH, token=token_hash, now_s=now_s)
        if row is None:
            return None
        return RefreshToken(email=row.email, family=row.family, strong=row.strong, expires_s=row.expires_s, used=used)

    def end_family(self, family: str) -> None:
        """See `Unit`."""
        for statement in _END_FAMILY:
            self._do(statement, which=family)

    # ---- unlocks and the log

    def issue_with_audit(self, issue_key: str, record: AuditRecord, reply: KeptReply | None = None) -> None:
        """See `Unit`."""
        values: dict[str, object] = {
            "issued_audit_id": record.audit_id,
            "issued_issue_key": issue_key,
            "issued_person": record.person,
            "issued_position": self._end()[0] + 1,
        }
        if reply is None:
            self._append(self._statements.issue, record, values)
            return
        values |= {
            "replies_key_hash": reply.key_hash,
            "replies_request_hash": reply.request_hash,
            "replies_reply": self._sealing.seal(reply.reply.encode(), about_reply(reply.key_hash)),
            "replies_expires_s": reply.expires_s,
        }
        self._append(self._statements.issue_and_reply, record, values)

    def revoke(self, issue_key: str, now_s: int) -> bool:
        """See `Unit`."""
        return self._value(self._statements.revocation, issue_key=issue_key, since_s=now_s) is not None

    def add_audit(self, record: AuditRecord) -> None:
        """See `Unit`."""
        self._append(self._statements.append, record, {})

    def _end(self) -> tuple[int, bytes]:
        """Return where the log ends. Units take turns, so nobody else moves it before this one is over."""
        if self._head is None:
            self._head = self.audit_head()
        return self._head

    def _append(self, together: Together, record: AuditRecord, values: dict[str, object]) -> None:
        """Append a record, with what belongs to it. The log's end is noted apart from it, and moves from where it was found."""
        count, before = self._end()
        digest = self._chain.digest(count + 1, record, before)
        row = entry_values(AuditEntry(position=count + 1, record=record, digest=digest))
        values |= {f"audit_{name}": value for name, value in row.items()}
        moved = together.done(self._connection, {**values, "audit_head_before": count})
        assert moved, "units take turns"
        self._head = count + 1, digest

    # ---- mail, and what has run out

    def add_mail(self, mail: Mail) -> None:
        """See `Unit`."""
        self._do(_ADD_MAIL, mail=self._sealing.seal(mail_text(mail), ABOUT_MAIL), attempts=0, next_try_s=0)

    def delivered(self, mail_id: int) -> None:
        """See `Unit`."""
        self._do(_DELIVERED, which=mail_id)

    def failed(self, mail_id: int, next_try_s: int) -> None:
        """See `Unit`."""
        self._do(_FAILED, which=mail_id, next_s=next_try_s)

    def forget_expired(self, now_s: int) -> None:
        """See `Unit`."""
        for statement in _FORGET:
            self._do(statement, now_s=now_s)
        if self._value(_SUBJECTS) > STRANGERS_LIMIT:
            self._do(_FORGET_STRANGERS)
