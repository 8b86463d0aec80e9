"""The portal at a counter behind its HTTP door, on a real server; every answer is held against the OpenAPI document."""

from __future__ import annotations

import contextlib
import json

import httpx
import jsonschema
from http_server import serving
from portal_people import Counter

from portal_sim.web.app import make_app
from vci_driver.portal_http import ROUTE_OF, HttpPortal
from wire import portal_api as api
from wire.portal_routes import ROUTES
from wire.world import World

TOKEN = "control-token-of-the-test"


class HttpCounter(Counter):
    """The portal behind its HTTP door."""

    def __init__(self, stack: contextlib.ExitStack, **options: object) -> None:
        super().__init__(**options)
        self.app = make_app(self.portal, lambda: self.now_s, control_token=TOKEN)
        self.described = self.app.openapi()
        self.url = stack.enter_context(serving(self.app))
        hooks = {"response": [self._as_described]}
        self.http = stack.enter_context(httpx.Client(base_url=self.url, event_hooks=hooks))
        self.port = HttpPortal(self.url, World(), client=self.http, control_token=TOKEN)

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.port.call(request)

    def _as_described(self, answer: httpx.Response) -> None:
        """Hold an answer against the document that the service gives of itself."""
        answer.read()
        if answer.request.url.path.startswith("/control/"):
            return
        for route in ROUTES:
            path = answer.request.url.path
            pattern = route.path.partition("{")
            same = (
                path == route.path
                if not pattern[1]
                else path.startswith(pattern[0]) and path.endswith(route.path.rpartition("}")[2])
            )
            if same and answer.request.method == route.method:
                operation = self.described["paths"][route.path][route.method.lower()]
                require_described(self.described, operation, answer)
                return


def require_described(document: dict, operation: dict, answer: httpx.Response) -> None:
    """Fail where an answer's status, type or body is not what the document says."""
    described = operation["responses"].get(str(answer.status_code))
    assert described is not None, (answer.status_code, answer.text)
    media_type = answer.headers["content-type"]
    assert media_type in described["content"], media_type
    schema = described["content"][media_type]["schema"]
    if media_type.endswith("json"):
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator(whole).validate(json.loads(answer.content))


__all__ = ["ROUTE_OF", "TOKEN", "HttpCounter", "require_described"]
