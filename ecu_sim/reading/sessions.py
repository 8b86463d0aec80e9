"""Sections `session_rules` (0x10), `power_down_time` (0x11) and `timing_limits` (0x83)."""

from __future__ import annotations

from typing import Any

from ecu_sim.reading.fields import hex_keyed, read_access, read_sessions
from ecu_sim.reading.timing import read_p2, read_p2_star
from ecu_sim.service_options import SessionRule, TimingLimits
from wire.durations import read_duration
from wire.strict_yaml import Node
from wire.uds import Session

KEYS = ("session_rules", "power_down_time", "timing_limits")
NS_PER_S = 1_000_000_000
TIME_NOT_KNOWN = 0xFF


def read(node: Node) -> dict[str, Any]:
    """Return `session_rules`, `power_down_s` and `timing_limits`."""
    rules, power_down, limits = (node.get(key) for key in KEYS)
    return {
        "session_rules": _rules(rules, read_sessions(node.require("sessions"))) if rules else {},
        "power_down_s": _power_down_s(power_down) if power_down else None,
        "timing_limits": _limits(limits) if limits else TimingLimits(),
    }


def _rules(node: Node, sessions: frozenset[int]) -> dict[int, SessionRule]:
    rules = {}
    for session, entry in hex_keyed(node, 0x7F).items():
        if session not in sessions:
            raise entry.error(f"the unit has no session {session:02X}: see 'sessions'")
        entry.mapping(("from", "access", "p2", "p2_star"))
        before, access, p2, p2_star = (entry.get(key) for key in ("from", "access", "p2", "p2_star"))
        entered_from = read_sessions(before) if before else frozenset()
        if before is not None and entered_from - sessions:
            unknown = ", ".join(f"{number:02X}" for number in sorted(entered_from - sessions))
            raise before.error(f"the unit has no session {unknown}: see 'sessions'")
        if session == Session.defaultSession and (before is not None or access is not None):
            raise entry.error("the default session may be entered from everywhere, by everybody")
        if access is not None and access.get("sessions") is not None:
            raise access.error("from which sessions this one may be entered is said by 'from'")
        rules[session] = SessionRule(
            entered_from=entered_from,
            access=read_access(access) if access else None,
            p2_ns=read_p2(p2) if p2 else None,
            p2_star_ns=read_p2_star(p2_star) if p2_star else None,
        )
    return rules


def _power_down_s(node: Node) -> int:
    if node.value == "unknown":
        return TIME_NOT_KNOWN
    down_ns = node.read(read_duration)
    if down_ns % NS_PER_S or not 0 <= down_ns < TIME_NOT_KNOWN * NS_PER_S:
        raise node.error("powerDownTime is whole seconds, 0 s to 254 s, or the word unknown")
    return down_ns // NS_PER_S


def _limits(node: Node) -> TimingLimits:
    node.mapping(("p2", "p2_star"))
    p2, p2_star, usual = node.get("p2"), node.get("p2_star"), TimingLimits()
    return TimingLimits(
        p2_ns=read_p2(p2) if p2 else usual.p2_ns, p2_star_ns=read_p2_star(p2_star) if p2_star else usual.p2_star_ns
    )
