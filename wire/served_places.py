"""Where programs of one user find a served car: a folder of control sockets."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from wire.errors import ConfigError

ENVIRONMENT = "SGW_BENCH_CONTROL"
"""Names the control socket for programs that are not told otherwise."""
ONLY_OURS = 0o700


def runtime_folder() -> Path:
    """Return this user's folder for sockets and the like, made where it is not there."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    owner = getattr(os, "getuid", lambda: 0)()
    folder = Path(base) / "sgw-bench" if base else Path(tempfile.gettempdir()) / f"sgw-bench-{owner}"
    try:
        folder.mkdir(mode=ONLY_OURS, parents=True, exist_ok=True)
        stranger = hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()
    except OSError as error:
        raise ConfigError(f"this folder for sockets cannot be had: {error.strerror}", path=str(folder)) from None
    if stranger:  # somebody else was there first, and would hear what is said to the car
        raise ConfigError("this folder for sockets belongs to another user: set XDG_RUNTIME_DIR", path=str(folder))
    return folder


def find_control() -> Path:
    """Return the control socket that the environment names, or the only one that there is. Raises `ConfigError`."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    sockets = sorted(runtime_folder().glob("*.sock"))
    if len(sockets) > 1:  # those that processes left behind which were killed do not count
        sockets = [path for path in sockets if answers(path)] or sockets
    if len(sockets) == 1:
        return sockets[0]
    if not sockets:
        raise ConfigError("no car is served by this user: start one with `sgw-bench serve`, or name its control socket")
    names = ", ".join(str(path) for path in sockets)
    raise ConfigError(f"several cars are served: name one control socket (control=..., or {ENVIRONMENT}): {names}")


def answers(path: Path) -> bool:
    """Return whether somebody serves at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # somebody who has much to do
            return True
        except OSError:
            return False
        return True
