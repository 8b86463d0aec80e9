"""The portal over HTTP: the same replies and refusals as in process, and nothing for who sends something else."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from channel_pair import real_world
from http_server import serving
from portal_people import Counter, manager, signed_in

from portal_sim.web.door import BODY_MAX_BYTES, OPERATIONS, make_app
from vci_driver.portal_http import CONTROL_TOKEN, HttpPortal
from wire import portal_api as api
from wire.portal_api import PortalError, PortalErrorCode
from wire.world import World

TOKEN = "control-token-of-the-test"


class HttpCounter(Counter):
    """The portal behind its HTTP door."""

    def __init__(self, stack: contextlib.ExitStack, **options: object) -> None:
        super().__init__(**options)
        url = stack.enter_context(serving(make_app(self.portal, lambda: self.now_s, control_token=TOKEN)))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = stack.enter_context(httpx.Client(base_url=url, headers=headers))
        self.port = HttpPortal(url, World(), client=self.http)

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.port.call(request)


@pytest.fixture(scope="module")
def counter() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def test_the_way_from_sign_up_to_the_token_is_the_same_as_in_process() -> None:
    ways = []
    with contextlib.ExitStack() as stack:
        for counter in (Counter(seed=11), HttpCounter(stack, seed=11)):
            person = manager(counter)
            person.log_in()
            counter.wait_for_step()
            ways.append((person.ask(), counter.actions(), counter.call(api.GetKeySet())))
    assert ways[0] == ways[1]


def test_a_refusal_keeps_its_code_its_sentence_and_when_to_try_again(counter: HttpCounter) -> None:
    person = signed_in(counter, "thea")
    wrong = api.PortalLogin(email=person.email, password="not the right one", code=None)
    with pytest.raises(PortalError) as first:
        counter.call(wrong)
    with pytest.raises(PortalError) as in_process:
        counter.portal.handle(wrong, counter.now_s)
    assert first.value.code is PortalErrorCode.LOGIN_FAILED
    assert first.value.sentence
    with pytest.raises(PortalError) as over_http:
        counter.call(wrong)
    assert (over_http.value.code, over_http.value.sentence, over_http.value.retry_after_s) == (
        in_process.value.code,
        in_process.value.sentence,
        in_process.value.retry_after_s,
    )


def test_every_operation_of_the_portal_has_an_address(counter: HttpCounter) -> None:
    for name in OPERATIONS:
        assert counter.http.post(f"/v1/{name}", json=[]).status_code == 400, name


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/SignOut", b"{}", 404, "no operation SignOut"),
        ("/v1/SignUp", b"not json", 400, "SignUp: expected dict"),
        ("/v1/SignUp", b'{"email": "a@b.example"}', 400, "password: this field is missing"),
        ("/v1/SignUp", b'{"email": "a@b.example", "password": "x", "role": "admin"}', 400, "unknown field 'role'"),
        ("/v1/SignUp", b'{"email": 7, "password": "x"}', 400, "email: expected str, got int"),
        ("/v1/SignUp", b" " * (BODY_MAX_BYTES + 1), 413, "At most"),
        ("/v1/SignUp", b"\xff\xfe", 400, "SignUp"),
    ],
)
def test_what_is_no_message_is_a_problem_in_plain_words(
    counter: HttpCounter, path: str, body: bytes, status: int, says: str
) -> None:
    answer = counter.http.post(path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_mail_is_read_by_who_shows_the_control_token_and_by_nobody_else(counter: HttpCounter) -> None:
    asked = {"email": "nobody@workshop.example"}
    assert counter.http.post("/v1/ReadMail", json=asked).status_code == 200
    for shown in ("Bearer wrong", "", f"Basic {TOKEN}"):
        refused = counter.http.post("/v1/ReadMail", json=asked, headers={"Authorization": shown})
        assert refused.status_code == 404, shown
    with serving(make_app(counter.portal, lambda: counter.now_s)) as closed:
        for shown in (f"Bearer {TOKEN}", "Bearer"):
            refused = httpx.post(f"{closed}/v1/ReadMail", json=asked, headers={"Authorization": shown})
            assert refused.status_code == 404, shown


def test_vehicles_read_the_keys_and_machines_ask_for_its_health(counter: HttpCounter) -> None:
    keys = counter.http.get("/v1/keys").json()
    assert set(keys) == {"token_keys", "root_ca", "revoked_serials", "revoked_tokens"}
    assert counter.http.get("/healthz").json() == {"status": "ok"}


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


def test_the_control_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONTROL_TOKEN, TOKEN)
    with HttpPortal("http://portal.example", World()) as portal:
        assert portal._client.headers["authorization"] == f"Bearer {TOKEN}"
