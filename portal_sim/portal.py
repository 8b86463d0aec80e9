"""The portal: one door, a table from request to handler. Pure: the UTC time is an argument, the store is handed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from portal_sim.desk import Desk
from portal_sim.forms import plain_address
from portal_sim.issuer import Issuer
from portal_sim.keys import BackendKeys
from portal_sim.login import Login
from portal_sim.options import PortalOptions
from portal_sim.people import People
from portal_sim.store import MemoryStore, Store
from wire import portal_api as api
from wire.entropy import Entropy
from wire.errors import LocalMisuse
from wire.token import Role

Handler = Callable[[Any, int], object]


class Portal:
    """The identity portal and back end of one bench. `review_rng` draws how long reviews take."""

    def __init__(
        self,
        *,
        entropy: Entropy,
        keys: BackendKeys,
        review_rng: random.Random,
        options: PortalOptions | None = None,
        store: Store | None = None,
    ) -> None:
        desk = Desk(store or MemoryStore(), entropy, options or PortalOptions())
        self._desk = desk
        self._people = people = People(desk, review_rng)
        self._login = login = Login(desk)
        self._issuer = issuer = Issuer(desk, keys, login)
        self._handlers: Mapping[type[api.Request[Any]], Handler] = {
            api.SignUp: people.sign_up,
            api.ConfirmEmail: people.confirm_email,
            api.ChangePassword: people.change_password,
            api.RequestReset: people.request_reset,
            api.ConfirmReset: people.confirm_reset,
            api.PersonalProfile: people.personal_profile,
            api.IdentityDocuments: people.identity_documents,
            api.CompanyProfile: people.company_profile,
            api.ValidateCompany: people.validate_company,
            api.GetStatus: people.status,
            api.InviteUser: people.invite,
            api.AcceptInvitation: people.accept_invitation,
            api.DisassociateUser: people.disassociate,
            api.ResetSecondFactor: people.reset_second_factor,
            api.ReadMail: lambda request, _: desk.store.mails(request.email),
            api.PortalLogin: login.portal_login,
            api.BeginLogin: login.begin,
            api.FinishLogin: login.finish,
            api.Logout: login.logout,
            api.RequestUnlock: issuer.unlock,
            api.GetKeySet: lambda _, __: issuer.key_set(),
        }

    def handle(self, request: api.Request[api.R_co], utc_s: int) -> api.R_co:
        """Carry out one operation at `utc_s`. Raises `wire.portal_api.PortalError` where the portal refuses."""
        handler = self._handlers.get(type(request))
        if handler is None:
            raise LocalMisuse(f"the portal has no operation {type(request).__name__}")
        self.handle_timer(utc_s)
        return cast("api.R_co", handler(_with_plain_address(request), utc_s))

    def handle_timer(self, utc_s: int) -> None:
        """Decide the identity checks that are due, and forget what has run out."""
        self._desk.store.forget_expired(utc_s)
        self._people.finish_reviews(utc_s)

    def next_deadline_utc_s(self) -> int | None:
        """Return when the next identity check is due."""
        return self._people.next_review_s()

    def audit_log(self) -> list[api.AuditRecord]:
        """Return the audit log, oldest first; do not change it."""
        return self._desk.store.audit()

    # ---- what the back end's operators do

    @property
    def keys(self) -> BackendKeys:
        """The back end's private keys: for a bench that lets the back end go wrong."""
        return self._issuer.keys

    @property
    def options(self) -> PortalOptions:
        """The settings in force."""
        return self._desk.options

    def key_set(self) -> api.KeySet:
        """Return what vehicles need to know."""
        return self._issuer.key_set()

    def entitle(self, email: str, make: str, role: int) -> None:
        """Entitle a person to a role for a make. Raises `LocalMisuse` where there is no such role or make."""
        if role not in Role.__members__.values():
            known = ", ".join(f"{each.name} {each.value}" for each in Role)
            raise LocalMisuse(f"there is no role {role}: {known}")
        if make not in self._desk.options.makes:
            raise LocalMisuse(f"the portal knows no make {make!r}: {', '.join(self._desk.options.makes)}")
        self._issuer.entitlements.add((plain_address(email), make, role))

    def revoke_company(self, email: str) -> None:
        """Revoke the company that a person belongs to. Raises `LocalMisuse` where there is none."""
        account = self._desk.store.account(plain_address(email))
        company = None if account is None else self._desk.company_of(account)
        if company is None:
            raise LocalMisuse(f"{email} belongs to no company")
        company.state = api.CompanyState.REVOKED

    def revoke_unlock(self, audit_id: str) -> None:
        """Revoke an issued token or certificate."""
        self._issuer.revoke(audit_id)


def _with_plain_address(request: api.Request[Any]) -> api.Request[Any]:
    """Every address that enters by the door is brought into one form here, once for all operations."""
    email = getattr(request, "email", None)
    return request if email is None else replace(cast("Any", request), email=plain_address(email))
