"""Reads a request as strictly as it was described: one JSON object (RFC 7493), each header once, nothing unasked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from starlette.types import Receive, Scope

from portal_sim.web.problems import DoorCode, DoorRefusal
from wire.portal_api import PortalError, PortalErrorCode
from wire.portal_routes import LARGEST_INT

BODY_MAX_BYTES = 65_536
"""The longest that anybody needs is a change of 4 KiB, in hex, beside a handful of short fields."""
QUERY_MAX_BYTES = 2048
SINGLE_HEADERS = (b"authorization", b"idempotency-key", b"content-type", b"content-length")


class ClientGone(Exception):
    """The client went away before it had said everything: there is nobody to answer."""


def single_headers(scope: Scope) -> dict[bytes, str]:
    """Return the headers that matter here. Raises `DoorRefusal` where one stands twice: who reads which would be chance."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in SINGLE_HEADERS:
            if name in found:
                raise malformed(f"the header {name.decode()} stands more than once")
            found[name] = value.decode("latin-1")
    return found


def bearer(headers: Mapping[bytes, str]) -> str:
    """Return the bearer token (RFC 6750 section 2.1), "" where there is none."""
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def query_of(scope: Scope) -> dict[str, str]:
    """Return the parameters behind the question mark; each stands once."""
    raw: bytes = scope["query_string"]
    if not raw:
        return {}
    if len(raw) > QUERY_MAX_BYTES:
        raise malformed(f"what stands behind the question mark has more than {QUERY_MAX_BYTES} bytes")
    found: dict[str, str] = {}
    for pair in raw.split(b"&"):
        name, _, value = (unquoted(part.replace(b"+", b" ")) for part in pair.partition(b"="))
        if name in found:
            raise malformed(f"the parameter {name} stands more than once")
        found[name] = value
    return found


def unquoted(raw: bytes) -> str:
    """Return percent-encoded UTF-8 as text."""
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise malformed("the address is not UTF-8") from None
    if "\0" in text:
        raise _no_text("the address")
    return text


async def body_of(receive: Receive, headers: Mapping[bytes, str], limit_bytes: int = BODY_MAX_BYTES) -> bytes:
    """Return the whole body. Raises `DoorRefusal` where it is longer, before the rest is read; `ClientGone`."""
    data = bytearray()
    await stream_body(receive, headers, limit_bytes, data.extend)
    return bytes(data)


async def stream_body(
    receive: Receive, headers: Mapping[bytes, str], limit_bytes: int, take: Callable[[bytes], object]
) -> None:
    """Hand the body on, piece by piece. Raises as `body_of` does."""
    announced = headers.get(b"content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise too_large(limit_bytes)
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        take(piece)
        if not message.get("more_body", False):
            return


def json_object(body: bytes, headers: Mapping[bytes, str]) -> dict[str, Any]:
    """Return the object in a body. Raises `DoorRefusal`, and `PortalError` for text and numbers that nobody needs."""
    kind, _, parameters = headers.get(b"content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or parameters.strip().lower().replace('"', "") not in (
        "",
        "charset=utf-8",
    ):
        raise DoorRefusal(DoorCode.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json, in UTF-8.")
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise malformed("the body is not JSON (RFC 8259)") from None
    if not isinstance(value, dict):
        raise malformed("the body must be one JSON object")
    try:
        _require_plain(value)
    except RecursionError:  # from Python 3.13 on the parser goes deeper than functions do
        raise malformed("the body is nested too deeply") from None
    return value


def malformed(what: str) -> DoorRefusal:
    """Return the refusal of what cannot be read at all."""
    return DoorRefusal(DoorCode.MALFORMED, f"This request cannot be read: {what}.")


def too_large(limit_bytes: int) -> DoorRefusal:
    """Return the refusal of a body that is too long."""
    return DoorRefusal(DoorCode.TOO_LARGE, f"This request is too large: at most {limit_bytes} bytes are taken.")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed("a field stands twice in one object")
    return found


def _require_plain(value: Any) -> None:
    """Refuse what no field holds: half a surrogate pair, NUL (no database's text has it), numbers beyond RFC 7493."""
    if isinstance(value, str):
        if (not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value)) or "\0" in value:
            raise _no_text("a field")
    elif isinstance(value, int):
        if abs(value) > LARGEST_INT:
            raise PortalError(PortalErrorCode.INVALID_INPUT, "Please check the numbers: one is too large.")
    elif isinstance(value, dict):
        for name, entry in value.items():
            _require_plain(name)
            _require_plain(entry)
    elif isinstance(value, list):
        for entry in value:
            _require_plain(entry)


def _no_text(where: str) -> PortalError:
    return PortalError(PortalErrorCode.INVALID_INPUT, f"Please check {where}: it has characters that are no text.")
