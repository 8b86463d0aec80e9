"""The bench's own inbox: an SMTP server on this machine alone, which puts every letter into a Maildir.

It stands where a real portal has the world's mail servers: nothing is sent on, and `read` shows each person's mail.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal_sim.desk import masked
from portal_sim.mail.letter import LetterError, read_letter, require_address
from portal_sim.mail.mail_server import MailServer
from portal_sim.mail.maildir import MailFolder
from wire.errors import CarrierFault
from wire.portal_api import Mail

LOG = logging.getLogger(__name__)

LETTER_MAX_BYTES = 256 * 1024
"""More than the longest text that a letter may have, in the widest characters and their base64."""
RECIPIENTS_MAX = 20
"""Of one letter; the portal writes to one person at a time. RFC 5321 4.5.3.1.8 would have 100."""
IDLE_MAX_S = 60.0
"""A client that says nothing for so long is hung up on."""
READY_MAX_S = 60.0
"""The server's thread listens within milliseconds; this is for a machine under load."""


class SmtpInbox:
    """An inbox at `server`, a free port of this machine while it is open; `folder` is its Maildir. Survives a restart.

    Raises `CarrierFault` where folder or port cannot be had.
    """

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder
        self._mails = MailFolder(folder)
        self._listener = _listen(host, port)
        self.server = MailServer(host=host, port=self._listener.getsockname()[1])
        # It logs people's addresses and, one level down, every line of a letter.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._controller: ListeningController | None = None

    def start(self) -> None:
        """Take letters, in a thread, until `close`."""
        self._controller = ListeningController(
            _Door(self._mails),
            self._listener,
            ready_timeout=READY_MAX_S,
            server_hostname="localhost",
            ident="sgw-bench inbox",
            data_size_limit=LETTER_MAX_BYTES,
            timeout=IDLE_MAX_S,
        )
        self._controller.start()

    def close(self) -> None:
        """Stop for good; connections that are open end. The mails stay on disk, and can be read."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None
        self._listener.close()
        self._mails.close()

    def read(self, email: str) -> tuple[Mail, ...]:
        """See `portal_sim.mail.memory_inbox.Inbox`. A letter that was delivered twice is there once."""
        return self._mails.read(email)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ListeningController(Controller):
    """aiosmtpd's thread around a socket that listens already: so the port is known before, and nobody else can take it."""

    def __init__(self, handler: object, listener: socket.socket, **options: Any) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(handler, hostname=host, port=port, **options)
        self._listener = listener

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


class _Door:
    """What the SMTP server asks (aiosmtpd's handler hooks)."""

    def __init__(self, mails: MailFolder) -> None:
        self._mails = mails

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 too many recipients"
        try:
            require_address(address)
        except LetterError as error:
            return f"553 5.1.3 {error}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 there is a box for everybody"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        letter = envelope.original_content or b""
        try:
            subject = read_letter(letter).subject
            for recipient in dict.fromkeys(envelope.rcpt_tos):
                if self._mails.add(letter, recipient):
                    LOG.info("mail for %s: %s", masked(recipient), subject, extra={"subject": subject})
        except LetterError as error:
            return f"554 5.6.0 this is no letter from a portal: {error}"
        except OSError as error:
            LOG.error("the inbox cannot keep a letter: %s", error.strerror)  # noqa: TRY400 - the folder's path says enough
            return "452 4.3.1 no room; try again later"
        return "250 2.0.0 it is in the box"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Where a socket does not say TCP, asyncio does not switch Nagle's delay off: 40 ms for each greeting.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CarrierFault(f"{host}:{port} cannot be listened at for the inbox: {error.strerror}") from None
    return listener
