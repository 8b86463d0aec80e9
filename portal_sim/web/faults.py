"""Answers that go wrong on purpose, before or after the portal has done its work: ordered by the control plane."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from starlette.types import Scope, Send

from portal_sim.web.doors import SAFE_HEADERS, Answer, write
from wire.errors import LocalMisuse
from wire.portal_control import FaultKind, InjectFault

LONGEST_DELAY_MS = 120_000
WRONG_SHAPE = b'{"unexpected": [1, null]}'
NOT_JSON = b"<!DOCTYPE html><title>Welcome</title>"


class Faults:
    """What was ordered, and for how many requests still."""

    def __init__(self) -> None:
        self._order: InjectFault | None = None
        self._left: int | None = 0

    def inject(self, order: InjectFault) -> None:
        """Take an order. Raises `LocalMisuse` for one that makes no sense."""
        if order.requests is not None and order.requests < 1:
            raise LocalMisuse("a fault meets one request or more (null: all)")
        if not 0 <= order.delay_ms <= LONGEST_DELAY_MS:
            raise LocalMisuse(f"a delay lasts from 0 to {LONGEST_DELAY_MS} ms")
        if not 500 <= order.status <= 599:
            raise LocalMisuse("an error of a server has a status from 500 to 599")
        self._order, self._left = order, order.requests

    def clear(self) -> None:
        """Let everything go right."""
        self._order = None

    def next_for(self, path: str) -> InjectFault | None:
        """Return what goes wrong with this request, and count it."""
        order = self._order
        if order is None or not path.startswith(order.path):
            return None
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._order = None
        return order


async def delayed(order: InjectFault) -> Answer | None:
    """Wait as ordered; return the answer where nothing is to be carried out."""
    await asyncio.sleep(order.delay_ms / 1000)
    if order.kind is FaultKind.ERROR:
        return Answer(order.status, b"the back end fell over, as it was told to", "text/plain")
    return None


async def write_faulty(order: InjectFault, answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer as it was ordered to be wrong."""
    if order.kind is FaultKind.NOT_JSON:
        await write(Answer(200, NOT_JSON, "text/html"), scope, send)
    elif order.kind is FaultKind.WRONG_SHAPE:
        await write(replace(answer, body=WRONG_SHAPE), scope, send)
    elif order.kind in (FaultKind.BROKEN, FaultKind.TRUNCATED):
        await _write_part(order, answer, send)
    else:
        await write(answer, scope, send)


async def _write_part(order: InjectFault, answer: Answer, send: Send) -> None:
    """Announce an answer and send nothing or half of it: the server then ends the connection."""
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body) + 1).encode()),
        *SAFE_HEADERS,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    half = answer.body[: len(answer.body) // 2] if order.kind is FaultKind.TRUNCATED else b""
    await send({"type": "http.response.body", "body": half, "more_body": True})
