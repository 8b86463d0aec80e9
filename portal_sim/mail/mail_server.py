"""Which SMTP server takes the portal's mail: a URL, read strictly. A password travels only where nobody reads along."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, unquote, urlsplit

from wire.errors import ConfigError

EXAMPLES = (
    "smtp://127.0.0.1:8025, smtp+starttls://user:password@mail.example:587 or smtps://user:password@mail.example:465"
)


class Security(Enum):
    """How the connection is protected; each is a URL's scheme."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


DEFAULT_PORTS = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
"""Relay (RFC 5321), submission (RFC 6409), submission over TLS (RFC 8314 3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """An SMTP server, and the account there where it wants one."""

    host: str
    port: int
    security: Security = Security.NONE
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the URL without account: for people and logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.security.value}://{host}:{self.port}"


def read_mail_server(url: str, *, key: str = "--smtp") -> MailServer:
    """Return the server that a URL names; `key` is where the URL was found. Raises `ConfigError`, which never repeats it: a URL
    holds a password, and a mistyped one in any place.
    """
    # urlsplit drops tabs and line breaks, wherever they are.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _wrong(
            key, "has a blank, a control character or one that is not ASCII (write those of a password as %C3%A4)"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong(key, "has no port from 1 to 65535, or brackets that do not match") from None
    if parts.scheme not in {security.value for security in Security}:
        raise _wrong(key, "does not begin with smtp://, smtp+starttls:// or smtps://")
    if not parts.hostname or parts.path or "?" in url or "#" in url:
        raise _wrong(
            key, "must end after host and port ('/', '?', '#' and '@' of a password are written %2F, %3F, %23 and %40)"
        )
    if port == 0 or parts.netloc.endswith(":"):
        raise _wrong(key, "has no port from 1 to 65535")
    security = Security(parts.scheme)
    user, password = _account(parts, key)
    if user is not None and security is Security.NONE:
        raise _wrong(key, "would send the password where others can read it: use smtp+starttls:// or smtps://")
    return MailServer(
        host=parts.hostname, port=port or DEFAULT_PORTS[security], security=security, user=user, password=password
    )


def _account(parts: SplitResult, key: str) -> tuple[str | None, str | None]:
    account, at, _ = parts.netloc.rpartition("@")
    if not at:
        return None, None
    user, _, password = (unquote(part) for part in account.partition(":"))
    if not user or not password or "@" in account:
        raise _wrong(key, "has a user without password, a password without user, or an '@' in them (write it as %40)")
    if not (user + password).isascii() or not (user + password).isprintable():
        raise _wrong(
            key, "has a user or password with characters that are not printable ASCII: SMTP's log-on cannot send them"
        )
    return user, password


def _wrong(key: str, problem: str) -> ConfigError:
    return ConfigError(f"the mail server's URL {problem}; it looks like {EXAMPLES}", key=key)
