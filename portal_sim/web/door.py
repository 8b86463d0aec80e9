"""The portal's door over HTTP: `POST /v1/NAME` carries one message of `wire.portal_api`, and its reply, as JSON (`wire.plain`).

`GET /v1/keys` is the key set for vehicles, `GET /healthz` says that it lives. A refusal is problem+json (RFC 9457) with the
portal's stable code. Reading mail, which replaces a mail server here, is only for who shows the control token.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from portal_sim.portal import Portal
from wire import portal_api as api
from wire.errors import ConfigError
from wire.plain import from_plain, to_plain

BODY_MAX_BYTES = 1_000_000
PROBLEM = "application/problem+json"
OPERATIONS = {kind.__name__: kind for kind in api.Request.__subclasses__()}
CONTROLLED = frozenset({"ReadMail"})
STATUS = {
    api.PortalErrorCode.INVALID_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    api.PortalErrorCode.REQUEST_STRUCTURE_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    api.PortalErrorCode.LOGIN_FAILED: HTTPStatus.UNAUTHORIZED,
    api.PortalErrorCode.CODE_REJECTED: HTTPStatus.UNAUTHORIZED,
    api.PortalErrorCode.SECOND_FACTOR_REQUIRED: HTTPStatus.UNAUTHORIZED,
    api.PortalErrorCode.SESSION_INVALID: HTTPStatus.UNAUTHORIZED,
    api.PortalErrorCode.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    api.PortalErrorCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every other refusal is 403: who asks is known, and may not."""


def make_app(portal: Portal, utc_s: Callable[[], int], *, control_token: str | None = None) -> FastAPI:
    """Return the application. `utc_s`: the back end's clock. `control_token` None: nothing that is controlled is there."""
    app = FastAPI(title="sgw-bench portal", docs_url=None, redoc_url=None, openapi_url=None)
    turn = threading.Lock()

    def carry_out(message: api.Request[Any]) -> object:
        with turn:  # the portal is one state; requests come from many threads
            return portal.handle(message, utc_s())

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/keys")
    def keys() -> Response:
        return JSONResponse(to_plain(carry_out(api.GetKeySet())))

    @app.post("/v1/{operation}")
    async def call(operation: str, request: Request) -> Response:
        kind = OPERATIONS.get(operation)
        if kind is None or (operation in CONTROLLED and not _controls(request, control_token)):
            return _problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no operation {operation}.")
        body = await _body(request)
        if body is None:
            return _problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"At most {BODY_MAX_BYTES} bytes are taken."
            )
        try:
            message = from_plain(kind, body)
            reply = await run_in_threadpool(carry_out, message)
        except ConfigError as error:
            return _problem(HTTPStatus.BAD_REQUEST, api.PortalErrorCode.INVALID_INPUT, f"{operation}: {error}")
        except api.PortalError as error:
            return _refused(error)
        return JSONResponse(to_plain(reply))

    return app


async def _body(request: Request) -> object | None:
    """Return the JSON value of a body, or None for one that is too large; what is no JSON is no message either."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_MAX_BYTES:
            return None
    try:
        return json.loads(data)  # type: ignore[no-any-return]
    except ValueError:
        return "no JSON"


def _controls(request: Request, token: str | None) -> bool:
    shown = request.headers.get("authorization", "").removeprefix("Bearer ")
    return token is not None and hmac.compare_digest(shown.encode(), token.encode())


def _refused(error: api.PortalError) -> Response:
    status = STATUS.get(error.code, HTTPStatus.FORBIDDEN)
    return _problem(status, error.code, error.sentence, retry_after_s=error.retry_after_s)


def _problem(status: HTTPStatus, code: str, sentence: str, *, retry_after_s: int | None = None) -> Response:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "code": str(code), "detail": sentence}
    if retry_after_s is not None:
        body["retry_after_s"] = retry_after_s
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JSONResponse(body, status_code=int(status), headers=headers, media_type=PROBLEM)
