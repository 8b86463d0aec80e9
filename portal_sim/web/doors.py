"""A door for each row of the table of routes: reads the request, has the portal carry it out, writes the answer.

Plain ASGI, with prepared headers: what frameworks do for each request costs more than a look at a profile does.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from anyio import to_thread
from starlette.types import Receive, Scope, Send

from portal_sim.passwords import hashes_at_once
from portal_sim.portal import Portal
from portal_sim.web.problems import PROBLEM, DoorCode, DoorRefusal, problem_of
from portal_sim.web.requests import ClientGone, bearer, body_of, json_object, query_of, single_headers
from wire import portal_api as api
from wire.errors import ConfigError
from wire.plain import from_plain, to_plain
from wire.portal_routes import JSON, Effort, Place, Route, idempotency_key_of, receive

LOG = logging.getLogger("portal")
SAFE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Of every answer: nothing is kept, nothing is run, nothing is guessed. No CORS header: no page of another origin reads it."""
HSTS = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is written."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Door(Protocol):
    """One operation at one address."""

    async def answer(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Answer:
        """Return the answer. Raises `PortalError`, `DoorRefusal`, `ClientGone`."""


Runner = Callable[[Route, api.Request[Any], str], Awaitable[Any]]
"""Has a message carried out, for a network address."""


class PortalRunner:
    """Has the portal carry out messages: a look at once, what commits or hashes in a thread.

    `look_at_once` False: looks go to a thread too, where the store is behind a network. Hashes have threads of their own, one a
    core: each hash takes 19 MiB, which a thread keeps for the next one.
    """

    def __init__(self, portal: Portal, utc_s: Callable[[], int], *, look_at_once: bool = True) -> None:
        self.portal = portal
        self.utc_s = utc_s
        self._look_at_once = look_at_once
        self._hashers = ThreadPoolExecutor(hashes_at_once(), "hash")

    async def __call__(self, route: Route, message: api.Request[Any], address: str, media: tuple[str, ...] = ()) -> Any:
        """Return the portal's reply. Raises `PortalError`."""
        if route.effort is Effort.LOOK and self._look_at_once:
            return self.portal.handle(message, self.utc_s(), address=address)

        def carry_out() -> Any:
            return self.portal.handle(message, self.utc_s(), address=address, media=media)

        if route.effort is Effort.HASH:
            in_context = copy_context().run  # the log's lines of the thread belong to this request too
            return await asyncio.get_running_loop().run_in_executor(self._hashers, in_context, carry_out)
        return await to_thread.run_sync(carry_out)


class MessageDoor:
    """The door of one route whose message is JSON."""

    def __init__(self, route: Route, run: Runner) -> None:
        self.route = route
        self._run = run
        self._has_body = bool(route.at(Place.BODY))

    async def answer(self, scope: Scope, receive_: Receive, path: Mapping[str, str]) -> Answer:
        """See `Door`."""
        headers = single_headers(scope)
        body = await body_of(receive_, headers)
        fields = json_object(body, headers) if self._has_body else _nothing(body)
        message = self.message(scope, headers, path, fields)
        reply = await self._run(self.route, message, address_of(scope))
        return self.written(reply)

    def message(
        self, scope: Scope, headers: Mapping[bytes, str], path: Mapping[str, str], fields: Mapping[str, Any]
    ) -> api.Request[Any]:
        """Return the message of a request. Raises `PortalError` that names the field that is wrong."""
        route = self.route
        try:
            plain = receive(
                route,
                path=path,
                query=query_of(scope),
                session=bearer(headers),
                idempotency_key=idempotency_key_of(headers.get(b"idempotency-key", "")),
                body=fields,
            )
            return from_plain(route.message, plain)
        except ConfigError as error:
            where = f"the field {error.key}" if error.key else "the request"
            raise api.PortalError(
                api.PortalErrorCode.INVALID_INPUT, f"Please check {where}: {error.problem}."
            ) from None

    def written(self, reply: Any) -> Answer:
        """Return a reply as it goes out."""
        route = self.route
        if route.raw is not None:
            return Answer(route.status, getattr(reply, route.raw), route.media_type)
        return Answer(route.status, json.dumps(to_plain(reply)).encode())


class Prepared:
    """A door that always answers the same."""

    def __init__(self, body: bytes, media_type: str = JSON) -> None:
        self._answer = Answer(200, body, media_type)

    async def answer(self, _scope: Scope, _receive: Receive, _path: Mapping[str, str]) -> Answer:
        """See `Door`."""
        return self._answer


def _nothing(body: bytes) -> dict[str, Any]:
    if body:
        raise api.PortalError(api.PortalErrorCode.INVALID_INPUT, "Please check the request: it takes no body.")
    return {}


def address_of(scope: Scope) -> str:
    """Return the network address that asks, as the server knows it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def refused(error: api.PortalError | DoorRefusal) -> Answer:
    """Return a refusal as it goes out."""
    status, body, headers = problem_of(error)
    return Answer(status, body, PROBLEM, tuple(headers))


async def answer_of(door: Door, scope: Scope, receive_: Receive, path: Mapping[str, str]) -> Answer:
    """Return a door's answer, whatever happens behind it: a failure of ours is logged, and told without its reasons."""
    try:
        return await door.answer(scope, receive_, path)
    except (api.PortalError, DoorRefusal) as error:
        scope["refusal"] = error.code  # for logs and figures
        return refused(error)
    except ClientGone:
        raise
    except Exception:
        LOG.exception("%s %s failed", scope["method"], door)
        return refused(DoorRefusal(DoorCode.INTERNAL_ERROR, "The portal failed. It is written down; try again later."))


async def write(answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer, with the headers that every answer has."""
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (
            b"content-disposition",
            b'attachment; filename="api.json"' if answer.media_type.endswith("json") else b"attachment",
        ),
        *SAFE_HEADERS,
        *answer.headers,
    ]
    if scope.get("scheme") == "https":
        headers.append(HSTS)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
