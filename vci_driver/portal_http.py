"""A `PortalPort` over HTTP: the tester's end of `portal_sim.web.door`. The extra [portal] brings its client, httpx.

The call is made in a thread of its own while the caller runs the world: a back end that is slow must not cost the session,
so tester present goes on.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, Self, cast, get_args

import httpx

from wire.errors import ConfigError
from wire.plain import from_plain, to_plain
from wire.portal_api import PortalError, PortalErrorCode, R_co, Request
from wire.world import World

TIMEOUT_S = 30.0
PATIENCE_NS = 35_000_000_000
"""The client gives up before the caller does."""
CONTROL_TOKEN = "SGW_BENCH_PORTAL_TOKEN"  # noqa: S105 - the name of a variable, not a secret
"""The environment's variable with the portal's control token, for a bench that reads people's mail."""


class HttpPortal:
    """Calls the portal at `url`. Raises `PortalError` for its refusals, `unavailable` where nobody answers sensibly."""

    def __init__(self, url: str, world: World, *, client: httpx.Client | None = None) -> None:
        token = os.environ.get(CONTROL_TOKEN)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.url = url
        self._world = world
        self._client = client or httpx.Client(base_url=url, timeout=TIMEOUT_S, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, request: Request[R_co]) -> R_co:
        """Carry out one operation; the world runs while the answer is on its way."""
        if self._world.virtual:
            return self._carry_out(request)
        outcome: list[object] = []
        world = self._world

        def work() -> None:
            try:
                outcome.append(self._carry_out(request))
            except Exception as error:  # noqa: BLE001 - raised again where it was asked for
                outcome.append(error)
            world.post(lambda: None)  # look whether it is done

        threading.Thread(target=work, name="portal call", daemon=True).start()
        if not world.run_until(lambda: bool(outcome), PATIENCE_NS):
            raise _unavailable(f"{self.url} does not answer")
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return cast("R_co", outcome[0])

    def _carry_out(self, request: Request[R_co]) -> R_co:
        try:
            answer = self._client.post(f"/v1/{type(request).__name__}", json=to_plain(request))
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(f"{self.url}: {error or type(error).__name__}") from error
        if answer.is_success:
            try:
                return cast("R_co", from_plain(_reply_kind(type(request)), body))
            except ConfigError as error:
                raise _unavailable(f"{self.url} answers something else: {error}") from error
        raise _refusal(answer.status_code, body)


def _reply_kind(kind: type[Request[Any]]) -> Any:
    """Return what a request's class says that it is answered with."""
    return get_args(kind.__orig_bases__[0])[0]  # type: ignore[attr-defined]


def _refusal(status: int, body: object) -> PortalError:
    if isinstance(body, dict):
        code, retry_after_s = body.get("code"), body.get("retry_after_s")
        if isinstance(code, str) and code in PortalErrorCode.__members__.values():
            retry = retry_after_s if isinstance(retry_after_s, int) else None
            return PortalError(PortalErrorCode(code), str(body.get("detail")), retry_after_s=retry)
        return _unavailable(f"the back end answered {status}: {body.get('detail', '')}")
    return _unavailable(f"the back end answered {status}")


def _unavailable(reason: str) -> PortalError:
    return PortalError(PortalErrorCode.UNAVAILABLE, f"The back end does not answer: {reason}. Try again later.")
