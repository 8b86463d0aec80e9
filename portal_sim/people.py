"""Accounts, personal profile, identity check, company, invitations: what a person does at the portal's pages."""

from __future__ import annotations

import random
import re

from portal_sim.desk import Desk, hashed, masked
from portal_sim.forms import MAX_TEXT, invalid, read_birth_date, require_address, require_measures, require_texts
from portal_sim.passwords import SALT_LEN, hash_password, password_matches
from portal_sim.records import Account, Company, Link
from wire.portal_api import (
    AcceptInvitation,
    ChangePassword,
    CheckState,
    CompanyProfile,
    CompanyState,
    ConfirmEmail,
    ConfirmReset,
    DisassociateUser,
    Done,
    GetStatus,
    IdentityDocuments,
    InviteUser,
    PersonalProfile,
    PortalError,
    PortalErrorCode,
    ProfileStatus,
    RequestReset,
    ResetSecondFactor,
    SignUp,
    ValidateCompany,
)

IN_PROGRESS = "The identity check process is still in progress. Please check again later."
DENIED = "The documents for your identity check have been denied. You have another attempt to repeat the operation."
DENIED_FOR_GOOD = "The documents for your identity check have been denied. There are no attempts left."
RESULT_SUBJECT = "Result of the document validation process"
VERIFIED, COMPLETE, VALIDATED = (
    "Your profile is verified.",
    "The company profile is complete.",
    "The company profile has been validated.",
)


