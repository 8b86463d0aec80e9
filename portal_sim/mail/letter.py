"""A portal's mail as a letter (RFC 5322), and back.

What stands in a header is checked before it is written, and written by our own hand: the header parser of `email` would
decode an encoded word that somebody typed, and with it a line break. Nothing that a person typed can add a header, a
recipient or a part.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, default
from email.utils import format_datetime, parsedate_to_datetime
from typing import Self
from urllib.parse import urlsplit

from portal_sim.mail.address import fault_of_address
from wire.errors import BenchError, ConfigError
from wire.portal_api import Mail

SENDER_NAME = "Identity portal"
DEFAULT_SENDER = "no-reply@portal.example"
SUBJECT_MAX_CHARS = 400
"""An invitation names the company, whose name may have 200."""
TEXT_MAX_CHARS = 20_000
"""The longest of ours has a few lines; this keeps every letter below what the bench's inbox takes."""
LINE_MAX_CHARS = 78
"""RFC 5322 2.1.1: lines should be no longer."""
LAST_UTC_S = 253_402_300_799
"""The last second of the year 9999: no date in a header lies later."""

_LINK_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LINK_LINE = re.compile(r"^https?://[^\s#]+/link#(?P<code>[A-Za-z0-9_-]{1,200})$", re.MULTILINE)
_LINK_AT_THE_END = re.compile(rf"\n\n{_LINK_LINE.pattern}\n\Z", re.MULTILINE)
_POLICY = SMTP.clone(cte_type="7bit")
"""Seven bits: a server need not have 8BITMIME."""


class LetterError(BenchError):
    """This cannot be a letter, or is none. The text says why without what a person typed: it may be logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterHead:
    """What is the same in all letters of a portal: `public_url` is where its links lead, `sender` its own address.

    Raises `ConfigError`.
    """

    public_url: str
    sender: str = DEFAULT_SENDER

    def __post_init__(self) -> None:
        try:
            require_address(self.sender)
        except LetterError as error:
            raise ConfigError(f"the sender of the portal's mail cannot be used: {error}") from None
        if not self.sender.isascii():
            raise ConfigError("the sender of the portal's mail must be an ASCII address: not every server takes others")
        if not _is_plain_url(self.public_url):
            raise ConfigError(
                "the portal's public URL must look like https://portal.example or http://127.0.0.1:8443, without user, "
                "question mark and '#'"
            )

    @property
    def domain(self) -> str:
        """The domain of the sender."""
        return self.sender.rpartition("@")[2]

    def link(self, code: str) -> str:
        """Return the link that stands in a mail. The code is a fragment: browsers send it to no server, so no log has it."""
        return f"{self.public_url.rstrip('/')}/link#{code}"

    def write(self, mail: Mail, mail_id: int) -> EmailMessage:
        """Return the letter. The same mail with the same id gives the same bytes, so that a second delivery shows.

        Raises `LetterError` for what must not stand in a letter.
        """
        require_address(mail.to)
        _require_line("subject", mail.subject, SUBJECT_MAX_CHARS)
        _require_text(mail)
        if not 0 <= mail.sent_utc_s <= LAST_UTC_S:
            raise LetterError("the mail's time lies outside of the years 1970 to 9999")
        letter = EmailMessage(policy=_POLICY.clone(utf8=not mail.to.isascii()))
        letter["From"] = f"{SENDER_NAME} <{self.sender}>"
        letter["To"] = _Written(mail.to, "To", mail.to)
        letter["Subject"] = _Written(mail.subject, "Subject", _encoded_words(mail.subject))
        letter["Date"] = format_datetime(datetime.fromtimestamp(mail.sent_utc_s, UTC))
        letter["Message-ID"] = f"<{mail_id}.{_fingerprint(mail)}@{self.domain}>"
        letter["Auto-Submitted"] = "auto-generated"
        link = "" if mail.link_code is None else f"\n{self.link(mail.link_code)}\n"
        letter.set_content(f"{mail.text}\n{link}")
        return letter


def read_letter(data: bytes) -> Mail:
    """Return the mail in a letter of a portal. Raises `LetterError`, whatever the bytes are."""
    letter = message_from_bytes(data, policy=default)
    try:
        if letter.get_content_type() != "text/plain":
            raise LetterError("it is not plain text")
        text = letter.get_content().replace("\r\n", "\n")
        subject = str(make_header(decode_header(header_of(letter, "Subject"))))
        to = header_of(letter, "To")
        sent_utc_s = int(parsedate_to_datetime(header_of(letter, "Date")).timestamp())
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:  # the library's, on wild bytes
        raise LetterError(f"it cannot be read ({type(error).__name__})") from None
    if not (subject + to).isprintable():
        raise LetterError(
            "it has a line break, or another character that cannot be printed, in its subject or recipient"
        )
    link = _LINK_AT_THE_END.search(text)
    return Mail(
        to=to,
        subject=subject,
        text=text[: link.start()] if link else text.removesuffix("\n"),
        sent_utc_s=sent_utc_s,
        link_code=link["code"] if link else None,
    )


def header_of(letter: EmailMessage, name: str) -> str:
    """Return the first header of this name, unfolded, as it was written. Raises `LetterError` where there is none."""
    for found, value in letter.raw_items():
        if found.lower() == name.lower():
            return (
                re.sub(r"[\r\n]+", "", str(value)).strip().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            )
    raise LetterError(f"it has no header {name}")


def require_address(address: str) -> None:
    """Raise `LetterError` for an address to which no letter is written, see `portal_sim.mail.address`."""
    fault = fault_of_address(address)
    if fault is not None:
        raise LetterError(f"the address {fault}")


class _Written(str):
    """A header's value that knows how it is written in full."""

    __slots__ = ("name", "written")
    name: str
    written: str

    def __new__(cls, value: str, name: str, written: str) -> Self:
        """Return `value`, to be written as `written`."""
        made = super().__new__(cls, value)
        made.name, made.written = name, written
        return made

    def fold(self, *, policy: EmailPolicy) -> str:
        """Return the header's lines. Called by the policy in place of its own parsing and folding."""
        return f"{self.name}: {self.written}{policy.linesep}"


