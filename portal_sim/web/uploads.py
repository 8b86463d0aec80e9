"""The door of the identity check: pictures and a video as multipart/form-data (RFC 7578), counted and bounded as they stream in.

What the client says of a file, its name and type, is not looked at: what it is shows its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive, Scope

from portal_sim.media.limits import PictureLimits, VideoLimits
from portal_sim.web.doors import Answer, MessageDoor, PortalRunner, address_of
from portal_sim.web.problems import DoorCode, DoorRefusal
from portal_sim.web.requests import bearer, malformed, single_headers, stream_body, too_large
from wire import portal_api as api
from wire.plain import to_plain
from wire.portal_api import FaceVideo, Picture
from wire.portal_routes import Effort, Place, Route

if TYPE_CHECKING:  # it brings the decoders, which a bench without uploads does without
    from portal_sim.media.reception import Reception

MULTIPART = b"multipart/form-data"
TEXT_MAX_BYTES = 800
"""Of a field that is no file: 200 characters, four bytes each."""
AROUND_MAX_BYTES = 16_384
"""Boundaries and part headers, all together."""
HEADERS_OF_A_PART = 8
HEADER_MAX_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bytes of each picture, and of the video. A whole upload is at most two pictures, a video and the little around them."""

    picture_bytes: int = PictureLimits().max_bytes
    video_bytes: int = VideoLimits().max_bytes

    def of(self, part: str) -> int:
        """Return the most bytes of a part."""
        return {"front": self.picture_bytes, "back": self.picture_bytes, "video": self.video_bytes}.get(
            part, TEXT_MAX_BYTES
        )

    @property
    def whole_bytes(self) -> int:
        """The most bytes of an upload."""
        return 2 * self.picture_bytes + self.video_bytes + 2 * TEXT_MAX_BYTES + AROUND_MAX_BYTES


@dataclass(slots=True)
class Parts:
    """The parts of one upload as they come in. Raises `DoorRefusal` out of `feed`."""

    boundary: bytes
    wanted: tuple[str, ...]
    limits: UploadLimits
    found: dict[str, bytearray] = field(default_factory=dict)
    _ended: bool = False
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _disposition: bytes = b""
    _part: str = ""
    _parser: MultipartParser = field(init=False)

    def __post_init__(self) -> None:
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._named,
            "on_part_data": self._data,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                self.boundary,
                callbacks,
                max_header_count=HEADERS_OF_A_PART,
                max_header_size=HEADER_MAX_BYTES,
            )
        except FormParserError:
            raise malformed("the boundary of the upload is too long") from None

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise malformed("the body is not multipart/form-data (RFC 7578)") from None

    def whole(self) -> dict[str, bytes]:
        """Return all parts, after the last piece."""
        if not self._ended:
            raise malformed("the upload ends in the middle")
        return {name: bytes(data) for name, data in self.found.items()}

    def _begin(self) -> None:
        self._disposition = b""

    def _header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        name.clear()
        value.clear()

    def _named(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("latin-1")
        if kind != b"form-data" or name not in self.wanted:
            raise malformed(f"an upload has the parts {', '.join(self.wanted)}, and no others")
        if name in self.found:
            raise malformed(f"the part {name} stands more than once")
        self._part = name
        self.found[name] = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self.found[self._part]
        if len(part) + end - start > self.limits.of(self._part):
            raise DoorRefusal(
                DoorCode.TOO_LARGE,
                f"The part {self._part} is too large: at most {self.limits.of(self._part)} bytes are taken.",
            )
        part += data[start:end]

    def _end(self) -> None:
        self._ended = True


class UploadDoor:
    """Takes the media of an identity check, from who is signed in."""

    def __init__(
        self, route: Route, run: PortalRunner, reception: Reception, limits: UploadLimits | None = None
    ) -> None:
        self.route = route
        self._run = run
        self._reception = reception
        self._limits = limits or UploadLimits()
        self._plain = MessageDoor(route, run)
        self._look = Route(message=api.GetStatus, method="GET", path="", tag="", effort=Effort.LOOK)

    async def answer(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Answer:
        """See `Door`."""
        headers = single_headers(scope)
        boundary = _boundary(headers)
        # A stranger's upload is not even read.
        await self._run(self._look, api.GetStatus(session=bearer(headers)), address_of(scope))
        parts = await self._parts(receive, headers, boundary)
        texts = {
            name: _text(parts.get(name), name) for name in self.route.at(Place.BODY) if name not in self.route.media
        }
        nothing_seen = {"front": Picture(), "back": Picture(), "video": FaceVideo()}
        # What was typed is looked at before what was filmed.
        self._plain.message(scope, headers, path, {**texts, **to_plain(nothing_seen)})
        front, back, video = (_file(parts.get(name), name) for name in ("front", "back", "video"))
        taken = await to_thread.run_sync(lambda: self._reception.take_in(front, back, video, self._run.utc_s()))
        try:
            seen = to_plain({"front": taken.front, "back": taken.back, "video": taken.video})
            message = self._plain.message(scope, headers, path, {**texts, **seen})
            reply = await self._run(self.route, message, address_of(scope), taken.media)
        except api.PortalError as error:
            if error.code is not api.PortalErrorCode.UNAVAILABLE:  # then nobody knows whether a record speaks of them
                self._reception.give_back(taken.media)
            raise  # after anything else the sweep takes what no record speaks of
        return self._plain.written(reply)

    async def _parts(self, receive: Receive, headers: Mapping[bytes, str], boundary: bytes) -> dict[str, bytes]:
        announced = headers.get(b"content-length", "")
        if announced.isdecimal() and int(announced) > self._limits.whole_bytes:
            raise too_large(self._limits.whole_bytes)
        parts = Parts(boundary, self.route.at(Place.BODY), self._limits)
        await stream_body(receive, headers, self._limits.whole_bytes, parts.feed)
        return parts.whole()


def _boundary(headers: Mapping[bytes, str]) -> bytes:
    kind, options = parse_options_header(headers.get(b"content-type", ""))
    if kind != MULTIPART or not options.get(b"boundary"):
        raise DoorRefusal(DoorCode.UNSUPPORTED_MEDIA_TYPE, "The body must be multipart/form-data, with a boundary.")
    return options[b"boundary"]


def _text(data: bytes | None, name: str) -> str:
    try:
        text = (data or b"").decode()
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text:
        raise api.PortalError(api.PortalErrorCode.INVALID_INPUT, f"Please check the part {name}: it must be text.")
    return text


def _file(data: bytes | None, name: str) -> bytes:
    if not data:
        raise api.PortalError(api.PortalErrorCode.INVALID_INPUT, f"Please check the part {name}: the file is missing.")
    return data
