"""What an inbox is, and the one of the virtual bench: mailboxes in memory, which light imports keep quick to start."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Protocol

from wire.portal_api import Mail

MAILBOX_LIMIT = 200
"""Mails a mailbox keeps: a walk through the portal makes half a dozen."""


class Inbox(Protocol):
    """Where the bench reads people's mail."""

    def read(self, email: str) -> tuple[Mail, ...]:
        """Return a person's mails, oldest first; small and capital letters of the address are the same."""


class MemoryInbox:
    """People's mailboxes; the oldest mail goes first where one is full."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._boxes: dict[str, deque[Mail]] = {}

    def put(self, mail: Mail) -> None:
        """Put a mail into the box of its recipient."""
        with self._lock:
            self._boxes.setdefault(mail.to.lower(), deque(maxlen=MAILBOX_LIMIT)).append(mail)

    def read(self, email: str) -> tuple[Mail, ...]:
        """See `Inbox`."""
        with self._lock:
            return tuple(self._boxes.get(email.lower(), ()))
