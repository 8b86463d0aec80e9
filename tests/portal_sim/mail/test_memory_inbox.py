"""The inbox of the virtual bench."""

from portal_sim.mail.memory_inbox import MAILBOX_LIMIT, MemoryInbox
from wire.portal_api import Mail


def mail(number: int, to: str = "tessa@workshop.example") -> Mail:
    return Mail(to=to, subject=str(number), text="", sent_utc_s=number)


def test_mails_come_out_in_the_order_in_which_they_went_in() -> None:
    inbox = MemoryInbox()
    inbox.put(mail(1))
    inbox.put(mail(2, "Timo@Workshop.example"))
    inbox.put(mail(3))
    assert [found.subject for found in inbox.read("TESSA@workshop.example")] == ["1", "3"]
    assert [found.subject for found in inbox.read("timo@workshop.example")] == ["2"]
    assert inbox.read("nobody@workshop.example") == ()


def test_of_a_full_mailbox_the_oldest_mail_goes_first() -> None:
    inbox = MemoryInbox()
    for number in range(MAILBOX_LIMIT + 1):
        inbox.put(mail(number))
    assert [found.sent_utc_s for found in inbox.read("tessa@workshop.example")] == list(range(1, MAILBOX_LIMIT + 1))
