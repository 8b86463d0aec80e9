"""What the portal remembers: accounts, companies, sessions, links, mails, issued unlocks. Frozen; the rules on them are pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wire.portal_api import AuditRecord, CheckState, CompanyState, Mail


@dataclass(frozen=True, slots=True)
class Tries:
    """Failures in a row that stand against a subject; `blocked_until_s`: no try counts before; `last_s`: the last failure."""

    failures: int = 0
    blocked_until_s: int = 0
    locked_out: bool = False
    last_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TryRule:
    """How failures against a subject make the next try wait: `wait_s` for each beyond the first `free` ones, at most
    `longest_wait_s`; `locks_at` in a row lock out; after `forgets_after_s` without a failure the count begins again.
    """

    wait_s: int
    longest_wait_s: int
    free: int = 0
    locks_at: int | None = None
    forgets_after_s: int | None = None

    def next(self, tries: Tries, now_s: int) -> Tries:
        """Return what stands after one more failure."""
        idle_s = now_s - tries.last_s
        fresh = self.forgets_after_s is not None and idle_s > self.forgets_after_s
        failures = 1 if fresh else tries.failures + 1
        return Tries(
            failures=failures,
            blocked_until_s=now_s + min(self.wait_s * max(0, failures - self.free), self.longest_wait_s),
            locked_out=self.locks_at is not None and failures >= self.locks_at,
            last_s=now_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One natural person. `confirm_until_s`: until then the address is held for whoever confirms it.

    `pending_secret` is an authenticator that was shown but not yet proven; `last_step` the last TOTP step that was accepted.
    `review_due_s` None while a check is in progress: a person decides it. `media`: names of what the check was decided on.
    """

    email: str
    password_hash: bytes = field(repr=False)
    confirmed: bool = False
    confirm_until_s: int = 0
    first_name: str = ""
    last_name: str = ""
    birth_date: str = ""
    identity: CheckState = CheckState.NONE
    attempts_left: int = 0
    review_due_s: int | None = None
    review_refusal: str | None = None
    media: tuple[str, ...] = ()
    company_id: int | None = None
    disassociated: bool = False
    secret: bytes | None = field(default=None, repr=False)
    pending_secret: bytes | None = field(default=None, repr=False)
    last_step: int = -1

    @property
    def profile_complete(self) -> bool:
        """Whether the personal profile is filled in."""
        return bool(self.first_name and self.last_name and self.birth_date)

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A workshop. `fields`: its profile as filled in."""

    company_id: int
    manager: str
    state: CompanyState
    legal_name: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """E-mail and password were right; the code is still to come."""

    email: str
    tester_serial: str
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session, kept under the hash of its token. `family`: the login that it came from, through however many refreshes."""

    email: str
    family: str
    strong: bool
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token, kept under its hash until it runs out, used or not: one that is shown again betrays a theft."""

    email: str
    family: str
    strong: bool
    expires_s: int
    used: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a session belongs to, read in one go."""

    session: LiveSession
    account: Account
    company: Company | None


@dataclass(frozen=True, slots=True)
class Link:
    """A single-use link in a mail. `kind`: confirm, invite or reset."""

    kind: str
    email: str
    company_id: int | None
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReply:
    """The answer to a request with an idempotency key, for who asks again. `key_hash` names person and key, `request_hash` what
    was asked for, `reply` is the unlock as `wire.plain` text.
    """

    key_hash: str
    request_hash: str
    reply: str = field(repr=False)
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """A mail that waits for its delivery; `attempts`: how often it was tried."""

    mail_id: int
    mail: Mail
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A record where it stands in the log: `position` counts from 1, `digest` closes the chain up to here."""

    position: int
    record: AuditRecord
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which records are wanted; an empty value takes everything. `until_utc_s` itself is excluded."""

    company_id: int | None = None
    person: str = ""
    action: str = ""
    make: str = ""
    vin: str = ""
    since_utc_s: int = 0
    until_utc_s: int | None = None

    def takes(self, record: AuditRecord) -> bool:
        """Whether a record is wanted."""
        return (
            self.company_id in (None, record.company_id)
            and self.person in ("", record.person)
            and self.action in ("", record.action)
            and self.make in ("", record.make)
            and self.vin in ("", record.vin)
            and self.since_utc_s <= record.utc_s
            and (self.until_utc_s is None or record.utc_s < self.until_utc_s)
        )
