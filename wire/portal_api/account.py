"""An account: sign-up, confirmation, password, and the way back after a lock-out."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp(Request[Done]):
    """Make an account; a mail with a confirmation link (valid 3 days) follows."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmEmail(Request[Done]):
    """Follow the link of the confirmation mail."""

    link_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword(Request[Done]):
    """Set a new password; other sessions end."""

    session: str = field(repr=False)
    old_password: str = field(repr=False)
    new_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReset(Request[Done]):
    """Retrieve a password, or come back after a lock-out: a mail with a link (valid 3 days) follows where there is an account.

    The answer is the same where there is none. Asking counts like a wrong try: whoever asks again waits longer.
    """

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmReset(Request[Done]):
    """Follow the link of the reset mail: a new password, a new authenticator at the next login, no lock-out, no old session."""

    link_code: str = field(repr=False)
    new_password: str = field(repr=False)
