"""An ASGI application behind a real HTTP server on the loopback interface, while a block runs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp


@contextlib.contextmanager
def serving(app: ASGIApp, **config: Any) -> Iterator[str]:
    """Yield the URL at which `app` is served. `config`: see `uvicorn.Config`."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # named, or asyncio leaves TCP_NODELAY out: 40 ms an answer
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # who connects before the server runs is served then
    server = uvicorn.Server(uvicorn.Config(app, **{"log_level": "critical", "lifespan": "off", **config}))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()