def _encoded_words(subject: str) -> str:
    """Return a subject as it stands in the header: plain where it is ASCII and short, else as encoded words (RFC 2047)."""
    plain = subject.isascii() and "=?" not in subject and subject == " ".join(subject.split())
    if plain and len("Subject: " + subject) <= LINE_MAX_CHARS:
        return subject
    return Header(subject, "utf-8", maxlinelen=LINE_MAX_CHARS, header_name="Subject").encode(linesep="\r\n")


def _fingerprint(mail: Mail) -> str:
    """Return what tells this mail from one with the same id in another database."""
    parts = (mail.to, mail.subject, mail.text, str(mail.sent_utc_s), mail.link_code or "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _require_line(what: str, line: str, most: int) -> None:
    if len(line) > most:
        raise LetterError(f"the {what} is too long: {most} characters may be")
    if not line.isprintable():
        raise LetterError(f"the {what} has a line break, or another character that cannot be printed")


def _require_text(mail: Mail) -> None:
    if len(mail.text) > TEXT_MAX_CHARS:
        raise LetterError(f"the text is too long: {TEXT_MAX_CHARS} characters may be")
    if not mail.text.replace("\n", "").replace("\t", "").isprintable():
        raise LetterError("the text has a character that cannot be printed")
    if _LINK_LINE.search(mail.text):
        raise LetterError("the text has a line like the portal's own link: only the portal puts it there")
    if mail.link_code is not None and not _LINK_CODE.fullmatch(mail.link_code):
        raise LetterError("the link's code may have 1 to 200 of A-Z, a-z, 0-9, '-' and '_'")


def _is_plain_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_right = parts.port != 0
    except ValueError:
        return False
    return (
        url.isascii()
        and url.isprintable()
        and " " not in url
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not {"?", "#"} & set(url)
        and port_is_right
    )
