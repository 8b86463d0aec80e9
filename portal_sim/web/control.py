"""The control plane: a router of its own, mounted only where a token was given, and shut to whoever does not show it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from anyio import to_thread
from starlette.types import Receive, Scope

from portal_sim.portal import Portal
from portal_sim.web.doors import Answer, Door, MessageDoor, Prepared, Runner
from portal_sim.web.openapi import document
from portal_sim.web.requests import bearer, single_headers
from wire import portal_api as api
from wire.portal_api import PortalError, PortalErrorCode
from wire.portal_control import CONTROL_ROUTES, PREFIX
from wire.portal_routes import Route

DOCUMENT_PATH = PREFIX + "openapi.json"


class Locked:
    """A door that opens only for the control token."""

    def __init__(self, door: Door, token: str) -> None:
        self._door = door
        self._token = token.encode()

    async def answer(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Answer:
        """See `Door`."""
        shown = bearer(single_headers(scope)).encode("latin-1", "replace")
        if not hmac.compare_digest(shown, self._token):
            raise PortalError(PortalErrorCode.SESSION_INVALID, "The control plane opens only for its token.")
        return await self._door.answer(scope, receive, path)


def control_doors(portal: Portal, utc_s: Callable[[], int], token: str) -> list[tuple[str, str, Door]]:
    """Return the doors of the control plane, each of them locked."""
    run = _runner(portal, utc_s)
    doors: list[tuple[str, str, Door]] = [(r.method, r.path, MessageDoor(r, run)) for r in CONTROL_ROUTES]
    described = json.dumps(document(CONTROL_ROUTES, title="SGW bench: identity portal, control plane", locked=True))
    doors.append(("GET", DOCUMENT_PATH, Prepared(described.encode())))
    return [(method, path, Locked(door, token)) for method, path, door in doors]


def _runner(portal: Portal, utc_s: Callable[[], int]) -> Runner:
    def run(_: Route, message: api.Request[Any], __: str) -> Awaitable[Any]:
        return to_thread.run_sync(lambda: portal.handle(message, utc_s()))

    return run
