"""Pictures of documents: verified by what they contain, measured, and made anew, so that no byte of the upload is kept.

JPEG and PNG, because cameras and screenshots are that, and each further format is a decoder more that strangers can reach.
Pillow decodes; zxing-cpp reads the two-dimensional code (two megabytes, no OpenCV, no numpy). Bounds: bytes, pixels as the header
declares them and scans are checked before anything is decoded, and cost grows with nothing else.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field

import zxingcpp
from PIL import Image, ImageOps

from portal_sim.media.limits import PictureLimits, refused, require_size
from portal_sim.media.measures import brightness, sharpness, with_full_contrast
from wire.holder_code import holder_name
from wire.portal_api import Picture, PortalError

RIGHT = "a photo as JPEG or PNG"
SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
"""JPEG: ITU-T T.81 B.1.1.3, SOI and the next marker. PNG: W3C PNG, 5.2."""
START_OF_SCAN = b"\xff\xda"
"""ITU-T T.81 table B.1. In the coded data itself each 0xFF is followed by 0x00, so it is found only where a scan starts."""
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""All that 8-bit JPEG and PNG decode to; a camera writes no picture of 16 bits a channel in them."""
WHITE = (255, 255, 255)
QR_CODE = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
CODE_SIDE_PX = 1280
"""The code is looked for at this size: more pixels cost time and add noise."""
JPEG_QUALITY = 85

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPicture:
    """A picture that was looked at: what a reviewer measures, and `jpeg`, the picture made anew, without metadata."""

    name: str
    sharpness: float
    brightness: float
    jpeg: bytes = field(repr=False)

    @property
    def measured(self) -> Picture:
        """What the portal's core is told."""
        return Picture(name=self.name, sharpness=self.sharpness, brightness=self.brightness)


def inspect_picture(data: bytes, limits: PictureLimits | None = None, medium: str = "picture") -> CheckedPicture:
    """Look at an upload. `medium`: what a refusal calls it.

    Raises `PortalError` (invalid-input), and nothing else whatever the bytes.
    """
    limits = limits or PictureLimits()
    require_size(medium, data, limits.max_bytes, RIGHT)
    kind = next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), None)
    if kind is None:
        raise refused(medium, "is neither JPEG nor PNG", RIGHT)
    if kind == "JPEG" and data.count(START_OF_SCAN) > limits.max_scans:
        raise refused(medium, f"has more than {limits.max_scans} scans", f"{RIGHT} as a camera makes it")
    try:
        upright = _decoded(data, kind, limits, medium)
        return _measured(upright)
    except PortalError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_many_pixels(medium, limits) from None
    except Exception:  # noqa: BLE001 - decoders raise whatever broken bytes lead them to
        raise refused(medium, "is damaged and cannot be read to its end", f"{RIGHT} anew") from None


def _decoded(data: bytes, kind: str, limits: PictureLimits, medium: str) -> Image.Image:
    """Return the picture, RGB, upright, without anything but its pixels, and no larger than it is kept."""
    with Image.open(io.BytesIO(data), formats=[kind]) as opened:
        width, height = opened.size
        if width * height > limits.max_pixels:
            raise _too_many_pixels(medium, limits)
        if min(width, height) < limits.min_side_px:
            raise refused(
                medium, f"has {width} by {height} pixels", f"one with at least {limits.min_side_px} pixels on each side"
            )
        if kind == "PNG" and getattr(opened, "is_animated", False):
            raise refused(medium, "is animated", "a single photo as JPEG or PNG")
        if opened.mode not in MODES:
            raise refused(medium, "has more than 8 bits a channel", RIGHT)
        side = limits.kept_side_px
        opened.draft(opened.mode, (side, side))  # a large JPEG unfolds at a half or a quarter only; all of it is read
        opened.load()
        upright = ImageOps.exif_transpose(opened)
    if "transparency" in upright.info or upright.mode in ("LA", "PA", "RGBA"):
        seen = upright.convert("RGBA")
        pixels = Image.new("RGB", seen.size, WHITE)
        pixels.paste(seen, mask=seen.getchannel("A"))
    else:
        pixels = upright.convert("RGB")
    pixels.thumbnail((side, side), Image.Resampling.BICUBIC)
    bare = Image.new("RGB", pixels.size)
    bare.paste(pixels)  # comments and profiles stay behind: Pillow would write some of them again
    return bare


def _measured(picture: Image.Image) -> CheckedPicture:
    luma = picture.convert("L")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY)
    return CheckedPicture(
        name=_legible_name(luma), sharpness=sharpness(luma), brightness=brightness(luma), jpeg=out.getvalue()
    )


def _legible_name(luma: Image.Image) -> str:
    """Return the name that the document's code gives; "" where none can be read, or codes contradict each other."""
    clear = with_full_contrast(luma)
    if clear is None:
        return ""
    clear.thumbnail((CODE_SIDE_PX, CODE_SIDE_PX), Image.Resampling.BILINEAR)
    found = zxingcpp.read_barcodes(clear, formats=QR_CODE, text_mode=zxingcpp.TextMode.Plain)
    names = {holder_name(code.text) for code in found}
    return names.pop() if len(names) == 1 else ""


def _too_many_pixels(medium: str, limits: PictureLimits) -> PortalError:
    return refused(medium, "has too many pixels", f"one with at most {limits.max_pixels // 1_000_000} million pixels")
