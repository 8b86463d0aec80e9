"""What bounds the portal: a FastAPI endpoint that does nothing, under the same server, and Argon2id alone."""

from __future__ import annotations

import sys
import threading
import time

from fastapi import FastAPI

from portal_sim.options import OWASP_COST
from portal_sim.passwords import hash_password, password_matches
from portal_sim.web.serving import address_of, listen, serve


def endpoint() -> None:
    """Serve a bare endpoint, until a signal."""
    app = FastAPI()

    @app.get("/v1/profile")
    async def profile() -> dict[str, object]:
        return {"email_masked": "te***@workshop.example", "identity": "approved", "attempts_left": 2, "manager": True}

    with listen("127.0.0.1", 0) as listener:
        address = address_of(listener)
        serve(app, listener, on_started=lambda: print(f"portal at {address}", flush=True))


def hashes(threads: int, seconds: float) -> float:
    """Return how many passwords a second so many threads compare, at OWASP's minimum."""
    encoded = hash_password("correct horse battery", bytes(16), OWASP_COST)
    done, begin = [0] * threads, time.perf_counter()

    def work(number: int) -> None:
        while time.perf_counter() - begin < seconds:
            password_matches(encoded, "correct horse battery")
            done[number] += 1

    runners = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return sum(done) / (time.perf_counter() - begin)


if __name__ == "__main__":
    if sys.argv[1] == "endpoint":
        endpoint()
    else:
        print(hashes(int(sys.argv[2]), float(sys.argv[3])))
