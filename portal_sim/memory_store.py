"""The store of the virtual bench. One lock makes each unit whole; what a unit that fails has changed is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock
from typing import Any, Protocol, TypeVar

from portal_sim.audit_chain import START, AuditChain
from portal_sim.records import (
    Account,
    AuditEntry,
    AuditFilter,
    Company,
    KeptReply,
    Link,
    LiveSession,
    OutgoingMail,
    PendingLogin,
    RefreshToken,
    Tries,
    TryRule,
    Visitor,
)
from portal_sim.store import STRANGERS_LIMIT
from wire.portal_api import AuditRecord, CheckState, CompanyState, Mail

K = TypeVar("K")
V = TypeVar("V")
_NONE = object()
_NO_KEY = bytes(32)


class MemoryStore:
    """Everything in dictionaries. A unit of this store is the store itself, while its lock is held."""

    def __init__(self, chain: AuditChain | None = None) -> None:
        self._chain = chain or AuditChain(_NO_KEY)
        self._lock = RLock()
        self._undo: list[Callable[[], object]] = []
        self._accounts: dict[str, Account] = {}
        self._tries: dict[str, Tries] = {}
        self._recovery: dict[str, frozenset[str]] = {}
        self._companies: dict[int, Company] = {}
        self._licences: dict[int, Mapping[str, int]] = {}
        self._entitlements: dict[str, frozenset[tuple[str, int]]] = {}
        self._links: dict[str, Link] = {}
        self._logins: dict[str, PendingLogin] = {}
        self._sessions: dict[str, LiveSession] = {}
        self._refreshes: dict[str, RefreshToken] = {}
        self._issued: dict[str, str] = {}
        self._issued_to: dict[str, str] = {}
        self._revoked: dict[str, int] = {}
        self._replies: dict[str, KeptReply] = {}
        self._outbox: dict[int, OutgoingMail] = {}
        self._next_try_s: dict[int, int] = {}
        self._mailed = 0
        self._audit: list[AuditEntry] = []
        self._by_audit_id: dict[str, AuditRecord] = {}

    @contextmanager
    def unit(self) -> Iterator[MemoryStore]:
        """See `Store`. It waits for its turn, so that there is never a `Conflict`."""
        with self._lock:
            self._undo.clear()
            try:
                yield self
            except BaseException:
                for put_back in reversed(self._undo):
                    put_back()
                raise
            finally:
                self._undo.clear()

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        """See `Store`."""
        with self._lock:
            yield self

    glance = reading

    # ---- the only two ways in which anything changes

    def _put(self, table: MutableMapping[K, V], key: K, value: V) -> None:
        before: Any = table.get(key, _NONE)
        table[key] = value
        self._undo.append(lambda: table.pop(key) if before is _NONE else table.__setitem__(key, before))

    def _drop(self, table: dict[K, V], keys: Iterable[K]) -> int:
        """Take entries out; an undo restores their order too, which is the order of their ends."""
        keys = list(keys)
        if keys:
            before = dict(table)
            for key in keys:
                del table[key]

            def put_back() -> None:
                table.clear()
                table.update(before)

            self._undo.append(put_back)
        return len(keys)

    def _change(self, email: str, **changes: Any) -> None:
        self._put(self._accounts, email, replace(self._accounts[email], **changes))

    # ---- accounts

    def add_account(self, account: Account, now_s: int) -> bool:
        """See `Unit`."""
        held = self._accounts.get(account.email)
        if held is not None and (held.confirmed or now_s < held.confirm_until_s):
            return False
        self._put(self._accounts, account.email, account)
        return True

    def account(self, email: str) -> Account | None:
        """See `Reading`."""
        return self._accounts.get(email)

    def password_hash(self, email: str) -> bytes | None:
        """See `Reading`."""
        account = self.account(email)
        return None if account is None else account.password_hash

    def confirm_account(self, email: str) -> None:
        """See `Unit`."""
        self._change(email, confirmed=True)

    def set_password(self, email: str, password_hash: bytes) -> None:
        """See `Unit`."""
        self._change(email, password_hash=password_hash)

    def set_profile(self, email: str, first_name: str, last_name: str, birth_date: str) -> None:
        """See `Unit`."""
        self._change(email, first_name=first_name, last_name=last_name, birth_date=birth_date)

    def start_review(self, email: str, due_s: int | None, refusal: str | None, media: tuple[str, ...]) -> bool:
        """See `Unit`."""
        account = self._accounts[email]
        if account.identity in (CheckState.IN_PROGRESS, CheckState.APPROVED) or account.attempts_left <= 0:
            return False
        self._change(
            email,
            identity=CheckState.IN_PROGRESS,
            attempts_left=account.attempts_left - 1,
            review_due_s=due_s,
            review_refusal=refusal,
            media=media,
        )
        return True

    def end_review(self, email: str, identity: CheckState) -> bool:
        """See `Unit`."""
        if self._accounts[email].identity is not CheckState.IN_PROGRESS:
            return False
        self._change(email, identity=identity, review_due_s=None)
        return True

    def forget_media(self, email: str) -> None:
        """See `Unit`."""
        self._change(email, media=())

    def media(self) -> Mapping[str, str]:
        """See `Reading`."""
        return {name: account.email for account in self._accounts.values() for name in account.media}

    def reviews_open(self) -> list[Account]:
        """See `Reading`."""
        return [account for account in self._accounts.values() if account.identity is CheckState.IN_PROGRESS]

    def reviews_due(self, now_s: int) -> list[Account]:
        """See `Reading`."""
        open_ones = self.reviews_open()
        return [account for account in open_ones if account.review_due_s is not None and account.review_due_s <= now_s]

    def next_review_s(self) -> int | None:
        """See `Reading`."""
        due = (account.review_due_s for account in self.reviews_open())
        return min((due_s for due_s in due if due_s is not None), default=None)

    # ---- second factor

    def offer_secret(self, email: str, secret: bytes) -> None:
        """See `Unit`."""
        self._change(email, pending_secret=secret)

    def enrol(self, email: str, secret: bytes) -> bool:
        """See `Unit`."""
        account = self._accounts[email]
        if account.secret is not None or account.pending_secret != secret:
            return False
        self._change(email, secret=secret, pending_secret=None)
        return True

    def take_authenticator(self, email: str) -> None:
        """See `Unit`."""
        self._change(email, secret=None, pending_secret=None)
        self.set_recovery_codes(email, ())

    def use_totp_step(self, email: str, step: int) -> bool:
        """See `Unit`."""
        if step <= self._accounts[email].last_step:
            return False
        self._change(email, last_step=step)
        return True

    def set_recovery_codes(self, email: str, hashes: Iterable[str]) -> None:
        """See `Unit`."""
        self._put(self._recovery, email, frozenset(hashes))

    def use_recovery_code(self, email: str, code_hash: str) -> bool:
        """See `Unit`."""
        left = self._recovery.get(email, frozenset())
        if code_hash not in left:
            return False
        self._put(self._recovery, email, left - {code_hash})
        return True

    def recovery_codes_left(self, email: str) -> int:
        """See `Reading`."""
        return len(self._recovery.get(email, ()))

    def tries(self, subject: str) -> Tries:
        """See `Reading`."""
        return self._tries.get(subject, Tries())

    def both_tries(self, one: str, other: str) -> tuple[Tries, Tries]:
        """See `Reading`."""
        return self.tries(one), self.tries(other)

    def count_failure(self, subject: str, now_s: int, rule: TryRule) -> Tries:
        """See `Unit`."""
        tries = rule.next(self.tries(subject), now_s)
        self._put(self._tries, subject, tries)
        return tries

    def clear_failures(self, subject: str) -> None:
        """See `Unit`."""
        self._drop(self._tries, [subject] if subject in self._tries else [])

    # ---- companies

    def company(self, company_id: int) -> Company | None:
        """See `Reading`."""
        return self._companies.get(company_id)

    def found_company(self, manager: str, legal_name: str, fields: Mapping[str, str]) -> Company | None:
        """See `Unit`."""
        if self._accounts[manager].company_id is not None:
            return None
        company = Company(
            company_id=len(self._companies) + 1,
            manager=manager,
            state=CompanyState.COMPLETE,
            legal_name=legal_name,
            fields=dict(fields),
        )
        self._put(self._companies, company.company_id, company)
        self._change(manager, company_id=company.company_id, disassociated=False)
        return company

    def set_company_profile(self, company_id: int, legal_name: str, fields: Mapping[str, str]) -> None:
        """See `Unit`."""
        changed = replace(
            self._companies[company_id], legal_name=legal_name, fields=dict(fields), state=CompanyState.COMPLETE
        )
        self._put(self._companies, company_id, changed)

    def set_company_state(self, company_id: int, state: CompanyState) -> None:
        """See `Unit`."""
        self._put(self._companies, company_id, replace(self._companies[company_id], state=state))

    def users(self, company_id: int) -> list[Account]:
        """See `Reading`."""
        members = (account for account in self._accounts.values() if account.company_id == company_id)
        return sorted(members, key=lambda account: account.email)

    def invited(self, company_id: int, now_s: int) -> list[str]:
        """See `Reading`."""
        links = (link for link in self._links.values() if link.kind == "invite" and now_s < link.expires_s)
        return sorted({link.email for link in links if link.company_id == company_id})

    def leave_company(self, email: str, company_id: int) -> bool:
        """See `Unit`."""
        if self._accounts[email].company_id != company_id:
            return False
        self._change(email, company_id=None, disassociated=True)
        return True

    def join_company(self, code_hash: str, email: str, now_s: int) -> bool | None:
        """See `Unit`."""
        link, account = self._valid_link(code_hash, "invite", now_s), self._accounts.get(email)
        if link is None or account is None or link.email != email:
            return None
        if account.company_id not in (None, link.company_id):
            return False
        self._drop(self._links, [code_hash])
        self._change(email, company_id=link.company_id, disassociated=False)
        return True

    def licences(self, company_id: int) -> Mapping[str, int]:
        """See `Reading`."""
        return self._licences.get(company_id, {})

    def set_licence(self, company_id: int, make: str, until_s: int) -> None:
        """See `Unit`."""
        self._put(self._licences, company_id, {**self.licences(company_id), make: until_s})

    def entitlements(self, email: str) -> frozenset[tuple[str, int]]:
        """See `Reading`."""
        return self._entitlements.get(email, frozenset())

    def entitle(self, email: str, make: str, role: int) -> None:
        """See `Unit`."""
        self._put(self._entitlements, email, self.entitlements(email) | {(make, role)})

    # ---- links, logins, sessions

    def add_link(self, code_hash: str, link: Link) -> None:
        """See `Unit`."""
        self._put(self._links, code_hash, link)

    def use_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        """See `Unit`."""
        link = self._valid_link(code_hash, kind, now_s)
        if link is not None:
            self._drop(self._links, [code_hash])
        return link

    def _valid_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        link = self._links.get(code_hash)
        return link if link is not None and link.kind == kind and now_s < link.expires_s else None

    def drop_links(self, kind: str, email: str, company_id: int | None = None) -> int:
        """See `Unit`."""
        wanted = (kind, email, company_id)
        return self._drop(
            self._links, [k for k, link in self._links.items() if (link.kind, link.email, link.company_id) == wanted]
        )

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        """See `Unit`."""
        self._put(self._logins, login_hash, login)

    def login(self, login_hash: str, now_s: int) -> PendingLogin | None:
        """See `Reading`."""
        login = self._logins.get(login_hash)
        return login if login is not None and now_s < login.expires_s else None

    def end_login(self, login_hash: str) -> None:
        """See `Unit`."""
        self._drop(self._logins, [login_hash] if login_hash in self._logins else [])

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        """See `Unit`."""
        self._put(self._sessions, token_hash, session)

    def visitor(self, token_hash: str, now_s: int) -> Visitor | None:
        """See `Reading`."""
        session = self._sessions.get(token_hash)
        account = None if session is None else self._accounts.get(session.email)
        if session is None or account is None or now_s >= session.expires_s:
            return None
        company = None if account.company_id is None else self._companies.get(account.company_id)
        return Visitor(session, account, company)

    def end_session(self, token_hash: str) -> None:
        """See `Unit`."""
        session = self._sessions.get(token_hash)
        if session is not None:
            self.end_family(session.family)

    def end_sessions(self, email: str, *, but: str | None = None) -> None:
        """See `Unit`."""
        kept = self._sessions.get(but) if but is not None else None
        family = None if kept is None else kept.family
        self._drop(self._sessions, [k for k, s in self._sessions.items() if s.email == email and s.family != family])
        self._drop(self._refreshes, [k for k, r in self._refreshes.items() if r.email == email and r.family != family])
        self._drop(self._logins, [k for k, login in self._logins.items() if login.email == email])

    def add_refresh(self, token_hash: str, token: RefreshToken) -> None:
        """See `Unit`."""
        self._put(self._refreshes, token_hash, token)

    def use_refresh(self, token_hash: str, now_s: int) -> RefreshToken | None:
        """See `Unit`."""
        token = self._refreshes.get(token_hash)
        if token is None or now_s >= token.expires_s:
            return None
        self._put(self._refreshes, token_hash, replace(token, used=True))
        return token

    def end_family(self, family: str) -> None:
        """See `Unit`."""
        self._drop(self._sessions, [key for key, session in self._sessions.items() if session.family == family])
        self._drop(self._refreshes, [key for key, token in self._refreshes.items() if token.family == family])

    # ---- unlocks and the audit log

    def issue_with_audit(self, issue_key: str, record: AuditRecord, reply: KeptReply | None = None) -> None:
        """See `Unit`."""
        self.add_audit(record)
        self._put(self._issued, record.audit_id, issue_key)
        if issue_key not in self._issued_to:
            self._put(self._issued_to, issue_key, record.person)
        if reply is not None:
            self._put(self._replies, reply.key_hash, reply)

    def issued(self, audit_id: str) -> str | None:
        """See `Reading`."""
        return self._issued.get(audit_id)

    def issued_to(self, issue_key: str) -> str | None:
        """See `Reading`."""
        return self._issued_to.get(issue_key)

    def kept_reply(self, key_hash: str, now_s: int) -> KeptReply | None:
        """See `Reading`."""
        reply = self._replies.get(key_hash)
        return reply if reply is not None and now_s < reply.expires_s else None

    def revoke(self, issue_key: str, now_s: int) -> bool:
        """See `Unit`."""
        if issue_key in self._revoked:
            return False
        self._put(self._revoked, issue_key, now_s)
        return True

    def revoked(self) -> Mapping[str, int]:
        """See `Reading`."""
        return dict(self._revoked)

    def add_audit(self, record: AuditRecord) -> None:
        """See `Unit`."""
        position, before = self.audit_head()
        digest = self._chain.digest(position + 1, record, before)
        self._audit.append(AuditEntry(position=position + 1, record=record, digest=digest))
        self._undo.append(self._audit.pop)
        self._put(self._by_audit_id, record.audit_id, record)

    def audit_record(self, audit_id: str) -> AuditRecord | None:
        """See `Reading`."""
        return self._by_audit_id.get(audit_id)

    def audit(self, after: int = 0, limit: int | None = None, wanted: AuditFilter | None = None) -> list[AuditEntry]:
        """See `Reading`."""
        entries = self._audit[after:] if wanted is None else [e for e in self._audit[after:] if wanted.takes(e.record)]
        return entries if limit is None else entries[:limit]

    def audit_head(self) -> tuple[int, bytes]:
        """See `Reading`."""
        return (len(self._audit), self._audit[-1].digest) if self._audit else (0, START)

    # ---- mail, and what has run out

    def add_mail(self, mail: Mail) -> None:
        """See `Unit`."""
        self._mailed += 1
        self._put(self._outbox, self._mailed, OutgoingMail(mail_id=self._mailed, mail=mail))

    def undelivered(self, now_s: int, limit: int) -> list[OutgoingMail]:
        """See `Reading`."""
        due = (mail for mail in self._outbox.values() if self._next_try_s.get(mail.mail_id, 0) <= now_s)
        return [mail for mail, _ in zip(due, range(limit), strict=False)]

    def delivered(self, mail_id: int) -> None:
        """See `Unit`."""
        self._drop(self._outbox, [mail_id] if mail_id in self._outbox else [])
        self._drop(self._next_try_s, [mail_id] if mail_id in self._next_try_s else [])

    def failed(self, mail_id: int, next_try_s: int) -> None:
        """See `Unit`."""
        mail = self._outbox[mail_id]
        self._put(self._outbox, mail_id, replace(mail, attempts=mail.attempts + 1))
        self._put(self._next_try_s, mail_id, next_try_s)

    def forget_expired(self, now_s: int) -> None:
        """See `Unit`. Entries of a table live equally long, so the oldest end first, and a look at the front is enough."""
        for table in (self._links, self._logins, self._sessions, self._refreshes, self._replies):
            self._forget(table, now_s)
        strangers = [subject for subject in self._tries if subject.removeprefix("account:") not in self._accounts]
        if len(strangers) > STRANGERS_LIMIT:
            strangers.sort(key=lambda subject: self._tries[subject].last_s)
            self._drop(self._tries, strangers[:-STRANGERS_LIMIT])

    def _forget(self, table: dict[str, Any], now_s: int) -> None:
        ended = []
        for key, entry in table.items():
            if now_s < _expires_s(entry):
                break
            ended.append(key)
        self._drop(table, ended)


class _Ends(Protocol):
    @property
    def expires_s(self) -> int: ...


def _expires_s(entry: _Ends) -> int:
    return entry.expires_s
