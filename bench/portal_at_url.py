"""The back end of a bench whose portal stands behind a URL, reached by its control plane: what `Backend` asks for, over HTTP.

In virtual time the portal's clock follows the world's. Where time passes the portal has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_sim.keys import BackendKeys
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.portal_api import AuditRecord, GetKeySet, KeySet, PortalError, PortalErrorCode, R_co, Request
from wire.portal_control import Entitle, GetState, ReadRecords, RevokeCompany, RevokeIssued, SetClock

if TYPE_CHECKING:
    from vci_driver.portal_http import HttpPortal

RECORDS_AT_ONCE = 1000


class ServedBackend:
    """The portal behind `port`, whose control token is known. `keys`: its private keys, where the bench file names their folder.

    Raises `PortalError` where the portal does not answer, or not to this token.
    """

    def __init__(self, port: HttpPortal, keys: BackendKeys | None, *, virtual: bool) -> None:
        self._port = port
        self._keys = keys
        self._virtual = virtual
        self._set_s: int | None = None
        self._told_before = port.call(GetState()).audit_records

    @property
    def operators(self) -> ServedBackend:
        """What the back end's operators do."""
        return self

    @property
    def keys(self) -> BackendKeys:
        """The private keys. Raises `NotOnThisCarrier` where the bench does not know them."""
        if self._keys is None:
            raise NotOnThisCarrier(
                f"the keys of the portal at {self._port.url} are not here: name their folder (portal: keys_folder)"
            )
        return self._keys

    def handle(self, request: Request[R_co], utc_s: int) -> R_co:
        """Carry out one operation. Raises `PortalError`."""
        self._follow(utc_s)
        return self._port.call(request)

    def handle_timer(self, utc_s: int) -> None:
        """Let what is due happen."""
        self._set_s = None
        self._follow(utc_s)

    def next_deadline_utc_s(self) -> int | None:
        """Return when the next identity check is due; None where the portal sees to that by itself."""
        return self._port.call(GetState()).next_review_utc_s if self._virtual else None

    def audit_log(self, after: int = 0) -> list[AuditRecord]:
        """Return what was written since this bench began, from a position on."""
        found: list[AuditRecord] = []
        while True:
            begin = self._told_before + after + len(found)
            page = self._port.call(ReadRecords(after=begin, limit=RECORDS_AT_ONCE))
            found += page
            if len(page) < RECORDS_AT_ONCE:
                return found

    def key_set(self, _: int = 0) -> KeySet:
        """Return what vehicles need to know."""
        return self._port.call(GetKeySet())

    def entitle(self, email: str, make: str, role: int, utc_s: int) -> None:
        """Entitle a person to a role for a make."""
        self._order(Entitle(email=email, make=make, role=role), utc_s)

    def revoke_company(self, email: str, utc_s: int) -> None:
        """Revoke the company that a person belongs to."""
        self._order(RevokeCompany(email=email), utc_s)

    def revoke_unlock(self, audit_id: str, utc_s: int) -> None:
        """Revoke an issued unlock."""
        self._order(RevokeIssued(audit_id=audit_id), utc_s)

    def _order(self, order: Request[object], utc_s: int) -> None:
        try:
            self.handle(order, utc_s)
        except PortalError as error:
            if error.code is PortalErrorCode.INVALID_INPUT:
                raise LocalMisuse(error.sentence) from None
            raise

    def _follow(self, utc_s: int) -> None:
        if self._virtual and utc_s != self._set_s:
            self._port.call(SetClock(utc_s=utc_s))
            self._set_s = utc_s
