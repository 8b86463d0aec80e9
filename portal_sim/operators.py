"""What the back end's operators do, behind the door: entitle, license, decide, revoke. Each leaves a record of its own."""

from __future__ import annotations

from dataclasses import replace

from portal_sim.desk import Call, Desk, Work
from portal_sim.forms import plain_address
from portal_sim.people import People
from portal_sim.records import Account, Company
from portal_sim.review import Decides, ReviewRules
from portal_sim.revocation import Revocations
from wire.errors import LocalMisuse
from wire.portal_api import CompanyState
from wire.token import Role


class Operators:
    """Each method raises `LocalMisuse` where there is nobody or nothing of that name."""

    def __init__(self, desk: Desk, people: People, revocations: Revocations) -> None:
        self._desk = desk
        self._people = people
        self._revocations = revocations

    def entitle(self, email: str, make: str, role: int, utc_s: int) -> None:
        """Entitle a person to a role for a make."""
        if role not in Role.__members__.values():
            known = ", ".join(f"{each.name} {each.value}" for each in Role)
            raise LocalMisuse(f"there is no role {role}: {known}")
        self._require_make(make)
        with self._desk.work(Call(utc_s)) as work:
            work.unit.entitle(plain_address(email), make, role)
            self._note(work, "entitled", f"{plain_address(email)}: {make} {Role(role).name}")

    def license(self, email: str, make: str, until_s: int, utc_s: int) -> None:
        """License the company that a person belongs to for a make, until then."""
        self._require_make(make)
        with self._desk.work(Call(utc_s)) as work:
            company = self._company_of(work, email)
            work.unit.set_licence(company.company_id, make, until_s)
            self._note(work, "company licensed", f"{company.legal_name}: {make}")

    def revoke_company(self, email: str, utc_s: int) -> None:
        """Revoke the company that a person belongs to."""
        with self._desk.work(Call(utc_s)) as work:
            company = self._company_of(work, email)
            work.unit.set_company_state(company.company_id, CompanyState.REVOKED)
            self._note(work, "company revoked", company.legal_name)

    def revoke_unlock(self, audit_id: str, utc_s: int) -> None:
        """Revoke an issued token or certificate. Raises `PortalError` where there is none."""
        with self._desk.work(Call(utc_s)) as work:
            self._revocations.revoke_in(work, audit_id)
            self._note(work, "unlock revoked", audit_id)

    def decide_review(self, email: str, refusal: str | None, utc_s: int) -> None:
        """Decide an identity check as a person does: `refusal` says why not, None approves."""
        if not self._people.decide_review(plain_address(email), refusal, Call(utc_s)):
            raise LocalMisuse(f"no identity check of {email} is in progress")

    def set_reviewer(self, decides: Decides, wait_min_s: int | None, wait_max_s: int | None, utc_s: int) -> ReviewRules:
        """Change who decides checks that are submitted from now on, and after how long; None: as long as now."""
        now = self._desk.reviewer.rules
        shortest_s = now.wait_min_s if wait_min_s is None else wait_min_s
        longest_s = now.wait_max_s if wait_max_s is None else wait_max_s
        try:
            rules = replace(now, decides=decides, wait_min_s=shortest_s, wait_max_s=longest_s)
        except ValueError as error:
            raise LocalMisuse(f"{error}") from None
        with self._desk.work(Call(utc_s)) as work:
            self._note(work, "reviewer set", f"{decides}, {shortest_s} to {longest_s} s")
        self._desk.reviewer.rules = rules
        return rules

    def open_checks(self, utc_s: int) -> list[Account]:
        """Return the people whose identity check is in progress."""
        with self._desk.look(Call(utc_s)) as look:
            return look.reading.reviews_open()

    def unlock_account(self, email: str, utc_s: int) -> None:
        """Forget the failures that stand against a person."""
        with self._desk.work(Call(utc_s)) as work:
            work.clear_failures(plain_address(email))
            self._note(work, "lock-out ended", plain_address(email))

    def _require_make(self, make: str) -> None:
        if make not in self._desk.options.makes:
            raise LocalMisuse(f"the portal knows no make {make!r}: {', '.join(self._desk.options.makes)}")

    def _company_of(self, work: Work, email: str) -> Company:
        account = work.unit.account(plain_address(email))
        company = None if account is None else work.company_of(account)
        if company is None:
            raise LocalMisuse(f"{email} belongs to no company")
        return company

    def _note(self, work: Work, action: str, subject: str) -> None:
        work.unit.add_audit(work.record(action, None, subject=subject))
