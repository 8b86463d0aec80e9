"""What a profile says about the services that change how a unit behaves: plain frozen data, with the standard's usual values.

The cores that live by them stand in `ecu_sim.periodic`, `io_control`, `definitions`, `response_on_event` and `services`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ecu_sim.profile import Access

SLOW, MEDIUM, FAST = 0x01, 0x02, 0x03
"""Transmission modes of 0x2A, and timer rates of 0x86."""
RETURN_CONTROL, RESET_TO_DEFAULT, FREEZE, ADJUST = 0x00, 0x01, 0x02, 0x03
"""Input output control parameters of 0x2F."""
CLASSIC_ROOM = 7
"""Data bytes of a classic frame behind the periodic identifier."""
_MS, _S = 1_000_000, 1_000_000_000


def _usual_rates() -> dict[int, int]:
    return {SLOW: 1_000 * _MS, MEDIUM: 200 * _MS, FAST: 25 * _MS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicOptions:
    """0x2A: periods by transmission mode, how many identifiers may run at once and stand in one request, and what carries them.

    `can_ids`: the unit's identifiers for UUDT frames; what is scheduled takes them in turn. `room`: data bytes of such a frame.
    """

    periods_ns: Mapping[int, int] = field(default_factory=_usual_rates)
    scheduled: int = 8
    at_once: int = 8
    transport: Literal["uudt", "usdt"] = "usdt"
    can_ids: tuple[int, ...] = ()
    room: int = CLASSIC_ROOM


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionOptions:
    """0x2C. `kept`: definitions survive reset and loss of supply. `count`: identifiers defined at once; `pieces`: of each."""

    kept: bool = False
    count: int = 16
    pieces: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """0x2F: one output. `value`: what the unit itself sets; `default`: what resetToDefault sets; both of the same size.

    `parts`: widths in bits of what the mask controls one by one, from the most significant bit on; empty: one part, and no mask.
    `highest`: the largest control state, as a whole record; None: any. `options`: the control parameters that it knows.
    """

    did: int
    name: str = ""
    value: bytes
    default: bytes
    access: Access
    read: Access
    parts: tuple[int, ...] = ()
    highest: bytes | None = None
    options: frozenset[int] = frozenset((RETURN_CONTROL, RESET_TO_DEFAULT, FREEZE, ADJUST))

    @property
    def mask_len(self) -> int:
        """How many bytes the control enable mask has."""
        return (len(self.parts) + 7) // 8

    def bits_of(self, mask: bytes) -> int:
        """Return the bits of the record that an enable mask names; without a mask, all."""
        at = 8 * len(self.value)
        if not mask:
            return (1 << at) - 1
        bits = 0
        for number, width in enumerate(self.parts):
            at -= width
            if mask[number // 8] & 0x80 >> number % 8:
                bits |= ((1 << width) - 1) << at
        return bits


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """0x86. `windows_ns`: what an event window of that byte lasts. `rates_ns`: of the timer event. `sample_ns`: how often a unit
    looks whether something has changed. `respond`: services that an event may be answered with; empty: those of the edition.
    """

    windows_ns: Mapping[int, int] = field(default_factory=lambda: {0x03: 10 * _S, 0x04: 60 * _S, 0x05: 600 * _S})
    rates_ns: Mapping[int, int] = field(default_factory=_usual_rates)
    sample_ns: int = 100 * _MS
    respond: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """0x87. `bitrates`: in bit/s, that the unit can go to. `programming`: what link mode 0x20 means; None: not offered.
    `switch_ns`: how long after its answer it changes over.
    """

    bitrates: frozenset[int] = frozenset()
    programming: int | None = None
    switch_ns: int = 10 * _MS


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationOptions:
    """0x28. `subnets`: numbers 1 to 14 of networks that can be told apart; `nodes`: identification numbers behind this unit,
    without which sub-functions 04 and 05 do not exist.
    """

    subnets: frozenset[int] = frozenset()
    nodes: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRule:
    """0x10: from which sessions this one may be entered (empty: from all), who may, and its own P2 and P2* where it has any."""

    entered_from: frozenset[int] = frozenset()
    access: Access | None = None
    p2_ns: int | None = None
    p2_star_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingLimits:
    """0x83: the fastest timing that a tester may ask for (the slowest is what the two bytes of each can say)."""

    p2_ns: int = 20 * _MS
    p2_star_ns: int = 100 * _MS
