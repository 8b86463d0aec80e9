"""What the portal remembers: accounts, companies, logins, sessions, links, mails, audit records. Plain, mutable, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api import CheckState, CompanyState


@dataclass(slots=True)
class Tries:
    """Wrong passwords or codes in a row for one e-mail address; `blocked_until_s`: no try counts before."""

    failures: int = 0
    blocked_until_s: int = 0
    locked_out: bool = False


@dataclass(slots=True)
class Account:
    """One natural person. `confirm_until_s`: until then the address is held for whoever confirms it.

    `pending_secret` is an authenticator that was shown but not yet proven; `last_step` the last TOTP step that was accepted.
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
    company_id: int | None = None
    disassociated: bool = False
    secret: bytes | None = field(default=None, repr=False)
    pending_secret: bytes | None = field(default=None, repr=False)
    last_step: int = -1
    tries: Tries = field(default_factory=Tries)

    @property
    def profile_complete(self) -> bool:
        """Whether the personal profile is filled in."""
        return bool(self.first_name and self.last_name and self.birth_date)

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(slots=True)
class Company:
    """A workshop. `roles`: (make, role) pairs granted beyond what the make gives by itself."""

    company_id: int
    manager: str
    state: CompanyState
    legal_name: str
    fields: dict[str, str]


@dataclass(slots=True)
class PendingLogin:
    """E-mail and password were right; the code is still to come."""

    email: str
    tester_serial: str
    expires_s: int


@dataclass(slots=True)
class LiveSession:
    """A session, kept under the hash of its token."""

    email: str
    expires_s: int
    strong: bool


@dataclass(slots=True)
class Link:
    """A single-use link in a mail. `kind`: confirm, invite or reset."""

    kind: str
    email: str
    company_id: int | None
    expires_s: int
