"""What every part of the portal has on its desk: store, randomness, settings; and the acts that all of them share.

An operation opens the desk once and works in one unit of the store: `look` to read, `work` to change. What was counted against
somebody stays, though the operation was refused: a refusal ends the unit like an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portal_sim.options import PortalOptions
from portal_sim.records import Account, Company, Link, Tries, Visitor
from portal_sim.review import Reviewer
from portal_sim.store import Reading, Store, Unit
from wire.entropy import Entropy
from wire.portal_api import AuditRecord, Mail, PortalError, PortalErrorCode

CODE_BYTES = 24
"""192 bits for session tokens, login ids and link codes: not to be guessed."""
AUDIT_ID_BYTES = 8
FROM_HERE = "from your network address"


@dataclass(frozen=True, slots=True)
class Call:
    """The circumstances of a request: the time, the network address that it came from where there is one, and the names under
    which what was uploaded with it is kept.
    """

    now_s: int
    address: str = ""
    media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, randomness, settings, and who decides identity checks."""

    store: Store
    entropy: Entropy
    options: PortalOptions
    reviewer: Reviewer

    def new_code(self) -> str:
        """Return a new unguessable code."""
        return self.entropy.token_bytes(CODE_BYTES).hex()

    @contextmanager
    def look(self, call: Call) -> Iterator[Look]:
        """Read, and change nothing."""
        with self.store.glance() as reading:
            yield Look(self, reading, call)

    @contextmanager
    def work(self, call: Call) -> Iterator[Work]:
        """Change things: all of it, or nothing where something fails that is no refusal."""
        refusal: PortalError | None = None
        with self.store.unit() as unit:
            try:
                yield Work(self, unit, call)
            except PortalError as error:
                refusal = error
        if refusal is not None:
            raise refusal


class Look:
    """The desk while one request is read for."""

    __slots__ = ("_spotless", "call", "desk", "now_s", "options", "reading")

    def __init__(self, desk: Desk, reading: Reading, call: Call) -> None:
        self.desk = desk
        self.reading = reading
        self.call = call
        self.now_s = call.now_s
        self.options = desk.options
        self._spotless: str | None = None

    def visitor(self, token: str) -> Visitor:
        """Return whose live session this is; raise `SESSION_INVALID`."""
        visitor = self.reading.visitor(hashed(token), self.now_s)
        if visitor is None:
            raise PortalError(PortalErrorCode.SESSION_INVALID, "You are not signed in, or the session has run out.")
        return visitor

    def account_of(self, token: str) -> Account:
        """Return whose session this is; raise `SESSION_INVALID`."""
        return self.visitor(token).account

    def company_of(self, account: Account) -> Company | None:
        """Return the company of a person, or None."""
        return None if account.company_id is None else self.reading.company(account.company_id)

    def require_not_locked_out(self, email: str) -> None:
        """Raise `LOCKED_OUT` after too many failures in a row, for an address with an account or without."""
        _require_open(self.reading.tries(_account(email)))

    def require_calm(self) -> None:
        """Raise `THROTTLED` where failures stand against the network address of the request."""
        if self.call.address:
            tries = self.reading.tries(_address(self.call.address))
            self._require_wait_over(tries, FROM_HERE)

    def require_wait_over(self, email: str) -> None:
        """Raise `THROTTLED` where failures stand against an e-mail address, with an account or without."""
        self._require_wait_over(self.reading.tries(_account(email)), "")

    def require_no_wait(self, email: str) -> None:
        """Raise `LOCKED_OUT` or `THROTTLED`."""
        if self.call.address:
            here, tries = self.reading.both_tries(_address(self.call.address), _account(email))
            self._require_wait_over(here, FROM_HERE)
        else:
            tries = self.reading.tries(_account(email))
        _require_open(tries)
        self._require_wait_over(tries, "")
        if tries.failures == 0:
            self._spotless = email

    def _require_wait_over(self, tries: Tries, whence: str) -> None:
        wait_s = tries.blocked_until_s - self.now_s
        if wait_s > 0:
            many = f"Too many failures {whence}".rstrip()
            raise PortalError(PortalErrorCode.THROTTLED, f"{many}. Try again in {wait_s} s.", retry_after_s=wait_s)


class Work(Look):
    """The desk while one request is carried out, in one unit of the store."""

    __slots__ = ("unit",)

    def __init__(self, desk: Desk, unit: Unit, call: Call) -> None:
        super().__init__(desk, unit, call)
        self.unit = unit

    def mail(self, to: str, subject: str, text: str, link: Link | None = None) -> None:
        """Send a mail, with a single-use link where there is one."""
        code = None
        if link is not None:
            code = self.desk.new_code()
            self.unit.add_link(hashed(code), link)
        self.unit.add_mail(Mail(to=to, subject=subject, text=text, sent_utc_s=self.now_s, link_code=code))

    def count_failure(self, email: str, action: str = "login failure") -> None:
        """Count a wrong password or code, or a mail asked for: the next try waits longer, and too many in a row lock out."""
        self.count_against_address()
        self._spotless = None
        tries = self.unit.count_failure(_account(email), self.now_s, self.options.account_rule)
        account = self.unit.account(email)
        if account is not None:  # what strangers type is no person's doing
            self.audit(action, account)
            if tries.failures == self.options.max_failures:
                self.audit("locked out", account)

    def count_against_address(self) -> None:
        """Count a failure against the network address alone: a link or token that is none."""
        if self.call.address:
            self.unit.count_failure(_address(self.call.address), self.now_s, self.options.address_rule)

    def clear_failures(self, email: str) -> None:
        """Forget what stands against a person. What stands against the network address goes with time alone."""
        if email != self._spotless:  # against most people nothing stands
            self.unit.clear_failures(_account(email))

    def audit(self, action: str, account: Account, subject: str = "") -> None:
        """Write an audit record about a person."""
        self.unit.add_audit(self.record(action, account, subject=subject))

    def record(self, action: str, account: Account | None, *, subject: str, audit_id: str | None = None) -> AuditRecord:
        """Return an audit record about a person, or about what the operators did (None)."""
        company = None if account is None else self.company_of(account)
        return AuditRecord(
            audit_id=audit_id or self.desk.entropy.token_bytes(AUDIT_ID_BYTES).hex(),
            utc_s=self.now_s,
            action=action,
            person=account.email if account else "",
            company=company.legal_name if company else "",
            company_id=company.company_id if company else None,
            make="",
            vin="",
            ecu_address=None,
            role=None,
            scope=None,
            subject=subject,
        )


def hashed(code: str) -> str:
    """Return what is kept instead of a code or token: its SHA-256 (the codes have 192 random bits, so no salt)."""
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()


def masked(email: str) -> str:
    """Return an e-mail address as the page shows it: `te***@workshop.example`."""
    local, _, domain = email.partition("@")
    return f"{local[:2]}***@{domain}"


def _require_open(tries: Tries) -> None:
    if tries.locked_out:
        raise PortalError(
            PortalErrorCode.LOCKED_OUT, "This account is locked after too many failures. Retrieve your password."
        )


def _account(email: str) -> str:
    return f"account:{email}"


def _address(address: str) -> str:
    return f"address:{address}"
