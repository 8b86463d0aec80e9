"""How an unlock ends: the field's result codes, each with a sentence, and the report and error that carry them.

Codes as seen in public tools (domain facts, section 2): 1 is good, everything else says at which step it went wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from wire.errors import BenchError


class UnlockResult(IntEnum):
    """The tester's result of an unlock."""

    OK = 1
    SERVICE_NOT_FOUND = -1
    READING_STATE_FAILED = -2
    LOGON_FAILED = -3
    READING_REQUEST_FAILED = -4
    NO_TOKEN_RECEIVED = -5
    WRITING_TOKEN_FAILED = -6

    @property
    def sentence(self) -> str:
        """What it means, in words."""
        return SENTENCES[self]


SENTENCES = {
    UnlockResult.OK: "The control unit is open.",
    UnlockResult.SERVICE_NOT_FOUND: "This control unit has no unlock service.",
    UnlockResult.READING_STATE_FAILED: "The state of the lock could not be read.",
    UnlockResult.LOGON_FAILED: "The user is not logged on, or the second factor was not accepted.",
    UnlockResult.READING_REQUEST_FAILED: "The control unit did not hand out its unlock request.",
    UnlockResult.NO_TOKEN_RECEIVED: "The back end issued no token.",
    UnlockResult.WRITING_TOKEN_FAILED: "The control unit did not take the token.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockState:
    """Whether a unit is locked. `minutes_left` of an open one, as it says itself; None where it does not say.

    `signed_changes_only`: it is of the generation that no token opens (SFD2).
    """

    locked: bool
    minutes_left: int | None = None
    signed_changes_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockReport:
    """How an unlock of `ecu` ended. `cause`: the error behind a failure. `audit_id`: the back end's record of what it issued."""

    ecu: str
    result: UnlockResult
    cause: Exception | None = None
    minutes_left: int | None = None
    audit_id: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the unit is open."""
        return self.result is UnlockResult.OK

    @property
    def text(self) -> str:
        """One line for people."""
        line = f"{self.ecu}: {self.result.sentence} ({self.result.value})"
        return line if self.cause is None else f"{line} {self.cause}"


class UnlockFailed(BenchError):
    """An unlock did not come about; `report` says how far it came, `result` is the field's code."""

    def __init__(self, report: UnlockReport) -> None:
        super().__init__(report.text)
        self.report = report
        self.result = report.result


class StepFailed(Exception):
    """A step of an unlock failed: the result it leads to, and why."""

    def __init__(self, result: UnlockResult, cause: Exception) -> None:
        super().__init__(str(cause))
        self.result = result
        self.cause = cause
