"""Bombs and polyglots by the real door: nothing goes off, and of what is two things at once the picture alone is kept.

Server, darkroom and folder are the real ones; the people's photos come from their camera.
"""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from http_server import serving
from PIL import Image
from portal_people import Counter, Visitor, signed_in

from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder
from portal_sim.media.reception import Reception
from portal_sim.sealing import Sealing
from portal_sim.web.app import make_app
from vci_driver.camera import Camera
from wire import portal_api as api
from wire.entropy import SeededEntropy

pytestmark = pytest.mark.slow
SCRIPT = b"<script>alert(document.domain)</script>"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class Studio:
    """A portal that wants to see media, and what it keeps of them."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        entropy = SeededEntropy(random.Random(1))
        self.counter = Counter()
        self.kept = MediaFolder(folder / "media", Sealing(bytes(32), entropy), entropy)
        reception = Reception(stack.enter_context(Darkroom()), self.kept)
        app = make_app(self.counter.portal, lambda: self.counter.now_s, reception=reception)
        self.http = stack.enter_context(httpx.Client(base_url=stack.enter_context(serving(app)), timeout=60))
        self.photo = Camera().picture(api.Picture(name="Tessa Example"))
        self.film = Camera().video(api.FaceVideo())

    def newcomer(self, name: str) -> Visitor:
        person = signed_in(self.counter, name)
        person.fill_in()
        return person

    def hand_in(self, person: Visitor, **media: bytes) -> httpx.Response:
        files = {"front": self.photo, "back": self.photo, "video": self.film, **media}
        return self.http.post(
            "/v1/identity-checks",
            data={"country": "DE", "document": "passport"},
            files={name: ("../../x.php", data, "text/html") for name, data in files.items()},
            headers={"Authorization": f"Bearer {person.browser}"},
        )


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with contextlib.ExitStack() as stack:
        yield Studio(stack, tmp_path_factory.mktemp("portal"))


def flat_bomb() -> bytes:
    out = io.BytesIO()
    Image.new("1", (16_000, 16_000)).save(out, "PNG")
    return out.getvalue()


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(20_000_000))
    return out.getvalue()


BOMBS = {
    "pixels": flat_bomb(),
    "archive": zip_bomb(),
    "gzip": zlib.compress(bytes(20_000_000), wbits=31),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "html": b"GIF89a/*" + SCRIPT,
    "virus": EICAR,
    "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "too large": bytes(11 << 20),
    "nothing": b"",
}


@pytest.mark.parametrize("part", ["front", "back", "video"])
def test_what_is_no_picture_is_refused_by_its_content_and_nothing_is_kept(studio: Studio, part: str) -> None:
    person, before = studio.newcomer(f"bomb-{part}"), set(studio.kept)
    for what, bomb in BOMBS.items():
        answer = studio.hand_in(person, **{part: bomb})
        assert answer.status_code in {413, 422}, (what, answer.text)
        assert "root:" not in answer.text
    assert set(studio.kept) == before
    assert studio.hand_in(person).status_code == 202, "the portal looks at media as before"


def test_of_a_polyglot_the_picture_alone_is_kept(studio: Studio) -> None:
    person, before = studio.newcomer("poly"), set(studio.kept)
    polyglots = {
        "front": studio.photo + SCRIPT + zip_bomb(),
        "back": studio.photo + EICAR,
        "video": studio.film + SCRIPT,
    }
    assert studio.hand_in(person, **polyglots).status_code == 202
    kept = [studio.kept.read(medium) for medium in set(studio.kept) - before]
    assert len(kept) == 3
    for medium in kept:
        assert medium is not None
        for piece in (SCRIPT, EICAR, b"PK\x03\x04"):
            assert piece not in medium


def test_no_address_gives_a_medium_back(studio: Studio) -> None:
    person = studio.newcomer("reader")
    assert studio.hand_in(person).status_code == 202
    headers = {"Authorization": f"Bearer {person.browser}"}
    for medium in studio.kept:
        for path in (
            f"/media/{medium}",
            f"/v1/media/{medium}",
            f"/v1/identity-checks/{medium}",
            "/media/",
            "/.git/config",
        ):
            assert studio.http.get(path, headers=headers).status_code == 404
