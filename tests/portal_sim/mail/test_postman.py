"""The postman against real servers (aiosmtpd): each mail arrives at least once, or is given up for a reason that is logged."""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from scripted_mail_server import HANG_UP, Authority, ScriptedMailServer, serving

from portal_sim.mail import postman as module
from portal_sim.mail.inbox import SmtpInbox
from portal_sim.mail.letter import LetterHead, read_letter
from portal_sim.mail.mail_server import MailServer, Security, read_mail_server
from portal_sim.mail.postman import BATCH, GIVE_UP_AFTER_S, RETRY_WAITS_S, MailEnd, Postman
from wire.errors import ConfigError
from wire.portal_api import Mail

HEAD = LetterHead(public_url="https://portal.example")
NOW_S = 1_767_225_600
CODE = "c0de" * 12
SECRETS = ("tessa", "workshop.example", "Confirm", "please", CODE, "s3cret")


def mail(number: int = 0, **changes: str) -> Mail:
    filled = {
        "to": "tessa@workshop.example",
        "subject": f"Confirm {number}",
        "text": "please",
        "link_code": CODE,
        **changes,
    }
    return Mail(sent_utc_s=NOW_S, **filled)


@dataclass(frozen=True)
class Waiting:
    mail_id: int
    mail: Mail
    attempts: int = 0
    due_s: int = 0


@dataclass
class ListOutbox:
    """An outbox in memory. `changes` tells a test, without waiting for time, what the postman's thread has done."""

    waiting: dict[int, Waiting] = field(default_factory=dict)
    changes: queue.Queue[tuple[str, int]] = field(default_factory=queue.Queue)
    failures: list[Exception] = field(default_factory=list)
    looks: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, *mails: Mail) -> None:
        with self.lock:
            for one in mails:
                number = len(self.waiting) + 1
                self.waiting[number] = Waiting(number, one)

    def undelivered(self, now_s: int, limit: int) -> list[Waiting]:
        with self.lock:
            self.looks += 1
            if self.failures:
                raise self.failures.pop()
            return [waiting for waiting in self.waiting.values() if waiting.due_s <= now_s][:limit]

    def delivered(self, mail_id: int) -> None:
        with self.lock:
            del self.waiting[mail_id]
        self.changes.put(("delivered", mail_id))

    def failed(self, mail_id: int, next_try_s: int) -> None:
        with self.lock:
            held = self.waiting[mail_id]
            self.waiting[mail_id] = replace(held, attempts=held.attempts + 1, due_s=next_try_s)
        self.changes.put(("failed", mail_id))

    def change(self) -> tuple[str, int]:
        return self.changes.get(timeout=60)


class Round:
    """An outbox, a postman, and the time."""

    def __init__(self, server: MailServer, ca_file: Path | None = None, answer_wait_s: float = 60.0) -> None:
        self.now_s = NOW_S
        self.outbox = ListOutbox()
        self.ends: list[MailEnd] = []
        self.postman = Postman(
            outbox=self.outbox,
            server=server,
            head=HEAD,
            now_s=lambda: self.now_s,
            ca_file=ca_file,
            answer_wait_s=answer_wait_s,
            on_end=self.ends.append,
        )

    def waits(self) -> list[int]:
        return [waiting.due_s - self.now_s for waiting in self.outbox.waiting.values()]


@pytest.fixture
def server() -> Iterator[ScriptedMailServer]:
    with serving(ScriptedMailServer()) as server:
        yield server


