"""The tester's camera before the portal's reviewer: what is asked of a picture is measured on it, and decides as it would."""

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from portal_sim.media.pictures import CheckedPicture, inspect_picture
from portal_sim.media.videos import inspect_video
from portal_sim.options import PortalOptions
from portal_sim.review import decide
from vci_driver import face, specimen
from vci_driver.camera import TOLERANCE, Camera
from wire.holder_code import MAX_NAME, holder_name, holder_text
from wire.portal_api import DocumentKind, FaceVideo, IdentityDocuments, Picture

NAME = "Tessa Example"
CAMERA = Camera()
RULES = PortalOptions().review_rules()
STEPS = [step / 10 for step in range(11)]
LIT = [0.3, 0.6, 1.0]
"""Brightness from which sharpness is measured as it was asked for."""


def seen(**wanted: object) -> CheckedPicture:
    return inspect_picture(CAMERA.picture(Picture(**{"name": NAME, **wanted})))


# ---- what is asked for is measured


@pytest.mark.parametrize("brightness", LIT)
def test_sharpness_is_measured_as_asked_for(brightness: float) -> None:
    measured = {wanted: seen(sharpness=wanted, brightness=brightness).sharpness for wanted in STEPS}
    assert [*measured.values()] == sorted(measured.values())
    assert all(abs(value - wanted) <= TOLERANCE for wanted, value in measured.items() if wanted >= 0.1)
    assert measured[0.0] <= 0.15


@pytest.mark.parametrize("sharpness", [0.1, 0.5, 1.0])
def test_brightness_is_measured_as_asked_for(sharpness: float) -> None:
    measured = {wanted: seen(sharpness=sharpness, brightness=wanted).brightness for wanted in STEPS}
    assert [*measured.values()] == sorted(measured.values())
    assert all(abs(value - wanted) <= TOLERANCE / 5 for wanted, value in measured.items())


def test_motion_is_measured_as_asked_for() -> None:
    measured = {wanted: inspect_video(CAMERA.video(FaceVideo(motion=wanted))).motion for wanted in STEPS}
    assert [*measured.values()] == sorted(measured.values())
    assert all(abs(value - wanted) <= TOLERANCE for wanted, value in measured.items())
    assert measured[0.0] < 0.01
    assert measured[1.0] > 0.99


@settings(deadline=None, max_examples=40)
@given(st.floats(0.1, 1), st.floats(0.3, 1))
def test_between_the_steps_too(sharpness: float, brightness: float) -> None:
    checked = seen(sharpness=sharpness, brightness=brightness)
    assert abs(checked.sharpness - sharpness) <= TOLERANCE
    assert abs(checked.brightness - brightness) <= TOLERANCE / 5


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 1))
def test_every_turn_of_the_head_is_measured(motion: float) -> None:
    assert abs(inspect_video(CAMERA.video(FaceVideo(motion=motion))).motion - motion) <= TOLERANCE


# ---- and decides as it would


def documents(front: Picture, video: FaceVideo) -> IdentityDocuments:
    return IdentityDocuments(
        session="s", country="DE", document=DocumentKind.PASSPORT, front=front, back=front, video=video
    )


@pytest.mark.parametrize("brightness", [0.05, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("sharpness", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
def test_a_picture_is_refused_through_the_camera_for_the_reason_that_its_properties_give(
    sharpness: float, brightness: float
) -> None:
    wanted = Picture(name=NAME, sharpness=sharpness, brightness=brightness)
    expected = decide(documents(wanted, FaceVideo()), NAME, RULES)
    measured = seen(sharpness=sharpness, brightness=brightness).measured
    assert decide(documents(measured, FaceVideo()), NAME, RULES) == expected


@pytest.mark.parametrize("motion", [0.0, 0.1, 0.2, 0.4, 0.6, 1.0])
def test_a_video_is_refused_through_the_camera_when_its_motion_says_so(motion: float) -> None:
    expected = decide(documents(Picture(name=NAME), FaceVideo(motion=motion)), NAME, RULES)
    measured = inspect_video(CAMERA.video(FaceVideo(motion=motion))).measured
    assert decide(documents(Picture(name=NAME), measured), NAME, RULES) == expected


@pytest.mark.parametrize(
    "name",
    [
        "Someone Else",
        "Zoé Müller-Groß",
        "Γιώργος Παπαδόπουλος",
        "山田 太郎",
        "A",
        "Maximiliane Alexandra von Hohenfels-Wittgenberg",
    ],
)
def test_the_name_can_be_read_as_long_as_the_picture_is_good_enough(name: str) -> None:
    for properties in ({}, {"sharpness": 0.5}, {"brightness": 0.3}, {"sharpness": 0.5, "brightness": 0.3}):
        assert seen(name=name, **properties).name == name


def test_the_longest_name_can_be_read_on_a_sharp_picture() -> None:
    longest = "Ä" * MAX_NAME
    assert seen(name=longest).name == longest


def test_a_document_without_a_name_has_none() -> None:
    checked = seen(name="")
    assert (checked.name, checked.sharpness) == ("", 1.0)
    assert checked.brightness == pytest.approx(0.6, abs=0.01)


def test_what_a_person_cannot_read_the_portal_cannot_either() -> None:
    assert seen(sharpness=0.1).name == ""


@pytest.mark.parametrize("document", list(DocumentKind))
@pytest.mark.parametrize("side", ["front", "back"])
def test_both_sides_of_every_document_are_good_pictures(document: DocumentKind, side: str) -> None:
    camera = replace(CAMERA, document=document, country="NO")
    checked = inspect_picture(camera.picture(Picture(name=NAME), side))
    assert (checked.name, checked.sharpness) == (NAME, 1.0)


# ---- the camera itself


def test_the_same_wish_gives_the_same_bytes() -> None:
    wishes = [Picture(name=NAME, sharpness=0.4), Picture(name=NAME, brightness=0.2)]
    before = [CAMERA.picture(wish) for wish in wishes] + [CAMERA.video(FaceVideo(motion=0.5))]
    specimen.draw_document.cache_clear()
    face.film.cache_clear()
    assert [CAMERA.picture(wish) for wish in wishes] + [CAMERA.video(FaceVideo(motion=0.5))] == before


def test_documents_differ_by_what_stands_on_them() -> None:
    shots = {
        CAMERA.picture(Picture(name=NAME)),
        CAMERA.picture(Picture(name=NAME), "back"),
        CAMERA.picture(Picture(name="Someone Else")),
        Camera(country="NO").picture(Picture(name=NAME)),
        Camera(day="1991-05-02").picture(Picture(name=NAME)),
        Camera(document=DocumentKind.DRIVING_LICENCE).picture(Picture(name=NAME)),
    }
    assert len(shots) == 6


def test_a_shot_is_a_jpeg_that_says_it_is_a_specimen() -> None:
    shot = Image.open(io.BytesIO(CAMERA.picture(Picture(name=NAME))))
    assert (shot.format, shot.size) == ("JPEG", specimen.SIZE)
    red = shot.convert("RGB").crop((66, 440, 380, 506))
    assert any(r > 100 and g < 60 for r, g, _ in red.get_flattened_data())


# ---- the code on it


@given(st.text(max_size=MAX_NAME + 1))
def test_a_name_comes_back_from_its_code_or_not_at_all(name: str) -> None:
    readable = bool(name.strip()) and name.isprintable() and len(name) <= MAX_NAME
    assert holder_name(holder_text(name)) == (name if readable else "")


@given(st.text())
def test_another_text_names_nobody(text: str) -> None:
    assert holder_name(text) == ""
