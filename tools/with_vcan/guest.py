"""Running a command in a guest kernel, seen from the host."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from calls import Failure, complain, whole_number
from kernels import Guest, qemu, uml

GUEST_TIMEOUT_S = 1800
GUEST_MEMORY_MIB = 2048
GUEST_END_S = 5
"""How long a guest may take to end its processes."""
POLL_S = 0.05
"""How often the guest's output is looked at: a person does not notice, and it costs nothing."""
TIME_UP = 124


def run_in_guest(kernel: str, count: int, command: Sequence[str], *, isotp: bool) -> int:
    """Run the command in a guest; return its exit status."""
    limit_s = whole_number("WITH_VCAN_TIMEOUT", GUEST_TIMEOUT_S)
    memory_mib = whole_number("WITH_VCAN_MEMORY", GUEST_MEMORY_MIB)
    # in /tmp itself: the path stands on a kernel's command line, which TMPDIR might not fit
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="with-vcan.") as name:
        state = Path(name)
        guest = {"uml": uml, "qemu": qemu}[kernel](state, memory_mib)
        env = dict(os.environ) | {"WITH_VCAN_KERNEL": kernel} | ({"WITH_VCAN_ISOTP": "1"} if isotp else {})
        job = {"command": command, "cwd": str(Path.cwd()), "env": env, "count": count, "modules": guest.modules}
        (state / "job").write_text(json.dumps(job | {"host": socket.gethostname()}))
        init = shlex.join([sys.executable, "-ES", str(Path(__file__).resolve().with_name("init.py")), str(state)])
        (state / "init").write_text(f"#!/bin/sh\nexec {init}\n")
        (state / "init").chmod(0o755)
        watch(guest, state, limit_s)
        if (state / "failure").exists():
            raise Failure((state / "failure").read_text())
        if not (state / "status").exists():
            console = (state / "console").read_text(errors="replace").splitlines()[-20:]
            raise Failure("\n".join([f"the guest ({kernel}) ended without a result; its console:", *console]))
        return int((state / "status").read_text())


def watch(guest: Guest, state: Path, limit_s: int) -> None:
    """Start a guest and hand on the command's output until it ends, or the time is up, or we are told to end."""
    out, err = state / "out", state / "err"
    out.touch()
    err.touch()
    end_s = time.monotonic() + limit_s
    with (state / "console").open("wb") as console, out.open("rb") as said, err.open("rb") as complained:
        process = subprocess.Popen(
            # so that the guest ends with us, however we end
            ["setpriv", f"--pdeathsig={guest.ending.name.removeprefix('SIG')}", *guest.start],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.returncode is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                hand_on(said, sys.stdout.buffer)
                hand_on(complained, sys.stderr.buffer)
                if time.monotonic() > end_s:
                    complain(f"the command was ended after {limit_s} s (WITH_VCAN_TIMEOUT)")
                    sys.exit(TIME_UP)
        finally:
            process.send_signal(guest.ending)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GUEST_END_S)
            process.kill()
            process.wait()


def hand_on(source: BinaryIO, target: BinaryIO) -> None:
    """Copy what came since the last time."""
    if data := source.read():
        target.write(data)
        target.flush()
