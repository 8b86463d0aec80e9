"""A whole life at the portal over HTTP, and what strangers send to it, with the log at DEBUG: no line has anything secret."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from http_server import serving
from portal_secrets import Noting, live

from portal_sim.web.app import make_app
from portal_sim.web.logs import ALLOWED, setup
from portal_sim.web.metrics import Metrics
from portal_sim.web.serving import ServingLimits
from portal_sim.web.watched import Watched
from vci_driver.portal_http import HttpPortal
from wire import portal_api as api
from wire.clock import system_utc_ns
from wire.entropy import LiveEntropy
from wire.world import World

TOKEN = "control-token-of-the-test"
SECRET = "SENTINEL-7f3a"
UVICORN = {"log_config": None, "log_level": None, "access_log": False, "ws": "none"}


class Observed(Noting):
    """The portal in view behind its HTTP door, and its log."""

    def __init__(self, stack: contextlib.ExitStack, form: str) -> None:
        super().__init__()
        self.out = io.StringIO()
        self.metrics = Metrics("1")
        log = stack.enter_context(setup(form, self.out, system_utc_ns, level=logging.DEBUG))
        app = make_app(self.portal, lambda: self.now_s, control_token=TOKEN)
        watched = Watched(app, log, self.metrics, LiveEntropy())
        limits = {"h11_max_incomplete_event_size": ServingLimits().head_max_bytes}
        self.server = stack.enter_context(contextlib.ExitStack())
        self.url = self.server.enter_context(serving(watched, **UVICORN, **limits))
        client = self.server.enter_context(httpx.Client(base_url=self.url))
        self.door = HttpPortal(self.url, World(), client=client, control_token=TOKEN)

    def end(self) -> str:
        """End the server, which finishes its lines, and return them."""
        self.server.close()
        return self.out.getvalue()

    def carried_out(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.door.call(request)

    def lines(self) -> list[dict[str, object]]:
        text = self.out.getvalue()
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
        found = [json.loads(line) for line in text.splitlines()]
        assert all(set(line) <= ALLOWED | {"time", "level", "event"} for line in found)
        return found


@pytest.fixture
def stack(caplog: pytest.LogCaptureFixture) -> Iterator[contextlib.ExitStack]:
    caplog.set_level(logging.DEBUG)  # every library's lines reach the log's door
    with contextlib.ExitStack() as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "plain"])
def test_nothing_secret_is_logged_of_a_whole_life_over_http(stack: contextlib.ExitStack, form: str) -> None:
    counter = Observed(stack, form)
    people = live(counter)
    counter.note_keys(*people)
    counter.secrets.add(TOKEN)
    shown = counter.end()
    assert shown.count("request") > 60
    assert len(counter.secrets) > 25
    assert counter.leaked(shown) == []
    assert len(counter.mailed) >= 3
    told_of_mails = [line for text in counter.mailed for line in text.splitlines() if line and line in shown]
    assert told_of_mails == []
    told_of_people = [each for person in people for each in (person.email, person.first_name) if each in shown]
    assert told_of_people == []
    assert not any(word in shown.lower() for word in ("bearer", "cookie", "authorization", "otpauth", "secret="))
    if form == "json":
        counter.lines()


def sent(url: str, data: bytes) -> bytes:
    """Return what the server says to these bytes until it hangs up."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), 20) as line:
        with contextlib.suppress(OSError):
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while part := line.recv(65536):
                answer += part
        return answer


END = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
HOSTILE = {
    "encoded line break": b"GET /v1/none%0d%0a%7b%22event%22:%22started%22%7d" + END + b"\r\n",
    "escape sequences": b"GET /v1/\x1b[2J\x1b]0;owned\x07" + END + b"\r\n",
    "encoded escape": b"GET /v1/company/users/%1b%5b31m%0a" + END + b"\r\n",
    "binary header": b"GET /healthz" + END + b"X-Binary: \x01\x80\xff\x1b[31m\r\n\r\n",
    "request id": b"GET /healthz" + END + b"X-Request-ID: a\x0b" + SECRET.encode() + b"\r\n\r\n",
    "folded header": b"GET /healthz" + END + b"X-Folded: a\r\n {}\r\n\r\n",
    "a megabyte of path": b"GET /" + b"x" * 1_000_000 + END + b"\r\n",
    "nearly too long a path": b"GET /" + b"\xff\x1b" * 12_000 + END + b"\r\n",
    "secrets in all places": b"DELETE /v1/company/users/SENTINEL-7f3a?token=SENTINEL-7f3a"
    + END
    + b"Authorization: Bearer SENTINEL-7f3a\r\nCookie: a=SENTINEL-7f3a\r\nIdempotency-Key: SENTINEL-7f3a\r\n\r\n",
    "a strange method": b"\x1b[31mSENTINEL-7f3a /" + END + b"\r\n",
    "a WebSocket": b"GET /v1/keys?SENTINEL-7f3a" + END + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03SENTINEL-7f3a\n\n\n" + bytes(400),
    "a body that is none": b"POST /v1/sessions" + END + b"Content-Length: 20\r\nContent-Type: application/json\r\n\r\n"
    b'{"SENTINEL-7f3a": "\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_strangers_make_no_line_of_their_own(stack: contextlib.ExitStack, name: str) -> None:
    counter = Observed(stack, "json")
    sent(counter.url, HOSTILE[name])
    sent(counter.url, b"GET /healthz" + END + b"\r\n")
    counter.end()
    lines = counter.lines()
    assert len(lines) <= 4
    assert {line["event"] for line in lines} <= {"request", "library"}
    assert SECRET not in counter.out.getvalue()
    assert len(counter.out.getvalue()) < 2000


def test_a_failure_whose_text_holds_secrets_is_told_without_it(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Observed(stack, "json")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(f"parameters: {SECRET}")

    monkeypatch.setattr(counter.portal, "handle", fails)
    answer = httpx.post(f"{counter.url}/v1/sessions", json={"email": "tessa@x.example", "password": SECRET})
    assert answer.status_code == 500
    counter.end()
    note = next(line for line in counter.lines() if line["event"] == "note")
    assert (note["fault"], note["level"]) == ("RuntimeError", "error")
    assert note["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in counter.out.getvalue() + answer.text
