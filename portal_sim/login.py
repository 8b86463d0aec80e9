"""Login by e-mail, password and one-time code; enrolment at the first login; sessions, and on again without a login.

Unknown and known accounts get the same answer for the same work. A code is accepted once; failures count per account, not
per login, so that opening new logins gains no tries. Passwords are hashed while no unit of the store is open: it takes long.
"""

from __future__ import annotations

from portal_sim.desk import Call, Desk, Work, hashed
from portal_sim.forms import require_serial_number
from portal_sim.passwords import SALT_LEN, hash_password, password_matches
from portal_sim.records import Account, LiveSession, PendingLogin, RefreshToken
from portal_sim.recovery import code_hash, new_codes, typed_code
from portal_sim.totp import SECRET_LEN, matching_step, otpauth_uri
from wire.portal_api import (
    BeginLogin,
    Done,
    FinishLogin,
    LoginStep,
    Logout,
    NewRecoveryCodes,
    PortalError,
    PortalErrorCode,
    PortalLogin,
    RecoveryCodes,
    Refresh,
    Session,
)

FAMILY_BYTES = 16
_FAILED = "E-mail address or password is not right."
_CODE_AGAIN = "A code of your authenticator was used twice"
_REJECTED = "This code is not right, or was used before. Wait for the next one."


