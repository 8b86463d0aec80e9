"""Puts accounts into a state at once, for who tests against the portal: what people would need a quarter of an hour for."""

from __future__ import annotations

from portal_sim.desk import Call, Desk, Work
from portal_sim.forms import plain_address, read_birth_date, require_address, require_texts
from portal_sim.passwords import MAX_PASSWORD_CHARS, SALT_LEN, hash_password
from portal_sim.records import Account
from wire.errors import LocalMisuse
from wire.portal_api import CheckState, CompanyState
from wire.portal_control import PutAccount


class Staging:
    """Every act leaves an audit record that says what it was: nothing here passes for a person's own doing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def put_account(self, wanted: PutAccount, utc_s: int) -> None:
        """Make a confirmed account in a state. Raises `LocalMisuse`, `PortalError`; then nothing is done."""
        email = plain_address(wanted.email)
        require_address(email)
        _require_sense(wanted)
        options = self._desk.options
        if not options.min_password_len <= len(wanted.password) <= MAX_PASSWORD_CHARS:
            raise LocalMisuse(f"a password has {options.min_password_len} to {MAX_PASSWORD_CHARS} characters")
        born = read_birth_date(wanted.birth_date, utc_s).isoformat()
        salt = self._desk.entropy.token_bytes(SALT_LEN)
        account = Account(
            email=email,
            password_hash=hash_password(wanted.password, salt, options.cost),
            confirm_until_s=utc_s + options.link_lifetime_s,
            attempts_left=options.identity_attempts,
        )
        with self._desk.work(Call(utc_s)) as work:
            if not work.unit.add_account(account, utc_s):
                raise LocalMisuse(f"there is an account {email} already")
            work.clear_failures(email)
            work.unit.confirm_account(email)
            if wanted.first_name:
                work.unit.set_profile(email, wanted.first_name, wanted.last_name, born)
            self._check(work, email, wanted.identity, utc_s)
            if wanted.company:
                _found(work, email, wanted)
            work.unit.add_audit(work.record("account staged", None, subject=email))

    def _check(self, work: Work, email: str, identity: CheckState, utc_s: int) -> None:
        if identity is CheckState.NONE:
            return
        rules = self._desk.reviewer.rules
        due_s = utc_s + rules.wait_max_s if rules.decides == "rules" else None
        work.unit.start_review(email, due_s, None, ())
        if identity is not CheckState.IN_PROGRESS:
            work.unit.end_review(email, identity)


def _found(work: Work, email: str, wanted: PutAccount) -> None:
    company = work.unit.found_company(email, wanted.company, {})
    assert company is not None  # a new account belongs to none
    if wanted.company_state is not CompanyState.COMPLETE:
        work.unit.set_company_state(company.company_id, wanted.company_state)


def _require_sense(wanted: PutAccount) -> None:
    if wanted.first_name or wanted.last_name:
        require_texts(first_name=wanted.first_name, last_name=wanted.last_name)
    elif wanted.identity is not CheckState.NONE:
        raise LocalMisuse("an identity is checked with a name: give first_name and last_name")
    if wanted.company:
        require_texts(company=wanted.company)
        if wanted.identity is not CheckState.APPROVED:
            raise LocalMisuse("only a person whose identity is approved has a company")
        if wanted.company_state is CompanyState.NONE:
            raise LocalMisuse("a company that is there is complete, validated or revoked")
