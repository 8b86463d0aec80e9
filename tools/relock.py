"""Renew requirements.lock: install the newest versions that pyproject.toml allows into a fresh environment and freeze it."""

import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = "# Pins the development environment. Made by `make lock`; no index is named, so any mirror will do.\n"
BUILD = ["hatchling", "editables"]


def main() -> None:
    """Write the lock."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", f"{root}[test,udp]", *BUILD], check=True)
        frozen = subprocess.run([*pip, "freeze", "--exclude", "sgw-bench"], check=True, capture_output=True, text=True)
    (root / "requirements.lock").write_text(HEAD + frozen.stdout, encoding="utf-8")


main()
