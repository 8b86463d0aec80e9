"""The workshop: company profile and validation, its people, what they may ask for, and the log of what they did."""

from __future__ import annotations

from portal_sim.accounts import take_authenticator
from portal_sim.desk import Call, Desk, Look, Work, hashed
from portal_sim.forms import invalid, require_address, require_texts
from portal_sim.records import Account, Company, Link
from wire.portal_api import (
    AcceptInvitation,
    CheckState,
    CompanyProfile,
    CompanyState,
    CompanyUser,
    CompanyUsers,
    DisassociateUser,
    Done,
    InviteUser,
    ListUsers,
    PortalError,
    PortalErrorCode,
    ResetSecondFactor,
    ValidateCompany,
    WithdrawInvitation,
)

COMPLETE, VALIDATED = "The company profile is complete.", "The company profile has been validated."


class Companies:
    """Each method takes its request and the call, and raises `PortalError` where it refuses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def company_profile(self, request: CompanyProfile, call: Call) -> Done:
        """Fill in the company profile; every field is needed."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            _require_identity(account)
            company = work.company_of(account)
            if company is not None and company.manager != account.email:
                raise PortalError(
                    PortalErrorCode.NOT_THE_MANAGER, "Only the workshop manager fills in the company profile."
                )
            fields = _checked_fields(request)
            if company is None:
                if work.unit.found_company(account.email, request.legal_name, fields) is None:
                    raise PortalError(PortalErrorCode.ALREADY_IN_COMPANY, "You belong to a company already.")
            elif company.state is CompanyState.REVOKED:
                raise _revoked()
            else:
                work.unit.set_company_profile(company.company_id, request.legal_name, fields)
        return Done(COMPLETE)

    def validate_company(self, request: ValidateCompany, call: Call) -> Done:
        """Validate the company, when the person is checked and the profile complete."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            _require_identity(account)
            company = managed_company(work, account)
            if company.state is CompanyState.REVOKED:
                raise _revoked()
            work.unit.set_company_state(company.company_id, CompanyState.VALIDATED)
            work.audit("company validated", account, company.legal_name)
        return Done(VALIDATED)

    # ---- other users

    def users(self, request: ListUsers, call: Call) -> CompanyUsers:
        """Show who belongs to the company, and who is invited."""
        with self._desk.look(call) as look:
            company = managed_company(look, look.account_of(request.session))
            members = look.reading.users(company.company_id)
            invited = look.reading.invited(company.company_id, call.now_s)
        users = tuple(
            CompanyUser(
                email=each.email,
                name=each.name,
                identity=each.identity,
                manager=each.email == company.manager,
                enrolled=each.secret is not None,
            )
            for each in members
        )
        return CompanyUsers(users=users, invited=tuple(invited))

    def invite(self, request: InviteUser, call: Call) -> Done:
        """Invite a person to the manager's validated company."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            company = managed_company(work, account)
            if company.state is not CompanyState.VALIDATED:
                raise PortalError(
                    PortalErrorCode.COMPANY_NOT_VALIDATED, "Validate the company before you invite others."
                )
            require_address(request.email)
            link = Link("invite", request.email, company.company_id, call.now_s + work.options.link_lifetime_s)
            work.mail(request.email, f"Invitation to {company.legal_name}", "Please follow the link.", link)
            work.audit("invited", account, request.email)
        return Done("The invitation is on its way.")

    def withdraw_invitation(self, request: WithdrawInvitation, call: Call) -> Done:
        """Make an invitation's link worth nothing."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            company = managed_company(work, account)
            if not work.unit.drop_links("invite", request.email, company.company_id):
                raise invalid("the invitation", "nobody with this address is invited to your company")
            work.audit("invitation withdrawn", account, request.email)
        return Done("The invitation is withdrawn.")

    def accept_invitation(self, request: AcceptInvitation, call: Call) -> Done:
        """Join the company that the link names; it must have been sent to this very person."""
        with self._desk.work(call) as work:
            work.require_calm()
            account = work.account_of(request.session)
            joined = work.unit.join_company(hashed(request.link_code), account.email, call.now_s)
            if joined is None:
                work.count_against_address()
                raise PortalError(PortalErrorCode.LINK_INVALID, "This invitation is not valid, or not yours.")
            if not joined:
                raise PortalError(
                    PortalErrorCode.ALREADY_IN_COMPANY,
                    "You belong to another company already; nobody can belong to two.",
                )
            work.audit("joined company", work.account_of(request.session))
        return Done("You belong to the company now.")

    def disassociate(self, request: DisassociateUser, call: Call) -> Done:
        """Take a person out of the manager's company; their sessions end, and no older invitation leads back."""
        with self._desk.work(call) as work:
            manager = work.account_of(request.session)
            company, other = _colleague(work, manager, request.email)
            work.unit.leave_company(other.email, company.company_id)
            work.unit.drop_links("invite", other.email, company.company_id)
            work.unit.end_sessions(other.email)
            work.audit("disassociated", manager, other.email)
        return Done("The user is disassociated.")

    def reset_second_factor(self, request: ResetSecondFactor, call: Call) -> Done:
        """Take a colleague's authenticator away; their sessions end, and so does a lock-out: the new one starts afresh."""
        with self._desk.work(call) as work:
            manager = work.account_of(request.session)
            _, other = _colleague(work, manager, request.email)
            take_authenticator(work, other)
            work.audit("second factor reset", manager, other.email)
            work.mail(other.email, "Your authenticator was reset", "A new one will be set up at your next login.")
        return Done("A new authenticator will be set up at the next login.")


def managed_company(look: Look, account: Account) -> Company:
    """Return the company whose manager this is; raise `COMPANY_INCOMPLETE` or `NOT_THE_MANAGER`."""
    company = look.company_of(account)
    if company is None:
        raise PortalError(PortalErrorCode.COMPANY_INCOMPLETE, "Please complete the company profile first.")
    if company.manager != account.email:
        raise PortalError(PortalErrorCode.NOT_THE_MANAGER, "Only the workshop manager may do this.")
    return company


def _colleague(work: Work, manager: Account, email: str) -> tuple[Company, Account]:
    company = managed_company(work, manager)
    other = work.unit.account(email)
    if other is None or other.company_id != company.company_id or other.email == manager.email:
        raise invalid("the user", "there is no such other user in your company")
    return company, other


def _require_identity(account: Account) -> None:
    if account.identity is not CheckState.APPROVED:
        raise PortalError(PortalErrorCode.IDENTITY_NOT_VERIFIED, "Your identity has not been checked yet.")


def _checked_fields(request: CompanyProfile) -> dict[str, str]:
    fields = {name: str(getattr(request, name)) for name in CompanyProfile.__slots__ if name != "session"}
    missing = [name for name, value in fields.items() if not value.strip()]
    if missing:
        what = missing[0].replace("_", " ")
        raise PortalError(PortalErrorCode.COMPANY_INCOMPLETE, f"Please fill in every field; {what} is empty.")
    require_texts(**fields)
    return fields


def _revoked() -> PortalError:
    return PortalError(PortalErrorCode.COMPANY_REVOKED, "This company's validation was revoked.")
