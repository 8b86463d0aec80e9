"""Debian's packages: guest kernels are unpacked into a cache and never installed; only qemu has to be."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from calls import Failure, as_root, call


def cache() -> Path:
    """Return the folder in which guest kernels are kept; it may be deleted at any time."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "with-vcan"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetched(package: str) -> Path:
    """Return a folder with a Debian package's files: fetched once, then kept."""
    target = cache() / package
    if target.is_dir():
        return target
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Failure(f"there is no apt-get to fetch {package} with: a guest kernel is one of Debian's packages")
    with tempfile.TemporaryDirectory(dir=cache(), prefix="fetch.") as name:
        folder = Path(name)
        if call("apt-get", "download", package, cwd=folder):
            refresh_lists()
            if complaint := call("apt-get", "download", package, cwd=folder):
                raise Failure(f"Debian's package {package} is not to be had: {complaint}")
        if complaint := call("dpkg", "-x", next(folder.glob("*.deb")), folder / "files"):
            raise Failure(f"Debian's package {package} cannot be unpacked into {folder}: {complaint}")
        with contextlib.suppress(OSError):  # another one was quicker
            (folder / "files").rename(target)
    return target


def refresh_lists() -> None:
    """Let apt-get learn what there is, where we may; if that fails, what comes next says so better."""
    if (root := as_root()) is not None:
        call(*root, "apt-get", "update", "-qq")


def installed_qemu() -> str:
    """Return qemu's command; install it where it is missing and that is allowed."""
    name, package = "qemu-system-x86_64", "qemu-system-x86"
    if shutil.which(name) is None:
        root = as_root()
        if root is None or shutil.which("apt-get") is None:
            raise Failure(f"{name} is missing, and installing it takes root and apt-get: apt-get install {package}")
        install = (*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "-y")
        if call(*install, "--no-install-recommends", package):
            refresh_lists()
            if complaint := call(*install, "--no-install-recommends", package):
                raise Failure(f"Debian's package {package} is not to be had: {complaint}")
    return name


def debian_image() -> str:
    """Return the name of the package with Debian's kernel: one that was fetched before, else the current one."""
    if kept := sorted(path.name for path in cache().glob("linux-image-*") if path.is_dir()):
        return kept[-1]
    if shutil.which("apt-cache") is not None:
        for attempt in range(2):
            if attempt:
                refresh_lists()
            said = subprocess.run(
                ("apt-cache", "depends", "linux-image-amd64"), capture_output=True, text=True, check=False
            )
            if found := re.search(r"Depends: (linux-image-\S+)", said.stdout):
                return found[1]
    raise Failure("apt-cache knows no package linux-image-amd64: the guest for qemu is Debian's kernel")
