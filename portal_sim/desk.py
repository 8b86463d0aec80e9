"""What every part of the portal has on its desk: store, randomness, settings; and the few acts that all of them share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from portal_sim.options import PortalOptions
from portal_sim.records import Account, Company, Link, LiveSession
from portal_sim.store import Store
from wire.entropy import Entropy
from wire.portal_api import AuditRecord, Mail, PortalError, PortalErrorCode

CODE_BYTES = 24
"""192 bits for session tokens, login ids and link codes: not to be guessed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Store, randomness and settings."""

    store: Store
    entropy: Entropy
    options: PortalOptions

    def new_code(self) -> str:
        """Return a new unguessable code."""
        return self.entropy.token_bytes(CODE_BYTES).hex()

    def mail(self, to: str, subject: str, text: str, now_s: int, link: Link | None = None) -> None:
        """Send a mail, with a single-use link where there is one."""
        code = None
        if link is not None:
            code = self.new_code()
            self.store.add_link(hashed(code), link)
        self.store.add_mail(Mail(to=to, subject=subject, text=text, sent_utc_s=now_s, link_code=code))

    def account_of(self, session: str, now_s: int) -> Account:
        """Return whose session this is; raise `SESSION_INVALID`."""
        return self.session_of(session, now_s)[1]

    def session_of(self, token: str, now_s: int) -> tuple[LiveSession, Account]:
        """Return the live session and its account; raise `SESSION_INVALID`."""
        session = self.store.session(hashed(token), now_s)
        account = None if session is None else self.store.account(session.email)
        if session is None or account is None:
            raise PortalError(PortalErrorCode.SESSION_INVALID, "You are not signed in, or the session has run out.")
        return session, account

    def company_of(self, account: Account) -> Company | None:
        """Return the company of a person, or None."""
        return None if account.company_id is None else self.store.company(account.company_id)

    def require_not_locked_out(self, email: str) -> None:
        """Raise `LOCKED_OUT` after too many failures in a row, for an address with an account or without."""
        if self.store.tries(email).locked_out:
            raise PortalError(
                PortalErrorCode.LOCKED_OUT, "This account is locked after too many failures. Retrieve your password."
            )

    def require_wait_over(self, email: str, now_s: int) -> None:
        """Raise `THROTTLED` where failures stand against an address, with an account or without."""
        wait_s = self.store.tries(email).blocked_until_s - now_s
        if wait_s > 0:
            raise PortalError(
                PortalErrorCode.THROTTLED, f"Too many failures. Try again in {wait_s} s.", retry_after_s=wait_s
            )

    def require_no_wait(self, email: str, now_s: int) -> None:
        """Raise `LOCKED_OUT` or `THROTTLED`."""
        self.require_not_locked_out(email)
        self.require_wait_over(email, now_s)

    def count_failure(self, email: str, now_s: int, action: str = "login failure") -> None:
        """Count a wrong password or code, or a mail asked for: the next try waits longer, and too many in a row lock out."""
        failures = self.store.count_failure(email)
        tries = self.store.tries(email)
        tries.blocked_until_s = now_s + min(self.options.throttle_s * failures, self.options.throttle_max_s)
        tries.locked_out = failures >= self.options.max_failures
        account = self.store.account(email)
        if account is not None:  # what strangers type is no person's doing
            self.audit(action, now_s, account)
            if failures == self.options.max_failures:
                self.audit("locked out", now_s, account)

    def audit(self, action: str, now_s: int, account: Account, subject: str = "") -> None:
        """Write an audit record about a person."""
        company = self.company_of(account)
        self.store.add_audit(
            AuditRecord(
                audit_id=self.entropy.token_bytes(8).hex(),
                utc_s=now_s,
                action=action,
                person=account.email,
                company=company.legal_name if company else "",
                make="",
                vin="",
                ecu_address=None,
                role=None,
                scope=None,
                subject=subject,
            )
        )


def hashed(code: str) -> str:
    """Return what is kept instead of a code or token: its SHA-256 (the codes have 192 random bits, so no salt)."""
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()


def masked(email: str) -> str:
    """Return an e-mail address as the page shows it: `te***@workshop.example`."""
    local, _, domain = email.partition("@")
    return f"{local[:2]}***@{domain}"
