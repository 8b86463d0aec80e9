"""What is answered where nothing is done: problem+json (RFC 9457) with a stable code and a plain sentence."""

from __future__ import annotations

import json
from enum import StrEnum
from http import HTTPStatus

from wire.errors import RemoteFault
from wire.portal_api import PortalError
from wire.portal_api import PortalErrorCode as Code

PROBLEM = "application/problem+json"

STATUS: dict[Code, HTTPStatus] = {
    Code.INVALID_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.REQUEST_STRUCTURE_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.KEY_REUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.LINK_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.LOGIN_FAILED: HTTPStatus.UNAUTHORIZED,
    Code.CODE_REJECTED: HTTPStatus.UNAUTHORIZED,
    Code.SECOND_FACTOR_REQUIRED: HTTPStatus.UNAUTHORIZED,
    Code.SESSION_INVALID: HTTPStatus.UNAUTHORIZED,
    Code.EMAIL_TAKEN: HTTPStatus.CONFLICT,
    Code.IDENTITY_CHECK_IN_PROGRESS: HTTPStatus.CONFLICT,
    Code.PROFILE_INCOMPLETE: HTTPStatus.CONFLICT,
    Code.COMPANY_INCOMPLETE: HTTPStatus.CONFLICT,
    Code.ALREADY_IN_COMPANY: HTTPStatus.CONFLICT,
    Code.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every other refusal is 403: who asks is known, and may not."""


class DoorCode(StrEnum):
    """Codes of the door itself: the request did not reach the portal."""

    MALFORMED = "malformed-request"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    INTERNAL_ERROR = "internal-error"


DOOR_STATUS: dict[DoorCode, HTTPStatus] = {
    DoorCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    DoorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    DoorCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    DoorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    DoorCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    DoorCode.INTERNAL_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class DoorRefusal(RemoteFault):
    """A request that is no message. `code` says what is wrong with it, the text what would be right."""

    def __init__(self, code: DoorCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def status_of(code: Code | DoorCode) -> HTTPStatus:
    """Return the status that a code is answered with: one each, so that a client needs to look at one of them."""
    if isinstance(code, DoorCode):
        return DOOR_STATUS[code]
    return STATUS.get(code, HTTPStatus.FORBIDDEN)


def problem_of(error: PortalError | DoorRefusal) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Return status, body and the headers that go with them, types and lengths left to who sends them."""
    status = status_of(error.code)
    body: dict[str, object] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "code": str(error.code),
        "detail": error.sentence,
    }
    headers = []
    if isinstance(error, PortalError) and error.retry_after_s is not None:
        body["retry_after_s"] = error.retry_after_s
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="portal"'))  # RFC 9110 section 15.5.2
    return int(status), json.dumps(body).encode(), headers
