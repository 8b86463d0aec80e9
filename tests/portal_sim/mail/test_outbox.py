"""The whole way of a mail: a portal's store, the postman's thread, SMTP, the inbox, and the person who follows the link."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from portal_people import Counter, Visitor, backend_keys

from portal_sim.mail import postman as module
from portal_sim.mail.inbox import SmtpInbox
from portal_sim.mail.letter import LetterHead
from portal_sim.mail.outbox import StoreOutbox
from portal_sim.mail.postman import Postman
from portal_sim.memory_store import MemoryStore
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.portal import Portal
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.portal_api import Mail

HEAD = LetterHead(public_url="https://portal.example")


class PostedCounter(Counter):
    """A portal whose mail goes by post; whoever reads mail goes to the post first."""

    def __init__(self, inbox: SmtpInbox) -> None:
        self.now_s = VIRTUAL_EPOCH_UTC_S
        self.store = MemoryStore()
        self.portal = Portal(
            entropy=SeededEntropy(random.Random(0)),
            keys=backend_keys(),
            review_rng=random.Random(1),
            options=PortalOptions(cost=CHEAP_COST),
            store=self.store,
            inbox=inbox,
        )
        self.outbox = StoreOutbox(self.store)
        self.postman = Postman(outbox=self.outbox, server=inbox.server, head=HEAD, now_s=lambda: self.now_s)


class PostedVisitor(Visitor):
    def mails(self) -> tuple[Mail, ...]:
        assert isinstance(self.counter, PostedCounter)
        self.counter.postman.deliver_due()
        return super().mails()


class Told(StoreOutbox):
    """An outbox that tells when something was delivered."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.event = threading.Event()

    def delivered(self, mail_id: int) -> None:
        super().delivered(mail_id)
        self.event.set()


def test_a_person_signs_up_with_the_link_that_came_by_smtp(tmp_path: Path) -> None:
    with SmtpInbox(tmp_path / "mail") as inbox:
        counter = PostedCounter(inbox)
        tessa = PostedVisitor(counter, "tessa")
        tessa.sign_up()
        assert inbox.read(tessa.email) == ()  # nothing but the postman brings it
        tessa.confirm()
        tessa.sign_in()
        assert not counter.outbox.undelivered(counter.now_s, 10)


def test_a_thread_brings_the_mail_once_it_is_woken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", None)
    with SmtpInbox(tmp_path / "mail") as inbox:
        counter = PostedCounter(inbox)
        outbox = Told(counter.store)
        with Postman(outbox=outbox, server=inbox.server, head=HEAD, now_s=lambda: counter.now_s) as postman:
            tessa = Visitor(counter, "tessa")
            tessa.sign_up()
            postman.wake()
            assert outbox.event.wait(60)
            tessa.confirm()


def test_a_mail_that_failed_is_due_again_in_the_store(tmp_path: Path) -> None:
    with SmtpInbox(tmp_path / "mail") as inbox:
        counter = PostedCounter(inbox)
        inbox.close()
        tessa = PostedVisitor(counter, "tessa")
        tessa.sign_up()
        counter.postman.deliver_due()
        assert not counter.outbox.undelivered(counter.now_s, 10)
        [waiting] = counter.outbox.undelivered(counter.now_s + module.RETRY_WAITS_S[0], 10)
        assert (waiting.attempts, waiting.mail.to) == (1, tessa.email)
