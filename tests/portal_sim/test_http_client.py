"""The tester's end of HTTP: what makes no sense is a back end that is away, and a lost answer burns no unlock."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable

import httpx
import pytest
from channel_pair import real_world
from portal_people import manager
from served_portal import TOKEN, HttpCounter

from vci_driver.portal_http import CONTROL_TOKEN, HttpPortal
from wire import portal_api as api
from wire.portal_api import PortalError, PortalErrorCode
from wire.world import World


def _client(handle: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="http://portal.example", transport=httpx.MockTransport(handle))


def _answering(status: int, body: object) -> HttpPortal:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    return HttpPortal(
        "http://portal.example", World(), client=httpx.Client(base_url="http://portal.example", transport=transport)
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"<html>oops</html>"),
        (502, {"detail": "bad gateway"}),
        (200, {"token": 7}),
        (200, [1, 2]),
        (403, {"code": "no-such-code", "detail": "?"}),
        (401, ["odd"]),
    ],
)
def test_an_answer_that_makes_no_sense_counts_as_a_back_end_that_is_away(status: int, body: object) -> None:
    portal = _answering(status, body)
    with pytest.raises(PortalError) as refused:
        portal.call(api.PortalLogin(email="a@workshop.example", password="x", code=None))
    assert refused.value.code is PortalErrorCode.UNAVAILABLE
    assert "Try again later" in refused.value.sentence


def test_a_back_end_that_is_not_there_is_away() -> None:
    with HttpPortal("http://127.0.0.1:1", World()) as portal, pytest.raises(PortalError) as refused:
        portal.call(api.GetKeySet())
    assert refused.value.code is PortalErrorCode.UNAVAILABLE


@pytest.mark.realtime
def test_the_world_goes_on_while_an_answer_is_on_its_way() -> None:
    asked, answer_now = threading.Event(), threading.Event()

    def slow(_: httpx.Request) -> httpx.Response:
        asked.set()
        answer_now.wait(10)
        return httpx.Response(200, json={"token_keys": [], "root_ca": "", "revoked_serials": [], "revoked_tokens": []})

    client = httpx.Client(base_url="http://portal.example", transport=httpx.MockTransport(slow))
    with real_world() as world, HttpPortal("http://portal.example", world, client=client) as portal:
        ticks = []

        def tick(now_ns: int) -> None:
            ticks.append(now_ns)
            if asked.is_set() and len(ticks) > 5:
                answer_now.set()
            timer.set(now_ns + 1_000_000)

        timer = world.timer("tick", tick)
        timer.set(world.now_ns)
        assert portal.call(api.GetKeySet()).token_keys == ()
        assert len(ticks) > 5


def test_the_control_token_comes_from_the_environment_and_goes_to_the_control_plane_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CONTROL_TOKEN, TOKEN)
    shown = {}

    def note(request: httpx.Request) -> httpx.Response:
        shown[request.url.path] = request.headers.get("authorization")
        return httpx.Response(200, json=[] if "mail" in request.url.path else {"message": ""})

    with HttpPortal("http://portal.example", World(), client=_client(note)) as portal:
        portal.call(api.ReadMail(email="a@workshop.example"))
        portal.call(api.SignUp(email="a@workshop.example", password="x"))
    assert shown == {"/control/v1/mail": f"Bearer {TOKEN}", "/v1/accounts": None}


class LosesAnswers(httpx.BaseTransport):
    """Carries requests on, and loses the first answers: the connection breaks after the request was carried out."""

    def __init__(self, inner: httpx.BaseTransport, lost: int) -> None:
        self.inner = inner
        self.lost = lost
        self.carried = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        self.carried += 1
        if self.lost:
            self.lost -= 1
            answer.read()
            answer.close()
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        return answer

    def close(self) -> None:
        self.inner.close()


def _losing(counter: HttpCounter, stack: contextlib.ExitStack, lost: int) -> LosesAnswers:
    losing = LosesAnswers(httpx.HTTPTransport(), lost)
    client = stack.enter_context(httpx.Client(base_url=counter.url, transport=losing))
    counter.port = HttpPortal(counter.url, World(), client=client, control_token=TOKEN)
    return losing


def test_a_lost_answer_burns_no_unlock() -> None:
    with contextlib.ExitStack() as stack:
        counter = HttpCounter(stack)
        person = manager(counter)
        person.log_in()
        counter.wait_for_step()
        losing = _losing(counter, stack, 1)
        unlock = person.ask(code=person.code())
        assert losing.carried == 2
        (issued,) = [record for record in counter.portal.audit_log() if "issued" in record.action]
        assert issued.audit_id == unlock.audit_id


def test_an_answer_that_is_lost_twice_is_a_back_end_that_is_away() -> None:
    with contextlib.ExitStack() as stack:
        counter = HttpCounter(stack)
        person = manager(counter)
        person.log_in()
        counter.wait_for_step()
        losing = _losing(counter, stack, 2)
        with counter.refused(PortalErrorCode.UNAVAILABLE):
            person.ask(code=person.code())
        assert losing.carried == 2


def test_what_changes_something_without_a_key_is_never_repeated() -> None:
    with contextlib.ExitStack() as stack:
        counter = HttpCounter(stack)
        losing = _losing(counter, stack, 1)
        with counter.refused(PortalErrorCode.UNAVAILABLE):
            counter.call(api.SignUp(email="a@workshop.example", password="correct horse battery"))
        assert losing.carried == 1
