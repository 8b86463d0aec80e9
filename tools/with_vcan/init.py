"""Inside a guest, as its first process: prepare it, run the command, note its exit status, halt."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from calls import Failure, call
from interfaces import make_interfaces

NOT_EXECUTABLE, NOT_FOUND = 126, 127
RECEIVE_BUFFER_BYTES = 8 << 20
"""A raw socket's usual buffer holds some 278 classic frames and drops the rest in silence; a guest is ours to tune."""
SYS_FINIT_MODULE = 313
RB_POWER_OFF = 0x4321FEDC


def be_init(state: Path) -> None:
    """Prepare the guest, run the command, note its exit status, halt."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        job = json.loads((state / "job").read_text())
        os.environ["PATH"] = f"{job['env'].get('PATH', os.defpath)}:/usr/sbin:/sbin"
        mount_what_is_missing(libc)
        socket.sethostname(job["host"])
        for path in job["modules"]:
            with Path(path).open("rb") as module:
                if libc.syscall(SYS_FINIT_MODULE, module.fileno(), b"", 0):
                    raise Failure(f"the guest cannot load {path}: {os.strerror(ctypes.get_errno())}")  # noqa: TRY301
        for name in ("rmem_max", "rmem_default"):
            Path("/proc/sys/net/core", name).write_text(str(RECEIVE_BUFFER_BYTES))
        call("ip", "link", "set", "lo", "up")
        call("ip", "route", "add", "224.0.0.0/4", "dev", "lo")  # UDP multicast among the command's processes
        names = make_interfaces(job["count"], ())
        status = run_command(job["command"], job["cwd"], job["env"] | {"WITH_VCAN_IFACES": " ".join(names)}, state)
        (state / "status").write_text(str(status))
    except Exception as error:  # noqa: BLE001 - whatever it is, the host has to hear of it
        (state / "failure").write_text(f"in the guest: {error}")
    finally:
        libc.sync()
        libc.reboot(RB_POWER_OFF)


def mount_what_is_missing(libc: ctypes.CDLL) -> None:
    """Put the guest's own /proc, /sys and /dev over the host's."""
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None)
    for kind, place in (("tmpfs", "/dev/shm"), ("devpts", "/dev/pts")):
        Path(place).mkdir(exist_ok=True)
        libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        with contextlib.suppress(FileExistsError):
            Path("/dev", name).symlink_to(f"/proc/self/fd{target}")


def run_command(command: Sequence[str], cwd: str, env: dict[str, str], state: Path) -> int:
    """Run the command with its output in files; return its exit status as a shell would."""
    os.chdir(cwd)
    with (state / "out").open("ab") as out, (state / "err").open("ab") as err:
        try:
            status = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False)
        except FileNotFoundError:
            err.write(f"with-vcan: there is no command {command[0]}\n".encode())
            return NOT_FOUND
        except OSError as error:
            err.write(f"with-vcan: {command[0]} cannot be executed: {error.strerror}\n".encode())
            return NOT_EXECUTABLE
    return status.returncode if status.returncode >= 0 else 128 - status.returncode


if __name__ == "__main__":
    if os.getpid() != 1:
        sys.exit("this runs as the first process of a guest kernel: see with-vcan --help")
    be_init(Path(sys.argv[1]))
