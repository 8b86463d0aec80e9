"""The portal: one door, a table from request to handler. Pure: the UTC time is an argument, the store is handed in."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from portal_sim.accounts import Accounts
from portal_sim.company import Companies
from portal_sim.desk import Call, Desk
from portal_sim.entitlement import Entitlements
from portal_sim.forms import plain_address
from portal_sim.issuer import Issuer
from portal_sim.keys import BackendKeys
from portal_sim.log_reading import LogReading
from portal_sim.login import Login
from portal_sim.mail.memory_inbox import Inbox, MemoryInbox
from portal_sim.memory_store import MemoryStore
from portal_sim.operators import Operators
from portal_sim.options import PortalOptions
from portal_sim.people import People
from portal_sim.review import Reviewer
from portal_sim.revocation import Revocations
from portal_sim.staging import Staging
from portal_sim.store import Conflict, Store
from wire import portal_api as api
from wire.entropy import Entropy
from wire.errors import LocalMisuse

Handler = Callable[[Any, Call], object]

HOUSEKEEPING_S = 60
"""How often what has run out is looked for: it is worth nothing at once, and goes a little later."""
MAX_CONFLICTS = 20
"""How often an operation is done again when others are in its way, before the back end counts as busy."""
MAILS_AT_ONCE = 100


class Portal:
    """The identity portal and back end of one bench. `review_rng` draws how long reviews take.

    `inbox` None: mail arrives in an inbox of the portal's own, at once. Else somebody else delivers the store's outbox.
    """

    def __init__(
        self,
        *,
        entropy: Entropy,
        keys: BackendKeys,
        review_rng: random.Random,
        options: PortalOptions | None = None,
        store: Store | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        options = options or PortalOptions()
        desk = Desk(store or MemoryStore(), entropy, options, Reviewer(options.review_rules()))
        self._desk = desk
        self._own_inbox = MemoryInbox() if inbox is None else None
        self._inbox: Inbox = inbox or cast("MemoryInbox", self._own_inbox)
        self._due_s = 0
        self._people = people = People(desk, review_rng)
        self._issuer = issuer = Issuer(desk, keys, login := Login(desk))
        self._revocations = revocations = Revocations(desk, keys)
        self.operators = Operators(desk, people, revocations)
        self.staging = Staging(desk)
        accounts, companies, entitlements = Accounts(desk), Companies(desk), Entitlements(desk)
        log = LogReading(desk)
        self._handlers: Mapping[type[api.Request[Any]], Handler] = {
            api.SignUp: accounts.sign_up,
            api.ConfirmEmail: accounts.confirm_email,
            api.ChangePassword: accounts.change_password,
            api.RequestReset: accounts.request_reset,
            api.ConfirmReset: accounts.confirm_reset,
            api.PersonalProfile: people.personal_profile,
            api.IdentityDocuments: people.identity_documents,
            api.GetStatus: people.status,
            api.CompanyProfile: companies.company_profile,
            api.ValidateCompany: companies.validate_company,
            api.ListUsers: companies.users,
            api.InviteUser: companies.invite,
            api.WithdrawInvitation: companies.withdraw_invitation,
            api.AcceptInvitation: companies.accept_invitation,
            api.DisassociateUser: companies.disassociate,
            api.ResetSecondFactor: companies.reset_second_factor,
            api.ReadAudit: log.read,
            api.ExportAuditAsCsv: log.as_csv,
            api.ExportAuditAsLines: log.as_lines,
            api.ReadMail: lambda request, _: self._inbox.read(request.email),
            api.PortalLogin: login.portal_login,
            api.BeginLogin: login.begin,
            api.FinishLogin: login.finish,
            api.Refresh: login.refresh,
            api.NewRecoveryCodes: login.new_recovery_codes,
            api.Logout: login.logout,
            api.GetEntitlements: entitlements.show,
            api.RequestUnlock: issuer.unlock,
            api.RequestUnlockByFile: issuer.unlock_by_file,
            api.RevokeUnlock: revocations.revoke,
            api.GetKeySet: revocations.key_set,
            api.GetRevocationList: revocations.revocation_list,
        }

    def handle(
        self, request: api.Request[api.R_co], utc_s: int, *, address: str = "", media: tuple[str, ...] = ()
    ) -> api.R_co:
        """Carry out one operation at `utc_s`. Raises `wire.portal_api.PortalError` where the portal refuses.

        `address`: the network address that asks, "" where there is none; `media`: the names under which uploads are kept.
        """
        handler = self._handlers.get(type(request))
        if handler is None:
            raise LocalMisuse(f"the portal has no operation {type(request).__name__}")
        self.tick(utc_s)
        call, plain = Call(utc_s, address, media), _with_plain_address(request)
        try:
            reply = cast("api.R_co", _repeated(lambda: handler(plain, call)))
        finally:
            self._deliver()  # a refusal may have mailed something too
        if isinstance(request, api.IdentityDocuments):
            self._expect_review()
        return reply

    def tick(self, utc_s: int) -> None:
        """Do what is due by now, if anything is: cheap enough to be asked with every request, and every second."""
        if utc_s >= self._due_s:
            self.handle_timer(utc_s)

    def handle_timer(self, utc_s: int) -> None:
        """Decide the identity checks that are due, and forget what has run out."""
        self._due_s = utc_s + HOUSEKEEPING_S  # first: a check that is handed in meanwhile makes it earlier
        try:
            _repeated(lambda: self._people.finish_reviews(Call(utc_s)))
            _repeated(lambda: self._forget(utc_s))
            self._expect_review()
        except BaseException:
            self._due_s = utc_s  # it is due still
            raise
        self._deliver()

    def next_deadline_utc_s(self) -> int | None:
        """Return when the next identity check is due."""
        return self._people.next_review_s()

    def audit_log(self, after: int = 0, limit: int | None = None) -> list[api.AuditRecord]:
        """Return the audit log from a position on, oldest first."""
        with self._desk.store.reading() as reading:
            return [entry.record for entry in reading.audit(after, limit)]

    def audit_length(self) -> int:
        """Return how many records the audit log has."""
        with self._desk.store.reading() as reading:
            return reading.audit_head()[0]

    @property
    def keys(self) -> BackendKeys:
        """The back end's private keys: for a bench that lets the back end go wrong."""
        return self._issuer.keys

    @property
    def options(self) -> PortalOptions:
        """The settings in force."""
        return self._desk.options

    def key_set(self, utc_s: int = 0) -> api.KeySet:
        """Return what vehicles need to know."""
        return self._revocations.key_set(api.GetKeySet(), Call(utc_s))

    def _forget(self, utc_s: int) -> None:
        with self._desk.store.unit() as unit:
            unit.forget_expired(utc_s)

    def _expect_review(self) -> None:
        review_s = self._people.next_review_s()
        if review_s is not None:
            self._due_s = min(self._due_s, review_s)

    def _deliver(self) -> None:
        """Empty the outbox into the portal's own inbox, where it has one."""
        if self._own_inbox is None:
            return
        with self._desk.store.unit() as unit:
            for outgoing in unit.undelivered(0, MAILS_AT_ONCE):
                self._own_inbox.put(outgoing.mail)
                unit.delivered(outgoing.mail_id)


def _repeated(act: Callable[[], object]) -> object:
    """Do a unit of work, and again where another was in its way."""
    for _ in range(MAX_CONFLICTS):
        try:
            return act()
        except Conflict:
            continue
    raise api.PortalError(api.PortalErrorCode.UNAVAILABLE, "The back end is busy. Try again later.", retry_after_s=1)


def _with_plain_address(request: api.Request[Any]) -> api.Request[Any]:
    """Every address that enters by the door is brought into one form here, once for all operations."""
    email = getattr(request, "email", None)
    return request if email is None else replace(cast("Any", request), email=plain_address(email))
