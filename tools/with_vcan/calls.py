"""How this tool calls other programs, and the one kind of failure that it reports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class Failure(Exception):
    """What keeps the command from running, in a sentence."""


def call(*words: str | os.PathLike[str], cwd: Path | None = None) -> str | None:
    """Run a command in silence; return None, or the last line that it complained with."""
    try:
        done = subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{words[0]}: {error.strerror}"
    if done.returncode == 0:
        return None
    return next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")


def as_root() -> list[str] | None:
    """Return what to put before a command so that root runs it; None where that is not allowed."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if call("sudo", "-n", "true") is None else None


def whole_number(variable: str, default: int) -> int:
    """Read a whole number from the environment."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal():
        raise Failure(f"{variable} is a whole number, not {text!r}")
    return int(text)


def complain(text: str) -> None:
    """Say on standard error what is wrong."""
    print(f"with-vcan: {text}", file=sys.stderr)
