"""Uploads of the identity check: parts are counted and bounded as they come in, and what did not come about is given back.

What is on the media is another file's business: here a fake reads it from JSON.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from http_server import serving
from portal_people import Counter, Visitor, signed_in
from served_portal import require_described

from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder
from portal_sim.media.reception import Reception, TakenIn
from portal_sim.sealing import Sealing
from portal_sim.web.app import make_app
from portal_sim.web.uploads import Parts, UploadLimits
from vci_driver.portal_http import HttpPortal
from wire import portal_api as api
from wire.entropy import SeededEntropy
from wire.plain import from_plain, to_plain
from wire.portal_api import CheckState, PortalError, PortalErrorCode
from wire.world import World


class FakeCamera:
    """Writes on a medium what would be seen on it."""

    def __init__(self, wanted: api.IdentityDocuments) -> None:
        self.wanted = wanted

    def picture(self, wanted: api.Picture, side: str = "front") -> bytes:
        return json.dumps(to_plain(wanted)).encode()

    def video(self, wanted: api.FaceVideo) -> bytes:
        return json.dumps(to_plain(wanted)).encode()


class FakeReception:
    """Reads what a fake camera wrote."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.seen = 0

    def take_in(self, front: bytes, back: bytes, video: bytes, now_s: int) -> TakenIn:
        self.seen += 1
        try:
            pictures = [from_plain(api.Picture, json.loads(each)) for each in (front, back)]
            film = from_plain(api.FaceVideo, json.loads(video))
        except ValueError:
            raise PortalError(PortalErrorCode.INVALID_INPUT, "Please check the picture.") from None
        self.kept += [f"{self.seen}-{number}" for number in range(3)]
        return TakenIn(front=pictures[0], back=pictures[1], video=film, media=tuple(self.kept[-3:]))

    def give_back(self, media: tuple[str, ...]) -> None:
        for name in media:
            self.kept.remove(name)


class UploadCounter(Counter):
    """A portal that wants to see what it is told."""

    def __init__(self, stack: contextlib.ExitStack, reception: object = None) -> None:
        super().__init__()
        self.reception = reception or FakeReception()
        self.app = make_app(self.portal, lambda: self.now_s, reception=self.reception)
        url = stack.enter_context(serving(self.app))
        self.http = stack.enter_context(httpx.Client(base_url=url))
        self.port = HttpPortal(url, World(), client=self.http, camera=FakeCamera)

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        if isinstance(request, api.ReadMail):
            return self.portal.handle(request, self.now_s)
        return self.port.call(request)


@pytest.fixture
def counter() -> Iterator[UploadCounter]:
    with contextlib.ExitStack() as stack:
        yield UploadCounter(stack)


@pytest.fixture
def person(counter: UploadCounter) -> Visitor:
    person = signed_in(counter)
    person.fill_in()
    return person


TEXTS = {"country": "DE", "document": "passport"}


def good(person: Visitor) -> dict[str, bytes]:
    picture = json.dumps(to_plain(person.picture())).encode()
    return {"front": picture, "back": picture, "video": b'{"motion": 1.0}'}


def send(counter: UploadCounter, person: Visitor, texts: dict[str, str], files: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {person.browser}"}
    answer = counter.http.post("/v1/identity-checks", data=texts, files=files, headers=headers)
    document = counter.app.openapi()
    require_described(document, document["paths"]["/v1/identity-checks"]["post"], answer)
    return answer


def test_media_that_are_good_begin_a_check_and_are_kept_with_it(counter: UploadCounter, person: Visitor) -> None:
    person.hand_in()
    assert person.status().identity is CheckState.IN_PROGRESS
    with counter.portal._desk.store.reading() as reading:
        assert set(reading.media()) == set(counter.reception.kept)
    counter.wait(1200)
    assert person.status().identity is CheckState.APPROVED


def test_what_is_seen_decides_and_not_what_was_said(counter: UploadCounter, person: Visitor) -> None:
    person.hand_in(front=person.picture(sharpness=0.1))
    counter.wait(1200)
    assert person.status().identity is CheckState.REFUSED


def test_a_strangers_upload_is_not_looked_at(counter: UploadCounter, person: Visitor) -> None:
    person.browser = "nobody's"
    answer = send(counter, person, TEXTS, good(person))
    assert (answer.status_code, answer.json()["code"]) == (401, "session-invalid")
    assert counter.reception.seen == 0


def test_measures_without_media_are_not_believed(counter: UploadCounter, person: Visitor) -> None:
    headers = {"Authorization": f"Bearer {person.browser}"}
    answer = counter.http.post("/v1/identity-checks", json=TEXTS, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


def test_media_of_a_check_that_did_not_come_about_are_given_back(counter: UploadCounter, person: Visitor) -> None:
    person.hand_in()
    kept = list(counter.reception.kept)
    answer = send(counter, person, TEXTS, good(person))
    assert (answer.status_code, answer.json()["code"]) == (409, "identity-check-in-progress")
    assert counter.reception.kept == kept


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"document": "passport"}, "the part country"),
        ({"country": "DE", "document": "library-card"}, "document"),
        ({"country": "DE\0", "document": "passport"}, "the part country"),
    ],
)
def test_what_was_typed_is_checked_before_what_was_filmed(
    counter: UploadCounter, person: Visitor, texts: dict[str, str], says: str
) -> None:
    answer = send(counter, person, texts, good(person))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert says in answer.json()["detail"]
    assert counter.reception.seen == 0