@pytest.fixture
def tour(server: ScriptedMailServer) -> Round:
    return Round(MailServer(host="127.0.0.1", port=server.port))


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Whatever happens in a test: the log, and all that hangs on its records, names no person, text, link or password."""
    with caplog.at_level(logging.DEBUG, logger="portal_sim"):
        yield caplog
        for record in caplog.get_records("call"):
            if record.name == module.__name__:
                assert not record.exc_info
                assert not [secret for secret in SECRETS if secret in record.getMessage() + str(vars(record))]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


# ---- what arrives


def test_a_mail_leaves_the_outbox_when_the_server_has_it(server: ScriptedMailServer, tour: Round) -> None:
    tour.outbox.put(mail())
    assert not tour.postman.deliver_due()
    assert read_letter(server.take()) == mail()
    assert not tour.outbox.waiting


def test_one_connection_carries_many_mails_in_order(server: ScriptedMailServer, tour: Round) -> None:
    tour.outbox.put(*map(mail, range(BATCH + 2)))
    assert tour.postman.deliver_due()
    assert server.connections == 1
    assert not tour.postman.deliver_due()
    assert server.connections == 2
    assert [read_letter(server.take()).subject for _ in range(BATCH + 2)] == [f"Confirm {n}" for n in range(BATCH + 2)]


def test_where_nothing_is_due_nobody_is_called(server: ScriptedMailServer, tour: Round) -> None:
    assert not tour.postman.deliver_due()
    assert server.connections == 0


def test_an_address_in_other_letters_is_sent_to_a_server_that_takes_it(server: ScriptedMailServer, tour: Round) -> None:
    tour.outbox.put(mail(to="jürgen@bücher.example"))
    tour.postman.deliver_due()
    assert read_letter(server.take()).to == "jürgen@bücher.example"


def test_a_server_that_takes_no_such_address_never_gets_the_mail(log: pytest.LogCaptureFixture) -> None:
    with serving(ScriptedMailServer(), enable_SMTPUTF8=False) as server:
        tour = Round(MailServer(host="127.0.0.1", port=server.port))
        tour.outbox.put(mail(to="jürgen@bücher.example"), mail(1))
        tour.postman.deliver_due()
        assert read_letter(server.take()) == mail(1)
    assert not tour.outbox.waiting
    assert "mail 1 is given up: the server refuses it for good (no SMTPUTF8)" in log.messages


def test_the_benchs_inbox_has_a_mail_once_that_was_delivered_twice(tmp_path: Path) -> None:
    with SmtpInbox(tmp_path / "mail") as inbox:
        for _ in range(2):  # as after a crash between the server's 250 and the outbox's commit
            tour = Round(inbox.server)
            tour.outbox.put(mail(), mail(1))
            tour.postman.deliver_due()
        assert inbox.read(mail().to) == (mail(), mail(1))


# ---- what the server refuses


@pytest.mark.parametrize("script", ["recipients", "letters"])
def test_a_mail_refused_for_now_waits_and_the_next_one_is_delivered(
    server: ScriptedMailServer, tour: Round, log: pytest.LogCaptureFixture, script: str
) -> None:
    getattr(server, script).append("451 4.7.1 greylisted: tessa@workshop.example")
    tour.outbox.put(mail(), mail(1))
    tour.postman.deliver_due()
    assert read_letter(server.take()) == mail(1)
    assert (server.connections, tour.waits()) == (1, [RETRY_WAITS_S[0]])
    assert f"mail 1 was not taken by smtp://127.0.0.1:{server.port} (451); next try in 5 s" in log.messages
    tour.postman.deliver_due()
    assert tour.outbox.waiting  # not due yet
    tour.now_s += RETRY_WAITS_S[0]
    tour.postman.deliver_due()
    assert read_letter(server.take()) == mail()
    assert not tour.outbox.waiting


@pytest.mark.parametrize("script", ["recipients", "letters"])
def test_a_mail_refused_for_good_is_given_up_and_the_next_one_is_delivered(
    server: ScriptedMailServer, tour: Round, log: pytest.LogCaptureFixture, script: str
) -> None:
    getattr(server, script).append("550 5.1.1 nobody is called tessa@workshop.example")
    tour.outbox.put(mail(), mail(1))
    tour.postman.deliver_due()
    assert read_letter(server.take()) == mail(1)
    assert not tour.outbox.waiting
    assert "mail 1 is given up: the server refuses it for good (550)" in log.messages
    assert tour.ends == [MailEnd.GIVEN_UP, MailEnd.SENT]


def test_waits_grow_up_to_a_bound_and_after_three_days_a_mail_is_given_up(
    server: ScriptedMailServer, tour: Round, log: pytest.LogCaptureFixture
) -> None:
    server.recipients = ["450 4.2.1 busy"] * 1000
    tour.outbox.put(mail())
    waits = []
    for _ in range(len(RETRY_WAITS_S) + 1):
        tour.postman.deliver_due()
        waits += tour.waits()
        tour.now_s += waits[-1]
    assert waits == [*RETRY_WAITS_S, RETRY_WAITS_S[-1]] == sorted(waits)
    assert tour.ends == []
    tour.now_s = NOW_S + GIVE_UP_AFTER_S
    tour.postman.deliver_due()
    assert not tour.outbox.waiting
    assert "mail 1 is given up: it could not be delivered for three days (450)" in log.messages
    assert tour.ends == [MailEnd.GIVEN_UP]


def test_a_mail_that_cannot_be_a_letter_is_given_up_and_says_why(
    server: ScriptedMailServer, tour: Round, log: pytest.LogCaptureFixture
) -> None:
    tour.outbox.put(mail(to="tessa@workshop.example\r\nBcc: x@y.example"), mail(1))
    tour.postman.deliver_due()
    assert read_letter(server.take()) == mail(1)
    assert not tour.outbox.waiting
    assert "mail 1 is given up: the address must look like" in log.text


# ---- lines that fail


def test_a_server_that_hangs_up_in_the_middle_is_tried_again(server: ScriptedMailServer, tour: Round) -> None:
    server.letters = [HANG_UP]
    tour.outbox.put(mail(), mail(1))
    assert not tour.postman.deliver_due()
    assert tour.waits() == [RETRY_WAITS_S[0], -tour.now_s]  # the second was not tried: it is due as before
    tour.now_s += RETRY_WAITS_S[0]
    tour.postman.deliver_due()
    assert not tour.outbox.waiting


def test_a_server_that_goes_away_with_421_is_not_asked_again_at_once(server: ScriptedMailServer, tour: Round) -> None:
    server.recipients = ["421 4.3.2 shutting down"]
    tour.outbox.put(mail(), mail(1))
    tour.postman.deliver_due()
    assert [waiting.attempts for waiting in tour.outbox.waiting.values()] == [1, 0]


def test_a_server_that_is_away_gets_the_mail_when_it_is_there(log: pytest.LogCaptureFixture) -> None:
    with socket.socket() as reserved:  # bound, and nobody listens
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        tour = Round(MailServer(host="127.0.0.1", port=port))
        tour.outbox.put(mail(), mail(1))
        assert not tour.postman.deliver_due()
    assert tour.waits() == [RETRY_WAITS_S[0]] * 2
    assert f"mail 1 was not taken by smtp://127.0.0.1:{port} (connection refused); next try in 5 s" in log.messages
    tour.now_s += RETRY_WAITS_S[0]
    with serving(ScriptedMailServer(), port) as server:
        tour.postman.deliver_due()
        assert [read_letter(server.take()) for _ in range(2)] == [mail(), mail(1)]


def test_a_server_that_never_answers_is_left(log: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tour = Round(MailServer(host="127.0.0.1", port=silent.getsockname()[1]), answer_wait_s=0.02)
        tour.outbox.put(mail())
        tour.postman.deliver_due()
    assert tour.waits() == [RETRY_WAITS_S[0]]
    assert "no answer in time" in log.text


def test_a_server_that_speaks_nonsense_is_left(log: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\xff\xfe nonsense\r\n")

        speaker = threading.Thread(target=answer)
        speaker.start()
        tour = Round(MailServer(host="127.0.0.1", port=listener.getsockname()[1]))
        tour.outbox.put(mail())
        tour.postman.deliver_due()
        speaker.join()
    assert tour.waits() == [RETRY_WAITS_S[0]]


# ---- TLS and accounts


def test_mail_goes_over_starttls_with_an_account(authority: Authority) -> None:
    script = ScriptedMailServer()
    script.password = b"s3cret:/"
    options = {
        "tls_context": authority.server_context(),
        "require_starttls": True,
        "auth_required": True,
        "authenticator": script.authenticate,
    }
    with serving(script, **options) as server:
        address = read_mail_server(f"smtp+starttls://portal:s3cret%3A%2F@127.0.0.1:{server.port}")
        tour = Round(address, authority.file)
        tour.outbox.put(mail())
        tour.postman.deliver_due()
        assert read_letter(server.take()) == mail()
    assert server.logins == [(b"portal", b"s3cret:/")]


def test_a_refused_log_on_is_the_servers_and_the_mail_waits(
    authority: Authority, log: pytest.LogCaptureFixture
) -> None:
    script = ScriptedMailServer()
    script.password = b"another"
    options = {"tls_context": authority.server_context(), "auth_required": True, "authenticator": script.authenticate}
    with serving(script, **options) as server:
        address = read_mail_server(f"smtp+starttls://portal:s3cret@127.0.0.1:{server.port}")
        tour = Round(address, authority.file)
        tour.outbox.put(mail())
        tour.postman.deliver_due()
    assert tour.waits() == [RETRY_WAITS_S[0]]
    assert "it refuses the log-on, 535" in log.text


def test_mail_goes_over_tls_from_the_first_byte(authority: Authority) -> None:
    with serving(ScriptedMailServer(), ssl_context=authority.server_context()) as server:
        tour = Round(MailServer(host="127.0.0.1", port=server.port, security=Security.TLS), authority.file)
        tour.outbox.put(mail())
        tour.postman.deliver_due()
        assert read_letter(server.take()) == mail()


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
@pytest.mark.parametrize("fault", ["another authority", "the machine's authorities", "another host"])
def test_a_certificate_that_does_not_prove_the_server_gets_no_mail(
    authority: Authority, tmp_path: Path, log: pytest.LogCaptureFixture, security: Security, fault: str
) -> None:
    context = authority.server_context("127.0.0.2" if fault == "another host" else "127.0.0.1")
    ca_files = {
        "another authority": Authority(tmp_path).file,
        "the machine's authorities": None,
        "another host": authority.file,
    }
    with serving(
        ScriptedMailServer(), **{"ssl_context" if security is Security.TLS else "tls_context": context}
    ) as server:
        tour = Round(MailServer(host="127.0.0.1", port=server.port, security=security), ca_files[fault])
        tour.outbox.put(mail())
        tour.postman.deliver_due()
        assert server.taken.empty()
    assert tour.waits() == [RETRY_WAITS_S[0]]
    assert "its certificate cannot be trusted" in log.text


def test_a_server_without_starttls_gets_neither_password_nor_mail(
    server: ScriptedMailServer, log: pytest.LogCaptureFixture
) -> None:
    tour = Round(read_mail_server(f"smtp+starttls://portal:s3cret@127.0.0.1:{server.port}"))
    tour.outbox.put(mail())
    tour.postman.deliver_due()
    assert (server.logins, server.taken.empty(), tour.waits()) == ([], True, [RETRY_WAITS_S[0]])
    assert "it offers no STARTTLS, or no log-on" in log.text


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_without_certificates_is_said_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="certificates of the mail server's authority"):
        Round(MailServer(host="127.0.0.1", port=1, security=Security.TLS), file)


# ---- the thread


def test_the_thread_goes_when_it_is_woken(
    server: ScriptedMailServer, tour: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", None)  # nothing but a wake-up makes him look again
    with tour.postman:
        for number in (1, 2):
            tour.outbox.put(mail(number))
            tour.postman.wake()
            assert tour.outbox.change()[0] == "delivered"
            assert read_letter(server.take()) == mail(number)


def test_the_thread_looks_by_itself_when_a_try_has_become_due(
    server: ScriptedMailServer, tour: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.005)
    server.recipients = ["450 busy"]
    tour.outbox.put(mail())
    with tour.postman:
        assert tour.outbox.change() == ("failed", 1)
        tour.now_s += RETRY_WAITS_S[0]
        assert tour.outbox.change() == ("delivered", 1)


def test_the_thread_outlives_an_outbox_that_is_away(
    tour: Round, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.005)
    tour.outbox.failures = [RuntimeError(f"INSERT … {CODE}"), OSError("tessa@workshop.example")]
    tour.outbox.put(mail())
    with tour.postman:
        assert tour.outbox.change() == ("delivered", 1)
    assert "the outbox cannot be used (RuntimeError); trying again" in log.messages


def test_a_stop_finishes_the_mail_in_flight_and_leaves_the_others(server: ScriptedMailServer, tour: Round) -> None:
    in_flight, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        in_flight.set()
        assert go_on.wait(60)

    server.during_data = hold
    tour.outbox.put(mail(), mail(1))
    tour.postman.start()
    assert in_flight.wait(60)
    assert not tour.postman.close(patience_s=0)  # still on his way
    go_on.set()
    assert tour.postman.close()
    assert read_letter(server.take()) == mail()
    assert list(tour.outbox.waiting) == [2]
    assert server.taken.empty()


def test_a_stop_without_work_is_immediate(tour: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", None)
    tour.postman.start()
    assert tour.postman.close()
    assert Round(MailServer(host="127.0.0.1", port=1)).postman.close()  # never started


def test_a_stop_that_somebody_else_sets_ends_the_run(tour: Round) -> None:
    stop = threading.Event()
    stop.set()
    tour.postman.run(stop)
    assert tour.outbox.looks == 0
