"""Takes in the three media of one identity check: all are looked at before any is kept, and all are kept or none."""

from __future__ import annotations

from dataclasses import dataclass

from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder
from portal_sim.media.limits import PictureLimits, VideoLimits
from wire.portal_api import FaceVideo, Picture

FRONT, BACK, VIDEO = "picture of the front", "picture of the back", "face video"
"""What refusals call them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """What the core is told of the media, and the ids under which they are kept: front, back, video."""

    front: Picture
    back: Picture
    video: FaceVideo
    media: tuple[str, ...]


class Reception:
    """Where uploads arrive. For any thread."""

    def __init__(
        self,
        darkroom: Darkroom,
        folder: MediaFolder,
        *,
        pictures: PictureLimits | None = None,
        videos: VideoLimits | None = None,
    ) -> None:
        self._darkroom = darkroom
        self._folder = folder
        self._pictures = pictures
        self._videos = videos

    def take_in(self, front: bytes, back: bytes, video: bytes, now_s: int) -> TakenIn:
        """Look at the media and keep them. Raises `PortalError`, which says the first that is not taken, and then keeps none.

        Whoever cannot write the ids into a record afterwards gives them back with `give_back`, or leaves them to the sweep.
        """
        one = self._darkroom.picture(front, self._pictures, FRONT)
        other = self._darkroom.picture(back, self._pictures, BACK)
        film = self._darkroom.video(video, self._videos, VIDEO)
        kept: list[str] = []
        try:
            for medium in (one.jpeg, other.jpeg, film.mp4):
                kept.append(self._folder.keep(medium, now_s))
        except BaseException:
            self.give_back(tuple(kept))
            raise
        return TakenIn(front=one.measured, back=other.measured, video=film.measured, media=tuple(kept))

    def give_back(self, media: tuple[str, ...]) -> None:
        """Erase what was kept for a check that did not come about."""
        for medium_id in media:
            self._folder.erase(medium_id)
