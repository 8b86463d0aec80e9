"""What it costs to give a request an id, a line in the log and a place in the figures: microseconds beside the bare application.

`python -m benchmarks.watched`. Both are asked in turns within one process, without a server between, and the best round counts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path
from typing import Any, TextIO

from portal_sim.web.logs import Form, setup
from portal_sim.web.metrics import Metrics
from portal_sim.web.watched import Watched
from wire.clock import system_utc_ns
from wire.entropy import LiveEntropy

REQUESTS, ROUNDS = 2000, 15
FORMS: tuple[Form, ...] = ("json", "plain")
SCOPE = {"type": "http", "method": "GET", "path": "/v1/profile", "client": ("127.0.0.1", 1), "route": "/v1/profile"}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")] * 6}
BODY = {"type": "http.response.body", "body": b"{}"}


async def bare(_: Any, __: Any, send: Any) -> None:
    await send(START)
    await send(BODY)


async def _send(_: Any) -> None:
    pass


async def _round_us(app: Any) -> float:
    """Return the processor's microseconds for one request."""
    begun = time.process_time_ns()
    for _ in range(REQUESTS):
        await app(dict(SCOPE), None, _send)
    return (time.process_time_ns() - begun) / REQUESTS / 1000


async def measure(stream: TextIO) -> dict[str, float]:
    """Return the best microseconds of the bare application and of those in view, whose lines go to `stream`."""
    apps: dict[str, Any] = {"bare": bare}
    for form in FORMS:
        with setup(form, stream, system_utc_ns) as log:
            apps[form] = Watched(bare, log, Metrics("1"), LiveEntropy())
    found: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        for name, app in apps.items():
            found[name].append(await _round_us(app))
    return {name: min(times) for name, times in found.items()}


def main() -> None:
    """Print the table."""
    gc.disable()
    with Path(os.devnull).open("w", encoding="utf-8") as stream:
        times = asyncio.run(measure(stream))
    for name, us in times.items():
        print(f"{name:<6} {us:6.1f} µs a request, {us - times['bare']:5.1f} more than bare")


if __name__ == "__main__":
    main()
