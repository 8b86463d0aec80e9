"""Each request gets an id of ours, one line and one count, whatever it is and however it ends."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from portal_people import Counter
from prometheus_client.parser import text_string_to_metric_families

from portal_sim.web.app import make_app
from portal_sim.web.logs import ALLOWED, REQUEST_ID, Log, setup
from portal_sim.web.metrics import Metrics
from portal_sim.web.watched import Watched
from portal_sim.web.watchpoints import Watchpoints
from wire.clock import NS_PER_S, VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy

SECRET = "SENTINEL-7f3a"


class Door:
    """An application in view, and what is seen."""

    def __init__(self, app: Any, log: Log, out: io.StringIO) -> None:
        self.out = out
        self.metrics = Metrics("1")
        self.app = Watched(app, log, self.metrics, SeededEntropy(random.Random(3)))
        self.sent: list[dict[str, Any]] = []

    def ask(
        self,
        path: str = "/healthz",
        method: str = "GET",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        query: bytes = b"q=" + SECRET.encode(),
    ) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": query,
            "root_path": "",
            "headers": list(headers),
            "client": ("192.0.2.1", 1234),
            "server": ("127.0.0.1", 80),
        }
        self.sent = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        asyncio.run(self.app(scope, receive, send))

    @property
    def lines(self) -> list[dict[str, Any]]:
        text = self.out.getvalue()
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
        found = [json.loads(line) for line in text.splitlines()]
        assert all(set(line) <= ALLOWED | {"time", "level", "event"} for line in found)
        return found

    def counted(self) -> dict[tuple[str, str, str], float]:
        families = text_string_to_metric_families(self.metrics.text().decode())
        return {
            (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
            for family in families
            for sample in family.samples
            if sample.name == "sgw_portal_requests_total"
        }

    def in_flight(self) -> float:
        return next(
            family.samples[0].value
            for family in text_string_to_metric_families(self.metrics.text().decode())
            if family.name == "sgw_portal_requests_in_flight"
        )

    def ids(self) -> list[bytes]:
        return [value for name, value in self.sent[0]["headers"] if name.lower() == b"x-request-id"]


@pytest.fixture
def door() -> Iterator[Callable[[Any], Door]]:
    out = io.StringIO()
    with setup("json", out, lambda: VIRTUAL_EPOCH_UTC_S * NS_PER_S, level=logging.DEBUG) as log:
        yield lambda app: Door(app, log, out)


@pytest.fixture
def portal(door: Callable[[Any], Door]) -> Door:
    counter = Counter()
    app = make_app(counter.portal, lambda: counter.now_s, control_token="t")
    return door(Watchpoints(app, require_health=lambda: None, metrics=lambda: b"", control_token="t"))


def test_a_request_is_told_by_its_routes_template_and_counted(portal: Door) -> None:
    portal.ask(f"/v1/company/users/{SECRET}", "DELETE")
    portal.ask("/v1/profile", "DELETE")
    portal.ask("/healthz")
    requests = [line for line in portal.lines if line["event"] == "request"]
    assert [(line["route"], line["method"], line["status"]) for line in requests] == [
        ("/v1/company/users/{email}", "DELETE", 422),
        ("/v1/profile", "DELETE", 405),
        ("/healthz", "GET", 200),
    ]
    assert all(line["client"] == "192.0.2.1" and line["duration_ms"] >= 0 for line in requests)
    assert SECRET not in portal.out.getvalue()
    assert ("/healthz", "GET", "200") in portal.counted()
    assert portal.in_flight() == 0


def test_a_refusal_is_told_and_counted_by_its_stable_code(portal: Door) -> None:
    portal.ask("/v1/profile", headers=((b"authorization", b"Bearer " + SECRET.encode()),), query=b"")
    portal.ask("/v1/sessions", "POST")
    portal.ask("/v1/keys", query=b"")
    assert [line.get("code") for line in portal.lines] == ["session-invalid", "unsupported-media-type", None]
    text = portal.metrics.text().decode()
    assert 'sgw_portal_refusals_total{code="session-invalid"} 1.0' in text
    assert sum("sgw_portal_refusals_total{" in line and line[-3:] != "0.0" for line in text.splitlines()) == 1
    assert SECRET not in portal.out.getvalue()


def test_every_route_of_the_table_is_told_by_its_template(portal: Door) -> None:
    from wire.portal_routes import ROUTES

    for route in ROUTES:
        portal.ask(route.path.replace("{", "").replace("}", ""), route.method)
    told = [(line["route"], line["method"]) for line in portal.lines if line["event"] == "request"]
    assert told == [(route.path, route.method) for route in ROUTES]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/none",
        f"/{SECRET}",
        "/v1/\n",
        "/\x1b[31m",
        "/control/none",
        "/" + "x" * 10**6,
        "/%0a%0d",
        "/v1/keys/%ff",
    ],
    ids=range(9),
)
def test_a_path_that_leads_nowhere_has_one_label_and_one_line(portal: Door, path: str) -> None:
    portal.ask(path)
    [line] = portal.lines
    assert (line["route"], line["status"]) == ("none", 404)
    assert list(portal.counted()) == [("none", "GET", "404")]


@pytest.mark.parametrize("method", ["BREW", "GET\n", "\x1b[2J", "x" * 10**6, "get"])
def test_a_method_that_is_none_has_one_label(portal: Door, method: str) -> None:
    portal.ask("/v1/none", method)
    [line] = portal.lines
    assert line["method"] == "other"
    assert list(portal.counted()) == [("none", "other", "404")]


@pytest.mark.parametrize(
    "header",
    [
        (b"x-request-id", b"chosen-by-the-client"),
        (b"x-request-id", b"a\r\nset-cookie: x"),
        (b"authorization", b"Bearer " + SECRET.encode()),
        (b"cookie", SECRET.encode()),
        (b"\xff\xfe", b"\x00\x1b\n" + SECRET.encode()),
        (b"x-forwarded-for", SECRET.encode()),
    ],
)
def test_nothing_of_a_head_is_taken_over(portal: Door, header: tuple[bytes, bytes]) -> None:
    portal.ask(headers=(header,))
    [line] = portal.lines
    assert portal.ids() == [line["request_id"].encode()]
    assert len(line["request_id"]) == 16
    assert int(line["request_id"], 16) >= 0
    shown = portal.out.getvalue() + repr(portal.sent)
    assert SECRET not in shown
    assert "chosen" not in shown


def test_each_request_has_an_id_of_its_own(portal: Door) -> None:
    for _ in range(50):
        portal.ask()
    assert len({line["request_id"] for line in portal.lines}) == 50


def test_what_machines_ask_for_all_day_is_told_at_debug_while_it_is_well(portal: Door) -> None:
    portal.ask("/healthz")
    portal.ask("/healthz", "POST")
    assert [line["level"] for line in portal.lines] == ["debug", "info"]


# ---- how a request may end


def test_a_failure_is_answered_told_and_counted_with_the_same_id(door: Callable[[Any], Door]) -> None:
    async def app(scope: Any, _: Any, __: Any) -> None:
        scope["route"] = "/fails/{what}"
        raise ValueError(scope["path"])

    seen = door(app)
    seen.ask(f"/fails/{SECRET}")
    failed, request = seen.lines
    assert (failed["event"], failed["level"], failed["fault"]) == ("failed", "error", "ValueError")
    assert "test_watched.py" in failed["where"]
    assert (request["route"], request["status"], request["level"]) == ("/fails/{what}", 500, "error")
    assert seen.ids() == [failed["request_id"].encode()] == [request["request_id"].encode()]
    assert seen.sent[0]["status"] == 500
    assert json.loads(seen.sent[1]["body"])["code"] == "internal-error"
    assert SECRET not in seen.out.getvalue() + repr(seen.sent)
    assert seen.in_flight() == 0


def test_a_failure_that_the_framework_answers_is_told_all_the_same(door: Callable[[Any], Door]) -> None:
    app = FastAPI()

    @app.get("/fails/{what}")
    def fails(what: str) -> None:
        raise ValueError(what)

    seen = door(app)
    with pytest.raises(ValueError, match=SECRET):  # handed on to the server, whose complaint is told without values
        seen.ask(f"/fails/{SECRET}")
    assert [(line["event"], line.get("route")) for line in seen.lines] == [
        ("failed", None),
        ("request", "/fails/{what}"),
    ]
    assert seen.counted() == {("/fails/{what}", "GET", "500"): 1}
    assert SECRET not in seen.out.getvalue()


def test_an_answer_that_breaks_off_is_left_to_the_server(door: Callable[[Any], Door]) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise OSError(SECRET)

    seen = door(app)
    with pytest.raises(OSError, match=SECRET):
        seen.ask()
    assert [line["event"] for line in seen.lines] == ["failed", "request"]
    assert seen.counted() == {("none", "GET", "200"): 1}
    assert SECRET not in seen.out.getvalue()


def test_a_request_whose_sender_has_gone_has_a_status_of_its_own(door: Callable[[Any], Door]) -> None:
    async def app(_: Any, __: Any, ___: Any) -> None:
        """Answer nothing."""

    seen = door(app)
    seen.ask()
    assert seen.counted() == {("none", "GET", "499"): 1}
    assert seen.sent == []


def test_a_request_that_is_cancelled_is_told_and_not_in_flight_for_ever(door: Callable[[Any], Door]) -> None:
    async def app(_: Any, __: Any, ___: Any) -> None:
        raise asyncio.CancelledError

    seen = door(app)
    with pytest.raises(asyncio.CancelledError):
        seen.ask()
    assert [line["status"] for line in seen.lines] == [499]
    assert seen.in_flight() == 0


def test_what_is_said_on_the_way_bears_the_requests_id_in_threads_too(door: Callable[[Any], Door]) -> None:
    app = FastAPI()

    @app.get("/said")
    def said() -> None:
        logging.getLogger("portal").info("said in a thread")

    seen = door(app)
    seen.ask("/said")
    note, request = seen.lines
    assert note["request_id"] == request["request_id"]
    assert REQUEST_ID.get() is None


def test_what_is_no_request_passes(door: Callable[[Any], Door]) -> None:
    passed: list[str] = []

    async def app(scope: Any, _: Any, __: Any) -> None:
        passed.append(scope["type"])

    asyncio.run(door(app).app({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]
