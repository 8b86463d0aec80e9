"""The guest kernels: how each is started, and how it ends with all its processes."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
from dataclasses import dataclass
from pathlib import Path

from calls import Failure, call
from initrd import initrd, module_index
from packages import debian_image, fetched, installed_qemu

UML_MODULES = ("can", "can_raw", "can_bcm", "can_gw", "can_dev", "vcan", "vxcan")
KEPT_CAPABILITIES = "-all,+chown,+dac_override,+dac_read_search,+fowner,+fsetid"
"""What root needs for the files of others. A process of user-mode Linux that outlived its kernel would run on the host, where
a halt is the host's: so it has no right to halt, and, where we may make one, lives in a PID namespace of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """How a guest is started, the files of the modules to load in it, and the signal that ends it with all its processes."""

    start: list[str]
    modules: list[str]
    ending: signal.Signals = signal.SIGKILL


def uml(state: Path, memory_mib: int) -> Guest:
    """Return Debian's user-mode Linux."""
    if platform.machine() != "x86_64":
        raise Failure(f"Debian's user-mode Linux is for x86_64, not {platform.machine()}: use --kernel host")
    package = fetched("user-mode-linux")
    index = module_index(package)
    if missing := [name for name in UML_MODULES if name not in index]:
        raise Failure(f"{package} has no kernel module {missing[0]}: delete the folder and try again")
    cage = pid_namespace()
    rights = ["setpriv", "--no-new-privs"]
    if os.geteuid() == 0 or "--user" in cage:
        rights += [f"--bounding-set={KEPT_CAPABILITIES}", "--inh-caps=-all"]
    kernel = [
        *("env", f"TMPDIR={memory_folder(state, memory_mib)}", str(package / "usr/bin/linux.uml")),
        *("rootfstype=hostfs", "rootflags=/", "rw", f"mem={memory_mib}M", f"uml_dir={state}/", "quiet"),
        *(f"init={state}/init", "con=null", "con0=fd:0,fd:1", "con1=null"),
    ]
    return Guest(
        start=[*cage, *rights, *one_core(), *kernel],
        modules=[str(index[name]) for name in UML_MODULES],
        ending=signal.SIGKILL if cage else signal.SIGTERM,
    )


def one_core() -> list[str]:
    """Return what keeps a command on one core, the last that we may use: user-mode Linux has one, and each system call in it goes
    from one of its processes to another and back, which takes three times as long from core to core.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(allowed[-1])]


def pid_namespace() -> list[str]:
    """Return what makes a PID namespace for a command; nothing where that is not allowed, as in many containers."""
    for user in ((), ("--user", "--map-current-user")):
        cage = ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
        if call(*cage, "true") is None:
            return cage
    return []


def memory_folder(state: Path, memory_mib: int) -> Path:
    """Return where user-mode Linux may put the file that is its memory: in memory, where that is large enough."""
    shared = Path("/dev/shm")
    with contextlib.suppress(OSError):
        room = os.statvfs(shared)
        if not room.f_flag & os.ST_NOEXEC and room.f_bavail * room.f_frsize >> 20 >= memory_mib:
            return shared
    return state


def qemu(state: Path, memory_mib: int) -> Guest:
    """Return Debian's kernel in qemu; its initrd loads the modules."""
    if platform.machine() != "x86_64":
        raise Failure(f"the guest for qemu is for x86_64, not {platform.machine()}: use --kernel host")
    command = installed_qemu()
    image = fetched(debian_image())
    share = "local,security_model=none,multidevs=remap"
    # -cpu max: wheels and libraries may want more than the oldest x86-64
    start = [
        *(command, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mib)),
        *("-nographic", "-no-reboot", "-append", f"console=ttyS0 panic=-1 quiet with_vcan={state}"),
        *("-kernel", str(next(image.glob("boot/vmlinuz-*"))), "-initrd", str(initrd(image))),
        *("-virtfs", f"{share},path=/,mount_tag=host", "-virtfs", f"{share},path={state},mount_tag=state"),
    ]
    return Guest(start=start, modules=[])
