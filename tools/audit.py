"""Ask a vulnerability service about every pinned package: `make audit`. Where none can be asked it says so, and fails nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
SERVICES = ("pypi", "osv")
ASK_S = 300


def asked(service: str) -> list[dict[str, object]] | None:
    """Return what a service said of each package; None where it could not be asked, or knows none of them."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-r",
        str(LOCK),
        "--no-deps",
        "--disable-pip",
        "-s",
        service,
        "-f",
        "json",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_S)
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    known = [each for each in found if "skip_reason" not in each]
    return found if known else None


def main() -> int:
    """Return the exit status: 1 where a vulnerability is known."""
    for service in SERVICES:
        found = asked(service)
        if found is None:
            continue
        known = [each for each in found if "skip_reason" not in each]
        bad = [each for each in known if each["vulns"]]
        for each in bad:
            ids = ", ".join(
                f"{v['id']} (mended in {', '.join(v['fix_versions']) or 'no version yet'})" for v in each["vulns"]
            )
            print(f"{each['name']} {each['version']}: {ids}")
        print(f"{service}: {len(known)} of {len(found)} packages are known there, {len(bad)} with a vulnerability.")
        return 1 if bad else 0
    print(
        "No vulnerability service can be asked from here: nothing is known about the pinned packages. Try again elsewhere."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
