"""Durations as people write them in files: `90 min`, `2.5 s`, `1 h 30 min`."""

from __future__ import annotations

import re
from reprlib import repr as shortened

_PART = r"(\d{1,600})(?:\.(\d{1,600}))?\s*([a-z]+)\s*"
_DURATION = re.compile(rf"\s*([+-]?)((?:{_PART})+)")
"""600 digits: `int` reads at least 640, however tight the interpreter's limit is set."""
UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
MAX_NS = 30 * 24 * UNITS_NS["h"]
"""A month: longer waits are typing errors."""


def read_duration(value: object, *, signed: bool = False) -> int:
    """Return nanoseconds; raise `ValueError` with a sentence that says what would be right."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    parts = [] if match is None else re.findall(_PART, match[2])
    if match is None or any(unit not in UNITS_NS for _, _, unit in parts):
        raise ValueError(
            f"expected a duration with its unit ({', '.join(UNITS_NS)}), as in '90 min', got {shortened(value)}"
        )
    sign, nanoseconds = match[1], sum(_part_ns(*part) for part in parts)
    if sign == "-" and not signed:
        raise ValueError(f"time does not run backwards: {shortened(value)}")
    if nanoseconds > MAX_NS:
        raise ValueError(f"longer than 30 days: {shortened(value)}")
    return -nanoseconds if sign == "-" else nanoseconds


def _part_ns(whole: str, fraction: str, unit: str) -> int:
    unit_ns = UNITS_NS[unit]
    return int(whole) * unit_ns + (int(fraction) * unit_ns // 10 ** len(fraction) if fraction else 0)
