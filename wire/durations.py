"""Durations as people write them in files: `90 min`, `2.5 s`, `300 ms`."""

from __future__ import annotations

import re
from reprlib import repr as shortened

_DURATION = re.compile(r"\s*([+-]?)(\d{1,600})(?:\.(\d{1,600}))?\s*([a-z]+)\s*")
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
    if match is None or match[4] not in UNITS_NS:
        raise ValueError(
            f"expected a duration with its unit ({', '.join(UNITS_NS)}), as in '90 min', got {shortened(value)}"
        )
    sign, whole, fraction, unit = match.groups()
    unit_ns = UNITS_NS[unit]
    nanoseconds = int(whole) * unit_ns + (int(fraction) * unit_ns // 10 ** len(fraction) if fraction else 0)
    if sign == "-" and not signed:
        raise ValueError(f"time does not run backwards: {shortened(value)}")
    if nanoseconds > MAX_NS:
        raise ValueError(f"longer than 30 days: {shortened(value)}")
    return -nanoseconds if sign == "-" else nanoseconds
