"""What happens to a control unit, as its services, its lock and its memories learn of it."""

from __future__ import annotations

from enum import StrEnum


class UnitEvent(StrEnum):
    """An event of the whole unit. Those that may end a grant have the same words in `unlock.gate.GateEvent`."""

    SESSION_CHANGE = "session change"
    SAME_SESSION_AGAIN = "same session again"
    S3_TIMEOUT = "S3 time-out"
    ECU_RESET = "ECU reset"
    STARTED = "started"
    TERMINAL_15_OFF = "terminal 15 off"
    TERMINAL_15_ON = "terminal 15 on"
    SLEEP = "sleep"
    WAKE = "wake"
