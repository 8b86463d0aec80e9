"""Films a drawn face that turns from side to side, as the person of an identity check does before the phone."""

from __future__ import annotations

import io
import math
from functools import lru_cache

import av
from PIL import Image, ImageDraw

from vci_driver.calibration import value_at

SIZE = (320, 240)
FRAMES = 24
FRAMES_PER_S = 12
WALL, SKIN, HAIR, SHIRT, DARK = (150, 162, 168), (224, 186, 160), (74, 56, 46), (62, 84, 120), (48, 40, 42)
TURNS = (
    (0.0, 0.0),
    (0.03, 0.05),
    (0.1, 0.1),
    (0.19, 0.15),
    (0.29, 0.2),
    (0.39, 0.25),
    (0.5, 0.3),
    (0.66, 0.4),
    (0.79, 0.5),
    (0.88, 0.6),
    (0.97, 0.7),
    (1.0, 1.0),
)
"""Motion, and how far the head turns (1.0: to a half profile) so that it is measured. Found by measuring."""


@lru_cache(maxsize=16)
def film(motion: float) -> bytes:
    """Return two seconds of MP4 (H.264, 320 x 240): the head turns once to each side, at motion 0.0 not at all."""
    furthest = value_at(TURNS, motion)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "crf": "24"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on any machine
        for number in range(FRAMES):
            frame = av.VideoFrame.from_image(_head(furthest * math.sin(2 * math.pi * number / FRAMES)))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _head(turn: float) -> Image.Image:
    """Draw the head, turned by `turn` of what it can: the features go further than the outline, as on a ball."""
    image = Image.new("RGB", SIZE, WALL)
    draw = ImageDraw.Draw(image)
    middle, shift = 160 + turn * 22, turn * 26
    draw.ellipse((40, 186, 280, 340), fill=SHIRT)
    draw.rectangle((140 + turn * 8, 150, 180 + turn * 8, 206), fill=SKIN)
    draw.ellipse((middle - 66, 22, middle + 66, 176), fill=HAIR)
    draw.ellipse((middle - 52 + shift / 2, 44, middle + 52 + shift / 2, 190), fill=SKIN)
    for side in (-1, 1):
        x = middle + shift + side * 24
        draw.ellipse((x - 12, 94, x + 12, 108), fill=(245, 245, 245))
        draw.ellipse((x - 6, 95, x + 6, 107), fill=DARK)
        draw.line((x - 14, 84, x + 14, 84), fill=HAIR, width=5)
    nose = middle + shift * 1.3
    draw.polygon(((nose, 106), (nose - 9, 138), (nose + 9, 138)), fill=(200, 158, 132))
    draw.ellipse((middle + shift - 22, 152, middle + shift + 22, 164), fill=(176, 92, 88))
    return image
