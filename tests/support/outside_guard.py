"""A guard around everything that is not reproducible: it tells, or refuses, when our packages reach for it, themselves or
through a library that they call.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("bench", "scenarios", "sgw_sim", "ecu_sim", "portal_sim", "vci_driver", "wire")
FOLDERS = tuple(f"{CHECKOUT / package}{os.sep}" for package in PACKAGES)
CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")
OUTSIDE: dict[ModuleType, tuple[str, ...]] = {
    os: ("urandom", "getrandom", "times"),
    uuid: ("uuid1", "uuid4"),
    secrets: ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "randbits", "choice"),
    time: (*(name + ns for name in CLOCKS for ns in ("", "_ns")), "sleep", "localtime", "gmtime", "ctime"),
    random: tuple(name for name in random.__all__ if name[0].islower() and name not in ("getstate", "setstate")),
}
STOPWATCH = str(CHECKOUT / "wire" / "clock.py")
"""`wire.clock.stopwatch` tells people how long a run took; nothing is decided by it."""


class ReachedOutside(AssertionError):
    """Our code, or a library on its behalf, reached for entropy or time from outside the world."""


class Guard:
    """`reached`: what was reached for, by whom: (function, module of the immediate caller). Our own calls raise as well."""

    def __init__(self) -> None:
        self.reached: set[tuple[str, str]] = set()

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **keywords: Any) -> Any:
            caller = sys._getframe(1)
            if not _is_stopwatch(caller) and _has_ours_below(caller):
                self.reached.add((name, str(caller.f_globals.get("__name__"))))
                if _is_ours(caller):
                    raise ReachedOutside(f"{name} called by {caller.f_code.co_filename}:{caller.f_lineno}")
            return real(*args, **keywords)

        return guarded


@contextmanager
def guarded() -> Iterator[Guard]:
    """Put the guard around the outside for as long as the block lasts."""
    guard = Guard()
    replaced: dict[int, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for module, names in OUTSIDE.items():
            for name in names:
                real = getattr(module, name, None)
                if real is not None:
                    replaced[id(real)] = fake = guard.around(f"{module.__name__}.{name}", real)
                    patch.setattr(module, name, fake)
        for kind in (dt.datetime, dt.date):
            replaced[id(kind)] = fake = _guarded_calendar(kind, guard)
            patch.setattr(dt, kind.__name__, fake)
        for module_name, module in list(sys.modules.items()):  # what our modules imported by name
            if module_name.split(".")[0] in PACKAGES:
                for name, value in list(vars(module).items()):
                    if id(value) in replaced and not name.startswith("__"):
                        patch.setattr(module, name, replaced[id(value)])
        yield guard


def _guarded_calendar(kind: Any, guard: Guard) -> Any:
    class Meta(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, kind)

    names = [name for name in ("now", "utcnow", "today") if hasattr(kind, name)]
    return Meta(
        kind.__name__,
        (kind,),
        {name: staticmethod(guard.around(f"datetime.{kind.__name__}.{name}", getattr(kind, name))) for name in names},
    )


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(FOLDERS)


def _is_stopwatch(frame: FrameType) -> bool:
    return frame.f_code.co_filename == STOPWATCH and frame.f_code.co_qualname.startswith("stopwatch")


def _has_ours_below(frame: FrameType | None) -> bool:
    while frame is not None:
        if _is_ours(frame):
            return True
        frame = frame.f_back
    return False
