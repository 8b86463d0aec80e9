"""Login by e-mail, password and one-time code; enrolment at the first login; throttling and lock-out across sessions.

Unknown and known accounts get the same answer for the same work. A code is accepted once; failures count per account, not
per login, so that opening new logins gains no tries.
"""

from __future__ import annotations

from portal_sim.desk import Desk, hashed
from portal_sim.forms import require_serial_number
from portal_sim.passwords import SALT_LEN, hash_password, password_matches
from portal_sim.records import Account, LiveSession, PendingLogin
from portal_sim.totp import SECRET_LEN, matching_step, otpauth_uri
from wire.portal_api import (
    BeginLogin,
    Done,
    FinishLogin,
    LoginStep,
    Logout,
    PortalError,
    PortalErrorCode,
    PortalLogin,
    Session,
)

_FAILED = "E-mail address or password is not right."
_REJECTED = "This code is not right, or was used before. Wait for the next one."


class Login:
    """The way in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        salt = desk.entropy.token_bytes(SALT_LEN)
        self._nobodys_hash = hash_password(desk.new_code(), salt, desk.options.cost)

    def portal_login(self, request: PortalLogin, now_s: int) -> Session:
        """Sign in at the pages: by password, and by code too once an authenticator is enrolled."""
        account = self._by_password(request.email, request.password, now_s)
        if account.secret is None:
            self._desk.store.clear_failures(account.email)
            return self._new_session(account, now_s, strong=False)
        if request.code is None:
            raise PortalError(PortalErrorCode.SECOND_FACTOR_REQUIRED, "Please give the code of your authenticator too.")
        self.require_code(account, request.code, now_s)
        return self._new_session(account, now_s, strong=True)

    def begin(self, request: BeginLogin, now_s: int) -> LoginStep:
        """E-mail and password on the tester; shows the QR code's content while no authenticator is enrolled."""
        desk = self._desk
        require_serial_number(request.tester_serial)
        account = self._by_password(request.email, request.password, now_s)
        login_id = desk.new_code()
        pending = PendingLogin(account.email, request.tester_serial, now_s + desk.options.login_lifetime_s)
        desk.store.add_login(hashed(login_id), pending)
        if account.secret is not None:
            return LoginStep(login_id=login_id, otpauth_uri=None)
        account.pending_secret = desk.entropy.token_bytes(SECRET_LEN)
        uri = otpauth_uri(account.pending_secret, issuer=desk.options.issuer_name, account=account.email)
        return LoginStep(login_id=login_id, otpauth_uri=uri)

    def finish(self, request: FinishLogin, now_s: int) -> Session:
        """The code; the first right one completes enrolment."""
        desk = self._desk
        pending = desk.store.login(hashed(request.login_id), now_s)
        account = None if pending is None else desk.store.account(pending.email)
        if pending is None or account is None:
            raise PortalError(PortalErrorCode.SESSION_INVALID, "This login has run out. Please begin again.")
        enrolling = account.secret is None
        self.require_code(account, request.code, now_s)
        if enrolling:
            account.secret, account.pending_secret = account.pending_secret, None
            desk.audit("authenticator enrolled", now_s, account)
        desk.store.end_login(hashed(request.login_id))
        desk.audit("login", now_s, account, pending.tester_serial)
        return self._new_session(account, now_s, strong=True)

    def logout(self, request: Logout, now_s: int) -> Done:
        """End a session."""
        account = self._desk.account_of(request.session, now_s)
        self._desk.store.end_session(hashed(request.session))
        self._desk.audit("logout", now_s, account)
        return Done("You are signed out.")

    def require_code(self, account: Account, code: str, now_s: int) -> None:
        """Accept a code once, or raise; a failure makes the next try wait."""
        self._desk.require_no_wait(account.email, now_s)
        secret = account.secret or account.pending_secret
        if secret is None:
            raise PortalError(PortalErrorCode.NOT_ENROLLED, "No authenticator is set up. Log in on the tester first.")
        step = matching_step(secret, code, now_s, steps_back=self._desk.options.totp_steps_back)
        if step is None or not self._desk.store.use_totp_step(account.email, step):
            self._desk.count_failure(account.email, now_s)
            raise PortalError(PortalErrorCode.CODE_REJECTED, _REJECTED)
        self._desk.store.clear_failures(account.email)

    def _by_password(self, email: str, password: str, now_s: int) -> Account:
        account = self._desk.store.account(email)
        encoded = self._nobodys_hash if account is None else account.password_hash
        right = password_matches(encoded, password)
        self._desk.require_no_wait(email, now_s)
        if account is None or not right:
            self._desk.count_failure(email, now_s)
            raise PortalError(PortalErrorCode.LOGIN_FAILED, _FAILED)
        if not account.confirmed:
            raise PortalError(PortalErrorCode.EMAIL_NOT_CONFIRMED, "Please confirm your e-mail address first.")
        return account

    def _new_session(self, account: Account, now_s: int, *, strong: bool) -> Session:
        token = self._desk.new_code()
        expires_s = now_s + self._desk.options.session_lifetime_s
        self._desk.store.add_session(hashed(token), LiveSession(account.email, expires_s, strong))
        return Session(token=token, expires_utc_s=expires_s, strong=strong, person=account.name or account.email)
