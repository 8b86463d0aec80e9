"""Opens ODX and PDX files for odxtools, which trusts what it is given: limits and refusals are here, before it sees a byte.

A PDX is a ZIP of XML files. Nothing is unpacked onto a disk, and no document may define entities. What is wrong is a
`ConfigError` with one sentence. odxtools is the extra `[odx]` and is imported here alone.
"""

from __future__ import annotations

import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ecu_sim.importing.document import clean
from wire.errors import ConfigError

if TYPE_CHECKING:
    from odxtools.database import Database
    from odxtools.diaglayers.hierarchyelement import HierarchyElement

MISSING = "ODX and PDX files are read by odxtools, which is not installed here: pip install 'sgw-bench[odx]'"
MAX_FILE_BYTES = 256_000_000
"""The PDX of a whole vehicle has some ten megabytes."""
MAX_XML_BYTES = 256_000_000
"""All documents of a file, unpacked: a tree of them takes some ten times as much memory."""
MAX_MEMBERS = 10_000
MAX_DEPTH = 100
"""Elements within elements; ODX has some thirty."""
MODEL_VERSIONS = ("2.0.0", "2.0.1", "2.1.0", "2.2.0")
"""The versions of ODX whose documents carry these elements (2.2.0 is ISO 22901-1)."""
ZIP_MAGIC = b"PK"
_ENCRYPTED = 0x1
_XML_VERSION = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s+version\s*=\s*[\"']([^\"']*)")
"""Expat reads any version as 1.0."""


def have_odxtools() -> bool:
    """Whether the extra is installed."""
    try:
        import odxtools  # noqa: F401, PLC0415 - an extra, imported where used
    except ImportError:
        return False
    return True


def open_database(path: Path) -> tuple[Database, list[str]]:
    """Return (the database of an ODX or PDX file, what odxtools warned of). Raises `ConfigError`."""
    if not have_odxtools():
        raise ConfigError(MISSING, path=str(path))
    from odxtools.database import Database  # noqa: PLC0415

    documents = list(_documents(path))
    if not documents:
        raise ConfigError("holds no ODX document (a file whose name ends in .odx-d and the like)", path=str(path))
    database = Database(use_weakrefs=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, data in documents:
            root = _tree(data, path, name)
            for code in root.iter("CODE-FILE"):  # a job's program: it must be there for odxtools, and is never run
                database.add_auxiliary_file(code.text or "", BytesIO())
            with _blamed(path, name):
                database.add_odx_xml_tree(root)
        with _blamed(path, "its references"):
            database.refresh()
    return database, sorted({str(warning.message) for warning in caught})


def choose_layer(database: Database, wanted: str | None, path: Path) -> HierarchyElement:
    """Return the ECU variant, else base variant, that is `wanted` or the only one."""
    layers: dict[str, HierarchyElement] = {}
    for layer in (*database.ecu_variants, *database.base_variants):
        layers.setdefault(layer.short_name, layer)
    if wanted is not None:
        if wanted in layers:
            return layers[wanted]
        raise ConfigError(f"has no variant {wanted!r}; there are: {', '.join(layers) or 'none'}", path=str(path))
    narrow = [layer.short_name for layer in database.ecu_variants] or list(layers)
    if not narrow:
        raise ConfigError("describes no ECU: neither an ECU variant nor a base variant is in it", path=str(path))
    if len(narrow) > 1:
        raise ConfigError(f"describes several ECUs; say which by --variant: {', '.join(layers)}", path=str(path))
    return layers[narrow[0]]


def _documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the ODX documents of a file."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ConfigError(f"has {size} bytes; such a file has at most {MAX_FILE_BYTES}", path=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", path=str(path)) from None
    if not data.startswith(ZIP_MAGIC):
        yield path.name, data
        return
    try:
        with zipfile.ZipFile(BytesIO(data)) as pdx:
            yield from _members(pdx, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"is no sound ZIP file, as a PDX is: {error}", path=str(path)) from None


def _members(pdx: zipfile.ZipFile, path: Path) -> Iterator[tuple[str, bytes]]:
    members = pdx.infolist()
    if len(members) > MAX_MEMBERS:
        raise ConfigError(f"holds {len(members)} files; a PDX has at most {MAX_MEMBERS}", path=str(path))
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise ConfigError(f"holds a file whose name leads out of it: {member.filename!r:.100}", path=str(path))
    wanted = [member for member in members if PurePosixPath(member.filename).suffix.lower().startswith(".odx")]
    total = sum(member.file_size for member in wanted)
    if total > MAX_XML_BYTES:
        raise ConfigError(f"unpacks to {total} bytes; its documents may have {MAX_XML_BYTES}", path=str(path))
    for member in wanted:
        if member.flag_bits & _ENCRYPTED:
            raise ConfigError(
                f"{member.filename!r:.100} is encrypted; unpack it with its password first", path=str(path)
            )
        yield member.filename, pdx.read(member)


class _Plain(ET.TreeBuilder):
    """Builds a tree, but takes no document type: entities are defined there, and they multiply or read other files."""

    depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - expat's signature
        """Refuse."""
        raise ValueError("it has a document type, and ODX has none")

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        """Begin an element."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"elements are nested deeper than {MAX_DEPTH}")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        """End an element."""
        self.depth -= 1
        return super().end(tag)


def _tree(data: bytes, path: Path, name: str) -> ET.Element:
    declared = _XML_VERSION.match(data)
    if declared is not None and declared[1] != b"1.0":
        version = declared[1].decode("ascii", "replace")
        raise ConfigError(f"{name!r:.100} is XML {version:.20}; ODX is XML 1.0", path=str(path))
    parser = ET.XMLParser(target=_Plain())  # noqa: S314 - see _Plain  # nosec B314
    try:
        parser.feed(data)
        root = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ConfigError(f"{name!r:.100} is no XML that can be read: {error}", path=str(path)) from None
    if root.tag != "ODX":
        raise ConfigError(f"{name!r:.100} is no ODX document: it begins with <{root.tag}>"[:300], path=str(path))
    version = root.get("MODEL-VERSION", "none")
    if version not in MODEL_VERSIONS:
        raise ConfigError(
            f"{name!r:.100} is ODX {version:.20}; versions that are read: {', '.join(MODEL_VERSIONS)}", path=str(path)
        )
    return root


@contextmanager
def _blamed(path: Path, name: str) -> Iterator[None]:
    """Turn whatever odxtools raises into one sentence: a document that breaks its rules meets any error of Python."""
    try:
        yield
    except RecursionError:
        raise ConfigError(f"{name!r:.100} refers to itself without end", path=str(path)) from None
    except Exception as error:  # noqa: BLE001 - see above
        raise ConfigError(f"{name!r:.100} cannot be understood by odxtools: {said(error)}", path=str(path)) from None


def said(error: Exception) -> str:
    """Return an error of odxtools as a piece of a sentence."""
    text = " ".join(str(error).split())[:300]
    return text or type(error).__name__


def plain_name(thing: Any) -> str:
    """Return the name that people know: the long name where there is one."""
    return clean(str(thing.long_name or thing.short_name))
