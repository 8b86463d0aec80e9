"""The bench's mailboxes on disk: one Maildir, which any mail program opens, with a file for each mail.

The files are the truth; an index in memory, made anew at each start, says which of them are whose. What is full forgets its
oldest mail. The folder is its owner's alone: there are links in it.
"""

from __future__ import annotations

import logging
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from mailbox import Maildir
from pathlib import Path
from threading import Lock

from portal_sim.mail.letter import LetterError, header_of, read_letter
from portal_sim.mail.memory_inbox import MAILBOX_LIMIT
from wire.errors import CarrierFault
from wire.portal_api import Mail

LOG = logging.getLogger(__name__)

ALL_MAILS_LIMIT = 2_000
"""Mails in all boxes together, ten full ones: some 8 MB on disk, read through in about half a second at the start."""
DELIVERED_TO = "Delivered-To"
"""The envelope's recipient, as mail servers note it."""
_FILE_NAME = re.compile(r"(\d+)\.M(\d+)P\d+Q(\d+)\.")
"""Seconds, microseconds, and the number within the process: how `mailbox` names a file (https://cr.yp.to/proto/maildir.html)."""


class MailFolder:
    """Mailboxes in one Maildir. Safe to use from several threads. Raises `CarrierFault` where the folder cannot be used."""

    def __init__(self, folder: Path, *, all_mails_limit: int = ALL_MAILS_LIMIT) -> None:
        self._lock = Lock()
        self._new = folder / "new"
        self._all_mails_limit = all_mails_limit
        self._files: dict[str, tuple[str, str]] = {}  # key -> recipient, Message-ID; oldest first
        self._boxes: dict[str, dict[str, str]] = {}  # recipient -> Message-ID -> key, oldest first
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            for part in ("tmp", "new", "cur"):  # `Maildir` makes them only together with the folder
                (folder / part).mkdir(exist_ok=True)
            self._maildir = Maildir(folder)
            self._maildir.clean()  # what a crash left half written, 36 hours ago or earlier
            for key in sorted(self._maildir.keys(), key=_age):
                self._note_found(key)
        except OSError as error:
            raise CarrierFault(f"the folder of the inbox, {folder}, cannot be used: {error.strerror}") from None

    def add(self, letter: bytes, recipient: str) -> bool:
        """Put a letter into the box of a recipient, on disk before this returns; return False where it is there already.

        Raises `LetterError` for what cannot be read again, `OSError` where the disk does not take it.
        """
        read_letter(letter)
        message_id = _message_id(message_from_bytes(letter, policy=default))
        with self._lock:
            if message_id is not None and message_id in self._boxes.get(recipient.lower(), {}):
                return False
            key = self._maildir.add(f"{DELIVERED_TO}: {recipient}\n".encode() + letter)
            self._note(key, recipient.lower(), message_id or key)
        return True

    def read(self, email: str) -> tuple[Mail, ...]:
        """Return a person's mails, oldest first. What a mail program deleted is gone, and what it moved is found."""
        mails = []
        with self._lock:
            for key in self._boxes.get(email.lower(), {}).values():
                try:
                    mails.append(read_letter(self._read(key)))
                except KeyError:
                    continue
                except LetterError as error:
                    LOG.warning("a file of the inbox is left out, %s: %s", key, error)
        return tuple(mails)

    def close(self) -> None:
        """Give back what is open."""
        with self._lock:
            self._maildir.close()

    def _note_found(self, key: str) -> None:
        letter = message_from_bytes(self._maildir.get_bytes(key), policy=default)
        try:
            recipient = header_of(letter, DELIVERED_TO).lower()
        except LetterError:
            return  # somebody else's file: it is left alone
        message_id = _message_id(letter) or key
        if message_id not in self._boxes.get(recipient, {}):
            self._note(key, recipient, message_id)

    def _note(self, key: str, recipient: str, message_id: str) -> None:
        box = self._boxes.setdefault(recipient, {})
        box[message_id] = key
        self._files[key] = (recipient, message_id)
        if len(box) > MAILBOX_LIMIT:
            self._forget(next(iter(box.values())))
        if len(self._files) > self._all_mails_limit:
            self._forget(next(iter(self._files)))

    def _forget(self, key: str) -> None:
        recipient, message_id = self._files.pop(key)
        box = self._boxes[recipient]
        del box[message_id]
        if not box:
            del self._boxes[recipient]
        try:
            (self._new / key).unlink()
        except FileNotFoundError:
            self._maildir.discard(key)

    def _read(self, key: str) -> bytes:
        """Return a file, from where it was put or a mail program moved it to, for which `Maildir` lists the whole folder."""
        try:
            return (self._new / key).read_bytes()
        except FileNotFoundError:
            return self._maildir.get_bytes(key)


def _message_id(letter: EmailMessage) -> str | None:
    try:
        return header_of(letter, "Message-ID")
    except LetterError:
        return None


def _age(key: str) -> tuple[int, ...]:
    """Return what sorts files by arrival; names that another program gave come first."""
    found = _FILE_NAME.match(key)
    return tuple(int(part) for part in found.groups()) if found else ()
