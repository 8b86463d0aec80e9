"""Section `security`: the levels of SecurityAccess 0x27."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecu_sim.profile import SecurityLevel
from ecu_sim.reading.fields import accesses_in, each, read_number, read_sessions
from wire.durations import read_duration
from wire.seed_key import ALGORITHMS
from wire.strict_yaml import Node

KEYS = ("security", "security_access")


def read(node: Node) -> dict[str, Any]:
    """Return `security` and `security_access`."""
    levels = {level.level: level for level in each(node, "security", _security, 0x7D)}
    _check_levels(node, levels)
    access = node.get("security_access")
    word = access.choice(("none", "after_grant")) if access else "none"
    return {"security": levels, "security_access": word}


def _security(node: Node, level: int) -> SecurityLevel:
    node.mapping(("algorithm", "secret", "seed_len", "attempts", "delay", "sessions"))
    if level % 2 == 0:
        raise node.error(f"a level is named by its odd request number, not {level:02X}")
    sessions, delay = node.get("sessions"), node.get("delay")
    return SecurityLevel(
        level=level,
        algorithm=node.require("algorithm").choice(tuple(ALGORITHMS)),
        secret=node.require("secret").hex_bytes(),
        seed_len=read_number(node.get("seed_len"), 8, 2, 32),
        attempts=read_number(node.get("attempts"), 3, 1, 255),
        delay_ns=delay.read(read_duration) if delay else 10_000_000_000,
        sessions=read_sessions(sessions) if sessions else frozenset((0x03,)),
    )


def _check_levels(node: Node, security: Mapping[int, SecurityLevel]) -> None:
    """Refuse an access that demands a 0x27 level which the unit does not have: nobody could ever meet it."""
    for _, access in accesses_in(node):
        level = access.get("security")
        if level is not None and level.value not in security:
            there = ", ".join(f"{number:02X}" for number in security) or "none"
            raise level.error(f"no level {level.value:02X} under 'security'; there are: {there}")