class People:
    """The pages. Each method takes its request and the UTC time, and raises `PortalError` where it refuses."""

    def __init__(self, desk: Desk, review_rng: random.Random) -> None:
        self._desk = desk
        self._review_rng = review_rng

    # ---- account

    def sign_up(self, request: SignUp, now_s: int) -> Done:
        """Make an account."""
        desk = self._desk
        require_address(request.email)
        self._check_password(request.password)
        encoded = hash_password(request.password, desk.entropy.token_bytes(SALT_LEN), desk.options.cost)
        until_s = now_s + desk.options.link_lifetime_s
        account = Account(
            email=request.email,
            password_hash=encoded,
            confirm_until_s=until_s,
            attempts_left=desk.options.identity_attempts,
        )
        if not desk.store.add_account(account, now_s):
            raise PortalError(PortalErrorCode.EMAIL_TAKEN, "There is an account with this e-mail address already.")
        link = Link("confirm", request.email, None, until_s)
        desk.mail(request.email, "Confirm your e-mail address", "Please confirm within 3 days.", now_s, link)
        desk.audit("sign-up", now_s, account)
        return Done("We have sent you a mail. Please follow the link in it.")

    def confirm_email(self, request: ConfirmEmail, now_s: int) -> Done:
        """Follow the confirmation link."""
        link = self._desk.store.use_link(hashed(request.link_code), "confirm", now_s)
        account = None if link is None else self._desk.store.account(link.email)
        if account is None:
            raise PortalError(PortalErrorCode.LINK_INVALID, "This link is not valid any more. Sign up again.")
        account.confirmed = True
        return Done("Your e-mail address is confirmed.")

    def change_password(self, request: ChangePassword, now_s: int) -> Done:
        """Set a new password; other sessions end."""
        desk = self._desk
        account = desk.account_of(request.session, now_s)
        desk.require_no_wait(account.email, now_s)
        if not password_matches(account.password_hash, request.old_password):
            desk.count_failure(account.email, now_s)
            raise PortalError(PortalErrorCode.LOGIN_FAILED, "The old password is not right.")
        self._check_password(request.new_password)
        self._set_password(account, request.new_password)
        desk.store.end_sessions(account.email, but=hashed(request.session))
        desk.audit("password changed", now_s, account)
        return Done("Your password is changed.")

    def request_reset(self, request: RequestReset, now_s: int) -> Done:
        """Mail a link to a confirmed account. Whoever asks gets the same answer and the same waits for any address."""
        desk = self._desk
        desk.require_wait_over(request.email, now_s)
        desk.count_failure(request.email, now_s, "password reset requested")
        account = desk.store.account(request.email)
        if account is not None and account.confirmed:
            desk.store.drop_links("reset", account.email)
            link = Link("reset", account.email, None, now_s + desk.options.link_lifetime_s)
            desk.mail(account.email, "Reset your password", "Please follow the link within 3 days.", now_s, link)
        return Done("If there is an account with this address, a mail with a link is on its way.")

    def confirm_reset(self, request: ConfirmReset, now_s: int) -> Done:
        """Start afresh: whoever reads the mail is the person, so the lock-out ends; all that was known before is worthless."""
        desk = self._desk
        self._check_password(request.new_password)
        link = desk.store.use_link(hashed(request.link_code), "reset", now_s)
        account = None if link is None else desk.store.account(link.email)
        if account is None:
            raise PortalError(PortalErrorCode.LINK_INVALID, "This link is not valid any more. Ask for another one.")
        self._set_password(account, request.new_password)
        self._take_authenticator(account)
        desk.audit("password reset", now_s, account)
        return Done("Your password is changed. A new authenticator will be set up at the next login.")

    def _set_password(self, account: Account, password: str) -> None:
        desk = self._desk
        account.password_hash = hash_password(password, desk.entropy.token_bytes(SALT_LEN), desk.options.cost)
        desk.store.drop_links("reset", account.email)

    def _take_authenticator(self, account: Account) -> None:
        """Let the next login enrol a new one: sessions end, and so does a lock-out."""
        account.secret = account.pending_secret = None
        self._desk.store.clear_failures(account.email)
        self._desk.store.end_sessions(account.email)

    def _check_password(self, password: str) -> None:
        shortest = self._desk.options.min_password_len
        if not shortest <= len(password) <= MAX_TEXT:
            raise invalid("the password", f"it needs {shortest} to {MAX_TEXT} characters")

    # ---- person

    def personal_profile(self, request: PersonalProfile, now_s: int) -> Done:
        """Fill in the personal profile; it cannot change under a check or after it."""
        account = self._desk.account_of(request.session, now_s)
        if account.identity in (CheckState.IN_PROGRESS, CheckState.APPROVED):
            raise PortalError(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS, "A checked profile cannot be changed.")
        require_texts(first_name=request.first_name, last_name=request.last_name)
        born = read_birth_date(request.birth_date, now_s)
        account.first_name, account.last_name = request.first_name, request.last_name
        account.birth_date = born.isoformat()
        return Done("Please check that your data are right.")

    def identity_documents(self, request: IdentityDocuments, now_s: int) -> Done:
        """Submit an identity check; the result comes by mail after 10 to 20 minutes."""
        desk, options = self._desk, self._desk.options
        account = desk.account_of(request.session, now_s)
        if not account.profile_complete:
            raise PortalError(PortalErrorCode.PROFILE_INCOMPLETE, "Please complete your personal profile first.")
        if account.identity is CheckState.IN_PROGRESS:
            raise PortalError(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS, IN_PROGRESS)
        if account.identity is CheckState.APPROVED:
            raise PortalError(PortalErrorCode.INVALID_INPUT, VERIFIED)
        if account.attempts_left <= 0:
            raise PortalError(PortalErrorCode.NO_ATTEMPTS_LEFT, DENIED_FOR_GOOD)
        if not re.fullmatch(r"[A-Z]{2}", request.country):
            raise invalid("the country", "two capital letters, as in DE")
        for side, picture in (("front", request.front), ("back", request.back)):
            require_measures(side, sharpness=picture.sharpness, brightness=picture.brightness)
        require_measures("video", motion=request.video.motion)
        account.attempts_left -= 1
        account.identity = CheckState.IN_PROGRESS
        account.review_refusal = self._reviewed(request, account)
        account.review_due_s = now_s + self._review_rng.randint(options.review_min_s, options.review_max_s)
        desk.audit("identity check submitted", now_s, account, request.document.value)
        return Done(IN_PROGRESS)

    def _reviewed(self, request: IdentityDocuments, account: Account) -> str | None:
        """Return why the check will be refused, or None: the reviewer as rules."""
        options = self._desk.options
        for side, picture in (("front", request.front), ("back", request.back)):
            if picture.sharpness < options.min_sharpness:
                return f"the picture of the {side} is not clear"
            if picture.brightness < options.min_brightness:
                return f"the picture of the {side} is too dark"
        if request.front.name.casefold() != account.name.casefold():
            return "the name on the document differs"
        return "the face does not move" if request.video.motion < options.min_motion else None

    def finish_reviews(self, now_s: int) -> None:
        """Decide the checks that are due, and tell by mail."""
        desk = self._desk
        for account in desk.store.accounts_under_review():
            if account.review_due_s is None or account.review_due_s > now_s:
                continue
            account.review_due_s = None
            refusal = account.review_refusal
            account.identity = CheckState.APPROVED if refusal is None else CheckState.REFUSED
            text = "Identification successful. Please go on with your company profile."
            if refusal is not None:
                text = f"Identification failed. Reason: {refusal}."
            desk.mail(account.email, RESULT_SUBJECT, text, now_s)
            desk.audit(f"identity {account.identity.value}", now_s, account, refusal or "")

    def next_review_s(self) -> int | None:
        """Return when the next check is decided."""
        due = [account.review_due_s for account in self._desk.store.accounts_under_review() if account.review_due_s]
        return min(due, default=None)

    # ---- company

    def company_profile(self, request: CompanyProfile, now_s: int) -> Done:
        """Fill in the company profile; every field is needed."""
        desk = self._desk
        account = desk.account_of(request.session, now_s)
        self._require_identity(account)
        company = desk.company_of(account)
        if company is not None and company.manager != account.email:
            raise PortalError(
                PortalErrorCode.NOT_THE_MANAGER, "Only the workshop manager fills in the company profile."
            )
        names = [name for name in CompanyProfile.__slots__ if name != "session"]
        fields = {name: str(getattr(request, name)) for name in names}
        missing = [name for name, value in fields.items() if not value.strip()]
        if missing:
            what = missing[0].replace("_", " ")
            raise PortalError(PortalErrorCode.COMPANY_INCOMPLETE, f"Please fill in every field; {what} is empty.")
        require_texts(**fields)
        if company is None:
            company = desk.store.add_company(
                Company(0, account.email, CompanyState.COMPLETE, request.legal_name, fields)
            )
            account.company_id = company.company_id
            account.disassociated = False
        elif company.state is CompanyState.REVOKED:
            raise PortalError(PortalErrorCode.COMPANY_REVOKED, "This company's validation was revoked.")
        else:
            company.fields, company.legal_name, company.state = fields, request.legal_name, CompanyState.COMPLETE
        return Done(COMPLETE)

    def validate_company(self, request: ValidateCompany, now_s: int) -> Done:
        """Validate the company, when the person is checked and the profile complete."""
        desk = self._desk
        account = desk.account_of(request.session, now_s)
        self._require_identity(account)
        company = self._managed_company(account)
        if company.state is CompanyState.REVOKED:
            raise PortalError(PortalErrorCode.COMPANY_REVOKED, "This company's validation was revoked.")
        company.state = CompanyState.VALIDATED
        desk.audit("company validated", now_s, account, company.legal_name)
        return Done(VALIDATED)

    def status(self, request: GetStatus, now_s: int) -> ProfileStatus:
        """Show the three lines and what they mean."""
        account = self._desk.account_of(request.session, now_s)
        company = self._desk.company_of(account)
        state = company.state if company is not None else CompanyState.NONE
        return ProfileStatus(
            email_masked=masked(account.email),
            personal_profile=account.profile_complete,
            identity=account.identity,
            attempts_left=account.attempts_left,
            company=state,
            company_name=company.legal_name if company else "",
            manager=company is not None and company.manager == account.email,
            enrolled=account.secret is not None,
            messages=_messages(account, state),
        )

    # ---- other users

    def invite(self, request: InviteUser, now_s: int) -> Done:
        """Invite a person to the manager's validated company."""
        desk = self._desk
        account = desk.account_of(request.session, now_s)
        company = self._managed_company(account)
        if company.state is not CompanyState.VALIDATED:
            raise PortalError(PortalErrorCode.COMPANY_NOT_VALIDATED, "Validate the company before you invite others.")
        require_address(request.email)
        link = Link("invite", request.email, company.company_id, now_s + desk.options.link_lifetime_s)
        desk.mail(request.email, f"Invitation to {company.legal_name}", "Please follow the link.", now_s, link)
        desk.audit("invited", now_s, account, request.email)
        return Done("The invitation is on its way.")

    def accept_invitation(self, request: AcceptInvitation, now_s: int) -> Done:
        """Join the company that the link names; it must have been sent to this very person."""
        desk = self._desk
        account = desk.account_of(request.session, now_s)
        joined = desk.store.join_company(hashed(request.link_code), account.email, now_s)
        if joined is None:
            raise PortalError(PortalErrorCode.LINK_INVALID, "This invitation is not valid, or not yours.")
        if not joined:
            raise PortalError(
                PortalErrorCode.ALREADY_IN_COMPANY, "You belong to another company already; nobody can belong to two."
            )
        desk.audit("joined company", now_s, account)
        return Done("You belong to the company now.")

    def disassociate(self, request: DisassociateUser, now_s: int) -> Done:
        """Take a person out of the manager's company; their sessions end, and no older invitation leads back."""
        desk = self._desk
        manager = desk.account_of(request.session, now_s)
        other = self._colleague(manager, request.email)
        if other.company_id is not None:
            desk.store.drop_links("invite", other.email, other.company_id)
        other.company_id = None
        other.disassociated = True
        desk.store.end_sessions(other.email)
        desk.audit("disassociated", now_s, manager, other.email)
        return Done("The user is disassociated.")

    def reset_second_factor(self, request: ResetSecondFactor, now_s: int) -> Done:
        """Take a colleague's authenticator away; their sessions end, and so does a lock-out: the new one starts afresh."""
        desk = self._desk
        manager = desk.account_of(request.session, now_s)
        other = self._colleague(manager, request.email)
        self._take_authenticator(other)
        desk.audit("second factor reset", now_s, manager, other.email)
        return Done("A new authenticator will be set up at the next login.")

    def _require_identity(self, account: Account) -> None:
        if account.identity is not CheckState.APPROVED:
            raise PortalError(PortalErrorCode.IDENTITY_NOT_VERIFIED, "Your identity has not been checked yet.")

    def _managed_company(self, account: Account) -> Company:
        company = self._desk.company_of(account)
        if company is None:
            raise PortalError(PortalErrorCode.COMPANY_INCOMPLETE, "Please complete the company profile first.")
        if company.manager != account.email:
            raise PortalError(PortalErrorCode.NOT_THE_MANAGER, "Only the workshop manager may do this.")
        return company

    def _colleague(self, manager: Account, email: str) -> Account:
        company = self._managed_company(manager)
        other = self._desk.store.account(email)
        if other is None or other.company_id != company.company_id or other.email == manager.email:
            raise invalid("the user", "there is no such other user in your company")
        return other


def _messages(account: Account, company: CompanyState) -> tuple[str, ...]:
    lines = []
    match account.identity:
        case CheckState.IN_PROGRESS:
            lines.append(IN_PROGRESS)
        case CheckState.REFUSED:
            lines.append(DENIED if account.attempts_left else DENIED_FOR_GOOD)
        case CheckState.APPROVED:
            lines.append(VERIFIED)
        case CheckState.NONE:
            pass
    if company in (CompanyState.COMPLETE, CompanyState.VALIDATED):
        lines.append(COMPLETE)
    if company is CompanyState.VALIDATED:
        lines.append(VALIDATED)
    return tuple(lines)
