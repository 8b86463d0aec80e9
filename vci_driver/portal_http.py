"""A `PortalPort` over HTTP: the tester's end of the portal's service. The extra [portal] brings its client, httpx.

Where each message travels says `wire.portal_routes`. The call is made in a thread of its own while the caller runs the world: a
back end that is slow must not cost the session, so tester present goes on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self, cast

import httpx

from wire.entropy import Entropy, LiveEntropy
from wire.errors import ConfigError, LocalMisuse
from wire.plain import from_plain
from wire.portal_api import FaceVideo, IdentityDocuments, Picture, PortalError, PortalErrorCode, R_co, Request
from wire.portal_control import CONTROL_ROUTES
from wire.portal_routes import ROUTES, Place, Route, Sent, send
from wire.portal_trust import trust
from wire.world import World

TIMEOUT_S = 30.0
PATIENCE_NS = 35_000_000_000
"""The client gives up before the caller does."""
KEY_BYTES = 16
"""Of an idempotency key: nobody else has drawn the same."""
CONTROL_TOKEN = "SGW_BENCH_PORTAL_TOKEN"  # noqa: S105 - the name of a variable, not a secret  # nosec B105
"""The environment's variable with the portal's control token, for a bench that reads people's mail."""
ROUTE_OF: Mapping[type[Request[Any]], Route] = MappingProxyType({r.message: r for r in (*ROUTES, *CONTROL_ROUTES)})
_CONTROLLED = frozenset(route.message for route in CONTROL_ROUTES)
UNSUPPORTED_MEDIA_TYPE = 415
_LOST = (httpx.ReadError, httpx.RemoteProtocolError)
"""The request went out, and no answer came back: nobody knows whether it was carried out."""


class Camera(Protocol):
    """What a person photographs a document and films their face with."""

    def picture(self, wanted: Picture, side: str = "front") -> bytes:
        """Return a photo of one side on which about what is `wanted` is seen."""

    def video(self, wanted: FaceVideo) -> bytes:
        """Return a video of the face."""


class HttpPortal:
    """Calls the portal at `url`. Raises `PortalError` for its refusals, `unavailable` where nobody answers sensibly.

    A request for an unlock gets an idempotency key, drawn from `entropy`, where it has none; it is repeated once where the
    answer was lost, so that a lost answer costs no second code. Nothing else that changes something is repeated.

    An identity check says in JSON what would be seen; a portal that wants to see it gets what `camera` takes.
    """

    def __init__(
        self,
        url: str,
        world: World,
        *,
        client: httpx.Client | None = None,
        control_token: str | None = None,
        entropy: Entropy | None = None,
        camera: Callable[[IdentityDocuments], Camera] | None = None,
    ) -> None:
        self.url = url
        self._world = world
        self._control_token = control_token or os.environ.get(CONTROL_TOKEN)
        self._entropy = entropy or LiveEntropy()
        self._camera = camera or _phone
        self._client = client or httpx.Client(base_url=url, timeout=TIMEOUT_S, verify=trust(os.environ) or True)

    @property
    def controls(self) -> bool:
        """Whether the control plane's token is known here."""
        return self._control_token is not None

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
        route = ROUTE_OF.get(type(request))
        if route is None:
            raise LocalMisuse(f"the portal has no operation {type(request).__name__}")
        sent = send(route, self._with_key(route, request))
        try:
            answer = self._exchange(route, sent)
            if answer.status_code == UNSUPPORTED_MEDIA_TYPE and isinstance(request, IdentityDocuments):
                answer = self._uploaded(route, sent, request)
            if answer.is_success and route.raw is not None:
                return cast("R_co", route.reply(**{route.raw: answer.content}))
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(f"{self.url}: {error or type(error).__name__}") from error
        if answer.is_success:
            try:
                return cast("R_co", from_plain(route.reply, body))
            except ConfigError as error:
                raise _unavailable(f"{self.url} answers something else: {error}") from error
        raise _refusal(answer.status_code, body)

    def _with_key(self, route: Route, request: Request[R_co]) -> Request[R_co]:
        given: Any = request
        if not route.at(Place.IDEMPOTENCY_KEY) or given.idempotency_key:
            return request
        return cast("Request[R_co]", replace(given, idempotency_key=self._entropy.token_bytes(KEY_BYTES).hex()))

    def _exchange(self, route: Route, sent: Sent) -> httpx.Response:
        try:
            return self._sent(route, sent)
        except _LOST:
            if route.method != "GET" and not route.at(Place.IDEMPOTENCY_KEY):
                raise
            return self._sent(route, sent)

    def _uploaded(self, route: Route, sent: Sent, wanted: IdentityDocuments) -> httpx.Response:
        camera = self._camera(wanted)
        files = {
            "front": ("front", camera.picture(wanted.front, "front")),
            "back": ("back", camera.picture(wanted.back, "back")),
            "video": ("video", camera.video(wanted.video)),
        }
        assert set(files) == set(route.media)
        texts = {name: value for name, value in (sent.body or {}).items() if name not in files}
        return self._client.request(
            route.method, sent.path, headers=cast("Any", dict(sent.headers)), data=texts, files=files
        )

    def _sent(self, route: Route, sent: Sent) -> httpx.Response:
        headers: dict[str, str | bytes] = dict(sent.headers)
        if route.message in _CONTROLLED and self._control_token is not None:
            headers["Authorization"] = f"Bearer {self._control_token}"
        return self._client.request(
            route.method,
            sent.path,
            params=sent.query or None,
            headers=cast("Any", headers),
            json=sent.body,
        )


def _phone(wanted: IdentityDocuments) -> Camera:
    from vci_driver.camera import Camera as Phone  # noqa: PLC0415 - Pillow and PyAV, and few benches need them

    return Phone(document=wanted.document, country=wanted.country)


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
