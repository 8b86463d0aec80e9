"""What every answer has and has not: no cookie, no redirect, no version; and which headers of a request are not believed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from portal_people import signed_in
from portal_process import PATIENCE_S, portal_process
from served_portal import HttpCounter

from portal_sim.web.app import make_app
from wire.portal_routes import ROUTES

PATHS = sorted({route.path.replace("{email}", "x@y.example").replace("{audit_id}", "00") for route in ROUTES})
OTHERS = ["/", "/healthz", "/v1/openapi.json", "/v1/", "/v1/profile/", "//v1/profile", "/control/v1/state", "/nothing"]


@pytest.fixture(scope="module")
def served() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def test_no_answer_sets_a_cookie_and_none_is_read(served: HttpCounter) -> None:
    person = signed_in(served, "cookie")
    for path in (*PATHS, *OTHERS):
        for method in ("GET", "POST"):
            answer = served.http.request(
                method, path, headers={"Cookie": f"session={person.browser}; token={person.browser}"}
            )
            assert "set-cookie" not in answer.headers
    assert served.http.get("/v1/profile", headers={"Cookie": f"session={person.browser}"}).status_code == 401


def test_no_answer_redirects(served: HttpCounter) -> None:
    for path in (*PATHS, *OTHERS):
        answer = served.http.get(path, params={"next": "https://evil.example", "url": "//evil.example"})
        assert not 300 <= answer.status_code < 400, path
        assert "location" not in answer.headers


def test_no_answer_tells_a_version(served: HttpCounter) -> None:
    for path in (*PATHS, *OTHERS):
        answer = served.http.get(path)
        told = " ".join(f"{name}: {value}" for name, value in answer.headers.items()).lower()
        for word in ("fastapi", "starlette", "python", "x-powered-by", "uvicorn/", "h11"):
            assert word not in told, path


def test_over_tls_every_answer_asks_to_come_back_so(served: HttpCounter) -> None:
    transport = httpx.ASGITransport(make_app(served.portal, lambda: served.now_s))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="https://portal.example") as client:
            return [await client.get(path) for path in PATHS]

    for answer in asyncio.run(ask()):
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in served.http.get("/v1/keys").headers


@pytest.mark.slow
def test_the_served_portal_believes_no_proxy_and_names_no_server(tmp_path: Path) -> None:
    """As a person starts it: forged addresses gain no tries, and a head without an end is not waited for."""
    with portal_process(tmp_path / "data") as process, httpx.Client(base_url=process.url, timeout=PATIENCE_S) as http:
        said = []
        for number in range(23):
            forged = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Client-IP"), f"10.0.0.{number}")
            headers = {**forged, "Forwarded": f"for=10.0.0.{number}"}
            said.append(http.post("/v1/accounts/confirmations", json={"link_code": "x"}, headers=headers))
        assert said[0].json()["code"] == "link-invalid"
        assert said[-1].json()["code"] == "throttled"
        assert "server" not in said[0].headers
        assert http.get("/control/v1/state").status_code == 404, "there is no control plane unless asked for"
        assert http.get("/v1/keys", headers={"X-Long": "a" * 65_536}).status_code == 400
