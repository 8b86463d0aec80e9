"""The bench's inbox: Python's own `smtplib` brings letters, its `mailbox` looks at the folder."""

from __future__ import annotations

import logging
import mailbox
import os
import smtplib
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal_sim.mail.inbox import LETTER_MAX_BYTES, RECIPIENTS_MAX, SmtpInbox
from portal_sim.mail.letter import LetterHead
from portal_sim.mail.maildir import MailFolder
from portal_sim.mail.memory_inbox import MAILBOX_LIMIT, Inbox
from wire.errors import CarrierFault
from wire.portal_api import Mail

HEAD = LetterHead(public_url="https://portal.example")
TESSA = "tessa@workshop.example"
TIMO = "timo@workshop.example"


def mail(number: int = 0, to: str = TESSA, **changes: str) -> Mail:
    filled = {"subject": f"Subject {number}", "text": f"Text {number}", "link_code": f"code{number}", **changes}
    return Mail(to=to, sent_utc_s=1_767_225_600 + number, **filled)


def letter(number: int = 0, **changes: str) -> bytes:
    return bytes(HEAD.write(mail(number, **changes), number))


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[SmtpInbox]:
    with SmtpInbox(tmp_path / "mail") as inbox:
        yield inbox


@pytest.fixture
def client(inbox: SmtpInbox) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(inbox.server.host, inbox.server.port, "client.example", timeout=60) as client:
        yield client


