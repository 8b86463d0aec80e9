"""What stands around the application: each request gets an id, a line in the log and a place in the figures.

Pure ASGI: Starlette's BaseHTTPMiddleware costs a task and a queue a request.
"""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal_sim.web.doors import refused, write
from portal_sim.web.logs import REQUEST_ID, Event, Log
from portal_sim.web.metrics import METHODS, NOWHERE, OTHER, Metrics
from portal_sim.web.problems import DoorCode, DoorRefusal
from wire.clock import stopwatch
from wire.entropy import Entropy
from wire.portal_api import PortalErrorCode

ID_BYTES = 8
GONE = 499
"""The status, of nginx's coining, of a request whose sender was gone before the answer."""
QUIET = frozenset(("/healthz", "/metrics"))
"""Routes that machines ask for every few seconds: while they are well, they are told at level DEBUG."""


class Watched:
    """An ASGI application in view. The id of each request goes out as X-Request-ID; one that a client brings is not taken over.

    The template of a request's path is read of `scope["route"]`, a text, or something with a `path`, as FastAPI leaves there; the
    code of a refusal of `scope["refusal"]`.
    """

    def __init__(self, app: ASGIApp, log: Log, metrics: Metrics, entropy: Entropy) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics
        self._entropy = entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        elapsed_s = stopwatch()
        request_id = self._entropy.token_bytes(ID_BYTES).hex()
        header = (b"x-request-id", request_id.encode())
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        self._metrics.begun()
        before = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            self._log.failed(Event.FAILED, error, level=logging.ERROR, request_id=request_id)
            if status:
                raise  # the answer has begun: only the server can end it, by hanging up
            sentence = "The portal failed. It is written down; try again later."
            await write(refused(DoorRefusal(DoorCode.INTERNAL_ERROR, sentence)), scope, answer)
        finally:
            REQUEST_ID.reset(before)
            self._note(scope, request_id, status or GONE, elapsed_s())

    def _note(self, scope: Scope, request_id: str, status: int, duration_s: float) -> None:
        route = scope.get("route")
        template = route if isinstance(route, str) else getattr(route, "path", NOWHERE)
        method = scope["method"] if scope["method"] in METHODS else OTHER
        self._metrics.ended(template, method, status, duration_s)
        code = scope.get("refusal")
        if isinstance(code, PortalErrorCode):
            self._metrics.refused(code)
        level = logging.INFO
        if status >= 500:
            level = logging.ERROR
        elif template in QUIET and status < 400:
            level = logging.DEBUG
        client = scope.get("client")
        self._log.event(
            Event.REQUEST,
            level=level,
            request_id=request_id,
            method=method,
            route=template,
            status=status,
            code=code,
            duration_ms=round(duration_s * 1000, 3),
            client=client[0] if client else "",
        )
