"""Run a command where real SocketCAN interfaces exist, whatever this machine's kernel offers.

On this kernel when it has vcan; else in a guest kernel that has this machine's file tree as its own, so that the command,
its working directory and all it needs are where they are here. The guest's console is kept away from the command's output.
Why guests, and what each of them can do: docs/ci.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from calls import Failure, as_root, call, complain, whole_number
from guest import run_in_guest
from interfaces import has_isotp, make_interfaces

USAGE = "with-vcan [--kernel auto|host|uml|qemu] [--ifaces N] [--isotp] [--] COMMAND [ARG ...]"
EXPLAINED = """\
The command finds vcan0 .. vcanN-1, and vxcan0 and vxcan1, which are the two ends of one cable; all are up, with CAN FD.

kernels:
  host  this one, with `ip link` as root or through `sudo -n`; the interfaces stay when the command has ended
  uml   Debian's user-mode Linux: quick, one core; raw sockets and broadcast manager, no ISO-TP of the kernel's own
  qemu  Debian's stock kernel in an emulated machine: slow; has the kernel's ISO-TP too
  auto  host where that works, else uml; with --isotp, else qemu

A guest gives the command no standard input, and no network but loopback.

environment, for with-vcan:
  WITH_VCAN_TIMEOUT  seconds after which the command is ended (1800 in a guest, no limit on the host)
  WITH_VCAN_MEMORY   megabytes for a guest (2048)
  XDG_CACHE_HOME     guest kernels are kept in its folder with-vcan (~/.cache)
environment, for the command:
  WITH_VCAN_IFACES   the interfaces that are there: a test that misses one should fail, not skip
  WITH_VCAN_KERNEL   host, uml or qemu
  WITH_VCAN_ISOTP    1 where --isotp was asked for, or the kernel is qemu: a test that misses ISO-TP sockets should fail

exit status: the command's own (128 + N when signal N ended it), or
  2    the call was wrong
  124  the time was up
  125  no vcan to be had, or the guest died: standard error says why in a sentence
  126  the command cannot be executed
  127  there is no such command
  130, 143  ended by Ctrl-C, by SIGTERM
"""
MAX_IFACES = 64
"""More is a typing error; each costs two calls of `ip`."""
FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127


def iface_count(text: str) -> int:
    """Read how many interfaces are wanted."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_IFACES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_IFACES}")
    return int(text)


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends with status 2."""
    parser = argparse.ArgumentParser(
        prog="with-vcan",
        usage=USAGE,
        description=(__doc__ or "").partition("\n\n")[0],
        epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--kernel", choices=("auto", "host", "uml", "qemu"), default="auto", help="see below")
    parser.add_argument("--ifaces", type=iface_count, default=2, metavar="N", help="how many vcan interfaces (2)")
    parser.add_argument("--isotp", action="store_true", help="the command needs the kernel's ISO-TP sockets")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its arguments")
    wanted = parser.parse_args(words)
    if wanted.command[:1] == ["--"]:
        del wanted.command[0]
    if not wanted.command:
        parser.error("no command")
    if wanted.isotp and wanted.kernel == "uml":
        parser.error("user-mode Linux has no ISO-TP sockets: --kernel qemu")
    return wanted


def prepare_host(count: int, *, isotp: bool) -> list[str]:
    """Make the interfaces on this kernel; return their names."""
    root = as_root()
    if root is not None:
        for module in ("vcan", "vxcan", "can-raw"):
            call(*root, "modprobe", "--quiet", module)  # in vain where it is built in, or loaded on demand
    names = make_interfaces(count, root)
    if isotp and not has_isotp():
        raise Failure("this kernel has no ISO-TP sockets: no module can-isotp")
    return names


def run_on_host(command: list[str]) -> NoReturn:
    """Become the command: standard input, terminal and signals are its own."""
    if limit_s := whole_number("WITH_VCAN_TIMEOUT", 0):
        command = ["timeout", "--foreground", "--kill-after=5", str(limit_s), *command]
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a command would inherit that
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        complain(f"there is no command {command[0]}")
        sys.exit(NOT_FOUND)
    except OSError as error:
        complain(f"{command[0]} cannot be executed: {error.strerror}")
        sys.exit(NOT_EXECUTABLE)


def main(words: Sequence[str]) -> int:
    """Run the command; return the exit status."""
    wanted = parsed(words)
    kernel, here = wanted.kernel, ""
    if kernel in ("auto", "host"):
        try:
            names = prepare_host(wanted.ifaces, isotp=wanted.isotp)
        except Failure as error:
            if kernel == "host":
                raise
            kernel, here = ("qemu" if wanted.isotp else "uml"), f" (a guest, because here: {error})"
        else:
            os.environ |= {"WITH_VCAN_IFACES": " ".join(names), "WITH_VCAN_KERNEL": "host"}
            os.environ |= {"WITH_VCAN_ISOTP": "1"} if wanted.isotp else {}
            run_on_host(wanted.command)
    try:
        return run_in_guest(kernel, wanted.ifaces, wanted.command, isotp=wanted.isotp or kernel == "qemu")
    except Failure as error:
        raise Failure(f"{error}{here}") from error


def end_by_signal(number: int, _: FrameType | None) -> NoReturn:
    """End as a shell says that a signal ended a command."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as under nohup
            signal.signal(ending, end_by_signal)
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (Failure, OSError) as error:
        complain(str(error))
        sys.exit(FAILED)
