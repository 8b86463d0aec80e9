"""What machines ask of a running portal: `/healthz`, whether it works, and `/metrics`, what it did.

Health says one word to anybody. Metrics name no person, but tell how busy a workshop is: they are for this machine, and for
others only with the control token as bearer.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from anyio import to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from portal_sim.web.doors import Answer, refused, write
from portal_sim.web.metrics import CONTENT_TYPE
from portal_sim.web.problems import DoorCode, DoorRefusal
from portal_sim.web.requests import bearer, single_headers
from wire.loopback import is_loopback
from wire.portal_api import PortalError

HEALTH, METRICS = "/healthz", "/metrics"


class Watchpoints:
    """Stands before an application. `require_health` raises `PortalError` where the portal does not work."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        require_health: Callable[[], None],
        metrics: Callable[[], bytes],
        control_token: str | None,
    ) -> None:
        self._app = app
        self._require_health = require_health
        self._metrics = metrics
        self._token = control_token
        self._points = {HEALTH: self._health, METRICS: self._measured}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        point = self._points.get(scope["path"]) if scope["type"] == "http" else None
        if point is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            answer = refused(DoorRefusal(DoorCode.METHOD_NOT_ALLOWED, "What can be done here: GET, HEAD."))
        else:
            try:
                answer = await point(scope)
            except (PortalError, DoorRefusal) as error:
                answer = refused(error)
        await write(answer, scope, send)

    async def _health(self, _: Scope) -> Answer:
        await to_thread.run_sync(self._require_health)
        return Answer(200, b'{"status": "ok"}')

    async def _measured(self, scope: Scope) -> Answer:
        if not (_is_here(scope) or self._shows_token(scope)):
            raise DoorRefusal(DoorCode.NOT_FOUND, "There is nothing at this address.")
        return Answer(200, await to_thread.run_sync(self._metrics), CONTENT_TYPE)

    def _shows_token(self, scope: Scope) -> bool:
        shown = bearer(single_headers(scope)).encode("latin-1", "replace")
        return self._token is not None and hmac.compare_digest(shown, self._token.encode())


def _is_here(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and is_loopback(client[0])
