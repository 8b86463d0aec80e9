"""The control plane of a portal that is served: what a bench does behind its back, as messages with routes of their own.

It is there only where the portal was started with it, and only for who shows its token. Each message is carried out at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wire import portal_api as api
from wire.portal_api import AuditRecord, CheckState, CompanyState, Done, Request
from wire.portal_api import PortalErrorCode as Code
from wire.portal_routes import ALWAYS, Route

PREFIX = "/control/v1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalState:
    """Where the portal stands: its time, when the next identity check is decided, how many records the audit log has."""

    utc_s: int
    next_review_utc_s: int | None
    audit_records: int


@dataclass(frozen=True, slots=True)
class GetState(Request[PortalState]):
    """Look where the portal stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClock(Request[PortalState]):
    """Set the portal's clock; what is due by then happens. It stands still then, unless it is `running`. None: real time."""

    utc_s: int | None
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecords(Request[tuple[AuditRecord, ...]]):
    """Read the whole audit log from a position on, oldest first."""

    after: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitle(Request[Done]):
    """Entitle a person to a role for a make."""

    email: str
    make: str
    role: int


@dataclass(frozen=True, slots=True, kw_only=True)
class License(Request[Done]):
    """License a person's company for a make."""

    email: str
    make: str
    until_utc_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCompany(Request[Done]):
    """Revoke the validation of a person's company."""

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeIssued(Request[Done]):
    """Revoke an unlock, whoever got it."""

    audit_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideCheck(Request[Done]):
    """Decide an identity check as the reviewer: `refusal` says why not, null approves."""

    email: str
    refusal: str | None = None


class Decider(StrEnum):
    """Who decides an identity check: the rules when their time has come, or a person."""

    RULES = "rules"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerState:
    """Who decides what is submitted now, and after how long the rules do."""

    decides: Decider
    wait_min_s: int
    wait_max_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReviewer(Request[ReviewerState]):
    """Set who decides the identity checks from now on, and after how long the rules do. Null: as long as now."""

    decides: Decider
    wait_min_s: int | None = None
    wait_max_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCheck:
    """An identity check in progress. `due_utc_s`: when the rules decide it, null where a person does."""

    email: str
    due_utc_s: int | None


@dataclass(frozen=True, slots=True)
class ListChecks(Request[tuple[OpenCheck, ...]]):
    """List the identity checks in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLockOut(Request[Done]):
    """Forget the failures that stand against a person."""

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAccount(Request[Done]):
    """Make a confirmed account in a state, all at once; an account that is there already is refused.

    With a name the personal profile is complete, `identity` says how far the check is. `company` is founded in a state with the
    person as its manager; both want an identity that is approved.
    """

    email: str
    password: str = field(repr=False)
    first_name: str = ""
    last_name: str = ""
    birth_date: str = "1990-04-01"
    identity: CheckState = CheckState.NONE
    company: str = ""
    company_state: CompanyState = CompanyState.VALIDATED


class FaultKind(StrEnum):
    """What goes wrong with an answer. All but `error` carry the request out first: its answer is what is lost or spoiled."""

    SLOW = "slow"
    ERROR = "error"
    BROKEN = "broken"
    TRUNCATED = "truncated"
    NOT_JSON = "not-json"
    WRONG_SHAPE = "wrong-shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectFault(Request[Done]):
    """Let something go wrong with the next `requests` requests (null: all) whose path begins with `path`.

    `delay_ms`: how long each waits before anything else; `status`: of `error`. It takes the place of an earlier one.
    """

    kind: FaultKind
    requests: int | None = 1
    delay_ms: int = 0
    status: int = 503
    path: str = "/v1/"


@dataclass(frozen=True, slots=True)
class ClearFaults(Request[Done]):
    """Let everything go right again."""


def _route(message: type[Request[Any]], line: str, tag: str, status: int = 200) -> Route:
    method, path = line.split()
    refusals = ALWAYS | {Code.SESSION_INVALID}
    return Route(message=message, method=method, path=PREFIX + path, tag=tag, refusals=refusals, status=status)


CONTROL_ROUTES: tuple[Route, ...] = (
    _route(GetState, "GET state", "state"),
    _route(SetClock, "PUT clock", "state"),
    _route(ReadRecords, "GET audit", "state"),
    _route(api.ReadMail, "GET mail", "state"),
    _route(PutAccount, "PUT accounts/{email}", "people", 201),
    _route(EndLockOut, "DELETE accounts/{email}/failures", "people"),
    _route(SetReviewer, "PUT reviewer", "people"),
    _route(ListChecks, "GET identity-checks", "people"),
    _route(DecideCheck, "POST identity-checks/{email}/decision", "people"),
    _route(Entitle, "POST entitlements", "people", 201),
    _route(License, "POST licences", "people", 201),
    _route(RevokeCompany, "POST companies/revocation", "people"),
    _route(RevokeIssued, "POST unlocks/{audit_id}/revocation", "people"),
    _route(InjectFault, "PUT faults", "faults"),
    _route(ClearFaults, "DELETE faults", "faults"),
)
"""The control plane, version 1."""
