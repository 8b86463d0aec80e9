"""Letters say what the mail says, and nothing that a person typed adds a line to them. The parser of `email` reads along."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from email.policy import compat32, default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.mail.letter import (
    LAST_UTC_S,
    SUBJECT_MAX_CHARS,
    TEXT_MAX_CHARS,
    LetterError,
    LetterHead,
    read_letter,
    require_address,
)
from wire.errors import ConfigError
from wire.portal_api import Mail

HEAD = LetterHead(public_url="https://portal.example", sender="no-reply@portal.example")
MAIL = Mail(
    to="tessa@workshop.example",
    subject="Confirm your e-mail address",
    text="Please confirm within 3 days.",
    sent_utc_s=1_767_225_600,
    link_code="c0de" * 12,
)
OUR_HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
]
PRINTABLE = st.characters(
    blacklist_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"), whitelist_characters=" "
)
TEXT_CHARACTERS = st.one_of(PRINTABLE, st.sampled_from("\n\t"))
ATOMS = st.text(st.sampled_from("abcXYZ059!#$%&'*+/^_`{|}~-äß中"), min_size=1, max_size=8)
LABELS = st.text(st.sampled_from("abcXYZ059äß中"), min_size=1, max_size=8)
ADDRESSES = st.builds(
    lambda local, domain: f"{'.'.join(local)}@{'.'.join(domain)}",
    st.lists(ATOMS, min_size=1, max_size=2),
    st.lists(LABELS, min_size=2, max_size=3),
)
MAILS = st.builds(
    Mail,
    to=ADDRESSES,
    subject=st.text(PRINTABLE, max_size=SUBJECT_MAX_CHARS).filter(str.isprintable),
    text=st.text(TEXT_CHARACTERS, max_size=300),
    sent_utc_s=st.integers(0, LAST_UTC_S),
    link_code=st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True),
)


def test_a_letter_has_what_a_mail_program_shows() -> None:
    letter = message_from_bytes(bytes(HEAD.write(MAIL, 7)), policy=default)
    assert letter["From"].addresses[0].addr_spec == "no-reply@portal.example"
    assert [address.addr_spec for address in letter["To"].addresses] == [MAIL.to]
    assert letter["Subject"] == MAIL.subject
    assert letter["Date"].datetime.isoformat() == "2026-01-01T00:00:00+00:00"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "text/plain"
    assert letter.get_content().split() == [*MAIL.text.split(), f"https://portal.example/link#{MAIL.link_code}"]
    assert not letter.defects


def test_the_same_mail_makes_the_same_letter_and_another_one_has_another_id() -> None:
    assert bytes(HEAD.write(MAIL, 7)) == bytes(HEAD.write(MAIL, 7))
    others = [HEAD.write(MAIL, 8), HEAD.write(replace(MAIL, link_code="another"), 7)]
    assert len({str(letter["Message-ID"]) for letter in [HEAD.write(MAIL, 7), *others]}) == 3


@given(MAILS)
def test_what_is_written_is_read(mail: Mail) -> None:
    data = bytes(HEAD.write(mail, 1))
    assert read_letter(data) == mail
    assert [name for name, _ in message_from_bytes(data).items()] == OUR_HEADERS
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))  # RFC 5322 2.1.1
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", data) is None


@given(MAILS.filter(lambda mail: mail.to.isascii()))
def test_a_letter_to_an_ascii_address_needs_no_extension_of_the_server(mail: Mail) -> None:
    assert bytes(HEAD.write(mail, 1)).isascii()


@given(MAILS)
def test_the_library_reads_the_same_subject(mail: Mail) -> None:
    """The parser of Python's own policy is the oracle; it takes blanks at the ends for folding, where they stand alone."""
    assert message_from_bytes(bytes(HEAD.write(mail, 1)), policy=default)["Subject"].strip() == mail.subject.strip()


@given(
    st.binary(max_size=400)
    | st.builds(lambda head, tail: head + tail, st.just(bytes(HEAD.write(MAIL, 1))), st.binary())
)
def test_wild_bytes_are_a_mail_or_a_clear_error(data: bytes) -> None:
    try:
        read_letter(data)
    except LetterError as error:
        assert str(error).startswith("it ")  # noqa: PT017


@given(st.integers(0, 600), st.binary(max_size=8))
def test_a_letter_with_other_bytes_in_it_is_a_mail_or_a_clear_error(position: int, patch: bytes) -> None:
    data = bytes(HEAD.write(MAIL, 1))
    try:
        read_letter(data[:position] + patch + data[position + len(patch) :])
    except LetterError as error:
        assert str(error).startswith("it ")  # noqa: PT017


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"To: a@b.example\r\n\r\n",
        b"To: a@b.example\r\nSubject: s\r\nDate: yesterday\r\n\r\nhello",
        b"Content-Type: text/html\r\nTo: a@b.example\r\nSubject: s\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\nhello",
        b"Content-Type: text/plain; charset=none\r\nTo: a@b.example\r\nSubject:\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\nx",
    ],
)
def test_what_is_no_letter_is_said(data: bytes) -> None:
    with pytest.raises(LetterError):
        read_letter(data)


