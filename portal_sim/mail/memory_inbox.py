"""The virtual bench's mail: an inbox in memory, that mails reach at once."""

from __future__ import annotations

from typing import Protocol

from wire.portal_api import Mail

MAILBOX_LIMIT = 200
"""Mails a mailbox keeps: a walk through the portal makes half a dozen."""


class Inbox(Protocol):
    """Where people's mail arrives, as far as a bench reads it."""

    def read(self, email: str) -> tuple[Mail, ...]:
        """Return a mailbox, oldest first."""


class MemoryInbox:
    """All mailboxes, in dictionaries."""

    def __init__(self) -> None:
        self._boxes: dict[str, list[Mail]] = {}

    def put(self, mail: Mail) -> None:
        """Deliver a mail."""
        box = self._boxes.setdefault(mail.to, [])
        box.append(mail)
        del box[:-MAILBOX_LIMIT]

    def read(self, email: str) -> tuple[Mail, ...]:
        """See `Inbox`."""
        return tuple(self._boxes.get(email, ()))
