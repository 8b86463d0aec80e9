"""What is measured on pictures and videos: sharpness, brightness, motion, each from 0.0 to 1.0, calibrated by what people see.

Own formulas (X) over textbook estimators; the limits of `portal_sim.options` (0.4, 0.2, 0.3) part what a person would call
blurred, dark or still from what is good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from PIL import Image, ImageChops

JUDGED_SIDE_PX = 640
"""Pictures are judged at this length of the longer side: a phone's 12 megapixels are soft when looked at pixel by pixel."""
EDGES_FROM = 0.99
"""The steepest hundredth of a picture's pixels are its edges: a document has several hundredths of text and lines."""
PEAK_OF_AN_EDGE = math.sqrt(2 * math.pi)
"""A step of height 1, blurred by a Gaussian of standard deviation d, rises by 1 / (d * sqrt(2 pi)) per pixel at its steepest."""
FLAT_LEVELS = 4
"""Of 255: with less contrast a picture shows nothing whose sharpness could be judged."""
WELL_LIT = 0.75
"""Mean luminance of a document in good light, a little grey where print is: brightness 1.0."""


def sharpness(luma: Image.Image) -> float:
    """Return how sharp a picture (mode L) is: one over the blur of its edges in pixels, where 640 pixels are the longer side.

    0.4 is a blur (standard deviation) of two and a half pixels: small print can no longer be read. Contrast is taken out first,
    so that a dark picture is not called blurred. Noise alone hardly counts: it does not rise as far as an edge does.
    """
    stretched = with_full_contrast(luma)
    if stretched is None:
        return 0.0
    longer = max(stretched.size)
    if longer > JUDGED_SIDE_PX:
        stretched.thumbnail((JUDGED_SIDE_PX, JUDGED_SIDE_PX), Image.Resampling.BILINEAR)
    width, height = stretched.size
    here = stretched.crop((0, 0, width - 1, height - 1))
    right = ImageChops.difference(here, stretched.crop((1, 0, width, height - 1)))
    below = ImageChops.difference(here, stretched.crop((0, 1, width - 1, height)))
    steepest = _level_at(ImageChops.lighter(right, below), EDGES_FROM) / 255
    return min(1.0, steepest * PEAK_OF_AN_EDGE) * min(1.0, longer / JUDGED_SIDE_PX)


def with_full_contrast(luma: Image.Image) -> Image.Image | None:
    """Return a picture (mode L) with its dark made black and its light made white; None where there is nothing but one tone."""
    low, high = _level_at(luma, 0.01), _level_at(luma, 0.99)
    if high - low < FLAT_LEVELS:
        return None
    return luma.point([max(0, min(255, round((level - low) * 255 / (high - low)))) for level in range(256)])


def brightness(luma: Image.Image) -> float:
    """Return how bright a picture (mode L) is: its mean luminance (ITU-R BT.601), 1.0 for that of a document in good light."""
    levels = luma.histogram()
    mean = sum(level * count for level, count in enumerate(levels)) / max(1, sum(levels))
    return min(1.0, mean / 255 / WELL_LIT)


def _level_at(luma: Image.Image, share: float) -> int:
    """Return the level below or at which `share` of the pixels lie."""
    levels = luma.histogram()
    left = share * sum(levels)
    for level, count in enumerate(levels):
        left -= count
        if left <= 0:
            return level
    return 255


# ---- motion

FLAT_FRAME_LEVELS = 3.0
"""Standard deviation, of 255: a frame with less contrast (the black ones at a camera's start) shows nothing that could move."""
FEWEST_FRAMES = 5
FULL_MOTION = 0.27
"""The share of a frame's variance that moves where a head turns well from side to side: motion 1.0. A picture held in a hand that
shakes by a hundredth of its width has a quarter of it.
"""


def motion(frames: Iterable[Sequence[int]]) -> float:
    """Return how much moves in a video, given each frame's luminance as the same few hundred cells.

    The variance of each cell over time, less half the mean square of successive differences (von Neumann 1941): noise differs
    from frame to frame as much as over the whole video and cancels out; what moves steadily stays. Each frame is brought to mean
    0 and contrast 1 before, so that neither a flickering lamp nor a camera that adapts to the light counts.
    """
    kept = [normal for frame in frames if (normal := _normalised(frame)) is not None]
    if len(kept) < FEWEST_FRAMES:
        return 0.0
    cells = len(kept[0])
    total = sum(_variance(values) for values in zip(*kept, strict=True)) / cells
    steps = sum(
        (later - earlier) ** 2 for one, other in pairwise(kept) for earlier, later in zip(one, other, strict=True)
    )
    noise = steps / (2 * (len(kept) - 1) * cells)
    return min(1.0, max(0.0, total - noise) / FULL_MOTION)


def _normalised(frame: Sequence[int]) -> list[float] | None:
    mean = sum(frame) / len(frame)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in frame) / len(frame))
    if deviation < FLAT_FRAME_LEVELS:
        return None
    return [(value - mean) / deviation for value in frame]


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