# ---- attacks


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: x@y.example",
        "a@b.example\nBcc: x@y.example",
        "a@b.example\r",
        "a@b.example\n",
        "a@b.example\0",
        "a\x0b@b.example",
        "a@b.example\u2028Bcc:x@y.example",
        "a@b.example\x85",
        "a@b.example, x@y.example",
        "a,x@y.example",
        "a@b.example;x@y.example",
        "a@b.example x@y.example",
        "<a@b.example>",
        "a@b.example> SIZE=1",
        "A <a@b.example>",
        '"a"@b.example',
        '"a\\"@x.example, b"@b.example',
        '"a b"@b.example',
        "a(comment)@b.example",
        "group:a@b.example;",
        "=?utf-8?q?a=0ABcc:x?=@b.example",
        "a@=?utf-8?q?b?=.example",
        "a@[127.0.0.1]",
        "a@b@c.example",
        "a..b@c.example",
        ".a@c.example",
        "a@-c.example",
        "a@c..example",
        "a@",
        "@b.example",
        "",
        "a\ud800@b.example",
        "a\u202e@b.example",
        "a" * 65 + "@b.example",
        "ä" * 33 + "@b.example",
        "a@" + ".".join(["b" * 60] * 5),
    ],
)
def test_an_address_that_is_more_than_an_address_gets_no_letter(address: str) -> None:
    with pytest.raises(LetterError, match="the address") as refusal:
        HEAD.write(replace(MAIL, to=address), 1)
    assert not address or address not in str(refusal.value)


@pytest.mark.parametrize(
    "subject",
    [
        "Hello\r\nBcc: x@y.example",
        "Hello\nX: y",
        "Hello\r",
        "Hello\0",
        "Hello\x1b[2J",
        "Hello\u2029X: y",
        "x" * 401,
        "\ud800",
    ],
)
def test_a_subject_of_more_than_a_line_gets_no_letter(subject: str) -> None:
    with pytest.raises(LetterError, match="the subject"):
        HEAD.write(replace(MAIL, subject=subject), 1)


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?Hello=0D=0ABcc:_x@y.example?=",
        "=?utf-8?b?SGVsbG8NCkJjYzogeEB5LmV4YW1wbGU=?=",
        "=?us-ascii?q?a?= =?us-ascii?q?b?=",
        "Invitation to =?",
        "Invitation to " + "Ä" * 200,
        "x" * 400,
        "Re: a: b; c, d <e@f.example>",
        "  two   blanks  ",
    ],
)
def test_a_strange_subject_is_shown_as_it_was_typed(subject: str) -> None:
    data = bytes(HEAD.write(replace(MAIL, subject=subject), 1))
    assert read_letter(data).subject == subject
    assert [name for name, _ in message_from_bytes(data, policy=compat32).items()] == OUR_HEADERS


@pytest.mark.parametrize(
    "text",
    [
        "a\r\n.\r\nMAIL FROM:<x>",
        "a\rb",
        "a\0",
        "a\x1b[2J",
        "\ud800",
        "x" * (TEXT_MAX_CHARS + 1),
        "a\u202eb",
        "a\x0cb",
        "a\u2028b",
    ],
)
def test_a_text_with_control_characters_gets_no_letter(text: str) -> None:
    with pytest.raises(LetterError, match="the text"):
        HEAD.write(replace(MAIL, text=text), 1)


def test_a_text_cannot_bring_a_link_like_the_portals_own() -> None:
    with pytest.raises(LetterError, match="only the portal"):
        HEAD.write(replace(MAIL, text="Hello\nhttps://evil.example/link#code\n", link_code=None), 1)


@pytest.mark.parametrize("code", ["", "a b", "a\r\nb", "a#b", "ä", "x" * 201])
def test_a_link_code_is_letters_and_digits(code: str) -> None:
    with pytest.raises(LetterError, match="the link's code") as refusal:
        HEAD.write(replace(MAIL, link_code=code), 1)
    assert not code or code not in str(refusal.value)


@pytest.mark.parametrize("sent_utc_s", [-1, LAST_UTC_S + 1])
def test_a_time_that_no_date_can_say_gets_no_letter(sent_utc_s: int) -> None:
    with pytest.raises(LetterError, match="time"):
        HEAD.write(replace(MAIL, sent_utc_s=sent_utc_s), 1)


def test_an_address_in_other_letters_stands_in_the_header_in_utf_8() -> None:
    data = bytes(HEAD.write(replace(MAIL, to="jürgen@bücher.example"), 1))
    assert "To: jürgen@bücher.example\r\n".encode() in data
    assert read_letter(data).to == "jürgen@bücher.example"


@pytest.mark.parametrize("address", ["a@b", "a.b+c@d-e.example", "o'neil@x.example", "jürgen@bücher.example"])
def test_usual_addresses_are_taken(address: str) -> None:
    require_address(address)


# ---- the head


@pytest.mark.parametrize(
    "url",
    [
        "",
        "portal.example",
        "ftp://portal.example",
        "https://",
        "https://user:secret@portal.example",
        "https://portal.example/?a=b",
        "https://portal.example/#x",
        "https://portal.example\r\nX: y",
        "https://portal .example",
        "https://portal.example:99999",
        "https://[::1",
        "https://bücher.example",
    ],
)
def test_a_public_url_that_no_link_can_begin_with_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="public URL must look like") as refusal:
        LetterHead(public_url=url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("sender", ["nobody", "a@b.example\r\nBcc: x@y.example", "jürgen@x.example"])
def test_a_sender_that_is_no_plain_address_is_refused(sender: str) -> None:
    with pytest.raises(ConfigError, match="the sender"):
        LetterHead(public_url="https://portal.example", sender=sender)


def test_a_public_url_may_have_a_port_a_path_and_a_last_slash() -> None:
    head = LetterHead(public_url="http://127.0.0.1:8443/portal/")
    assert head.link("abc") == "http://127.0.0.1:8443/portal/link#abc"
