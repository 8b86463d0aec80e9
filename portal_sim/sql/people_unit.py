"""A unit's intents about people: accounts, second factor, what stands against them, and their companies.

Each is a compare-and-set of its own: one statement, that says in its WHERE what must hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy import bindparam, delete, insert, select, update

from portal_sim.records import Account, Company, Tries, TryRule
from portal_sim.sealing import Sealing
from portal_sim.sql import tables as t
from portal_sim.sql.dialect import Statements
from portal_sim.sql.reading import NOW, SqlReading
from portal_sim.sql.rows import about_secret, account_values
from wire.portal_api import CheckState, CompanyState

_A = t.accounts.c
_ME = _A.email == bindparam("who")
_COMPANY = t.companies.c.company_id == bindparam("which")

_CONFIRM = update(t.accounts).where(_ME).values(confirmed=True)
_SET_PASSWORD = update(t.accounts).where(_ME).values(password_hash=bindparam("new_hash"))
_SET_PROFILE = (
    update(t.accounts)
    .where(_ME)
    .values(first_name=bindparam("first"), last_name=bindparam("last"), birth_date=bindparam("born"))
)
_START_REVIEW = (
    update(t.accounts)
    .where(_ME, _A.identity.in_((CheckState.NONE.value, CheckState.REFUSED.value)), _A.attempts_left > 0)
    .values(
        identity=CheckState.IN_PROGRESS.value,
        attempts_left=_A.attempts_left - 1,
        review_due_s=bindparam("due_s"),
        review_refusal=bindparam("refusal"),
        media=bindparam("names"),
    )
)
_END_REVIEW = (
    update(t.accounts)
    .where(_ME, _A.identity == CheckState.IN_PROGRESS.value)
    .values(identity=bindparam("decision"), review_due_s=None)
)
_FORGET_MEDIA = update(t.accounts).where(_ME).values(media="[]")
_OFFER = update(t.accounts).where(_ME).values(pending_secret=bindparam("sealed"))
_OFFERED = select(_A.pending_secret).where(_ME, _A.secret.is_(None), _A.pending_secret.is_not(None))
_ENROL = (
    update(t.accounts)
    .where(_ME, _A.secret.is_(None), _A.pending_secret == bindparam("sealed"))
    .values(secret=_A.pending_secret, pending_secret=None)
)
_TAKE = update(t.accounts).where(_ME).values(secret=None, pending_secret=None)
_USE_STEP = update(t.accounts).where(_ME, _A.last_step < bindparam("step")).values(last_step=bindparam("step"))
_DROP_CODES = delete(t.recovery_codes).where(t.recovery_codes.c.email == bindparam("who"))
_ADD_CODE = insert(t.recovery_codes)
_USE_CODE = delete(t.recovery_codes).where(
    t.recovery_codes.c.email == bindparam("who"), t.recovery_codes.c.code_hash == bindparam("code")
)
_CLEAR_TRIES = delete(t.tries).where(t.tries.c.subject == bindparam("about"))

_NEXT_ID = select(sa.func.coalesce(sa.func.max(t.companies.c.company_id), 0) + 1)
_ADD_COMPANY = insert(t.companies)
_FOUND = update(t.accounts).where(_ME, _A.company_id.is_(None)).values(company_id=bindparam("to"), disassociated=False)
_SET_COMPANY = (
    update(t.companies)
    .where(_COMPANY)
    .values(legal_name=bindparam("name"), fields=bindparam("profile"), state=CompanyState.COMPLETE.value)
)
_SET_STATE = update(t.companies).where(_COMPANY).values(state=bindparam("now"))
_LEAVE = update(t.accounts).where(_ME, _A.company_id == bindparam("which")).values(company_id=None, disassociated=True)
_INVITATION = (
    t.links.c.code_hash == bindparam("code"),
    t.links.c.kind == "invite",
    t.links.c.email == bindparam("who"),
    t.links.c.expires_s > NOW,
)
_INVITED_TO = select(t.links.c.company_id).where(*_INVITATION)
_FOLLOW = delete(t.links).where(*_INVITATION)
_JOIN = (
    update(t.accounts)
    .where(_ME, sa.or_(_A.company_id.is_(None), _A.company_id == bindparam("to")))
    .values(company_id=bindparam("to"), disassociated=False)
)


class PeopleUnit(SqlReading):
    """See `portal_sim.store.Unit` for what each method promises."""

    def __init__(self, connection: sa.Connection, sealing: Sealing, statements: Statements) -> None:
        super().__init__(connection, sealing)
        self._statements = statements

    def _do(self, statement: sa.Executable, **values: object) -> int:
        """Carry a statement out; return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    # ---- accounts

    def add_account(self, account: Account, now_s: int) -> bool:
        """See `Unit`."""
        values = account_values(account, self._sealing)
        return self._value(self._statements.account, **values, now_s=now_s) is not None

    def confirm_account(self, email: str) -> None:
        """See `Unit`."""
        self._do(_CONFIRM, who=email)

    def set_password(self, email: str, password_hash: bytes) -> None:
        """See `Unit`."""
        self._do(_SET_PASSWORD, who=email, new_hash=password_hash)

    def set_profile(self, email: str, first_name: str, last_name: str, birth_date: str) -> None:
        """See `Unit`."""
        self._do(_SET_PROFILE, who=email, first=first_name, last=last_name, born=birth_date)

    def start_review(self, email: str, due_s: int | None, refusal: str | None, media: tuple[str, ...]) -> bool:
        """See `Unit`."""
        return self._do(_START_REVIEW, who=email, due_s=due_s, refusal=refusal, names=json.dumps(media)) == 1

    def end_review(self, email: str, identity: CheckState) -> bool:
        """See `Unit`."""
        return self._do(_END_REVIEW, who=email, decision=identity.value) == 1

    def forget_media(self, email: str) -> None:
        """See `Unit`."""
        self._do(_FORGET_MEDIA, who=email)

    # ---- second factor

    def offer_secret(self, email: str, secret: bytes) -> None:
        """See `Unit`."""
        self._do(_OFFER, who=email, sealed=self._sealing.seal(secret, about_secret(email)))

    def enrol(self, email: str, secret: bytes) -> bool:
        """See `Unit`. Two sealed forms of one secret differ, so it is compared open, and what was compared is set."""
        sealed = self._value(_OFFERED, who=email)
        if sealed is None or self._sealing.unseal(sealed, about_secret(email)) != secret:
            return False
        return self._do(_ENROL, who=email, sealed=sealed) == 1

    def take_authenticator(self, email: str) -> None:
        """See `Unit`."""
        self._do(_TAKE, who=email)
        self._do(_DROP_CODES, who=email)

    def use_totp_step(self, email: str, step: int) -> bool:
        """See `Unit`."""
        return self._do(_USE_STEP, who=email, step=step) == 1

    def set_recovery_codes(self, email: str, hashes: Iterable[str]) -> None:
        """See `Unit`."""
        self._do(_DROP_CODES, who=email)
        rows = [{"email": email, "code_hash": code_hash} for code_hash in sorted(set(hashes))]
        if rows:
            self._connection.execute(_ADD_CODE, rows)

    def use_recovery_code(self, email: str, code_hash: str) -> bool:
        """See `Unit`."""
        return self._do(_USE_CODE, who=email, code=code_hash) == 1

    def count_failure(self, subject: str, now_s: int, rule: TryRule) -> Tries:
        """See `Unit`."""
        tries = rule.next(self.tries(subject), now_s)
        self._do(
            self._statements.tries,
            subject=subject,
            failures=tries.failures,
            blocked_until_s=tries.blocked_until_s,
            locked_out=tries.locked_out,
            last_s=tries.last_s,
        )
        return tries

    def clear_failures(self, subject: str) -> None:
        """See `Unit`."""
        self._do(_CLEAR_TRIES, about=subject)

    # ---- companies

    def found_company(self, manager: str, legal_name: str, fields: Mapping[str, str]) -> Company | None:
        """See `Unit`."""
        company = Company(
            company_id=int(self._value(_NEXT_ID)),
            manager=manager,
            state=CompanyState.COMPLETE,
            legal_name=legal_name,
            fields=dict(fields),
        )
        if self._do(_FOUND, who=manager, to=company.company_id) != 1:
            return None
        self._do(
            _ADD_COMPANY,
            company_id=company.company_id,
            manager=manager,
            state=company.state.value,
            legal_name=legal_name,
            fields=json.dumps(company.fields),
        )
        return company

    def set_company_profile(self, company_id: int, legal_name: str, fields: Mapping[str, str]) -> None:
        """See `Unit`."""
        self._do(_SET_COMPANY, which=company_id, name=legal_name, profile=json.dumps(dict(fields)))

    def set_company_state(self, company_id: int, state: CompanyState) -> None:
        """See `Unit`."""
        self._do(_SET_STATE, which=company_id, now=state.value)

    def leave_company(self, email: str, company_id: int) -> bool:
        """See `Unit`."""
        return self._do(_LEAVE, who=email, which=company_id) == 1

    def join_company(self, code_hash: str, email: str, now_s: int) -> bool | None:
        """See `Unit`."""
        link = {"code": code_hash, "who": email, "now_s": now_s}
        company_id = self._value(_INVITED_TO, **link)
        if company_id is None or self.account(email) is None:
            return None
        if self._do(_JOIN, who=email, to=company_id) != 1:
            return False
        self._do(_FOLLOW, **link)
        return True

    def set_licence(self, company_id: int, make: str, until_s: int) -> None:
        """See `Unit`."""
        self._do(self._statements.licence, company_id=company_id, make=make, until_s=until_s)

    def entitle(self, email: str, make: str, role: int) -> None:
        """See `Unit`."""
        self._do(self._statements.entitlement, email=email, make=make, role=role)