def test_a_letter_by_smtp_is_in_the_box_of_its_recipient_alone(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    client.sendmail(HEAD.sender, [TESSA], letter())
    looked_at: Inbox = inbox
    assert looked_at.read(TESSA) == looked_at.read("Tessa@Workshop.example") == (mail(),)
    assert looked_at.read(TIMO) == ()


def test_a_mail_program_opens_the_folder(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    client.sendmail(HEAD.sender, [TESSA], letter(text="Grüße\n.\n..\nFrom here"))
    [found] = mailbox.Maildir(inbox.folder, create=False)
    assert (found["Delivered-To"], found["To"], found["Subject"]) == (TESSA, TESSA, "Subject 0")
    text = found.get_payload(decode=True).decode()
    assert text.replace("\r", "") == "Grüße\n.\n..\nFrom here\n\nhttps://portal.example/link#code0\n"


def test_many_letters_of_one_connection_come_out_in_order_also_after_a_restart(
    inbox: SmtpInbox, client: smtplib.SMTP
) -> None:
    for number in range(12):
        client.sendmail(HEAD.sender, [TESSA], letter(number))
    expected = tuple(mail(number) for number in range(12))
    assert inbox.read(TESSA) == expected
    assert MailFolder(inbox.folder).read(TESSA) == expected


def test_a_letter_that_comes_twice_counts_once_also_after_a_restart(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    for _ in range(2):
        client.sendmail(HEAD.sender, [TESSA], letter())
    restarted = MailFolder(inbox.folder)
    assert not restarted.add(letter(), TESSA)
    assert inbox.read(TESSA) == restarted.read(TESSA) == (mail(),)


def test_a_letter_to_two_people_is_in_both_boxes(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    client.sendmail(HEAD.sender, [TESSA, TIMO, TESSA], letter())
    assert inbox.read(TESSA) == inbox.read(TIMO) == (mail(),)


def test_addresses_in_other_letters_have_a_box(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    client.ehlo()
    client.sendmail(HEAD.sender, ["jürgen@bücher.example"], letter(to="jürgen@bücher.example"), ["SMTPUTF8"])
    [found] = inbox.read("JÜRGEN@bücher.example")
    assert found.to == "jürgen@bücher.example"


def test_the_log_says_for_whom_a_mail_is_but_neither_link_nor_text(
    inbox: SmtpInbox, client: smtplib.SMTP, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.sendmail(HEAD.sender, [TESSA], letter())
    assert [record.getMessage() for record in caplog.records] == ["mail for te***@workshop.example: Subject 0"]


# ---- refused


@pytest.mark.parametrize(
    "address", ["<root>", '<"a b"@workshop.example>', "<a@[127.0.0.1]>", "<a@b.example,c@d.example>"]
)
def test_a_recipient_that_is_no_plain_address_is_refused(client: smtplib.SMTP, address: str) -> None:
    client.ehlo()
    client.docmd("MAIL", f"FROM:<{HEAD.sender}>")
    assert client.docmd("RCPT", f"TO:{address}")[0] in (501, 553)


def test_a_letter_has_a_limited_number_of_recipients(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    people = [f"person{number}@workshop.example" for number in range(RECIPIENTS_MAX + 1)]
    refused = client.sendmail(HEAD.sender, people, letter())
    assert {address: code for address, (code, _) in refused.items()} == {people[-1]: 452}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello", 554),
        (letter().replace(b"text/plain", b"text/html"), 554),
        (letter().replace(b"Subject: ", b"Subject: =?utf-8?q?=0D=0Aforged_log_line?="), 554),
        (letter() + b"x\r\n" * (LETTER_MAX_BYTES // 3), 552),
        (letter() + b"x" * 2000 + b"\r\n", 500),
    ],
)
def test_what_is_no_letter_or_too_large_is_refused_and_the_connection_lives(
    inbox: SmtpInbox, client: smtplib.SMTP, data: bytes, code: int
) -> None:
    client.ehlo()
    client.esmtp_features.pop("size")  # a client that announces no size
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        client.sendmail(HEAD.sender, [TESSA], data)
    assert refusal.value.smtp_code == code
    client.sendmail(HEAD.sender, [TESSA], letter())
    assert inbox.read(TESSA) == (mail(),)


def test_no_letter_is_smuggled_behind_the_end_of_another(inbox: SmtpInbox, client: smtplib.SMTP) -> None:
    """CVE-2024-27305: only CR LF dot CR LF ends a letter."""
    client.ehlo()
    client.docmd("MAIL", f"FROM:<{HEAD.sender}>")
    client.docmd("RCPT", f"TO:<{TESSA}>")
    client.docmd("DATA")
    smuggled = f"MAIL FROM:<{HEAD.sender}>\r\nRCPT TO:<{TIMO}>\r\nDATA\r\n".encode() + letter(to=TIMO)
    client.send(letter() + b"\n.\n" + smuggled + b"\r\n.\r\n")
    assert client.getreply()[0] == 250
    assert client.noop()[0] == 250
    assert inbox.read(TIMO) == ()


# ---- limits and failures


def test_of_a_full_box_the_oldest_mail_goes_first_on_disk_too(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    for number in range(MAILBOX_LIMIT + 2):
        assert folder.add(letter(number), TESSA)
    found = folder.read(TESSA)
    assert (found[0], found[-1], len(found)) == (mail(2), mail(MAILBOX_LIMIT + 1), MAILBOX_LIMIT)
    assert len(list((tmp_path / "new").iterdir())) == MAILBOX_LIMIT


def test_of_a_full_folder_the_oldest_mail_of_all_goes_first(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path, all_mails_limit=3)
    for number, recipient in enumerate([TESSA, TIMO, TESSA, TESSA, TESSA]):
        folder.add(letter(number), recipient)
    assert [found.text for found in folder.read(TESSA)] == ["Text 2", "Text 3", "Text 4"]
    assert folder.read(TIMO) == ()
    assert len(MailFolder(tmp_path, all_mails_limit=2).read(TESSA)) == len(list((tmp_path / "new").iterdir())) == 2


def test_what_a_mail_program_deletes_is_gone_and_what_it_marks_as_read_stays(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    for number in range(3):
        folder.add(letter(number), TESSA)
    program = mailbox.Maildir(tmp_path, create=False)
    keys = {message["Subject"]: key for key, message in program.items()}
    program.remove(keys["Subject 0"])
    read = program[keys["Subject 1"]]
    read.set_subdir("cur")
    read.add_flag("S")
    program[keys["Subject 1"]] = read
    assert [found.subject for found in folder.read(TESSA)] == ["Subject 1", "Subject 2"]
    assert [found.subject for found in MailFolder(tmp_path).read(TESSA)] == ["Subject 1", "Subject 2"]


def test_somebody_elses_files_in_the_folder_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    MailFolder(tmp_path).add(letter(), TESSA)
    [kept] = (tmp_path / "new").iterdir()
    (tmp_path / "new" / "strange").write_bytes(b"\xff\x00 nothing of ours")
    (tmp_path / "new" / "torn").write_bytes(f"Delivered-To: {TESSA}\nDate: never\n\n".encode())
    assert MailFolder(tmp_path).read(TESSA) == (mail(),)
    assert sorted((tmp_path / "new").iterdir()) == sorted(
        [kept, tmp_path / "new" / "strange", tmp_path / "new" / "torn"]
    )
    assert "torn" in caplog.text


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir(mode=0o755)
    MailFolder(tmp_path / "mail")
    assert stat.S_IMODE((tmp_path / "mail").stat().st_mode) == 0o700


def test_a_disk_that_takes_no_letter_is_a_temporary_refusal(
    inbox: SmtpInbox, client: smtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "link", full)
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail(HEAD.sender, [TESSA], letter())
    assert refusal.value.smtp_code == 452
    client.sendmail(HEAD.sender, [TESSA], letter())
    assert inbox.read(TESSA) == (mail(),)


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("")
    with pytest.raises(CarrierFault, match="folder of the inbox"):
        SmtpInbox(tmp_path / "mail")


def test_a_port_in_use_is_said(tmp_path: Path, inbox: SmtpInbox) -> None:
    with pytest.raises(CarrierFault, match="cannot be listened at"):
        SmtpInbox(tmp_path / "other", port=inbox.server.port)


def test_the_inbox_ends_while_somebody_is_connected(tmp_path: Path) -> None:
    inbox = SmtpInbox(tmp_path / "mail")
    inbox.start()
    with socket.create_connection((inbox.server.host, inbox.server.port), timeout=60) as idle:
        assert idle.recv(100).startswith(b"220 ")
        inbox.close()
        assert idle.recv(100) == b""


def test_an_inbox_that_is_closed_twice_or_was_never_open_is_closed(tmp_path: Path) -> None:
    SmtpInbox(tmp_path / "other").close()
    with SmtpInbox(tmp_path / "mail") as inbox:
        inbox.close()
