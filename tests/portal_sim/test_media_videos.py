"""Face videos that strangers send: what is taken, what counts as motion, what is refused, what is kept: nothing of the upload."""

import io
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from portal_sim.media.limits import VideoLimits
from portal_sim.media.measures import motion
from portal_sim.media.videos import CheckedVideo, inspect_video
from vci_driver.camera import Camera
from wire.portal_api import FaceVideo, PortalError, PortalErrorCode

LIMITS = VideoLimits()
MIN_MOTION = 0.3
"""The limit of the portal's usual rules."""
FAST = {
    "libx264": {"preset": "ultrafast", "crf": "24"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "300k"},
}
FILM = Camera().video(FaceVideo(motion=1.0))


def scene(shift: float = 0.0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Something like a head before a wall."""
    width, height = size
    image = Image.new("RGB", size, (160, 165, 170))
    middle = width / 2 + shift * width
    ImageDraw.Draw(image).ellipse((middle - width / 5, height / 8, middle + width / 5, height), fill=(90, 60, 50))
    return image


def recorded(
    frames: Sequence[Image.Image],
    codec: str = "libx264",
    kind: str = "mp4",
    rate: int = 12,
    more: Callable[[av.container.OutputContainer], None] | None = None,
    metadata: dict[str, str] | None = None,
) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=FAST.get(codec, {}))
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if more is not None:
            more(container)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_image(image)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def swaying(count: int = 24, far: float = 0.08, size: tuple[int, int] = (320, 240)) -> list[Image.Image]:
    return [scene(far * math.sin(2 * math.pi * number / 24), size) for number in range(count)]


def noisy(count: int = 24, sigma: float = 20.0) -> list[Image.Image]:
    still = scene()
    grain = lambda: Image.merge("RGB", [Image.effect_noise(still.size, sigma)] * 3)  # noqa: E731
    return [ImageChops.add(still, grain(), 1, -128) for _ in range(count)]


def refusal(data: bytes, limits: VideoLimits = LIMITS) -> str:
    with pytest.raises(PortalError) as refused:
        inspect_video(data, limits, "face video")
    assert refused.value.code is PortalErrorCode.INVALID_INPUT
    assert refused.value.__cause__ is None
    assert refused.value.sentence.startswith("The face video ")
    return refused.value.sentence


# ---- what is taken, and what is kept


@pytest.mark.parametrize(
    ("codec", "kind"), [("libx264", "mp4"), ("libx264", "mov"), ("libvpx", "webm"), ("libx264", "matroska")]
)
def test_what_phones_and_browsers_record_is_taken(codec: str, kind: str) -> None:
    checked = inspect_video(recorded(swaying(), codec, kind))
    assert checked.motion > MIN_MOTION
    assert checked.measured == FaceVideo(motion=checked.motion)


def test_the_kept_video_is_small_and_has_neither_sound_nor_words() -> None:
    data = recorded(swaying(size=(1280, 720)), more=with_sound, metadata={"title": "<script>", "comment": "<script>"})
    assert b"<script>" in data
    kept = inspect_video(data).mp4
    assert b"<script>" not in kept
    with av.open(io.BytesIO(kept)) as container:
        assert not {"title", "comment"} & set(container.metadata)
        assert [stream.type for stream in container.streams] == ["video"]
        context = container.streams.video[0].codec_context
        assert (context.name, context.width, context.height) == ("h264", 480, 270)
        assert 20 <= sum(1 for _ in container.decode(video=0)) <= 24


def with_sound(container: av.container.OutputContainer) -> None:
    sound = container.add_stream("aac", rate=16_000)
    samples = av.AudioFrame(format="fltp", layout="mono", samples=1024)
    samples.planes[0].update(bytes(4096))
    samples.sample_rate = 16_000
    samples.pts = 0
    container.mux(sound.encode(samples))
    container.mux(sound.encode(None))


def test_nothing_behind_the_video_is_kept() -> None:
    trailing = b"PK\x03\x04<script>"
    kept = inspect_video(FILM + struct.pack(">I", len(trailing) + 8) + b"free" + trailing).mp4
    assert trailing not in kept


def test_the_kept_video_is_as_long_as_the_upload() -> None:
    with av.open(io.BytesIO(inspect_video(recorded(swaying(60), rate=30)).mp4)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == sorted(times)
    assert 1.8 <= times[-1] <= 2.0
    assert 20 <= len(times) <= 30  # thinned out


def test_a_video_that_lies_on_its_side_is_kept_upright() -> None:
    data = recorded(swaying())
    matrix = struct.pack(">9I", 0, 0x10000, 0, 0xFFFF0000, 0, 0, 0, 0, 0x40000000)  # ISO/IEC 14496-12 8.3.2
    upright = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    at = data.rindex(upright)  # the track's, which follows the movie's
    with av.open(io.BytesIO(inspect_video(data[:at] + matrix + data[at + 36 :]).mp4)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height) == (240, 320)
        (first, *_) = container.decode(video=0)
        assert first.rotation == 0
        # quarter turn clockwise: what was at the bottom, the end of the head, is at the left
        shown = first.to_image().convert("L")
        assert shown.getpixel((10, 160)) < 100 < shown.getpixel((230, 160))


# ---- what counts as motion


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
@pytest.mark.parametrize("sigma", [0, 5, 20, 40])
def test_noise_alone_is_no_motion(codec: str, sigma: float) -> None:
    kind = {"libx264": "mp4", "libvpx": "webm"}[codec]
    assert inspect_video(recorded(noisy(sigma=sigma), codec, kind)).motion < MIN_MOTION / 3


STILL = scene()


@pytest.mark.parametrize(
    "frames",
    [
        [STILL.point([min(255, int(level * (0.5 + number / 40))) for level in range(256)] * 3) for number in range(24)],
        [STILL.point([level if number % 2 else level * 3 // 4 for level in range(256)] * 3) for number in range(24)],
        [Image.new("RGB", STILL.size)] * 6 + [STILL] * 18,
        [ImageChops.offset(STILL, number % 2, number // 2 % 2) for number in range(24)],
        [STILL.rotate(math.sin(number) / 2, fillcolor=(160, 165, 170)) for number in range(24)],
    ],
    ids=["exposure", "flicker", "black start", "shaking hand", "tilting hand"],
)
def test_a_still_picture_stays_one_whatever_the_camera_does(frames: list[Image.Image]) -> None:
    assert inspect_video(recorded(frames)).motion < MIN_MOTION


def test_motion_in_noise_and_dim_light_is_seen() -> None:
    grain = Image.merge("RGB", [Image.effect_noise(STILL.size, 20)] * 3)
    dim = [ImageChops.add(frame.point(lambda level: level // 2), grain, 1, -128) for frame in swaying()]
    assert inspect_video(recorded(dim)).motion > MIN_MOTION


def test_the_further_it_goes_the_more_it_moves() -> None:
    measured = [inspect_video(recorded(swaying(far=far))).motion for far in (0.0, 0.01, 0.02, 0.04, 0.08)]
    assert measured == sorted(measured)
    assert measured[0] < 0.02
    assert measured[-1] > 0.5


@pytest.mark.parametrize("cells", [[], [[9] * 40] * 30, [[0, 255] * 20] * 4])
def test_nothing_to_see_and_too_little_to_compare_is_no_motion(cells: list[list[int]]) -> None:
    assert motion(cells) == 0.0


@given(st.lists(st.lists(st.integers(0, 255), min_size=12, max_size=12), max_size=12))
def test_motion_is_from_0_to_1(cells: list[list[int]]) -> None:
    assert 0.0 <= motion(cells) <= 1.0


# ---- what is refused


@pytest.mark.parametrize(
    "data",
    [
        recorded(swaying(3), "mpeg4", "avi"),
        recorded(swaying(3), "libx264", "mpegts"),
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"RIFF\0\0\0\0AVI ",
        b"\x1a\x45\xdf",
        bytes(100),
        b"x" + FILM,
    ],
)
def test_every_other_kind_is_refused_by_its_content(data: bytes) -> None:
    assert "is neither MP4 nor WebM" in refusal(data)


@pytest.mark.parametrize(("codec", "kind"), [("mpeg4", "mp4"), ("mjpeg", "matroska"), ("mpeg4", "matroska")])
def test_another_coding_in_a_known_container_is_refused(codec: str, kind: str) -> None:
    assert "coded in another way" in refusal(recorded(swaying(13), codec, kind))


def test_sound_alone_is_refused() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        with_sound(container)
    assert "other streams" in refusal(out.getvalue())


def second_picture(container: av.container.OutputContainer) -> None:
    stream = container.add_stream("libx264", rate=12, options=FAST["libx264"])
    stream.width, stream.height = 64, 48
    stream.pix_fmt = "yuv420p"
    frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48)))
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def test_a_second_stream_of_pictures_is_refused() -> None:
    assert "other streams" in refusal(recorded(swaying(13), more=second_picture))


def test_nothing_is_refused() -> None:
    assert "is empty" in refusal(b"")


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    assert "of at most 1000 bytes" in refusal(FILM, replace(LIMITS, max_bytes=1000))


def test_frames_of_too_many_pixels_are_refused() -> None:
    assert "has 2048 by 2048 pixels" in refusal(recorded([Image.new("RGB", (2048, 2048))] * 2))
    assert inspect_video(FILM, replace(LIMITS, max_pixels=320 * 240)).motion > MIN_MOTION
    assert "at most 76799 pixels" in refusal(FILM, replace(LIMITS, max_pixels=320 * 240 - 1))


def test_a_header_of_the_container_that_denies_the_size_is_not_believed() -> None:
    size, claimed = struct.pack(">HH", 320, 240), struct.pack(">HH", 64, 48)
    assert FILM.count(size) == 1
    assert "has 320 by 240 pixels" in refusal(FILM.replace(size, claimed), replace(LIMITS, max_pixels=64 * 48))


def growing() -> bytes:
    """A stream whose frames become larger on the way, as VP8 allows at each key frame."""
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=12, options=FAST["libvpx"])
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        for number, size in enumerate([(64, 48)] * 12 + [(320, 240)] * 12):
            if number == 12:
                container.mux(stream.encode(None))
                larger = av.CodecContext.create("libvpx", "w")
                larger.width, larger.height, larger.pix_fmt, larger.time_base = 320, 240, "yuv420p", Fraction(1, 12)
                larger.options = FAST["libvpx"]
            frame = av.VideoFrame.from_image(scene(0.08 * math.sin(number), size))
            frame.pts, frame.time_base = number, Fraction(1, 12)
            for packet in (stream if number < 12 else larger).encode(frame):
                packet.stream = stream
                container.mux(packet)
        for packet in larger.encode(None):
            packet.stream = stream
            container.mux(packet)
    return out.getvalue()


def test_frames_that_grow_on_the_way_are_taken_where_they_are_small_enough() -> None:
    with av.open(io.BytesIO(inspect_video(growing()).mp4)) as container:
        sizes = {(frame.width, frame.height) for frame in container.decode(video=0)}
    assert sizes == {(64, 48)}


def test_frames_that_grow_beyond_the_limit_are_refused() -> None:
    assert "damaged, or not what it says it is" in refusal(growing(), replace(LIMITS, max_pixels=64 * 48))


@pytest.mark.parametrize(("count", "rate"), [(5, 12), (11, 12)])
def test_a_glimpse_is_refused(count: int, rate: int) -> None:
    assert "one of 1 to 20 seconds" in refusal(recorded(swaying(count), rate=rate))


def test_a_second_is_enough() -> None:
    assert inspect_video(recorded(swaying(12), rate=12)).motion > 0


def test_a_film_is_refused() -> None:
    assert "is too long" in refusal(recorded(swaying(23, size=(64, 48)), rate=1))


def test_a_film_with_a_header_that_says_it_is_short_is_refused() -> None:
    """WebM as it is streamed has no duration in its header at all."""
    out = io.BytesIO()
    out.seekable = lambda: False  # type: ignore[method-assign]
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=1, options=FAST["libvpx"])
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuv420p"
        for number, image in enumerate(swaying(23, size=(64, 48))):
            frame = av.VideoFrame.from_image(image)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "is too long" in refusal(out.getvalue())


def test_too_many_frames_are_refused() -> None:
    assert "at most 20 frames" in refusal(FILM, replace(LIMITS, max_frames=20))


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_a_video_that_breaks_off_is_refused_or_taken_as_far_as_it_goes(kind: str) -> None:
    data = recorded(swaying(size=(64, 48)), {"mp4": "libx264", "webm": "libvpx"}[kind], kind)
    for length in range(len(data) - 1, 0, -len(data) // 25):
        _a_video_or_a_refusal(data[:length])
    assert "Please send" in refusal(data[: len(data) // 10])


SMALL = {
    "mp4": recorded(swaying(13, size=(64, 48))),
    "webm": recorded(swaying(13, size=(64, 48)), "libvpx", "webm"),
}


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SMALL)), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1))
def test_damaged_bytes_lead_to_a_video_or_to_a_refusal(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL[kind])
    for at, value in changes:
        data[at % len(data)] = value
    _a_video_or_a_refusal(bytes(data))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from((b"", b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", FILM[:200], SMALL["webm"][:300])), st.binary())
def test_any_bytes_lead_to_a_video_or_to_a_refusal(start: bytes, rest: bytes) -> None:
    _a_video_or_a_refusal(start + rest)


def _a_video_or_a_refusal(data: bytes) -> None:
    try:
        checked: CheckedVideo | PortalError = inspect_video(data)
    except PortalError as error:
        checked = error
    if isinstance(checked, PortalError):
        assert checked.code is PortalErrorCode.INVALID_INPUT
        assert "Please send" in checked.sentence
    else:
        assert 0 <= checked.motion <= 1
        with av.open(io.BytesIO(checked.mp4)) as container:
            assert len(container.streams) == 1
