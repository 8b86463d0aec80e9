"""Section `timing`: P2, P2*, S3, and how long a restart takes."""

from __future__ import annotations

from typing import Any

from ecu_sim.profile import Timing
from ecu_sim.reading.fields import read_options
from wire.durations import read_duration
from wire.strict_yaml import Node

_MS = 1_000_000
P2_RANGE_NS = (20 * _MS, 0xFFFF * _MS)
"""0x78 goes out 10 ms before P2 ends, and the session's answer holds P2 in 16 bits of milliseconds."""
P2_STAR_RANGE_NS = (20 * _MS, 0xFFFF * 10 * _MS)
"""As P2, in 16 bits of 10 ms."""
S3_MIN_NS = 100 * _MS
"""A shorter S3 ends a session before a tester can keep it; ISO 14229-2 has 5 s."""


KEYS = ("timing",)


def read(node: Node) -> dict[str, Any]:
    """Return `timing`."""
    timing = node.get("timing")
    return {"timing": _timing(timing) if timing else Timing()}


def _timing(node: Node) -> Timing:
    timing = read_options(node, Timing)
    _in_range(node.get("p2"), timing.p2_ns, P2_RANGE_NS)
    _in_range(node.get("p2_star"), timing.p2_star_ns, P2_STAR_RANGE_NS)
    if timing.s3_ns < S3_MIN_NS:
        raise node.require("s3").error(
            f"expected a time from {S3_MIN_NS // _MS} ms: a session ends sooner than it is kept"
        )
    return timing


def read_p2(node: Node) -> int:
    """Read a P2 in ns."""
    return _in_range(node, node.read(read_duration), P2_RANGE_NS)


def read_p2_star(node: Node) -> int:
    """Read a P2* in ns."""
    return _in_range(node, node.read(read_duration), P2_STAR_RANGE_NS)


def _in_range(node: Node | None, value_ns: int, limits_ns: tuple[int, int]) -> int:
    low_ns, high_ns = limits_ns
    if node is not None and not low_ns <= value_ns <= high_ns:
        raise node.error(f"expected a time from {low_ns // _MS} ms to {high_ns // _MS} ms")
    return value_ns
