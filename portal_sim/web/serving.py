"""Serves an application until a signal: requests in flight are finished, a second Ctrl-C ends at once.

One process, one worker. What slow or many clients can hold is bounded; there is no proxy in front whose headers are believed.
"""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from wire.errors import CarrierFault

GRACE_S = 10
"""How long requests in flight have, once the end was asked for."""
IDLE_S = 15
"""How long a connection may be idle between requests: clients keep theirs, and open it again where it was closed."""
MAX_REQUESTS = 500
"""Requests and connections at once; who comes beyond is told 503. A tester makes one at a time."""
MAX_HEAD_BYTES = 32 * 1024
"""Of a request's line and headers."""
ENDS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes one that is free. Raises `CarrierFault`, which says what to do."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise CarrierFault(f"{host} is no address of this machine: {error}; choose another --host") from None
    listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)  # else answers wait for acknowledgements
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
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


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it serves, and which signal ended it instead of dying of it."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self.ended_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets=sockets)
        self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn."""
        self.ended_by = sig
        super().handle_exit(sig, frame)


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    grace_s: int = GRACE_S,
    on_started: Callable[[], None] = lambda: None,
) -> int | None:
    """Serve until SIGINT or SIGTERM; return which it was."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=grace_s,
        limit_concurrency=MAX_REQUESTS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    server = Server(config, on_started)
    before = {end: signal.signal(end, signal.SIG_IGN) for end in ENDS}  # uvicorn raises them again when it is done
    try:
        server.run(sockets=[listener])
    finally:
        for end, handler in before.items():
            signal.signal(end, handler)
    return server.ended_by