def test_a_medium_that_is_missing_or_no_picture_is_named(counter: UploadCounter, person: Visitor) -> None:
    media = good(person)
    del media["back"]
    answer = send(counter, person, TEXTS, media)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert "the part back" in answer.json()["detail"]
    answer = send(counter, person, TEXTS, {**good(person), "back": b"no picture"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")


def test_more_parts_than_are_wanted_are_refused(counter: UploadCounter, person: Visitor) -> None:
    for extra in ([("front", b"{}")], [("session", b"x")], [("", b"x")]):
        answer = send(counter, person, TEXTS, [*good(person).items(), *extra])
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request"), extra


def test_a_file_name_leads_nowhere(counter: UploadCounter, person: Visitor) -> None:
    media = {name: (f"../../etc/{name}.php\r\n.jpg", data, "text/html") for name, data in good(person).items()}
    assert send(counter, person, TEXTS, media).status_code == 202


LIMITS = UploadLimits(picture_bytes=100, video_bytes=200)


def fed(body: bytes, step: int = 7) -> dict[str, bytes]:
    parts = Parts(b"B", ("country", "front"), LIMITS)
    for at in range(0, len(body), step):
        parts.feed(body[at : at + step])
    return parts.whole()


def part(name: str, data: bytes, head: bytes = b"") -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n' + head + b"\r\n" + data + b"\r\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_parts_come_in_pieces_of_any_size(step: int) -> None:
    body = part("country", b"DE") + part("front", b"\r\n--\0\xff" * 10) + b"--B--\r\n"
    assert fed(body, step) == {"country": b"DE", "front": b"\r\n--\0\xff" * 10}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no parts",
        b"--C\r\n\r\n--C--\r\n",
        part("country", b"DE"),
        part("country", b"DE") + part("country", b"IT") + b"--B--\r\n",
        part("back", b"") + b"--B--\r\n",
        part("front", b"x" * 101) + b"--B--\r\n",
        part("country", b"x" * 801) + b"--B--\r\n",
        part("front", b"", b"X: " + b"y" * 5000 + b"\r\n") + b"--B--\r\n",
        part("front", b"", b"X: y\r\n" * 50) + b"--B--\r\n",
        b"--B\r\n\r\nno name\r\n--B--\r\n",
    ],
)
def test_what_is_no_upload_is_refused_and_never_more(body: bytes) -> None:
    from portal_sim.web.problems import DoorRefusal

    with pytest.raises(DoorRefusal):
        fed(body)


def test_an_upload_is_stopped_at_its_largest_size(counter: UploadCounter, person: Visitor) -> None:
    head = (
        f"POST /v1/identity-checks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.browser}\r\n"
        f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {10**9}\r\n\r\n--B\r\n"
    )
    with socket.create_connection((counter.http.base_url.host, counter.http.base_url.port)) as client:
        client.sendall(head.encode())
        answer = client.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_real_pictures_and_a_real_video_go_all_the_way(tmp_path: Path) -> None:
    """The person's camera, the wire, the process that decodes, the folder that keeps: nothing here is a fake."""
    entropy = SeededEntropy(random.Random(1))
    with contextlib.ExitStack() as stack:
        folder = MediaFolder(tmp_path / "media", Sealing(bytes(32), entropy), entropy)
        counter = UploadCounter(stack, Reception(stack.enter_context(Darkroom()), folder))
        counter.port = HttpPortal(str(counter.http.base_url), World(), client=counter.http)
        for name, sharpness, decided in (("tessa", 1.0, CheckState.APPROVED), ("bruno", 0.1, CheckState.REFUSED)):
            person = signed_in(counter, name)
            person.fill_in()
            person.hand_in(front=person.picture(sharpness=sharpness))
            counter.wait(1200)
            assert person.status().identity is decided, person.mails()[-1].text
