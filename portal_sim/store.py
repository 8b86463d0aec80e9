"""Where the portal keeps its records: a protocol of units of work and, in them, of atomic intents.

A unit happens whole or not at all: the operation of one request is one unit. Within it each intent is a compare-and-set of its
own, so that of many who race for one thing, such as a one-time code, one gets it: nobody gets, thinks, and puts. An account that
a unit has read is held for it until its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

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
from wire.portal_api import AuditRecord, CheckState, CompanyState, Mail

STRANGERS_LIMIT = 10_000
"""Subjects whose failures are remembered although no account has them: those that failed longest ago are forgotten first."""


class Conflict(Exception):
    """Another unit was in the way, and this one did not happen. Do it again."""


class Reading(Protocol):
    """What can be looked at."""

    def account(self, email: str) -> Account | None:
        """Return the account of an e-mail address."""

    def password_hash(self, email: str) -> bytes | None:
        """Return the hash of an account's password, and nothing else of it."""

    def company(self, company_id: int) -> Company | None:
        """Return a company."""

    def users(self, company_id: int) -> list[Account]:
        """Return who belongs to a company, by address."""

    def invited(self, company_id: int, now_s: int) -> list[str]:
        """Return the addresses that are invited to a company and did not follow the link yet, sorted."""

    def licences(self, company_id: int) -> Mapping[str, int]:
        """Return until when a company is licensed, by make."""

    def entitlements(self, email: str) -> frozenset[tuple[str, int]]:
        """Return the (make, role) pairs that a person is entitled to beyond what the make gives by itself."""

    def reviews_due(self, now_s: int) -> list[Account]:
        """Return the accounts whose identity check is to be decided by now."""

    def reviews_open(self) -> list[Account]:
        """Return the accounts whose identity check is in progress."""

    def next_review_s(self) -> int | None:
        """Return when the next identity check is to be decided."""

    def login(self, login_hash: str, now_s: int) -> PendingLogin | None:
        """Return a login that has not run out."""

    def visitor(self, token_hash: str, now_s: int) -> Visitor | None:
        """Return whose session this is, if it has not run out."""

    def tries(self, subject: str) -> Tries:
        """Return what stands against a subject (`account:` or `address:`), whether anybody has that name or not."""

    def both_tries(self, one: str, other: str) -> tuple[Tries, Tries]:
        """Return what stands against two subjects, asked at once."""

    def recovery_codes_left(self, email: str) -> int:
        """Return how many recovery codes a person has left."""

    def kept_reply(self, key_hash: str, now_s: int) -> KeptReply | None:
        """Return the answer that was given under an idempotency key."""

    def issued(self, audit_id: str) -> str | None:
        """Return the issue key (kind, and token id or serial in hex) of an audit record."""

    def issued_to(self, issue_key: str) -> str | None:
        """Return the person who got an unlock, by its issue key; of several the first one."""

    def revoked(self) -> Mapping[str, int]:
        """Return the issue keys that are revoked, and since when."""

    def audit_record(self, audit_id: str) -> AuditRecord | None:
        """Return one record of the audit log."""

    def audit(self, after: int = 0, limit: int | None = None, wanted: AuditFilter | None = None) -> list[AuditEntry]:
        """Return the audit log from a position on, oldest first."""

    def audit_head(self) -> tuple[int, bytes]:
        """Return how many records there are, and the digest of the last one, as the log's end was noted apart from it."""

    def undelivered(self, now_s: int, limit: int) -> list[OutgoingMail]:
        """Return mails whose next try is due, oldest first."""

    def media(self) -> Mapping[str, str]:
        """Return the names of all media that a record speaks of, and whose they are."""


