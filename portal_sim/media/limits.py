"""How large a medium may be, in bytes and in what it unfolds to; and the refusal that says what would be right."""

from __future__ import annotations

from dataclasses import dataclass

from wire.portal_api import PortalError, PortalErrorCode

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """Limits of one picture. Memory while it is decoded: a dozen bytes for each of `max_pixels`, 330 MB as measured.

    `max_scans`: a progressive JPEG is decoded once for each; cameras write about ten, a bomb has thousands in a megabyte.
    """

    max_bytes: int = 10 * MEBIBYTE
    max_pixels: int = 25_000_000
    min_side_px: int = 240
    max_scans: int = 64
    kept_side_px: int = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """Limits of the face video. Each of `max_frames` has at most `max_pixels`; one every `sample_s` is looked at and kept."""

    max_bytes: int = 16 * MEBIBYTE
    max_pixels: int = 1920 * 1088
    min_duration_s: float = 1.0
    max_duration_s: float = 20.0
    max_frames: int = 1200
    sample_s: float = 1 / 13
    kept_side_px: int = 480


def refused(medium: str, problem: str, right: str) -> PortalError:
    """Return the refusal of an upload: which medium, what is wrong with it, what would be right."""
    return PortalError(PortalErrorCode.INVALID_INPUT, f"The {medium} {problem}. Please send {right}.")


def require_size(medium: str, data: bytes, max_bytes: int, right: str) -> None:
    """Refuse nothing, and too much."""
    if not data:
        raise refused(medium, "is empty", right)
    if len(data) > max_bytes:
        raise refused(medium, f"has {len(data)} bytes", f"{right} of at most {max_bytes} bytes")
