"""The HTTP server's life: a socket that listens before anybody is told, limits on who is slow, and a clean end.

uvicorn serves; what it lacks is here: a request must arrive whole in time (its own clock runs only between requests), and
signals end the process with a status of ours instead of the signal's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from wire.errors import CarrierFault

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNALLED = 128
"""The exit status of a process that a signal ended is this and the signal's number."""
BACKLOG = 512
"""Connections that wait until they are taken: a moment's rush is not refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingLimits:
    """What one client may cost. A request's head has at most `head_max_bytes`, and all of it arrives in `request_s`."""

    connections: int = 500
    head_max_bytes: int = 16_384
    request_s: float = 20.0
    keep_alive_s: int = 15
    grace_s: int = 10


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes one that is free. Raises `CarrierFault`, which says what to do."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise CarrierFault(f"{host} is no address of this machine: {reason}; choose another --host") from None
    listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)  # else answers wait for acknowledgements
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CarrierFault(
            f"{host}:{port} cannot be listened at: {(error.strerror or str(error)).lower()}; choose another --port"
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Return host and port of a socket as they stand in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Protocol(H11Protocol):
    """uvicorn's connection, with an end for clients that open one and send nothing, or a request byte by byte."""

    request_s: ClassVar[float] = 0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]
        self._patience = self.loop.call_later(self.request_s, self._too_slow)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        arriving = self._arriving()
        if self._patience is None and arriving:
            self._patience = self.loop.call_later(self.request_s, self._too_slow)
        elif self._patience is not None and not arriving:
            self._patience.cancel()
            self._patience = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        super().connection_lost(exc)

    def _arriving(self) -> bool:
        """Whether a request has begun to arrive and is not whole."""
        state = self.conn.their_state
        return state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def _too_slow(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.close()


class _Gathering:
    """A transport that sends what is written in one turn of the loop at once: an answer's head and body in one system call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data before this turn ends."""
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)

    def close(self) -> None:
        """Send what was written, and close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._written:
            data = b"".join(self._written)
            self._written.clear()
            self._transport.write(data)


class _Server(uvicorn.Server):
    """uvicorn's server, whose end by a signal is an end of ours: the first stops it, a second one ends it at once."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], object], on_stopping: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._on_stopping = on_stopping
        self._on_started = on_started
        self.cut_off = 0

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.should_exit:
            os._exit(SIGNALLED + number)  # at once, as a lost process would: what was not committed did not happen
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)
        self.cut_off = sum(bool(task.cancelling()) for task in self.server_state.tasks)


def server_config(app: ASGIApp, limits: ServingLimits, *, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    """Return uvicorn's settings for an application under these limits: no banner, no log and no clock of its own."""
    protocol = type("Protocol", (_Protocol,), {"request_s": limits.request_s})
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=limits.grace_s,
        h11_max_incomplete_event_size=limits.head_max_bytes,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    on_started: Callable[[], object] = lambda: None,
    on_stopping: Callable[[], object] = lambda: None,
    tls: ssl.SSLContext | None = None,
    limits: ServingLimits | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM, in the main thread; return how many requests were cut off at the end.

    `on_started` is called once requests are answered and signals end it: who is told then can do either. `on_stopping` is called
    when the end begins.
    At the end nothing new is accepted, and requests in flight have `grace_s` to be answered. A second signal ends the
    process at once, with the status of a signal's.
    """
    server = _Server(server_config(app, limits or ServingLimits(), tls=tls), on_started, on_stopping)
    server.run(sockets=[listener])
    return server.cut_off
