"""The HTTP door: what is no message is a problem in plain words, and every answer has the headers of an API."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from http_server import serving
from portal_people import Counter
from served_portal import TOKEN, HttpCounter

from portal_sim.web.app import make_app
from portal_sim.web.requests import BODY_MAX_BYTES, QUERY_MAX_BYTES
from wire.portal_routes import ROUTES

JSON = {"content-type": "application/json"}
SIGN_UP = b'{"email": "a@b.example", "password": "correct horse battery"}'


@pytest.fixture(scope="module")
def counter() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def require_problem(answer: httpx.Response, status: int, code: str, says: str = "") -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert says in body["detail"]
    assert body["detail"].endswith(".")


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b"not json", 400, "malformed-request", "not JSON"),
        (b"", 400, "malformed-request", "not JSON"),
        (b"\xff\xfe", 400, "malformed-request", "not JSON"),
        (b"[" * 20_000, 400, "malformed-request", "not JSON"),
        (b'{"email": NaN}', 400, "malformed-request", "not JSON"),
        (b'{"email": ' + b"9" * 5000 + b"}", 400, "malformed-request", "not JSON"),
        (b"[]", 400, "malformed-request", "one JSON object"),
        (b'{"email": "a", "email": "b"}', 400, "malformed-request", "twice"),
        (b'{"email": "a@b.example"}', 422, "invalid-input", "password: this field is missing"),
        (b'{"email": "a@b.example", "password": "x", "role": "admin"}', 422, "invalid-input", "unknown field 'role'"),
        (b'{"email": 7, "password": "x"}', 422, "invalid-input", "email: expected str, got int"),
        (b'{"email": "a\\u0000@b.example", "password": "x"}', 422, "invalid-input", "no text"),
        (b'{"email": "\\ud800@b.example", "password": "x"}', 422, "invalid-input", "no text"),
        (b'{"email": "a@b.example", "password": 36893488147419103232}', 422, "invalid-input", "too large"),
        (b" " * (BODY_MAX_BYTES + 1), 413, "too-large", "at most 65536 bytes"),
    ],
)
def test_what_is_no_message_is_a_problem_in_plain_words(
    counter: HttpCounter, body: bytes, status: int, code: str, says: str
) -> None:
    require_problem(counter.http.post("/v1/accounts", content=body, headers=JSON), status, code, says)


def test_a_body_that_grows_too_long_is_stopped_without_its_length_being_told(counter: HttpCounter) -> None:
    pieces = (b" " * 10_000 for _ in range(10))
    require_problem(counter.http.post("/v1/accounts", content=pieces, headers=JSON), 413, "too-large")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_another_kind_of_body_is_not_taken(counter: HttpCounter, kind: str) -> None:
    answer = counter.http.post("/v1/accounts", content=SIGN_UP, headers={"content-type": kind} if kind else {})
    require_problem(answer, 415, "unsupported-media-type", "application/json")


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Idempotency-Key"])
def test_a_header_that_stands_twice_is_refused(counter: HttpCounter, name: str) -> None:
    answer = counter.http.post("/v1/accounts", content=SIGN_UP, headers=[*JSON.items(), (name, "a"), (name, "b")])
    require_problem(answer, 400, "malformed-request", "more than once")


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("role=admin", 422, "role: there is no such parameter"),
        ("session=abc", 422, "session: there is no such parameter"),
        ("limit=1&limit=2", 400, "more than once"),
        ("limit=ten", 422, "whole number"),
        ("limit=1e3", 422, "whole number"),
        ("limit=99999999999999999999", 422, "whole number"),
        ("vin=%00", 422, "no text"),
        ("vin=%ff", 400, "not UTF-8"),
        ("vin=" + "x" * QUERY_MAX_BYTES, 400, "more than 2048 bytes"),
    ],
)
def test_what_stands_behind_the_question_mark_is_read_as_strictly(
    counter: HttpCounter, query: str, status: int, says: str
) -> None:
    answer = counter.http.get(f"/v1/audit?{query}")
    require_problem(answer, status, "invalid-input" if status == 422 else "malformed-request", says)


def test_a_field_does_not_change_its_place(counter: HttpCounter) -> None:
    body = {"session": "abc", "first_name": "A", "last_name": "B", "birth_date": "1990-04-01"}
    answer = counter.http.put("/v1/profile", json=body)
    require_problem(answer, 422, "invalid-input", "session: this field does not stand in the body")
    require_problem(counter.http.request("GET", "/v1/profile", content=b"{}"), 422, "invalid-input", "no body")


def test_an_address_where_nothing_is_and_a_method_that_nobody_takes(counter: HttpCounter) -> None:
    for path in ("/", "/v1/", "/v1/nothing", "/v2/accounts", "/docs", "/openapi.json", "/v1/profile/", "/v1//profile"):
        require_problem(counter.http.get(path), 404, "not-found")
    answer = counter.http.patch("/v1/profile")
    require_problem(answer, 405, "method-not-allowed", "GET, HEAD, PUT")
    assert answer.headers["allow"] == "GET, HEAD, PUT"


def test_a_path_is_no_way_out_of_its_place(counter: HttpCounter) -> None:
    for name in ("%2e%2e%2fprofile", "a%00b", "%ff", "..%2f..%2fetc%2fpasswd"):
        answer = counter.http.delete(f"/v1/company/users/{name}")
        assert answer.status_code in (400, 401, 422), answer.text


def test_every_answer_is_told_not_to_be_kept_run_or_guessed(counter: HttpCounter) -> None:
    for answer in (counter.http.get("/v1/keys"), counter.http.get("/v1/profile"), counter.http.get("/nothing")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == 'attachment; filename="api.json"'
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


def test_a_refusal_says_how_to_show_who_one_is(counter: HttpCounter) -> None:
    answer = counter.http.get("/v1/profile")
    require_problem(answer, 401, "session-invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_wait_stands_in_the_header_that_clients_look_at(counter: HttpCounter) -> None:
    wrong = {"email": "waits@workshop.example", "password": "wrong"}
    counter.http.post("/v1/sessions", json=wrong)
    answer = counter.http.post("/v1/sessions", json=wrong)
    require_problem(answer, 429, "throttled")
    assert answer.headers["retry-after"] == str(answer.json()["retry_after_s"]) == "5"


def test_failures_count_against_the_address_that_asks() -> None:
    with contextlib.ExitStack() as stack:
        counter = HttpCounter(stack, address_free_failures=1)
        for _ in range(3):
            answer = counter.http.post("/v1/accounts/confirmations", json={"link_code": "guessed"})
        require_problem(answer, 429, "throttled", "from your network address")


def test_mail_is_read_by_who_shows_the_control_token_and_by_nobody_else(counter: HttpCounter) -> None:
    asked = {"email": "nobody@workshop.example"}
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert counter.http.get("/control/v1/mail", params=asked, headers=right).json() == []
    for shown in ("Bearer wrong", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer sn\u00f6w"):
        headers = {"Authorization": shown.encode()}
        require_problem(counter.http.get("/control/v1/mail", params=asked, headers=headers), 401, "session-invalid")
        require_problem(counter.http.get("/control/v1/openapi.json", headers=headers), 401, "session-invalid")
    with serving(make_app(counter.portal, lambda: counter.now_s)) as closed:
        for headers in (right, {"Authorization": "Bearer"}, {"Authorization": "Bearer None"}):
            answer = httpx.get(f"{closed}/control/v1/mail", params=asked, headers=headers)
            require_problem(answer, 404, "not-found")


def test_vehicles_read_the_keys(counter: HttpCounter) -> None:
    keys = counter.http.get("/v1/keys").json()
    assert set(keys) == {"token_keys", "root_ca", "revoked_serials", "revoked_tokens"}
    assert counter.http.get("/v1/crl").headers["content-type"] == "application/pkix-crl"
    assert counter.http.head("/v1/keys").content == b""


def test_a_failure_of_ours_is_told_without_its_reasons_and_written_down(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret reason")

    counter.portal.handle = broken
    with caplog.at_level(logging.ERROR, logger="portal"), serving(make_app(counter.portal, lambda: 0)) as url:
        answer = httpx.get(f"{url}/v1/profile")
    require_problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert "the secret reason" in caplog.text


def test_a_client_that_goes_away_in_the_middle_leaves_the_door_open(counter: HttpCounter) -> None:
    place = urlsplit(counter.url)
    with socket.create_connection((place.hostname, place.port)) as half:
        half.sendall(
            b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    assert counter.http.get("/v1/keys").status_code == 200


def test_no_secret_stands_in_a_url() -> None:
    secret = {"session", "password", "code", "link_code", "login_id", "refresh_token", "old_password", "new_password"}
    for route in ROUTES:
        in_url = {name for name, place in route.places.items() if place in ("path", "query")}
        assert not in_url & secret, route.path
