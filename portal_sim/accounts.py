"""Accounts: sign-up, confirmation, passwords, and the way back after a lock-out."""

from __future__ import annotations

from portal_sim.desk import Call, Desk, Work, hashed
from portal_sim.forms import invalid, require_address
from portal_sim.passwords import MAX_PASSWORD_CHARS, SALT_LEN, hash_password, is_common, password_matches
from portal_sim.records import Account, Link
from wire.portal_api import (
    ChangePassword,
    ConfirmEmail,
    ConfirmReset,
    Done,
    PortalError,
    PortalErrorCode,
    RequestReset,
    SignUp,
)


class Accounts:
    """What happens to an account. Passwords are hashed while no unit of the store is open: it takes long."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def sign_up(self, request: SignUp, call: Call) -> Done:
        """Make an account."""
        desk = self._desk
        require_address(request.email)
        self._check_password(request.password)
        with desk.look(call) as look:
            look.require_calm()
        encoded = self._encoded(request.password)
        until_s = call.now_s + desk.options.link_lifetime_s
        account = Account(
            email=request.email,
            password_hash=encoded,
            confirm_until_s=until_s,
            attempts_left=desk.reviewer.rules.attempts,
        )
        with desk.work(call) as work:
            if not work.unit.add_account(account, call.now_s):
                work.count_against_address()
                raise PortalError(PortalErrorCode.EMAIL_TAKEN, "There is an account with this e-mail address already.")
            work.clear_failures(request.email)  # what strangers typed before is not this person's doing
            link = Link("confirm", request.email, None, until_s)
            work.mail(request.email, "Confirm your e-mail address", "Please confirm within 3 days.", link)
            work.audit("sign-up", account)
        return Done("We have sent you a mail. Please follow the link in it.")

    def confirm_email(self, request: ConfirmEmail, call: Call) -> Done:
        """Follow the confirmation link."""
        with self._desk.work(call) as work:
            work.require_calm()
            link = work.unit.use_link(hashed(request.link_code), "confirm", call.now_s)
            if link is None or work.unit.account(link.email) is None:
                work.count_against_address()
                raise PortalError(PortalErrorCode.LINK_INVALID, "This link is not valid any more. Sign up again.")
            work.unit.confirm_account(link.email)
        return Done("Your e-mail address is confirmed.")

    def change_password(self, request: ChangePassword, call: Call) -> Done:
        """Set a new password; other sessions end."""
        with self._desk.look(call) as look:
            before = look.account_of(request.session)
            look.require_no_wait(before.email)
        right = password_matches(before.password_hash, request.old_password)
        # A wrong old password counts, however bad the new one is; a bad new one is not hashed.
        encoded = self._encoded(request.new_password) if right and self._fits(request.new_password) else b""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            work.require_no_wait(account.email)
            if not right or account.password_hash != before.password_hash:
                work.count_failure(account.email)
                raise PortalError(PortalErrorCode.LOGIN_FAILED, "The old password is not right.")
            self._check_password(request.new_password)
            self._set_password(work, account, encoded)
            work.unit.end_sessions(account.email, but=hashed(request.session))
            work.audit("password changed", account)
            work.mail(account.email, "Your password was changed", "If it was not you: retrieve your password at once.")
        return Done("Your password is changed.")

    def request_reset(self, request: RequestReset, call: Call) -> Done:
        """Mail a link to a confirmed account. Whoever asks gets the same answer and the same waits for any address."""
        with self._desk.work(call) as work:
            work.require_calm()
            work.require_wait_over(request.email)
            work.count_failure(request.email, "password reset requested")
            account = work.unit.account(request.email)
            if account is not None and account.confirmed:
                work.unit.drop_links("reset", account.email)
                link = Link("reset", account.email, None, call.now_s + self._desk.options.link_lifetime_s)
                work.mail(account.email, "Reset your password", "Please follow the link within 3 days.", link)
        return Done("If there is an account with this address, a mail with a link is on its way.")

    def confirm_reset(self, request: ConfirmReset, call: Call) -> Done:
        """Start afresh: whoever reads the mail is the person, so the lock-out ends; all that was known before is worthless."""
        self._check_password(request.new_password)
        with self._desk.look(call) as look:
            look.require_calm()
        encoded = self._encoded(request.new_password)
        with self._desk.work(call) as work:
            link = work.unit.use_link(hashed(request.link_code), "reset", call.now_s)
            account = None if link is None else work.unit.account(link.email)
            if account is None:
                work.count_against_address()
                raise PortalError(PortalErrorCode.LINK_INVALID, "This link is not valid any more. Ask for another one.")
            self._set_password(work, account, encoded)
            take_authenticator(work, account)
            work.audit("password reset", account)
            work.mail(account.email, "Your password was reset", "A new authenticator will be set up at the next login.")
        return Done("Your password is changed. A new authenticator will be set up at the next login.")

    def _encoded(self, password: str) -> bytes:
        return hash_password(password, self._desk.entropy.token_bytes(SALT_LEN), self._desk.options.cost)

    def _set_password(self, work: Work, account: Account, encoded: bytes) -> None:
        work.unit.set_password(account.email, encoded)
        work.unit.drop_links("reset", account.email)

    def _fits(self, password: str) -> bool:
        return self._has_length(password) and not is_common(password)

    def _has_length(self, password: str) -> bool:
        return self._desk.options.min_password_len <= len(password) <= MAX_PASSWORD_CHARS

    def _check_password(self, password: str) -> None:
        if not self._has_length(password):
            shortest = self._desk.options.min_password_len
            raise invalid("the password", f"it needs {shortest} to {MAX_PASSWORD_CHARS} characters")
        if is_common(password):
            raise invalid("the password", "it is one that everybody tries first; choose another")


def take_authenticator(work: Work, account: Account) -> None:
    """Let the next login enrol a new one: sessions end, and so does a lock-out."""
    work.unit.take_authenticator(account.email)
    work.clear_failures(account.email)
    work.unit.end_sessions(account.email)
