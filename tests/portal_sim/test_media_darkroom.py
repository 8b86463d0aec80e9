"""The process apart in which uploads are decoded: the same answers, and a portal that outlives what breaks a decoder."""

import io
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PIL import Image

from portal_sim.media.darkroom import Darkroom, DarkroomBounds
from portal_sim.media.limits import PictureLimits, VideoLimits
from portal_sim.media.pictures import inspect_picture
from portal_sim.media.videos import inspect_video
from vci_driver.camera import Camera
from wire.portal_api import FaceVideo, Picture, PortalError, PortalErrorCode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the bounds of a process are POSIX's")
PHOTO = Camera().picture(Picture(name="Tessa Example"))
FILM = Camera().video(FaceVideo(motion=0.5))


@pytest.fixture(scope="module")
def room() -> Iterator[Darkroom]:
    with Darkroom() as darkroom:
        yield darkroom


def refusal(room: Darkroom, data: bytes, *, video: bool = False) -> str:
    with pytest.raises(PortalError) as refused:
        (room.video if video else room.picture)(data)
    assert refused.value.code is PortalErrorCode.INVALID_INPUT
    return refused.value.sentence


def test_the_answers_are_those_of_the_inspection_itself(room: Darkroom) -> None:
    assert room.picture(PHOTO) == inspect_picture(PHOTO)
    assert room.video(FILM) == inspect_video(FILM)


def test_refusals_come_through_and_name_the_medium(room: Darkroom) -> None:
    with pytest.raises(PortalError) as refused:
        room.picture(b"GIF89a", PictureLimits(), "picture of the back")
    assert refused.value.code is PortalErrorCode.INVALID_INPUT
    assert refused.value.sentence.startswith("The picture of the back is neither JPEG nor PNG.")
    with pytest.raises(PortalError, match="at most 5 frames"):
        room.video(FILM, replace(VideoLimits(), max_frames=5))


@pytest.mark.parametrize("video", [True, False])
def test_too_much_and_nothing_are_not_even_handed_over(video: bool) -> None:
    with Darkroom() as idle:
        assert "is empty" in refusal(idle, b"", video=video)
        assert "bytes" in refusal(idle, bytes(16 * 2**20 + 1), video=video)
        assert idle._process is None


def test_many_threads_may_ask(room: Darkroom) -> None:
    answers: list[Picture] = []
    asking = [threading.Thread(target=lambda: answers.append(room.picture(PHOTO).measured)) for _ in range(6)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == [inspect_picture(PHOTO).measured] * 6


def test_a_process_that_was_killed_is_replaced(room: Darkroom) -> None:
    room.picture(PHOTO)
    assert room._process is not None
    os.kill(room._process.pid, signal.SIGKILL)
    room._process.join()
    assert room.picture(PHOTO).name == "Tessa Example"


class Dying:
    """The pipe to a process that dies as soon as it has got something."""

    def __init__(self, room: Darkroom) -> None:
        self._pipe, self._process = room._running(), room._process

    def send(self, request: object) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)  # it shall not answer before
        self._pipe.send(request)
        os.kill(self._process.pid, signal.SIGKILL)

    def __getattr__(self, name: str) -> object:
        return getattr(self._pipe, name)


def test_a_decoder_that_crashes_costs_its_own_upload_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with Darkroom() as room:
        with monkeypatch.context() as crashing:
            dying = Dying(room)
            crashing.setattr(room, "_running", lambda: dying)
            assert "takes more time or memory to read than it should" in refusal(room, PHOTO[:1000])
        assert room.picture(PHOTO).name == "Tessa Example"


def heavy() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (5000, 4900)).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.mark.slow
def test_who_computes_for_too_long_is_ended_and_the_next_one_served() -> None:
    with Darkroom(DarkroomBounds(cpu_s=0.02)) as room:
        assert "takes more time or memory to read than it should" in refusal(room, heavy())
        with pytest.raises(PortalError, match="neither JPEG"):
            room.picture(b"GIF89a")


@pytest.mark.slow
def test_the_largest_picture_allowed_fits_into_the_bounds(room: Darkroom) -> None:
    assert room.picture(heavy()).brightness == 0.0


@pytest.mark.slow
def test_who_needs_more_memory_than_there_is_is_refused_and_the_next_one_served() -> None:
    with Darkroom(DarkroomBounds(memory_bytes=300 << 20)) as room:
        assert "Please send a photo as JPEG or PNG anew" in refusal(room, heavy())
        assert room.picture(PHOTO).name == "Tessa Example"


def claiming_many_frames(film: bytes) -> bytes:
    """A film whose tables claim 128 million frames of one byte (ISO/IEC 14496-12 8.7.3, 8.7.4)."""
    many = 1 << 27
    sizes, chunks = film.index(b"stsz") + 8, film.index(b"stsc") + 8
    data = bytearray(film)
    data[sizes : sizes + 8] = struct.pack(">II", 1, many)
    data[chunks + 8 : chunks + 12] = struct.pack(">I", many)
    return bytes(data)


def test_tables_that_claim_what_is_not_there_are_refused(room: Darkroom) -> None:
    assert "Please send" in refusal(room, claiming_many_frames(FILM), video=True)
    assert room.video(FILM).motion > 0.3


def test_a_process_that_hangs_is_given_up_and_the_person_asked_to_come_again() -> None:
    with Darkroom() as room:
        room.picture(PHOTO)
        assert room._process is not None
        os.kill(room._process.pid, signal.SIGSTOP)
        room._bounds = DarkroomBounds(patience_s=0.05)
        with pytest.raises(PortalError) as refused:
            room.picture(PHOTO)
        assert refused.value.code is PortalErrorCode.UNAVAILABLE
        assert refused.value.retry_after_s == 1
        room._bounds = DarkroomBounds()
        assert room.picture(PHOTO).name == "Tessa Example"


def test_who_waits_too_long_for_a_turn_is_asked_to_come_again() -> None:
    with Darkroom(DarkroomBounds(patience_s=0.01)) as room:
        with room._turn, pytest.raises(PortalError) as refused:
            room.picture(PHOTO)
        assert refused.value.code is PortalErrorCode.UNAVAILABLE


def test_an_answer_that_makes_no_sense_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        """A pipe whose other end was taken over."""

        def __init__(self, said: bytes) -> None:
            self.said = said

        def send(self, _: object) -> None:
            pass

        def poll(self, _: float) -> bool:
            return True

        def recv_bytes(self, _: int) -> bytes:
            return self.said

    with Darkroom() as room:
        for said in (b"", b"[]", b"\xff", b"cos\nsystem\n(S'true'\ntR."):
            monkeypatch.setattr(room, "_running", lambda said=said: Taken(said))
            assert "takes more time" in refusal(room, PHOTO)


def test_it_can_be_closed_twice_and_opened_again() -> None:
    room = Darkroom()
    room.close()
    assert room.picture(PHOTO).name == "Tessa Example"
    process = room._process
    room.close()
    room.close()
    assert room._process is None
    with pytest.raises(ValueError, match="closed"):
        process.is_alive()
