"""The mail that people get."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as the person sees it; `link_code` is the code in its button, where it has one."""

    to: str
    subject: str
    text: str
    sent_utc_s: int
    link_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMail(Request[tuple[Mail, ...]]):
    """Read a mailbox (the bench's own inbox; a real portal has no such operation)."""

    email: str