class Unit(Reading, Protocol):
    """One unit of work."""

    # ---- accounts

    def add_account(self, account: Account, now_s: int) -> bool:
        """Add an account unless its e-mail is confirmed or may still be; return whether it was added."""

    def confirm_account(self, email: str) -> None:
        """Note that an address is its owner's."""

    def set_password(self, email: str, password_hash: bytes) -> None:
        """Keep another password."""

    def set_profile(self, email: str, first_name: str, last_name: str, birth_date: str) -> None:
        """Keep a personal profile."""

    def start_review(self, email: str, due_s: int | None, refusal: str | None, media: tuple[str, ...]) -> bool:
        """Begin an identity check and count the attempt, if none is in progress or approved and an attempt is left."""

    def end_review(self, email: str, identity: CheckState) -> bool:
        """Decide an identity check, if one is in progress; return whether it was."""

    def forget_media(self, email: str) -> None:
        """Speak of a person's media no more: they are erased."""

    # ---- second factor

    def offer_secret(self, email: str, secret: bytes) -> None:
        """Keep an authenticator's secret that was shown and is still to be proven."""

    def enrol(self, email: str, secret: bytes) -> bool:
        """Make the secret that was offered, if it is still this one, the authenticator's; return whether it is."""

    def take_authenticator(self, email: str) -> None:
        """Forget authenticator, offered secret and recovery codes."""

    def use_totp_step(self, email: str, step: int) -> bool:
        """Accept a step if it is later than the last accepted one; return whether it was (compare and set)."""

    def set_recovery_codes(self, email: str, hashes: Iterable[str]) -> None:
        """Keep new recovery codes instead of the old ones."""

    def use_recovery_code(self, email: str, code_hash: str) -> bool:
        """Take a recovery code; it can be taken once."""

    def count_failure(self, subject: str, now_s: int, rule: TryRule) -> Tries:
        """Count a failure in a row; return what stands now."""

    def clear_failures(self, subject: str) -> None:
        """Forget the failures, and the lock that they led to."""

    # ---- companies

    def found_company(self, manager: str, legal_name: str, fields: Mapping[str, str]) -> Company | None:
        """Add a company with the next free id, and its manager to it; None where they belong to one already."""

    def set_company_profile(self, company_id: int, legal_name: str, fields: Mapping[str, str]) -> None:
        """Keep another profile of a company; it is to be validated again."""

    def set_company_state(self, company_id: int, state: CompanyState) -> None:
        """Validate a company, or revoke it."""

    def leave_company(self, email: str, company_id: int) -> bool:
        """Take a person out of this company; return whether they were in it."""

    def join_company(self, code_hash: str, email: str, now_s: int) -> bool | None:
        """Take an invitation that is theirs and not too old, and put them into its company.

        None: there is no such invitation. False: they belong to another company; the invitation stays.
        """

    def set_licence(self, company_id: int, make: str, until_s: int) -> None:
        """License a company for a make until then."""

    def entitle(self, email: str, make: str, role: int) -> None:
        """Entitle a person to a role for a make."""

    # ---- links, logins, sessions

    def add_link(self, code_hash: str, link: Link) -> None:
        """Keep a link under the hash of its code."""

    def use_link(self, code_hash: str, kind: str, now_s: int) -> Link | None:
        """Take a link that is of this kind and not too old; it can be taken once."""

    def drop_links(self, kind: str, email: str, company_id: int | None = None) -> int:
        """Forget a person's links of a kind (invitations: to this company) that were not followed; return how many."""

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        """Keep a login that waits for its code."""

    def end_login(self, login_hash: str) -> None:
        """Forget a login."""

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        """Keep a session under the hash of its token."""

    def end_session(self, token_hash: str) -> None:
        """End one session, with all that came from the same login."""

    def end_sessions(self, email: str, *, but: str | None = None) -> None:
        """End all sessions, refresh tokens and pending logins of a person, but maybe those of one session's login."""

    def add_refresh(self, token_hash: str, token: RefreshToken) -> None:
        """Keep a refresh token under its hash."""

    def use_refresh(self, token_hash: str, now_s: int) -> RefreshToken | None:
        """Take a refresh token that has not run out; return it as it was before: `used` for one that is shown again."""

    def end_family(self, family: str) -> None:
        """End every session and refresh token that came from one login."""

    # ---- unlocks and the audit log

    def issue_with_audit(self, issue_key: str, record: AuditRecord, reply: KeptReply | None = None) -> None:
        """Note an issued unlock, its audit record, and the answer for who asks again: all or nothing."""

    def revoke(self, issue_key: str, now_s: int) -> bool:
        """Note a revocation; return whether it is a new one."""

    def add_audit(self, record: AuditRecord) -> None:
        """Append to the audit log."""

    # ---- mail, and what has run out

    def add_mail(self, mail: Mail) -> None:
        """Put a mail into the outbox."""

    def delivered(self, mail_id: int) -> None:
        """Take a mail out of the outbox."""

    def failed(self, mail_id: int, next_try_s: int) -> None:
        """Note that a mail could not be delivered, and when to try again."""

    def forget_expired(self, now_s: int) -> None:
        """Forget what has run out: with time a store does not grow. Nothing valid goes."""


class Store(Protocol):
    """The portal's memory."""

    def unit(self) -> AbstractContextManager[Unit]:
        """Open a unit of work: it happens at the end of the block, and not at all where the block raises. Raises `Conflict`."""

    def reading(self) -> AbstractContextManager[Reading]:
        """Look at things, as they are at one instant."""

    def glance(self) -> AbstractContextManager[Reading]:
        """Look at things, each as it is when it is asked for: cheaper, where one question is asked, or all is asked again before
        anything is changed.
        """
