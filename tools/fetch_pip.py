"""Put pip into an environment that was made without it: fetch its wheel from the package index and let it install itself."""

import hashlib
import json
import os
import re
import runpy
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

PIP_VERSION = "25.3"


def main() -> None:
    """Find pip's wheel on the configured index (PIP_INDEX_URL, else the public one), check its hash, install."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    request = urllib.request.Request(index, headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        body = answer.read().decode()
        kind = answer.headers.get_content_type()
        base = answer.geturl()
    name = f"pip-{PIP_VERSION}-py3-none-any.whl"
    if kind.endswith("json"):
        entry = next(file for file in json.loads(body)["files"] if file["filename"] == name)
        url, sha256 = entry["url"], entry["hashes"]["sha256"]
    else:
        match = re.search(rf'href="([^"#]*{re.escape(name)})#sha256=([0-9a-f]+)"', body)
        if match is None:
            sys.exit(f"{index} lists no {name}")
        url, sha256 = match.groups()
    with urllib.request.urlopen(urllib.parse.urljoin(base, url), timeout=60) as answer:
        wheel = answer.read()
    if hashlib.sha256(wheel).hexdigest() != sha256:
        sys.exit(f"{name} from {index} does not match its hash")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(wheel)
        sys.path.insert(0, str(path))
        sys.argv = ["pip", "install", "--quiet", "--no-deps", "--no-index", str(path)]
        runpy.run_module("pip", run_name="__main__", alter_sys=True)


main()
