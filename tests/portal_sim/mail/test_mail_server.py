"""The mail server's URL: what is right is read, what is wrong is said, and a password is never repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.mail.mail_server import MailServer, Security, read_mail_server
from wire.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://127.0.0.1:8025", MailServer(host="127.0.0.1", port=8025)),
        ("smtp://mail.example", MailServer(host="mail.example", port=25)),
        ("smtp://[::1]:2525", MailServer(host="::1", port=2525)),
        ("smtps://mail.example", MailServer(host="mail.example", port=465, security=Security.TLS)),
        (
            "smtp+starttls://portal:p%40ss%3Aword%2F@mail.example",
            MailServer(host="mail.example", port=587, security=Security.STARTTLS, user="portal", password="p@ss:word/"),
        ),
    ],
)
def test_a_url_names_server_protection_and_account(url: str, server: MailServer) -> None:
    assert read_mail_server(url) == server


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "does not begin with smtp://"),
        ("mail.example:25", "does not begin with smtp://"),
        ("http://user:s3cret@mail.example", "does not begin with smtp://"),
        ("smtp://user:s3cret@mail.example", "where others can read it"),
        ("smtps://user:s3cret@mail.example/", "must end after host and port"),
        ("smtps://user:s3cret@mail.example?x=y", "must end after host and port"),
        ("smtps://user:s3cret@mail.example#x", "must end after host and port"),
        ("smtps://user:s3cret@mail.example#", "must end after host and port"),
        ("smtps://user:s3cret@", "must end after host and port"),
        ("smtps://user:s3cret@mail.example:0", "no port"),
        ("smtps://user:s3cret@mail.example:", "no port"),
        ("smtps://user:s3cret@mail.example:65536", "no port"),
        ("smtps://user:s3cret@mail.example:port", "no port"),
        ("smtps://user:s3cret@[::1:465", "brackets"),
        ("smtps://user@mail.example", "user without password"),
        ("smtps://:s3cret@mail.example", "password without user"),
        ("smtps://user:s3cret@s3cret@mail.example", "'@'"),
        ("smtps://user:s3cret%C3%A4@mail.example", "not printable ASCII"),
        ("smtps://user:s3cret%0A@mail.example", "not printable ASCII"),
        ("smtps://user:s3cret\n@mail.example", "control character"),
        ("smtps://user:s3 cret@mail.example", "a blank"),
        ("smtps://user:s3cretä@mail.example", "not ASCII"),
    ],
)
def test_a_wrong_url_is_refused_in_plain_words_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match="--smtp: the mail server's URL") as refusal:
        read_mail_server(url)
    assert problem in str(refusal.value)
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@given(st.text(max_size=60).map(lambda tail: "smtps://user:s3cret" + tail))
def test_any_url_is_a_server_or_a_clear_error(url: str) -> None:
    try:
        server = read_mail_server(url)
    except ConfigError as error:
        assert "s3cret" not in str(error)  # noqa: PT017
    else:
        assert "s3cret" not in repr(server) + str(server)


def test_people_are_shown_the_server_without_its_account() -> None:
    assert str(read_mail_server("smtps://user:s3cret@[::1]")) == "smtps://[::1]:465"
