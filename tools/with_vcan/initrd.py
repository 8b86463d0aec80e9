"""The initrd that makes Debian's kernel take the host's file tree over 9p as its own: modules, busybox, ten lines of script."""

from __future__ import annotations

import gzip
import lzma
import re
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from calls import Failure
from packages import fetched

QEMU_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "can_raw", "can_bcm", "can_gw", "can_isotp", "vcan", "vxcan")
INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
options=trans=virtio,version=9p2000.L,msize=262144
/bin/busybox mount -t 9p -o $options,cache=loose host /root
state=$(/bin/busybox sed -n 's/.*with_vcan=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
/bin/busybox mount -t 9p -o $options,cache=none state "/root$state"
exec /bin/busybox switch_root /root "$state/init"
"""
"""What the initrd does. The command's output is not cached, so that it is seen while the command runs."""


def module_index(root: Path) -> dict[str, Path]:
    """Return the module files below `root` by the module's name."""
    return {path.name.split(".")[0].replace("-", "_"): path for path in root.rglob("*.ko*")}


def module_bytes(path: Path) -> bytes:
    """Read a module, compressed or not."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".ko":
        return data
    raise Failure(f"{path} is compressed in a way that this tool does not read")


def with_dependencies(names: Iterable[str], index: dict[str, Path]) -> dict[str, bytes]:
    """Return modules with all that they need, in an order in which they load; what has no file is built in."""
    found: dict[str, bytes] = {}
    for name in names:
        if name in found or name not in index:
            continue
        data = module_bytes(index[name])
        needs = re.search(rb"\0depends=([^\0]+)\0", data)
        found |= with_dependencies(needs[1].decode().replace("-", "_").split(",") if needs else (), index)
        found[name] = data
    return found


def initrd(image: Path) -> Path:
    """Return the initrd for Debian's kernel: made once, then kept."""
    wanted = zlib.crc32(repr((INIT, QEMU_MODULES)).encode())
    target = image / f"initrd-{wanted:08x}"
    if not target.exists():
        modules = with_dependencies(QEMU_MODULES, module_index(image))
        entries = [cpio(name, 0o40755, b"") for name in ("bin", "dev", "modules", "proc", "root")]
        entries.append(cpio("bin/busybox", 0o100755, (fetched("busybox-static") / "bin/busybox").read_bytes()))
        entries.append(cpio("init", 0o100755, INIT.encode()))
        entries += [cpio(f"modules/{n:03}-{name}", 0o100644, modules[name]) for n, name in enumerate(modules)]
        with tempfile.NamedTemporaryFile(dir=image, delete=False) as out:
            out.write(gzip.compress(b"".join([*entries, cpio("TRAILER!!!", 0, b"")]), compresslevel=1))
        Path(out.name).rename(target)
    return target


def cpio(name: str, mode: int, data: bytes) -> bytes:
    """Return an entry of an archive in the format newc, which the kernel unpacks."""
    path = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
