"""A process apart in which strangers' media are decoded: what breaks a decoder, or makes it run on, does not break the portal.

Bounds for one upload: processor time (a timer of the kernel's that ends the process), address space, no file written, no core
dumped. One upload at a time, so the bounds hold for the whole service. It is no sandbox: the process has the portal's user. What
comes back is read as JSON and bytes, never unpickled, so that a decoder taken over cannot reach further that way.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Literal, Self

from portal_sim.media.limits import MEBIBYTE, PictureLimits, VideoLimits, refused, require_size
from portal_sim.media.pictures import RIGHT as RIGHT_PICTURE
from portal_sim.media.pictures import CheckedPicture, inspect_picture
from portal_sim.media.videos import RIGHT as RIGHT_VIDEO
from portal_sim.media.videos import CheckedVideo, inspect_video
from wire.portal_api import PortalError, PortalErrorCode

Kind = Literal["picture", "video"]
LEAST_FILES = 64
"""Files the process may have open: its pipe, its libraries' and a module that is loaded late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkroomBounds:
    """What one upload may cost. `cpu_s`: processor time; `memory_bytes`: address space of the process, with its libraries.

    `patience_s`: how long an upload waits for its turn, and for a decoder that neither works nor ends.
    """

    cpu_s: float = 15.0
    memory_bytes: int = 1024 * MEBIBYTE
    patience_s: float = 60.0


class Darkroom:
    """Looks at uploads, in a process that starts with the first one and anew after one that broke it. For any thread."""

    def __init__(self, bounds: DarkroomBounds | None = None) -> None:
        self._bounds = bounds or DarkroomBounds()
        self._turn = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def picture(self, data: bytes, limits: PictureLimits | None = None, medium: str = "picture") -> CheckedPicture:
        """Do what `inspect_picture` does. Raises `PortalError`: invalid-input, or unavailable where the turn does not come."""
        limits = limits or PictureLimits()
        require_size(medium, data, limits.max_bytes, RIGHT_PICTURE)  # too much is not even handed over
        measured, jpeg = self._inspected("picture", data, limits, medium, RIGHT_PICTURE)
        return CheckedPicture(
            name=str(measured["name"]),
            sharpness=float(measured["sharpness"]),
            brightness=float(measured["brightness"]),
            jpeg=jpeg,
        )

    def video(self, data: bytes, limits: VideoLimits | None = None, medium: str = "video") -> CheckedVideo:
        """Do what `inspect_video` does. Raises `PortalError`: invalid-input, or unavailable where the turn does not come."""
        limits = limits or VideoLimits()
        require_size(medium, data, limits.max_bytes, RIGHT_VIDEO)
        measured, mp4 = self._inspected("video", data, limits, medium, RIGHT_VIDEO)
        return CheckedVideo(motion=float(measured["motion"]), mp4=mp4)

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._end()

    def _inspected(
        self, kind: Kind, data: bytes, limits: PictureLimits | VideoLimits, medium: str, right: str
    ) -> tuple[dict[str, Any], bytes]:
        if not self._turn.acquire(timeout=self._bounds.patience_s):
            raise _busy(self._bounds)
        try:
            answer, kept = self._asked(kind, data, limits, medium)
        except TimeoutError:
            self._end()
            raise _busy(self._bounds) from None
        except (EOFError, OSError, ValueError):  # it died, or says what it never would
            self._end()
            raise refused(medium, "takes more time or memory to read than it should", right) from None
        finally:
            self._turn.release()
        if "refusal" in answer:
            raise PortalError(PortalErrorCode.INVALID_INPUT, str(answer["refusal"]))
        return answer, kept

    def _asked(
        self, kind: Kind, data: bytes, limits: PictureLimits | VideoLimits, medium: str
    ) -> tuple[dict[str, Any], bytes]:
        pipe = self._running()
        pipe.send((kind, data, limits, medium))
        if not pipe.poll(self._bounds.patience_s):
            raise TimeoutError
        answer = json.loads(pipe.recv_bytes(LONGEST_ANSWER_BYTES))
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        kept = b"" if "refusal" in answer else pipe.recv_bytes(LONGEST_KEPT_BYTES)
        return answer, kept

    def _running(self) -> Connection:
        if self._process is not None and self._pipe is not None and self._process.is_alive():
            return self._pipe
        self._end()
        context = multiprocessing.get_context("spawn")  # a fork would take the portal's secrets and locks along
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._bounds), name="darkroom", daemon=True)
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        return ours

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._pipe = None


LONGEST_ANSWER_BYTES = 10_000
LONGEST_KEPT_BYTES = 32 * MEBIBYTE
"""More than a re-encoded medium can have."""


def _busy(bounds: DarkroomBounds) -> PortalError:
    return PortalError(
        PortalErrorCode.UNAVAILABLE,
        "Too many pictures and videos are being looked at. Please send it again in a minute.",
        retry_after_s=int(bounds.patience_s) or 1,
    )


# ---- in the process apart


def _work(pipe: Connection, bounds: DarkroomBounds) -> None:
    """Look at one upload after the other until the portal closes the pipe, or a bound ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the portal, which finishes what it has begun
    _bind(bounds)
    with contextlib.suppress(EOFError, OSError):
        while True:
            kind, data, limits, medium = pipe.recv()
            _set_timer(bounds.cpu_s)
            answer, kept = _looked_at(kind, data, limits, medium)
            _set_timer(0)
            pipe.send_bytes(json.dumps(answer).encode())
            if kept is not None:
                pipe.send_bytes(kept)


def _looked_at(kind: Kind, data: bytes, limits: Any, medium: str) -> tuple[dict[str, object], bytes | None]:
    try:
        if kind == "picture":
            picture = inspect_picture(data, limits, medium)
            measures = {"name": picture.name, "sharpness": picture.sharpness, "brightness": picture.brightness}
            return measures, picture.jpeg
        video = inspect_video(data, limits, medium)
    except PortalError as error:
        return {"refusal": error.sentence}, None
    return {"motion": video.motion}, video.mp4


def _bind(bounds: DarkroomBounds) -> None:
    if sys.platform == "win32":  # the bounds by header and count hold there, those of the process do not
        return
    import resource  # noqa: PLC0415 - POSIX has it, Windows has not

    for what, most in (
        (resource.RLIMIT_AS, bounds.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, LEAST_FILES),
    ):
        _, hard = resource.getrlimit(what)
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (lowest, lowest))


def _set_timer(cpu_s: float) -> None:
    """Let the kernel end this process (SIGPROF, whose default is that) when it has computed for `cpu_s`; 0: not any more."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
