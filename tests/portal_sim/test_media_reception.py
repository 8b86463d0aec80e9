"""The media of one check are taken in together: from the camera of the tester's side to the decision of the core."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image
from portal_people import LONGEST_REVIEW_S, Counter, signed_in

from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder
from portal_sim.media.reception import Reception
from portal_sim.sealing import Sealing
from vci_driver.camera import Camera
from wire.entropy import SeededEntropy
from wire.portal_api import CheckState, FaceVideo, Picture, PortalError

CAMERA = Camera()
GOOD = Picture(name="Tessa Example")
FRONT, BACK = CAMERA.picture(GOOD), CAMERA.picture(GOOD, "back")
VIDEO = CAMERA.video(FaceVideo())


@pytest.fixture(scope="module")
def darkroom() -> Iterator[Darkroom]:
    with Darkroom() as room:
        yield room


@pytest.fixture
def folder(tmp_path: Path) -> MediaFolder:
    entropy = SeededEntropy(random.Random(1))
    return MediaFolder(tmp_path / "media", Sealing(bytes(32), entropy), entropy)


@pytest.fixture
def reception(darkroom: Darkroom, folder: MediaFolder) -> Reception:
    return Reception(darkroom, folder)


def test_what_is_kept_is_front_back_and_video_made_anew(reception: Reception, folder: MediaFolder) -> None:
    taken = reception.take_in(FRONT, BACK, VIDEO, 0)
    front, back, video = (folder.read(medium_id) for medium_id in taken.media)
    assert Image.open(io.BytesIO(front)).format == Image.open(io.BytesIO(back)).format == "JPEG"
    assert front not in (FRONT, back)
    with av.open(io.BytesIO(video)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize(
    ("media", "said"),
    [
        ((b"GIF89a", BACK, VIDEO), "The picture of the front is neither"),
        ((FRONT, b"", VIDEO), "The picture of the back is empty"),
        ((FRONT, BACK, FRONT), "The face video is neither"),
        ((VIDEO, BACK, VIDEO), "The picture of the front is neither"),
    ],
)
def test_one_bad_medium_and_none_is_kept(
    reception: Reception, folder: MediaFolder, media: tuple[bytes, bytes, bytes], said: str
) -> None:
    with pytest.raises(PortalError, match=said):
        reception.take_in(*media, 0)
    assert not [*folder]


def test_a_disk_that_fills_up_on_the_way_keeps_none(
    reception: Reception, folder: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = folder.keep
    monkeypatch.setattr(folder, "keep", lambda medium, now_s: keep(medium, now_s) if len([*folder]) < 2 else full())
    with pytest.raises(OSError, match="No space left"):
        reception.take_in(FRONT, BACK, VIDEO, 0)
    assert not [*folder]


def full() -> str:
    raise OSError(28, "No space left on device")


def test_what_came_to_no_record_is_given_back(reception: Reception, folder: MediaFolder) -> None:
    taken = reception.take_in(FRONT, BACK, VIDEO, 0)
    assert len([*folder]) == 3
    reception.give_back(taken.media)
    assert not [*folder]


@pytest.mark.parametrize(
    ("front", "video", "reason"),
    [
        (GOOD, FaceVideo(), None),
        (Picture(name="Tessa Example", sharpness=0.2), FaceVideo(), "the picture of the front is not clear"),
        (Picture(name="Tessa Example", brightness=0.05), FaceVideo(), "the picture of the front is too dark"),
        (Picture(name="Someone Else"), FaceVideo(), "the name on the document differs"),
        (GOOD, FaceVideo(motion=0.0), "the face does not move"),
    ],
)
def test_the_core_decides_on_what_was_measured(
    reception: Reception, front: Picture, video: FaceVideo, reason: str | None
) -> None:
    counter = Counter()
    person = signed_in(counter)
    person.fill_in()
    taken = reception.take_in(CAMERA.picture(front), BACK, CAMERA.video(video), counter.now_s)
    person.hand_in(front=taken.front, back=taken.back, video=taken.video)
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().identity is (CheckState.APPROVED if reason is None else CheckState.REFUSED)
    assert reason is None or person.mails()[-1].text == f"Identification failed. Reason: {reason}."
