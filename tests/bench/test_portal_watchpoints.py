"""The portal's process as machines watch it: health, metrics, logs without a secret, and HTTPS by the bench's own CA."""

import json
import signal
import ssl
from pathlib import Path

import httpx
import pyotp
import pytest
from http_server import serving
from portal_process import PATIENCE_S, portal_process
from prometheus_client.parser import text_string_to_metric_families

from portal_sim.web.watchpoints import Watchpoints
from vci_driver.portal_http import HttpPortal
from wire import portal_api as api
from wire.portal_control import PutAccount
from wire.portal_trust import PORTAL_CA
from wire.world import World

EMAIL, PASSWORD = "tessa@workshop.example", "correct horse tessa battery"


def figures(text: str) -> dict[str, float]:
    """Return the counters without labels' order: name and values of labels."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.slow
@pytest.mark.realtime
def test_over_https_it_is_healthy_counts_what_it_did_and_logs_no_secret(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with portal_process(data, "--control-plane", "--tls", "--log-format", "json") as process:
        url = process.url
        assert url.startswith("https://")
        context = ssl.create_default_context(cafile=str(data / "tls-ca.pem"))
        with httpx.Client(base_url=url, verify=context, timeout=PATIENCE_S) as client:
            portal = HttpPortal(url, World(), client=client, control_token=process.control_token)
            portal.call(PutAccount(email=EMAIL, password=PASSWORD))
            step = portal.call(api.BeginLogin(email=EMAIL, password=PASSWORD, tester_serial="T-1"))
            phone = pyotp.parse_uri(step.otpauth_uri)
            code = phone.now()
            session = portal.call(api.FinishLogin(login_id=step.login_id, code=code))
            with pytest.raises(api.PortalError):
                portal.call(api.PortalLogin(email=EMAIL, password="a wrong password"))
            assert client.get("/healthz").json() == {"status": "ok"}
            counted = figures(client.get("/metrics").text)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert counted["sgw_portal_requests_total POST /v1/logins 201"] == 1
    assert counted["sgw_portal_requests_in_flight"] == 1  # the one that asks
    lines = [json.loads(line) for line in process.err]
    told = [(line.get("route"), line.get("status")) for line in lines if line["event"] == "request"]
    assert ("/v1/logins/codes", 201) in told
    assert ("/v1/sessions", 401) in told
    assert lines[0]["event"] == "started"
    assert [line["event"] for line in lines][-2:] == ["stopping", "stopped"]
    secrets = [PASSWORD, "a wrong password", step.login_id, phone.secret, session.token, session.refresh_token]
    secrets += [process.control_token, *session.recovery_codes, f'"{code}"']
    assert [each for each in secrets if each in "\n".join(process.err)] == []


@pytest.mark.slow
@pytest.mark.realtime
def test_a_tester_speaks_to_it_once_it_is_told_of_the_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    with portal_process(data, "--tls") as process:
        with HttpPortal(process.url, World()) as portal, pytest.raises(api.PortalError, match="CERTIFICATE"):
            portal.call(api.GetKeySet())
        monkeypatch.setenv(PORTAL_CA, process.said["trust its CA"].partition("=")[2])
        with HttpPortal(process.url, World()) as portal:
            assert portal.call(api.GetKeySet()).token_keys


# ---- what the watchpoints say


async def _app(scope: dict, receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the application"})


def _away() -> None:
    raise api.PortalError(api.PortalErrorCode.UNAVAILABLE, "The database is away.")


def _points(**changes: object) -> Watchpoints:
    parts = {"require_health": lambda: None, "metrics": lambda: b"a 1\n", "control_token": "token", **changes}
    return Watchpoints(_app, **parts)


def test_a_portal_whose_database_is_away_is_not_healthy() -> None:
    with serving(_points(require_health=_away)) as url:
        answer = httpx.get(f"{url}/healthz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"


def test_metrics_are_for_this_machine_and_for_the_token() -> None:
    transport = httpx.ASGITransport(_points(), client=("192.0.2.7", 123))

    async def asked(**headers: str) -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://portal.example") as client:
            return (await client.get("/metrics", headers=headers)).status_code

    import anyio

    assert anyio.run(asked) == 404
    assert anyio.run(lambda: asked(Authorization="Bearer wrong")) == 404
    assert anyio.run(lambda: asked(Authorization="Bearer token")) == 200
    with serving(_points(control_token=None)) as url:
        assert httpx.get(f"{url}/metrics").text == "a 1\n"


def test_only_reading_is_possible_and_all_else_goes_on_to_the_application() -> None:
    with serving(_points()) as url:
        assert httpx.post(f"{url}/healthz").status_code == 405
        assert httpx.head(f"{url}/healthz").content == b""
        assert httpx.get(f"{url}/v1/keys").text == "the application"
