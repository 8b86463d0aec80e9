"""Where the portal keeps its records: a protocol of atomic intents, and the store in memory.

An intent either happens whole or not at all; nobody gets, thinks, and puts. A database behind the same contract does each in
one transaction.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from portal_sim.records import Account, Company, Link, LiveSession, PendingLogin, Tries
from wire.portal_api import AuditRecord, Mail

MAILBOX_LIMIT = 200
"""Mails a mailbox keeps: a walk through the portal makes half a dozen."""
STRANGERS_LIMIT = 10_000
"""Addresses without an account whose failures are remembered: the oldest is forgotten first."""


class Store(Protocol):
    """The portal's memory."""

    def add_account(self, account: Account, now_s: int) -> bool:
        """Add an account unless its e-mail is confirmed or may still be; return whether it was added."""

    def account(self, email: str) -> Account | None:
        """Return the account of an e-mail address."""

    def accounts_under_review(self) -> list[Account]:
        """Return the accounts whose identity check is due some time."""

    def add_company(self, company: Company) -> Company:
        """Add a company with the next free id."""

    def company(self, company_id: int) -> Company | None:
        """Return a company."""

    def add_link(self, code_hash: str, link: Link) -> None:
        """Keep a link under the hash of its code."""

    def use_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        """Take a link that is of this kind and not too old; it can be taken once."""

    def join_company(self, code_hash: str, email: str, now_s: int) -> bool | None:
        """Take an invitation that is theirs and not too old, and put them into its company.

        None: there is no such invitation. False: they belong to another company; the invitation stays.
        """

    def drop_links(self, kind: str, email: str, company_id: int | None = None) -> None:
        """Forget a person's links of a kind (invitations: to this company) that were not followed."""

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        """Keep a login that waits for its code."""

    def login(self, login_hash: str, now_s: int) -> PendingLogin | None:
        """Return a login that has not run out."""

    def end_login(self, login_hash: str) -> None:
        """Forget a login."""

    def use_totp_step(self, email: str, step: int) -> bool:
        """Accept a step if it is later than the last accepted one; return whether it was (compare and set)."""

    def tries(self, email: str) -> Tries:
        """Return what stands against an e-mail address, whether it has an account or not."""

    def count_failure(self, email: str) -> int:
        """Count a failure in a row; return how many there are now."""

    def clear_failures(self, email: str) -> None:
        """Forget the failures, and the lock that they led to."""

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        """Keep a session under the hash of its token."""

    def session(self, token_hash: str, now_s: int) -> LiveSession | None:
        """Return a session that has not run out."""

    def end_sessions(self, email: str, *, but: str | None = None) -> None:
        """End all sessions and pending logins of a person, but maybe one."""

    def end_session(self, token_hash: str) -> None:
        """End one session."""

    def forget_expired(self, now_s: int) -> None:
        """Forget links, logins and sessions that have run out: with time a store does not grow. Nothing valid goes."""

    def issue_with_audit(self, issue_key: str, record: AuditRecord) -> None:
        """Note an issued unlock and its audit record, both or neither."""

    def issued(self, audit_id: str) -> str | None:
        """Return the issue key (token id or serial, hex) of an audit record."""

    def add_audit(self, record: AuditRecord) -> None:
        """Append to the audit log."""

    def audit(self) -> list[AuditRecord]:
        """Return the audit log, oldest first."""

    def add_mail(self, mail: Mail) -> None:
        """Deliver a mail."""

    def mails(self, email: str) -> tuple[Mail, ...]:
        """Return a mailbox, oldest first."""


