"""Runs `sgw-bench`: here, which is quick, or in a process of its own, as a person's shell does with output into pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import cli

CHECKOUT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-W", "error", "-m", "bench.cli")


def environment(**more: str) -> dict[str, str]:
    """The environment without what a developer's terminal adds. The packages are those of this checkout."""
    bare = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR", "PYTHONHASHSEED")}
    return {**bare, "PYTHONPATH": str(CHECKOUT), **more}


def in_a_process(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command line in a process of its own."""
    return subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


Here = Callable[..., "subprocess.CompletedProcess[str]"]


def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Return a function that runs one command line in this process, with the same result as in another."""

    def run(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["sgw-bench", *words])
            patch.chdir(cwd)
            patch.delenv("COLUMNS", raising=False)
            for name, value in more.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return subprocess.CompletedProcess(words, code if isinstance(code, int) else int(code is not None), out, err)

    return run
