"""The control plane of a portal that is served: what a bench does behind its back, as messages with routes of their own.

It is there only where the portal was started with it, and only for who shows its token.
"""

from __future__ import annotations

from wire import portal_api as api
from wire.portal_api import PortalErrorCode as Code
from wire.portal_routes import ALWAYS, Route

PREFIX = "/control/v1/"


def _route(message: type[api.Request[object]], line: str, tag: str) -> Route:
    method, path = line.split()
    refusals = ALWAYS | {Code.SESSION_INVALID}
    return Route(message=message, method=method, path=PREFIX + path, tag=tag, refusals=refusals)


CONTROL_ROUTES: tuple[Route, ...] = (_route(api.ReadMail, "GET mail", "mail"),)
"""The control plane, version 1."""