class MemoryStore:
    """The store of the virtual bench. One lock makes each intent whole, for a live portal that serves from threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accounts: dict[str, Account] = {}
        self._strangers: dict[str, Tries] = {}
        self._companies: dict[int, Company] = {}
        self._links: dict[str, Link] = {}
        self._logins: dict[str, PendingLogin] = {}
        self._sessions: dict[str, LiveSession] = {}
        self._issued: dict[str, str] = {}
        self._audit: list[AuditRecord] = []
        self._mails: dict[str, list[Mail]] = {}

    def add_account(self, account: Account, now_s: int) -> bool:
        """See `Store`."""
        with self._lock:
            held = self._accounts.get(account.email)
            if held is not None and (held.confirmed or now_s < held.confirm_until_s):
                return False
            self._accounts[account.email] = account
            return True

    def account(self, email: str) -> Account | None:
        """See `Store`."""
        return self._accounts.get(email)

    def accounts_under_review(self) -> list[Account]:
        """See `Store`."""
        return [account for account in self._accounts.values() if account.review_due_s is not None]

    def add_company(self, company: Company) -> Company:
        """See `Store`."""
        with self._lock:
            company.company_id = len(self._companies) + 1
            self._companies[company.company_id] = company
        return company

    def company(self, company_id: int) -> Company | None:
        """See `Store`."""
        return self._companies.get(company_id)

    def add_link(self, code_hash: str, link: Link) -> None:
        """See `Store`."""
        with self._lock:
            self._links[code_hash] = link

    def use_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        """See `Store`."""
        with self._lock:
            return self._links.pop(code_hash) if self._valid_link(code_hash, kind, now_s) else None

    def join_company(self, code_hash: str, email: str, now_s: int) -> bool | None:
        """See `Store`."""
        with self._lock:
            link, account = self._valid_link(code_hash, "invite", now_s), self._accounts.get(email)
            if link is None or account is None or link.email != email:
                return None
            if account.company_id not in (None, link.company_id):
                return False
            del self._links[code_hash]
            account.company_id, account.disassociated = link.company_id, False
            return True

    def _valid_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        link = self._links.get(code_hash)
        return link if link is not None and link.kind == kind and now_s < link.expires_s else None

    def drop_links(self, kind: str, email: str, company_id: int | None = None) -> None:
        """See `Store`."""
        with self._lock:
            dropped = [
                key
                for key, link in self._links.items()
                if (link.kind, link.email, link.company_id) == (kind, email, company_id)
            ]
            for key in dropped:
                del self._links[key]

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        """See `Store`."""
        with self._lock:
            self._logins[login_hash] = login

    def login(self, login_hash: str, now_s: int) -> PendingLogin | None:
        """See `Store`."""
        login = self._logins.get(login_hash)
        return login if login is not None and now_s < login.expires_s else None

    def end_login(self, login_hash: str) -> None:
        """See `Store`."""
        with self._lock:
            self._logins.pop(login_hash, None)

    def use_totp_step(self, email: str, step: int) -> bool:
        """See `Store`."""
        with self._lock:
            account = self._accounts[email]
            if step <= account.last_step:
                return False
            account.last_step = step
            return True

    def tries(self, email: str) -> Tries:
        """See `Store`."""
        account = self._accounts.get(email)
        return self._strangers.get(email, Tries()) if account is None else account.tries

    def count_failure(self, email: str) -> int:
        """See `Store`."""
        with self._lock:
            account = self._accounts.get(email)
            tries = self._strangers.setdefault(email, Tries()) if account is None else account.tries
            if len(self._strangers) > STRANGERS_LIMIT:
                del self._strangers[next(iter(self._strangers))]
            tries.failures += 1
            return tries.failures

    def clear_failures(self, email: str) -> None:
        """See `Store`."""
        with self._lock:
            self._accounts[email].tries = Tries()

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        """See `Store`."""
        with self._lock:
            self._sessions[token_hash] = session

    def session(self, token_hash: str, now_s: int) -> LiveSession | None:
        """See `Store`."""
        session = self._sessions.get(token_hash)
        return session if session is not None and now_s < session.expires_s else None

    def end_sessions(self, email: str, *, but: str | None = None) -> None:
        """See `Store`."""
        with self._lock:
            self._sessions = {key: s for key, s in self._sessions.items() if s.email != email or key == but}
            self._logins = {key: login for key, login in self._logins.items() if login.email != email}

    def end_session(self, token_hash: str) -> None:
        """See `Store`."""
        with self._lock:
            self._sessions.pop(token_hash, None)

    def forget_expired(self, now_s: int) -> None:
        """See `Store`. Entries of a table live equally long, so the oldest end first, and a look at the front is enough."""
        with self._lock:
            _forget(self._links, now_s)
            _forget(self._logins, now_s)
            _forget(self._sessions, now_s)

    def issue_with_audit(self, issue_key: str, record: AuditRecord) -> None:
        """See `Store`."""
        with self._lock:
            self._audit.append(record)
            self._issued[record.audit_id] = issue_key

    def issued(self, audit_id: str) -> str | None:
        """See `Store`."""
        return self._issued.get(audit_id)

    def add_audit(self, record: AuditRecord) -> None:
        """See `Store`."""
        self._audit.append(record)

    def audit(self) -> list[AuditRecord]:
        """See `Store`."""
        return self._audit

    def add_mail(self, mail: Mail) -> None:
        """See `Store`."""
        box = self._mails.setdefault(mail.to, [])
        box.append(mail)
        del box[:-MAILBOX_LIMIT]

    def mails(self, email: str) -> tuple[Mail, ...]:
        """See `Store`."""
        return tuple(self._mails.get(email, ()))


def _forget(table: dict[str, Link] | dict[str, PendingLogin] | dict[str, LiveSession], now_s: int) -> None:
    while table:
        oldest = next(iter(table))
        if now_s < table[oldest].expires_s:
            return
        del table[oldest]
