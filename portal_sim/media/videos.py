"""The face video: verified by what it contains, measured, and made anew from its frames, so that no byte of the upload is kept.

What browsers and phones record: MP4 or WebM with H.264, VP8 or VP9. PyAV (FFmpeg) decodes, because nothing smaller reads these;
of FFmpeg only two demuxers and three decoders can be reached from here, and no file, network or second stream of pictures.
Bounds: bytes, streams, pixels of a frame, frames and duration; what a header could still make FFmpeg allocate or do is bounded
where `portal_sim.media.darkroom` runs this.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from portal_sim.media.limits import VideoLimits, refused, require_size
from portal_sim.media.measures import motion
from wire.portal_api import FaceVideo, PortalError

RIGHT = "a face video as MP4 or WebM (H.264, VP8 or VP9)"
CODECS = ("h264", "vp8", "vp9")
MAX_STREAMS = 2
"""The picture, and the sound that a phone records with it."""
CELLS = (24, 18)
"""Motion is judged on so many cells: each averages some two hundred pixels of a small frame, and with them the noise."""
TICKS_PER_S = 1000
TURNED = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
"""`VideoFrame.rotation` is the angle, counterclockwise, by which the frame is to be turned for showing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedVideo:
    """A video that was looked at: what a reviewer measures, and `mp4`, the video made anew: small, without sound and metadata."""

    motion: float
    mp4: bytes = field(repr=False)

    @property
    def measured(self) -> FaceVideo:
        """What the portal's core is told."""
        return FaceVideo(motion=self.motion)


def inspect_video(data: bytes, limits: VideoLimits | None = None, medium: str = "video") -> CheckedVideo:
    """Look at an upload. `medium`: what a refusal calls it.

    Raises `PortalError` (invalid-input), and nothing else whatever the bytes.
    """
    limits = limits or VideoLimits()
    require_size(medium, data, limits.max_bytes, RIGHT)
    demuxer = _demuxer(data)
    if demuxer is None:
        raise refused(medium, "is neither MP4 nor WebM", RIGHT)
    try:
        with av.open(io.BytesIO(data), "r", format=demuxer, options=_only_what_is_needed(limits)) as container:
            stream = _the_stream(container, limits, medium)
            frames = [*_sampled(container, stream, limits, medium)]
        _require_length(frames, limits, medium)
        return CheckedVideo(motion=motion(_cells(frame) for _, frame in frames), mp4=_made_anew(frames))
    except PortalError:
        raise
    except Exception:  # noqa: BLE001 - decoders raise whatever broken bytes lead them to
        raise refused(medium, "is damaged, or not what it says it is", f"{RIGHT} anew") from None


def _demuxer(data: bytes) -> str | None:
    """Return FFmpeg's name of the container: ISO/IEC 14496-12 4.3 (`ftyp` comes first), or RFC 8794 11.2.1 (EBML)."""
    if data[4:8] == b"ftyp":
        return "mp4"
    return "matroska" if data.startswith(b"\x1a\x45\xdf\xa3") else None


def _only_what_is_needed(limits: VideoLimits) -> dict[str, str]:
    """Return FFmpeg's options: these decoders and no other, no reference to anything outside, no frame larger than allowed."""
    return {
        "codec_whitelist": ",".join(CODECS),
        "protocol_whitelist": "none",
        "max_streams": str(MAX_STREAMS),
        "max_pixels": str(limits.max_pixels),
        "threads": "1",
    }


def _the_stream(container: InputContainer, limits: VideoLimits, medium: str) -> VideoStream:
    """Return the one stream of pictures, from what the headers say of it."""
    videos = container.streams.video
    if (
        len(videos) != 1
        or len(container.streams) > MAX_STREAMS
        or len(container.streams.audio) + 1 < len(container.streams)
    ):
        raise refused(medium, "holds other streams than one of pictures and one of sound", RIGHT)
    stream = videos[0]
    context = stream.codec_context
    if context is None or context.name not in CODECS:
        raise refused(medium, "is coded in another way", RIGHT)
    if context.width * context.height > limits.max_pixels:
        raise refused(
            medium,
            f"has {context.width} by {context.height} pixels",
            f"one of at most {limits.max_pixels} pixels, as 1920 by 1080",
        )
    declared_s = (container.duration or 0) / av.time_base
    if declared_s > limits.max_duration_s + 1:
        raise _too_long(medium, limits)
    context.thread_type, context.thread_count = "NONE", 1
    context.options = {
        "max_pixels": str(limits.max_pixels)
    }  # for frames that grow on the way: refused before they have memory
    return stream


Sampled = tuple[float, Image.Image]
"""Seconds since the first frame, and the frame as it is kept."""


def _sampled(container: InputContainer, stream: VideoStream, limits: VideoLimits, medium: str) -> Iterator[Sampled]:
    """Decode everything, and yield a small frame for each sample of time. Counts what is there, whatever the headers say."""
    first_s = last_s = -math.inf
    count = 0
    for packets, packet in enumerate(container.demux(stream)):
        if packets > limits.max_frames:
            raise _too_many_frames(medium, limits)
        for frame in packet.decode():
            count += 1
            if count > limits.max_frames:
                raise _too_many_frames(medium, limits)
            at_s = frame.time
            if at_s is None or not math.isfinite(at_s):
                raise refused(medium, "does not say when its frames are shown", RIGHT)
            if first_s == -math.inf:
                first_s = at_s
            if at_s - first_s > limits.max_duration_s:
                raise _too_long(medium, limits)
            if at_s - last_s >= limits.sample_s:
                last_s = at_s
                yield at_s - first_s, _small(frame, limits.kept_side_px)


def _require_length(frames: list[Sampled], limits: VideoLimits, medium: str) -> None:
    lasts_s = frames[-1][0] if frames else 0.0
    if lasts_s < limits.min_duration_s * 0.9:  # the last frame is shown for a while too
        raise refused(
            medium,
            f"lasts {lasts_s:.1f} seconds",
            f"one of {limits.min_duration_s:g} to {limits.max_duration_s:g} seconds",
        )


def _small(frame: av.VideoFrame, side_px: int) -> Image.Image:
    """Return the frame as it is kept: upright, with even sides as H.264's chroma wants them."""
    scale = min(1.0, side_px / max(frame.width, frame.height))
    width, height = (max(2, int(side * scale) // 2 * 2) for side in (frame.width, frame.height))
    small: Image.Image = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_image()
    turn = TURNED.get(frame.rotation % 360)
    return small if turn is None else small.transpose(turn)


def _cells(frame: Image.Image) -> bytes:
    return frame.convert("L").resize(CELLS, Image.Resampling.BOX).tobytes()


def _made_anew(frames: list[Sampled]) -> bytes:
    """Return the frames as MP4 (H.264, which every browser shows)."""
    size = frames[0][1].size
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        options = {"preset": "ultrafast", "crf": "26"}
        stream = container.add_stream("libx264", rate=TICKS_PER_S, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        for at_s, image in frames:
            shown = image if image.size == size else image.resize(size)  # a stream may change its size on the way
            frame = av.VideoFrame.from_image(shown)
            frame.pts = round(at_s * TICKS_PER_S)
            frame.time_base = Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _too_long(medium: str, limits: VideoLimits) -> PortalError:
    return refused(medium, "is too long", f"one of at most {limits.max_duration_s:g} seconds")


def _too_many_frames(medium: str, limits: VideoLimits) -> PortalError:
    return refused(medium, "has too many frames", f"one of at most {limits.max_frames} frames")
