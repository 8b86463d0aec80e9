"""The control plane: a router of its own, mounted only where a token was given, and shut to whoever does not show it."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from anyio import to_thread
from starlette.types import Receive, Scope

from portal_sim.log_reading import AUDIT_PAGE_MAX
from portal_sim.portal import Portal
from portal_sim.review import Decides
from portal_sim.web.doors import Answer, Door, MessageDoor, Prepared
from portal_sim.web.faults import Faults
from portal_sim.web.openapi import document
from portal_sim.web.requests import bearer, single_headers
from wire import portal_api as api
from wire import portal_control as control
from wire.errors import LocalMisuse
from wire.portal_api import Done, PortalError, PortalErrorCode
from wire.portal_control import CONTROL_ROUTES, PREFIX
from wire.portal_routes import Route

DOCUMENT_PATH = PREFIX + "openapi.json"


class SettableClock:
    """The portal's time: what `base` says, until somebody sets it."""

    def __init__(self, base: Callable[[], int]) -> None:
        self._base = base
        self._set: tuple[int, int | None] | None = None
        self._turn = threading.Lock()

    def __call__(self) -> int:
        """Return the time."""
        with self._turn:
            found = self._set
        if found is None:
            return self._base()
        at_s, since_s = found
        return at_s if since_s is None else at_s + self._base() - since_s

    def set(self, utc_s: int | None, *, running: bool) -> None:
        """Set the clock; None: as `base` says again."""
        with self._turn:
            self._set = None if utc_s is None else (utc_s, self._base() if running else None)


class Locked:
    """A door that opens only for the control token."""

    def __init__(self, door: Door, token: str) -> None:
        self._door = door
        self._token = token.encode()

    async def answer(self, scope: Scope, receive: Receive, path: Mapping[str, str]) -> Answer:
        """See `Door`."""
        shown = bearer(single_headers(scope)).encode("latin-1", "replace")
        if not hmac.compare_digest(shown, self._token):
            raise PortalError(PortalErrorCode.SESSION_INVALID, "The control plane opens only for its token.")
        return await self._door.answer(scope, receive, path)


class Controls:
    """Carries out what the control plane is asked for."""

    def __init__(self, portal: Portal, clock: SettableClock, faults: Faults) -> None:
        self._portal = portal
        self._clock = clock
        operators, staging = portal.operators, portal.staging
        self._acts: dict[type[Any], Callable[[Any, int], object]] = {
            control.GetState: lambda _, now_s: self._state(now_s),
            control.SetClock: self._set_clock,
            control.ReadRecords: self._records,
            api.ReadMail: portal.handle,
            control.PutAccount: staging.put_account,
            control.EndLockOut: lambda m, now_s: operators.unlock_account(m.email, now_s),
            control.SetReviewer: self._set_reviewer,
            control.ListChecks: self._checks,
            control.DecideCheck: lambda m, now_s: operators.decide_review(m.email, m.refusal, now_s),
            control.Entitle: lambda m, now_s: operators.entitle(m.email, m.make, m.role, now_s),
            control.License: lambda m, now_s: operators.license(m.email, m.make, m.until_utc_s, now_s),
            control.RevokeCompany: lambda m, now_s: operators.revoke_company(m.email, now_s),
            control.RevokeIssued: lambda m, now_s: operators.revoke_unlock(m.audit_id, now_s),
            control.InjectFault: lambda m, _: faults.inject(m),
            control.ClearFaults: lambda _, __: faults.clear(),
        }

    def __call__(self, _: Route, message: api.Request[Any], __: str) -> Awaitable[Any]:
        """Return what is answered. Raises `PortalError`; what makes no sense is `invalid-input`."""
        return to_thread.run_sync(lambda: self._carry_out(message))

    def _carry_out(self, message: api.Request[Any]) -> object:
        try:
            reply = self._acts[type(message)](message, self._clock())
        except LocalMisuse as error:
            raise PortalError(PortalErrorCode.INVALID_INPUT, f"This cannot be done: {error}.") from None
        return Done() if reply is None else reply

    def _state(self, now_s: int) -> control.PortalState:
        return control.PortalState(
            utc_s=now_s,
            next_review_utc_s=self._portal.next_deadline_utc_s(),
            audit_records=self._portal.audit_length(),
        )

    def _set_clock(self, message: control.SetClock, _: int) -> control.PortalState:
        if message.utc_s is not None and not 0 <= message.utc_s < 2**33:
            raise LocalMisuse("the clock takes seconds since 1970, up to the year 2242")
        self._clock.set(message.utc_s, running=message.running)
        now_s = self._clock()
        self._portal.handle_timer(now_s)
        return self._state(now_s)

    def _set_reviewer(self, message: control.SetReviewer, now_s: int) -> control.ReviewerState:
        decides: Decides = "rules" if message.decides is control.Decider.RULES else "person"
        rules = self._portal.operators.set_reviewer(decides, message.wait_min_s, message.wait_max_s, now_s)
        return control.ReviewerState(decides=message.decides, wait_min_s=rules.wait_min_s, wait_max_s=rules.wait_max_s)

    def _checks(self, _: control.ListChecks, now_s: int) -> tuple[control.OpenCheck, ...]:
        found = self._portal.operators.open_checks(now_s)
        return tuple(control.OpenCheck(email=each.email, due_utc_s=each.review_due_s) for each in found)

    def _records(self, message: control.ReadRecords, _: int) -> tuple[api.AuditRecord, ...]:
        if message.after < 0 or not 1 <= message.limit <= AUDIT_PAGE_MAX:
            raise LocalMisuse(f"it takes 1 to {AUDIT_PAGE_MAX} records after a position from 0 up")
        return tuple(self._portal.audit_log(message.after, message.limit))


def control_doors(portal: Portal, clock: SettableClock, faults: Faults, token: str) -> list[tuple[str, str, Door]]:
    """Return the doors of the control plane, each of them locked."""
    run = Controls(portal, clock, faults)
    doors: list[tuple[str, str, Door]] = [(r.method, r.path, MessageDoor(r, run)) for r in CONTROL_ROUTES]
    described = json.dumps(document(CONTROL_ROUTES, title="SGW bench: identity portal, control plane", locked=True))
    doors.append(("GET", DOCUMENT_PATH, Prepared(described.encode())))
    return [(method, path, Locked(door, token)) for method, path, door in doors]
