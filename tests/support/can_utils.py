"""Debian's can-utils as foreign witnesses: other people's programs on the same interface, in processes of their own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kernel_can import require_command

from wire.world import World

PATIENCE_S = 30
"""How long a witness may take: it ends by itself when it has seen what it waits for."""
LOOKS, LOOK_NS = 1000, 20_000_000
"""How often and how far apart the kernel is asked whether a witness listens: 20 s in all."""


def run(*words: str, cwd: Path | None = None, typed: str | None = None) -> str:
    """Run one of the programs to its end; return what it printed."""
    require_command(words[0], "can-utils")
    done = subprocess.run(
        words, cwd=cwd, input=typed or "", capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def listening(world: World, *words: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start one of the programs, and go on when the kernel says that it listens; `ended(process)` waits for its end."""
    require_command(words[0], "can-utils")
    before = _listeners()
    process = subprocess.Popen(
        words, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for _ in range(LOOKS):
            if _listeners() > before or process.poll() is not None:
                break
            world.run_for(LOOK_NS)
        assert process.poll() is None, f"{' '.join(words)} ended at once: {process.communicate()[0]}"
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def sending(typed: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start one of the programs that sends what is typed into it; `ended(process)` waits for its end."""
    require_command(words[0], "can-utils")
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdin is not None
        process.stdin.write(typed)
        process.stdin.close()
        process.stdin = None
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a program that saw what it waited for; return what it printed."""
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


def _listeners() -> int:
    """Count what the kernel hands frames to: `/proc/net/can/rcvlist_*` has a line for each filter of each socket."""
    lists = Path("/proc/net/can").glob("rcvlist_*")
    return sum(line.rstrip().endswith((" raw", " isotp")) for path in lists for line in path.read_text().splitlines())
