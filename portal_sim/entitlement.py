"""Who may ask for what: person, company, role, make and licence, as an ordered list of conditions."""

from __future__ import annotations

from portal_sim.desk import Call, Desk, Work
from portal_sim.options import MakePolicy
from portal_sim.records import Account
from wire.portal_api import (
    CheckState,
    CompanyState,
    Entitlement,
    GetEntitlements,
    PortalError,
    PortalErrorCode,
    RequestUnlock,
)
from wire.token import Role


def entitled(work: Work, request: RequestUnlock) -> Account:
    """Return the person, who may ask for this role at this make. Raises `PortalError`; what they may not is in the audit log."""
    visitor = work.visitor(request.session)
    account, company = visitor.account, visitor.company
    if not visitor.session.strong:
        raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "Log in with your authenticator first.")
    work.require_not_locked_out(account.email)
    if account.identity is not CheckState.APPROVED:
        raise PortalError(PortalErrorCode.IDENTITY_NOT_VERIFIED, "Your identity has not been checked yet.")
    if account.disassociated:
        raise PortalError(PortalErrorCode.DISASSOCIATED, "You do not belong to a company any more.")
    if company is not None and company.state is CompanyState.REVOKED:
        raise PortalError(PortalErrorCode.COMPANY_REVOKED, "Your company's validation was revoked.")
    if company is None or company.state is not CompanyState.VALIDATED:
        raise PortalError(PortalErrorCode.COMPANY_NOT_VALIDATED, "Your company has not been validated.")
    policy = work.options.makes.get(request.make)
    if policy is None or request.role not in _roles(policy, request.make, work.unit.entitlements(account.email)):
        role = Role(request.role).name if request.role in Role.__members__.values() else request.role
        work.audit("unlock refused", account, f"not entitled: {request.make} {role}")
        raise PortalError(PortalErrorCode.NOT_ENTITLED, f"You are not entitled to the role {role} for {request.make}.")
    if policy.licensed and work.now_s >= work.unit.licences(company.company_id).get(request.make, 0):
        work.audit("unlock refused", account, f"not licensed: {request.make}")
        raise PortalError(PortalErrorCode.NOT_LICENSED, f"Your company has no licence for {request.make}.")
    return account


class Entitlements:
    """What a person sees of it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, request: GetEntitlements, call: Call) -> tuple[Entitlement, ...]:
        """Return what the person may ask for now; nothing where a condition is not met."""
        with self._desk.look(call) as look:
            visitor = look.visitor(request.session)
            account, company = visitor.account, visitor.company
            validated = company is not None and company.state is CompanyState.VALIDATED
            if company is None or not validated or account.identity is not CheckState.APPROVED or account.disassociated:
                return ()
            granted = look.reading.entitlements(account.email)
            licences = look.reading.licences(company.company_id)
        return tuple(
            Entitlement(
                make=make,
                roles=tuple(sorted(_roles(policy, make, granted))),
                kinds=tuple(sorted(policy.kinds)),
                licensed_until_utc_s=licences.get(make, 0) if policy.licensed else None,
            )
            for make, policy in look.options.makes.items()
            if not policy.licensed or call.now_s < licences.get(make, 0)
        )


def _roles(policy: MakePolicy, make: str, granted: frozenset[tuple[str, int]]) -> frozenset[int]:
    return policy.default_roles | {role for each, role in granted if each == make}
