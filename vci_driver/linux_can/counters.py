"""What went through a raw channel: for people who wonder, and for reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class RawCounters:
    """What went through a channel since it was opened. `errors`: error frames and refusals by kind."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    """Frames that the kernel dropped because nobody read them in time."""
    other_senders: int = 0
    """Frames of others with an identifier of our own."""
    retries: int = 0
    """Attempts to send that found the transmit queue full."""
    given_up: int = 0
    """Frames that found it full for too long, or too many before them."""
    errors: Counter[str] = field(default_factory=Counter)
