"""The portal's application, made from the table of routes (`wire.portal_routes`).

FastAPI is the application object and no more: what reads, carries out and answers is in `doors`, what describes it in `openapi`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from portal_sim.portal import Portal
from portal_sim.web.control import SettableClock, control_doors
from portal_sim.web.doors import Answer, Door, MessageDoor, PortalRunner, Prepared, answer_of, refused, write
from portal_sim.web.faults import Faults, delayed, write_faulty
from portal_sim.web.openapi import document
from portal_sim.web.problems import DoorCode, DoorRefusal
from portal_sim.web.requests import ClientGone, unquoted
from portal_sim.web.uploads import UploadDoor
from wire import portal_api as api
from wire.portal_control import PREFIX
from wire.portal_routes import ROUTES, Route

if TYPE_CHECKING:  # it brings the decoders, which a bench without uploads does without
    from portal_sim.media.reception import Reception

_PARAMETER = re.compile(r"\\\{(\w+)\\\}")
DOCUMENT_PATH = "/v1/openapi.json"


class Doors:
    """All doors below a prefix, found by a dictionary; what is not there and what is not allowed are problems too.

    The path is matched as it was sent, percent signs and all: an encoded slash belongs to a name.
    """

    def __init__(self, prefix: str, doors: Iterable[tuple[str, str, Door]], faults: Faults | None = None) -> None:
        self.prefix = prefix
        self._faults = faults
        self._fixed: dict[str, dict[str, Door]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Door]]] = {}
        for method, path, door in doors:
            if "{" not in path:
                self._fixed.setdefault(path, {})[method] = door
                continue
            pattern = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(path)))
            self._patterns.setdefault(path, (pattern, {}))[1][method] = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI 3)."""
        fault = self._faults.next_for(scope["path"]) if self._faults else None
        try:
            answer = (await delayed(fault) if fault else None) or await self._answer(scope, receive)
        except ClientGone:
            return
        if fault is None:
            await write(answer, scope, send)
        else:
            await write_faulty(fault, answer, scope, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        try:
            template, methods, parameters = self._at(path)
        except (DoorRefusal, api.PortalError) as error:
            return refused(error)
        if methods is None:
            return refused(DoorRefusal(DoorCode.NOT_FOUND, "There is nothing at this address."))
        scope["route"] = template  # for logs and figures
        asked = "GET" if scope["method"] == "HEAD" else scope["method"]
        door = methods.get(asked)
        if door is None:
            allowed = ", ".join(sorted([*methods, *(["HEAD"] if "GET" in methods else [])]))
            problem = refused(DoorRefusal(DoorCode.METHOD_NOT_ALLOWED, f"What can be done here: {allowed}."))
            return Answer(
                problem.status, problem.body, problem.media_type, (*problem.headers, (b"allow", allowed.encode()))
            )
        return await answer_of(door, scope, receive, parameters)

    def _at(self, path: str) -> tuple[str, dict[str, Door] | None, Mapping[str, str]]:
        """Return the template of a path, its doors by method, and what stands in its parameters."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return path, fixed, {}
        for template, (pattern, methods) in self._patterns.items():
            found = pattern.fullmatch(path)
            if found is not None:
                return (
                    template,
                    methods,
                    {name: unquoted(raw.encode("latin-1")) for name, raw in found.groupdict().items()},
                )
        return "", None, {}


def make_app(
    portal: Portal,
    utc_s: Callable[[], int],
    *,
    control_token: str | None = None,
    reception: Reception | None = None,
    look_at_once: bool = True,
) -> FastAPI:
    """Return the application. `utc_s`: the back end's clock. `control_token` None: there is no control plane.

    `reception`: where the media of identity checks are looked at. None, on a bench: a check comes as JSON that says what would
    be seen on them. `look_at_once`: see `PortalRunner`.
    """
    app = FastAPI(title="sgw-bench portal", docs_url=None, redoc_url=None, openapi_url=None)
    clock, faults = utc_s if isinstance(utc_s, SettableClock) else SettableClock(utc_s), Faults()
    run = PortalRunner(portal, clock if control_token else utc_s, look_at_once=look_at_once)
    described = document(ROUTES, uploads=reception is not None)
    app.openapi = lambda: described  # type: ignore[method-assign]
    doors = [(route.method, route.path, _door(route, run, reception)) for route in ROUTES]
    doors.append(("GET", DOCUMENT_PATH, Prepared(json.dumps(described).encode())))
    all_doors = [Doors("/v1/", doors, faults)]
    if control_token:
        all_doors.append(Doors(PREFIX, control_doors(portal, clock, faults, control_token)))
    # The doors are plain ASGI and answer every refusal themselves: FastAPI's routing and the layers that it puts around endpoints
    # would cost each request a tenth.
    app.middleware_stack = _Front(all_doors)
    return app


def _door(route: Route, run: PortalRunner, reception: Reception | None) -> Door:
    return UploadDoor(route, run, reception) if route.media and reception is not None else MessageDoor(route, run)


class _Front:
    """Sends each request to the doors whose prefix it has."""

    def __init__(self, doors: list[Doors]) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        for doors in self._doors:
            if scope["path"].startswith(doors.prefix):
                await doors(scope, receive, send)
                return
        await write(refused(DoorRefusal(DoorCode.NOT_FOUND, "There is nothing at this address.")), scope, send)
