"""Who holds a synthetic identity document: the text of its two-dimensional code, which camera and portal both know.

Ours (X): real documents have the machine-readable zone of ICAO Doc 9303, two or three lines of OCR-B, which needs a reader of
printed letters and spells every name in 26 capitals. A QR code (ISO/IEC 18004) with the name in UTF-8 needs neither.
"""

from __future__ import annotations

PREFIX = "SGW-BENCH SPECIMEN/1\n"
MAX_NAME = 200
"""Characters: as much as a field of the portal's forms takes."""


def holder_text(name: str) -> str:
    """Return what the code on the document of `name` says."""
    return PREFIX + name


def holder_name(text: str) -> str:
    """Return the name that a code's text gives, or "" where it is no such code, or none that a form would take."""
    name = text.removeprefix(PREFIX)
    if name == text or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        return ""
    return name
