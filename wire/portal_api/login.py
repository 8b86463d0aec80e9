"""The way in: at the pages, on the tester, and on again without a login."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session: the bearer `token`, until `expires_utc_s`. `strong`: a second factor was given.

    `refresh_token` gets the next session without a login, once, until `refresh_until_utc_s`. `recovery_codes` stand here once:
    when an authenticator was enrolled by this login.
    """

    token: str = field(repr=False)
    expires_utc_s: int
    strong: bool
    person: str
    refresh_token: str = field(default="", repr=False)
    refresh_until_utc_s: int = 0
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLogin(Request[Session]):
    """Sign in at the portal's pages by password alone, where no authenticator is enrolled yet (else with `code`)."""

    email: str
    password: str = field(repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout(Request[Done]):
    """End a session."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStep:
    """What comes after e-mail and password: scan `otpauth_uri` if it is there (first login), then answer with a code."""

    login_id: str = field(repr=False)
    otpauth_uri: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginLogin(Request[LoginStep]):
    """E-mail and password, on the tester with this serial number."""

    email: str
    password: str = field(repr=False)
    tester_serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishLogin(Request[Session]):
    """The authenticator's code; the first one also completes enrolment."""

    login_id: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh(Request[Session]):
    """Get the next session for a refresh token. It is taken once; shown again, it ends every session that came from its login."""

    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """Codes that stand in for the authenticator, each once. They are shown here and never again."""

    codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecoveryCodes(Request[RecoveryCodes]):
    """Get new recovery codes for a code of the authenticator; the old ones are worth nothing any more."""

    session: str = field(repr=False)
    code: str = field(repr=False)
