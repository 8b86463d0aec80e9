"""The postman takes mails out of the outbox to an SMTP server, each at least once: it leaves the outbox after the server's 250.

A thread of his own waits for `wake()`; one connection carries what is due. Nothing that he logs names a person, a text or a
link: the mail's id and the server's code find the rest in the database.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from portal_sim.mail.letter import LetterError, LetterHead
from portal_sim.mail.mail_server import MailServer, Security
from portal_sim.records import OutgoingMail
from wire.errors import ConfigError
from wire.portal_api import Mail

LOG = logging.getLogger(__name__)

RETRY_WAITS_S = (5, 30, 120, 600, 1800)
"""Waits after the first, second … failed try, the last for all later ones: a server that restarts is back in seconds, grey
listing lets go after some minutes (RFC 6647 4.), and half an hour is the least for a queue (RFC 5321 4.5.4.1).
"""
GIVE_UP_AFTER_S = 3 * 86_400
"""Links in mails are valid for three days: nobody can use a later one."""
BATCH = 50
"""Mails asked of the outbox, and carried by one connection, at a time: servers close one that carries more than about 100."""
LOOK_EVERY_S = 1.0
"""Between looks at the outbox that nobody asked for: a try has become due, or the portal's clock was put forward."""
ANSWER_WAIT_S = 20.0
"""How long a server may take for one answer. RFC 5321 4.5.3.2 asks for minutes; a retry costs us less than a waiting stop."""


class MailEnd(StrEnum):
    """How the portal's care for a mail ended."""

    SENT = "sent"
    GIVEN_UP = "given_up"


class Outbox(Protocol):
    """Where mails wait. Each call is whole; any exception that it raises is taken as a pause of the database."""

    def undelivered(self, now_s: int, limit: int) -> Sequence[OutgoingMail]:
        """Return mails whose next try is due, oldest first."""

    def delivered(self, mail_id: int) -> None:
        """Take a mail out: it arrived, or was given up."""

    def failed(self, mail_id: int, next_try_s: int) -> None:
        """Count a try in vain, and note when the next one is due."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a mail was not taken: `code` is SMTP's, or says it in a few words. `for_good`: asking again would not help.
    `line_down`: nor can the connection carry another mail.
    """

    code: str
    for_good: bool = False
    line_down: bool = False


