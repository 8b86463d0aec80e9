"""The manual (offline) unlock: request structure and token as text that a person can carry in a file.

Our own format, in the manner of PEM: a begin line, `Name: value` lines, an empty line, base64, an end line. Reading is strict
and says in which line what is wrong; what the *token* says is the control unit's to judge.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Mapping

from wire.errors import ConfigError, LocalMisuse

REQUEST = "SFD UNLOCK REQUEST"
TOKEN = "SFD UNLOCK TOKEN"  # noqa: S105 - a heading  # nosec B105
MAX_TEXT_CHARS = 20_000
"""A token has some two hundred bytes: a longer file is something else, and is not worked through."""
_BASE64_WIDTH = 64


def encode_text(kind: str, headers: Mapping[str, str], data: bytes) -> str:
    """Return `data` as text of a kind (`REQUEST`, `TOKEN`), with headers for the person who carries it.

    Raises `LocalMisuse` for a header that does not fit in one line.
    """
    for name, value in headers.items():
        if (
            not name
            or ":" in name
            or not f"{name}{value}".isprintable()
            or (name.strip(), value.strip()) != (name, value)
        ):
            raise LocalMisuse(
                f"a header is one line of name and value, without spaces around them: {name!r}: {value!r}"
            )
    head = [f"{name}: {value}" for name, value in headers.items()]
    body = textwrap.wrap(base64.b64encode(data).decode("ascii"), _BASE64_WIDTH)
    return "\n".join([f"-----BEGIN {kind}-----", *head, "", *body, f"-----END {kind}-----", ""])


def decode_text(kind: str, text: str, *, path: str = "") -> tuple[dict[str, str], bytes]:
    """Return (headers, data) of a text of this kind; raise `ConfigError` that says which line is wrong, and why."""
    if len(text) > MAX_TEXT_CHARS:
        raise ConfigError(f"not an {kind}: {len(text)} characters, at most {MAX_TEXT_CHARS} are expected", path=path)
    lines = [line.strip() for line in text.strip().splitlines()]
    begin, end = f"-----BEGIN {kind}-----", f"-----END {kind}-----"
    if not lines or lines[0] != begin:
        found = repr(lines[0][:60]) if lines else "nothing"
        raise ConfigError(f"not an {kind}: the first line is {found}, it must be {begin!r}", path=path, line=1)
    if lines[-1] != end:
        raise ConfigError(f"cut off: the last line must be {end!r}", path=path, line=len(lines))
    inner = lines[1:-1]
    if "" not in inner:
        raise ConfigError("the empty line between headers and base64 is missing", path=path, line=len(lines))
    gap = inner.index("")
    return _headers(inner[:gap], path), _data(inner[gap + 1 :], path, first_line=gap + 3)


def _headers(lines: list[str], path: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        name, colon, value = line.partition(":")
        if not colon or not name or name in headers or value[:1] not in {"", " "}:
            raise ConfigError(f"not a header line, or one that stands twice: {line[:60]!r}", path=path, line=number)
        headers[name] = value.strip()
    return headers


def _data(lines: list[str], path: str, *, first_line: int) -> bytes:
    try:
        data = base64.b64decode("".join(lines), validate=True)
    except ValueError as error:
        raise ConfigError(f"not base64: {error}", path=path, line=first_line) from None
    if not data:
        raise ConfigError("there is no base64 between the empty line and the end", path=path, line=first_line)
    return data
