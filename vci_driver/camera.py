"""The phone of a simulated person: it takes the pictures and the face video of an identity check, with given properties.

What a scenario says of a picture (`wire.portal_api.Picture`) becomes a synthetic document on which a portal measures about that
(within TOLERANCE); same arguments, same bytes. Nothing looks like a real state's document. The extra [portal] brings Pillow,
segno and PyAV.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageFilter

from vci_driver.calibration import value_at
from vci_driver.face import film
from vci_driver.specimen import draw_document
from wire.portal_api import DocumentKind, FaceVideo, Picture

TOLERANCE = 0.05
"""How far a measure may be from what was asked for; a portal's decision is the same from 0.1 beside its limit on."""
BLUR_PX = (
    (0.0, 40.0),
    (0.06, 30.0),
    (0.08, 20.0),
    (0.1, 15.0),
    (0.14, 10.0),
    (0.17, 8.0),
    (0.23, 6.0),
    (0.28, 5.0),
    (0.36, 4.0),
    (0.4, 3.5),
    (0.45, 3.0),
    (0.53, 2.5),
    (0.66, 2.0),
    (0.85, 1.5),
    (0.95, 1.3),
    (1.0, 0.0),
)
"""Sharpness, and the lens's blur (standard deviation, pixels of the 960 by 640) that leads to it. Found by measuring."""
WELL_LIT = 0.75
"""Mean luminance of the document at brightness 1.0."""
JPEG_QUALITY = 95
"""So high that a dark picture still has its edges: quantisation takes the same steps from ten levels as from two hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A phone's camera. `document` and `country` stand on what is photographed; `day` is the date on it."""

    document: DocumentKind = DocumentKind.PASSPORT
    country: str = "DE"
    day: str = "1990-04-01"

    def picture(self, wanted: Picture, side: str = "front") -> bytes:
        """Return a photo (JPEG) of one side of the document, with about the properties that are `wanted`.

        Below a brightness of 0.05 nothing is left to be sharp or legible, and below a sharpness of 0.3 the name is not.
        """
        photo = draw_document(wanted.name, side, self.document, self.country, self.day)
        blur_px = value_at(BLUR_PX, wanted.sharpness)
        if blur_px >= 0.5:  # less is not to be seen
            photo = photo.filter(ImageFilter.GaussianBlur(blur_px))
        gain = wanted.brightness * WELL_LIT * 255 / _mean_level(photo)
        photo = photo.point([min(255, round(level * gain)) for level in range(256)] * 3)
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=JPEG_QUALITY)
        return out.getvalue()

    def video(self, wanted: FaceVideo) -> bytes:
        """Return a face video (MP4, H.264, two seconds) in which the head turns as far as `motion` says."""
        return film(wanted.motion)


def _mean_level(photo: Image.Image) -> float:
    levels = photo.convert("L").histogram()
    return sum(level * count for level, count in enumerate(levels)) / sum(levels)