class Login:
    """The way in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        salt = desk.entropy.token_bytes(SALT_LEN)
        self._nobodys_hash = hash_password(desk.new_code(), salt, desk.options.cost)

    def portal_login(self, request: PortalLogin, call: Call) -> Session:
        """Sign in at the pages: by password, and by code too once an authenticator is enrolled."""
        right = self._right_hash(request.email, request.password, call)
        with self._desk.work(call) as work:
            account = self._accepted(work, request.email, right)
            if account.secret is None:
                work.clear_failures(account.email)
                return self._new_session(work, account, strong=False)
            if request.code is None:
                raise PortalError(
                    PortalErrorCode.SECOND_FACTOR_REQUIRED, "Please give the code of your authenticator too."
                )
            self._take_code(work, account, request.code)
            work.audit("login", account)
            return self._new_session(work, account, strong=True)

    def begin(self, request: BeginLogin, call: Call) -> LoginStep:
        """E-mail and password on the tester; shows the QR code's content while no authenticator is enrolled."""
        desk = self._desk
        require_serial_number(request.tester_serial)
        right = self._right_hash(request.email, request.password, call)
        with desk.work(call) as work:
            account = self._accepted(work, request.email, right)
            login_id = desk.new_code()
            pending = PendingLogin(account.email, request.tester_serial, call.now_s + desk.options.login_lifetime_s)
            work.unit.add_login(hashed(login_id), pending)
            if account.secret is not None:
                return LoginStep(login_id=login_id, otpauth_uri=None)
            secret = desk.entropy.token_bytes(SECRET_LEN)
            work.unit.offer_secret(account.email, secret)
            uri = otpauth_uri(secret, issuer=desk.options.issuer_name, account=account.email)
            return LoginStep(login_id=login_id, otpauth_uri=uri)

    def finish(self, request: FinishLogin, call: Call) -> Session:
        """The code; the first right one completes enrolment."""
        with self._desk.work(call) as work:
            work.require_calm()
            pending = work.unit.login(hashed(request.login_id), call.now_s)
            account = None if pending is None else work.unit.account(pending.email)
            if pending is None or account is None:
                work.count_against_address()
                raise PortalError(PortalErrorCode.SESSION_INVALID, "This login has run out. Please begin again.")
            self.require_code(work, account, request.code)
            codes: tuple[str, ...] = ()
            if account.secret is None and account.pending_secret is not None:
                if not work.unit.enrol(account.email, account.pending_secret):
                    raise PortalError(PortalErrorCode.SESSION_INVALID, "Another authenticator was set up meanwhile.")
                codes = self._new_recovery_codes(work, account)
                work.audit("authenticator enrolled", account)
                work.mail(account.email, "A new authenticator", "An authenticator was set up for your account.")
            work.unit.end_login(hashed(request.login_id))
            work.audit("login", account, pending.tester_serial)
            return self._new_session(work, account, strong=True, recovery_codes=codes)

    def refresh(self, request: Refresh, call: Call) -> Session:
        """Go on without a login. A token that is shown again was stolen, by whom of the two nobody knows: both are out."""
        with self._desk.work(call) as work:
            work.require_calm()
            token = work.unit.use_refresh(hashed(request.refresh_token), call.now_s)
            account = None if token is None else work.unit.account(token.email)
            if token is not None and account is not None and token.used:
                work.unit.end_family(token.family)
                work.audit("refresh token replayed", account)
                work.mail(
                    account.email,
                    "You were signed out",
                    "Somebody used an old token of your session. You were signed out; please log in again.",
                )
            if token is None or account is None or token.used:
                work.count_against_address()
                raise PortalError(PortalErrorCode.SESSION_INVALID, "The session has run out. Please log in again.")
            work.require_not_locked_out(account.email)
            return self._new_session(work, account, strong=token.strong, before=token)

    def logout(self, request: Logout, call: Call) -> Done:
        """End a session."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            work.unit.end_session(hashed(request.session))
            work.audit("logout", account)
        return Done("You are signed out.")

    def new_recovery_codes(self, request: NewRecoveryCodes, call: Call) -> RecoveryCodes:
        """Give new recovery codes to who has the authenticator."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            if account.secret is None:
                raise _not_enrolled()
            self.require_code(work, account, request.code)
            work.audit("recovery codes renewed", account)
            return RecoveryCodes(codes=self._new_recovery_codes(work, account))

    def require_code(self, work: Work, account: Account, code: str) -> None:
        """Accept a code once, or raise; a failure makes the next try wait."""
        work.require_no_wait(account.email)
        self._take_code(work, account, code)

    def _take_code(self, work: Work, account: Account, code: str) -> None:
        secret = account.secret or account.pending_secret
        if secret is None:
            raise _not_enrolled()
        recovery = None if account.secret is None else typed_code(code)
        step: int | None = None
        if recovery is not None:
            accepted = work.unit.use_recovery_code(account.email, code_hash(account.email, recovery))
        else:
            step = matching_step(secret, code, work.now_s, steps_back=work.options.totp_steps_back)
            accepted = step is not None and work.unit.use_totp_step(account.email, step)
        if not accepted:
            if step is not None:
                work.audit("code used again", account)
                work.mail(account.email, _CODE_AGAIN, "If it was not you, somebody saw your code. It was refused.")
            work.count_failure(account.email)
            raise PortalError(PortalErrorCode.CODE_REJECTED, _REJECTED)
        work.clear_failures(account.email)
        if recovery is not None:
            left = work.unit.recovery_codes_left(account.email)
            work.audit("recovery code used", account, f"{left} left")
            work.mail(account.email, "A recovery code was used", f"You have {left} recovery codes left.")

    def _right_hash(self, email: str, password: str, call: Call) -> bytes | None:
        """Return the hash that the password fits, or None; it takes as long for nobody's account."""
        with self._desk.look(call) as look:
            look.require_no_wait(email)
            encoded = look.reading.password_hash(email)
        matches = password_matches(encoded or self._nobodys_hash, password)
        return encoded if matches else None

    def _accepted(self, work: Work, email: str, right: bytes | None) -> Account:
        """Return the account whose password was right; it may have changed while it was compared."""
        work.require_no_wait(email)
        account = work.unit.account(email)
        if account is None or right is None or account.password_hash != right:
            work.count_failure(email)
            raise PortalError(PortalErrorCode.LOGIN_FAILED, _FAILED)
        if not account.confirmed:
            raise PortalError(PortalErrorCode.EMAIL_NOT_CONFIRMED, "Please confirm your e-mail address first.")
        return account

    def _new_recovery_codes(self, work: Work, account: Account) -> tuple[str, ...]:
        codes = new_codes(work.desk.entropy, work.options.recovery_codes)
        work.unit.set_recovery_codes(account.email, [code_hash(account.email, code) for code in codes])
        return codes

    def _new_session(
        self,
        work: Work,
        account: Account,
        *,
        strong: bool,
        before: RefreshToken | None = None,
        recovery_codes: tuple[str, ...] = (),
    ) -> Session:
        desk, options = self._desk, self._desk.options
        family = desk.entropy.token_bytes(FAMILY_BYTES).hex() if before is None else before.family
        longest_s = max(options.refresh_lifetime_s, options.session_lifetime_s)
        until_s = work.now_s + longest_s if before is None else before.expires_s
        expires_s = min(work.now_s + options.session_lifetime_s, until_s)
        token, refresh = desk.new_code(), desk.new_code()
        session = LiveSession(email=account.email, family=family, strong=strong, expires_s=expires_s)
        work.unit.add_session(hashed(token), session)
        kept = RefreshToken(email=account.email, family=family, strong=strong, expires_s=until_s)
        work.unit.add_refresh(hashed(refresh), kept)
        return Session(
            token=token,
            expires_utc_s=expires_s,
            strong=strong,
            person=account.name or account.email,
            refresh_token=refresh,
            refresh_until_utc_s=until_s,
            recovery_codes=recovery_codes,
        )


def _not_enrolled() -> PortalError:
    return PortalError(PortalErrorCode.NOT_ENROLLED, "No authenticator is set up. Log in on the tester first.")
