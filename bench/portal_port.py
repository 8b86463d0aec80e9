"""The direct door to the portal: in process, with latency, outages and spoiled answers as things of world time.

A call takes as long as the back end takes, and the world runs meanwhile: the tester's keep-alive must hold the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from bench.tampering import Tamperer
from portal_sim.keys import BackendKeys
from scenarios.stage import OutageKind, TamperKind
from wire.clock import NS_PER_MS, NS_PER_S
from wire.errors import LocalMisuse
from wire.portal_api import AuditRecord, KeySet, PortalError, PortalErrorCode, R_co, Request, RequestUnlock, Unlock
from wire.world import World

DEFAULT_LATENCY_NS = 60 * NS_PER_MS
CLIENT_TIMEOUT_NS = 30 * NS_PER_S
"""How long a tester waits for a back end that does not answer."""
SLOW_LATENCY_NS = 20 * NS_PER_S


class Operators(Protocol):
    """What the back end's operators do. Raises `LocalMisuse` where there is nobody or nothing of that name."""

    def entitle(self, email: str, make: str, role: int, utc_s: int) -> None:
        """Entitle a person to a role for a make."""

    def revoke_company(self, email: str, utc_s: int) -> None:
        """Revoke the company that a person belongs to."""

    def revoke_unlock(self, audit_id: str, utc_s: int) -> None:
        """Revoke an issued token or certificate."""


class Backend(Protocol):
    """What a bench reaches behind the door: a `Portal` in this process, or a served one by its control plane."""

    @property
    def operators(self) -> Operators:
        """What the back end's operators do."""

    @property
    def keys(self) -> BackendKeys:
        """The back end's private keys."""

    def handle(self, request: Request[R_co], utc_s: int) -> R_co:
        """Carry out one operation. Raises `PortalError`."""

    def handle_timer(self, utc_s: int) -> None:
        """Let what is due happen."""

    def next_deadline_utc_s(self) -> int | None:
        """Return when the next identity check is due."""

    def audit_log(self, after: int = 0) -> list[AuditRecord]:
        """Return the audit log from a position on, oldest first."""

    def key_set(self, utc_s: int = 0) -> KeySet:
        """Return what vehicles need to know."""


class DirectPortal:
    """A `wire.portal_api.PortalPort` to a back end that the bench reaches behind: all that passes is the bench's to spoil.

    `on_audit(record)` is told of every audit record as it is written. `tamper` spoils the next unlock on its way out.
    """

    def __init__(
        self,
        world: World,
        portal: Backend,
        on_audit: Callable[[AuditRecord], None],
        *,
        latency_ns: int = DEFAULT_LATENCY_NS,
    ) -> None:
        self.world = world
        self.portal = portal
        self.latency_ns = latency_ns
        self._on_audit = on_audit
        self._audited = 0
        self._timer = world.timer("portal", self._on_timer)
        self._tamperer = Tamperer(portal)
        self._next_tamper: TamperKind | None = None
        self._outage: OutageKind | None = None
        self._outage_until_ns = 0

    def call(self, request: Request[R_co]) -> R_co:
        """Carry out one operation; the world runs while the answer is on its way. Raises `PortalError`."""
        with self.world.hold:
            return self._call(request)

    def _call(self, request: Request[R_co]) -> R_co:
        outage = self._outage if self.world.now_ns < self._outage_until_ns else None
        if outage is OutageKind.AWAY:
            self._pass_time(min(CLIENT_TIMEOUT_NS, self._outage_until_ns - self.world.now_ns))
            raise PortalError(PortalErrorCode.UNAVAILABLE, "The back end does not answer. Try again later.")
        self._pass_time((SLOW_LATENCY_NS if outage is OutageKind.SLOW else self.latency_ns) // 2)
        if outage is OutageKind.ERROR:
            raise PortalError(PortalErrorCode.UNAVAILABLE, "The back end failed (5xx). Try again later.")
        try:
            reply = self.portal.handle(request, self.world.utc_s())
        finally:
            self.after_change()
        if isinstance(request, RequestUnlock):
            reply = cast("R_co", self._spoil(request, cast("Unlock", reply)))
        self._pass_time((SLOW_LATENCY_NS if outage is OutageKind.SLOW else self.latency_ns) // 2)
        return reply

    def after_change(self) -> None:
        """Report new audit records and re-arm the portal's own timer, after anything touched the portal."""
        records = self.portal.audit_log(self._audited)
        for record in records:
            self._on_audit(record)
        self._audited += len(records)
        due_s = self.portal.next_deadline_utc_s()
        epoch_s = self.world.clock.epoch_utc_s() + self.world.date_ahead_s
        self._timer.set(None if due_s is None else (due_s - epoch_s) * NS_PER_S)

    def tamper(self, kind: TamperKind) -> None:
        """Spoil the next unlock."""
        self._next_tamper = kind

    def outage(self, kind: OutageKind, duration_ns: int) -> None:
        """Be away, fail or be slow for so long."""
        if duration_ns <= 0:
            raise LocalMisuse(f"an outage lasts some time, not {duration_ns} ns")
        self._outage = kind
        self._outage_until_ns = self.world.now_ns + duration_ns

    def _spoil(self, request: RequestUnlock, unlock: Unlock) -> Unlock:
        kind, self._next_tamper = self._next_tamper, None
        return self._tamperer.apply(kind, request, unlock, self.world.utc_s())

    def _pass_time(self, duration_ns: int) -> None:
        if duration_ns:
            self.world.run_for(duration_ns)

    def _on_timer(self, _: int) -> None:
        self.portal.handle_timer(self.world.utc_s())
        self.after_change()