class Postman:
    """Delivers an outbox. `now_s` is the portal's clock; `ca_file` (PEM) replaces the machine's list of authorities.
    `on_end` is told, in his thread, how it ended with each mail.

    `with Postman(...)` runs him in a thread of his own; or call `run`. Raises `ConfigError` for a file that holds no certificate.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        server: MailServer,
        head: LetterHead,
        now_s: Callable[[], int],
        ca_file: Path | None = None,
        answer_wait_s: float = ANSWER_WAIT_S,
        on_end: Callable[[MailEnd], object] = lambda _: None,
    ) -> None:
        self._outbox = outbox
        self._server = server
        self._head = head
        self._now_s = now_s
        self._answer_wait_s = answer_wait_s
        self._on_end = on_end
        self._tls = None if server.security is Security.NONE else _tls_context(ca_file)
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Say that there is new mail: he goes at once. May be called from any thread, at any time."""
        self._woken.set()

    def start(self) -> None:
        """Run in a thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self.run, args=(self._stop,), name="postman", daemon=True)
        self._thread.start()

    def close(self, patience_s: float | None = None) -> bool:
        """Finish the mail in flight and end; return whether that was done within `patience_s` (None: however long it takes).

        What was not delivered stays in the outbox. The thread ends with the process in any case.
        """
        self._stop.set()
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, which `wake()` makes him see at once, and the next look otherwise."""
        while not stop.is_set():
            try:
                more = self.deliver_due(stop)
            except Exception as error:  # noqa: BLE001 - the outbox's: a database that is away comes back
                LOG.error("the outbox cannot be used (%s); trying again", type(error).__name__)  # noqa: TRY400 - may hold secrets
                more = False
            if not more:
                self._woken.wait(LOOK_EVERY_S)
                self._woken.clear()  # after this comes another look, at `stop` and at the outbox: no wake-up is lost

    def deliver_due(self, stop: threading.Event | None = None) -> bool:
        """Take what is due to the server, by one connection; return whether there is more to take at once."""
        batch = self._outbox.undelivered(self._now_s(), BATCH)
        letters = []
        for waiting in batch:
            try:
                letters.append((waiting, bytes(self._head.write(waiting.mail, waiting.mail_id))))
            except LetterError as error:
                self._give_up(waiting, str(error))
        line_down = False
        try:
            with contextlib.ExitStack() as stack:
                smtp = None
                for waiting, letter in letters:
                    if stop is not None and stop.is_set():
                        return False
                    smtp = smtp or stack.enter_context(self._connection())
                    fault = self._deliver(smtp, waiting, letter)
                    if fault is not None and fault.line_down:
                        return False
        except _Unreachable as error:
            for waiting, _ in letters:
                self._try_later(waiting, _Fault(str(error)))
            line_down = True
        return len(batch) == BATCH and not line_down

    def _deliver(self, smtp: smtplib.SMTP, waiting: OutgoingMail, letter: bytes) -> _Fault | None:
        fault = self._hand_over(smtp, waiting.mail, letter)
        if fault is None:
            self._outbox.delivered(waiting.mail_id)
            self._on_end(MailEnd.SENT)
            LOG.info("mail %d was delivered", waiting.mail_id, extra={"mail_id": waiting.mail_id})
        elif fault.for_good:
            self._give_up(waiting, f"the server refuses it for good ({fault.code})")
        else:
            self._try_later(waiting, fault)
        return fault

    def _hand_over(self, smtp: smtplib.SMTP, mail: Mail, letter: bytes) -> _Fault | None:
        """Have the server take one letter. None is its 250."""
        options = [] if mail.to.isascii() else ["SMTPUTF8"]
        if options and not smtp.has_extn("smtputf8"):
            return _Fault("no SMTPUTF8", for_good=True)
        try:
            smtp.sendmail(self._head.sender, [mail.to], letter, mail_options=options)
        except smtplib.SMTPRecipientsRefused as error:
            [(code, _)] = error.recipients.values()
            return _refusal(code, for_good=code >= 500)
        except smtplib.SMTPSenderRefused as error:  # our own address: a person can mend that, and the mail is not lost
            return _refusal(error.smtp_code, for_good=False)
        except smtplib.SMTPResponseException as error:
            return _refusal(error.smtp_code, for_good=error.smtp_code >= 500)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return _Fault(_in_words(error), line_down=True)
        return None

    @contextlib.contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        """Connect, with the server's certificate checked, and log on. Raises `_Unreachable`."""
        try:
            smtp = self._dial()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise _Unreachable(_in_words(error)) from None
        try:
            yield smtp
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
                smtp.quit()
            smtp.close()

    def _dial(self) -> smtplib.SMTP:
        # Without a name of our own smtplib asks the DNS for one, which may take long.
        host, port, domain = self._server.host, self._server.port, self._head.domain
        smtp: smtplib.SMTP
        if self._server.security is Security.TLS:
            smtp = smtplib.SMTP_SSL(host, port, domain, timeout=self._answer_wait_s, context=self._tls)
        else:
            smtp = smtplib.SMTP(host, port, domain, timeout=self._answer_wait_s)
        try:
            if self._server.security is Security.STARTTLS:
                smtp.starttls(context=self._tls)
            smtp.ehlo_or_helo_if_needed()
            if self._server.user is not None and self._server.password is not None:
                smtp.login(self._server.user, self._server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _try_later(self, waiting: OutgoingMail, fault: _Fault) -> None:
        now_s = self._now_s()
        if now_s - waiting.mail.sent_utc_s >= GIVE_UP_AFTER_S:
            self._give_up(waiting, f"it could not be delivered for three days ({fault.code})")
            return
        wait_s = RETRY_WAITS_S[min(waiting.attempts, len(RETRY_WAITS_S) - 1)]
        self._outbox.failed(waiting.mail_id, now_s + wait_s)
        LOG.warning(
            "mail %d was not taken by %s (%s); next try in %d s",
            waiting.mail_id,
            self._server,
            fault.code,
            wait_s,
            extra={"mail_id": waiting.mail_id, "fault": fault.code},
        )

    def _give_up(self, waiting: OutgoingMail, why: str) -> None:
        self._outbox.delivered(waiting.mail_id)
        self._on_end(MailEnd.GIVEN_UP)
        LOG.error("mail %d is given up: %s", waiting.mail_id, why, extra={"mail_id": waiting.mail_id})


class _Unreachable(Exception):
    """No connection over which mail could go; the text says why, and names nobody."""


def _refusal(code: int, *, for_good: bool) -> _Fault:
    # RFC 5321 3.8: after 421 the server closes. smtplib says -1 for what is no reply at all.
    gone = code in (421, -1)
    return _Fault(str(code), for_good=for_good, line_down=gone)


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (TimeoutError, "no answer in time"),
    (socket.gaierror, "no such host"),
    (ssl.SSLCertVerificationError, "its certificate cannot be trusted"),
    (ssl.SSLError, "no TLS there"),
    (smtplib.SMTPServerDisconnected, "it hung up"),
    (ConnectionError, "it hung up"),
    (smtplib.SMTPNotSupportedError, "it offers no STARTTLS, or no log-on"),
)


def _in_words(error: Exception) -> str:
    """Say what went wrong without the server's own words, in which people's addresses stand."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"it refuses the log-on, {error.smtp_code}"
    if isinstance(error, smtplib.SMTPResponseException):
        return str(error.smtp_code)
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, OSError):
        error = error.__context__  # the reason, which `smtplib` only quotes
    return next((words for kind, words in _WORDS if isinstance(error, kind)), type(error).__name__)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(
            f"the certificates of the mail server's authority cannot be read ({error.strerror or 'no PEM certificate'})",
            path=str(ca_file),
        ) from None
