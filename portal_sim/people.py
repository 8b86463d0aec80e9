"""The person: profile, identity check and its decision, and the page that says how far they are."""

from __future__ import annotations

import random
import re

from portal_sim.company import COMPLETE, VALIDATED
from portal_sim.desk import Call, Desk, Work, masked
from portal_sim.forms import invalid, read_birth_date, require_measures, require_texts
from portal_sim.records import Account
from portal_sim.review import decide
from wire.portal_api import (
    CheckState,
    CompanyState,
    Done,
    GetStatus,
    IdentityDocuments,
    PersonalProfile,
    PortalError,
    PortalErrorCode,
    ProfileStatus,
)

IN_PROGRESS = "The identity check process is still in progress. Please check again later."
DENIED = "The documents for your identity check have been denied. You have another attempt to repeat the operation."
DENIED_FOR_GOOD = "The documents for your identity check have been denied. There are no attempts left."
RESULT_SUBJECT = "Result of the document validation process"
VERIFIED = "Your profile is verified."


class People:
    """Each method takes its request and the call, and raises `PortalError` where it refuses."""

    def __init__(self, desk: Desk, review_rng: random.Random) -> None:
        self._desk = desk
        self._review_rng = review_rng

    def personal_profile(self, request: PersonalProfile, call: Call) -> Done:
        """Fill in the personal profile; it cannot change under a check or after it."""
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            if account.identity in (CheckState.IN_PROGRESS, CheckState.APPROVED):
                raise PortalError(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS, "A checked profile cannot be changed.")
            require_texts(first_name=request.first_name, last_name=request.last_name)
            born = read_birth_date(request.birth_date, call.now_s)
            work.unit.set_profile(account.email, request.first_name, request.last_name, born.isoformat())
        return Done("Please check that your data are right.")

    def identity_documents(self, request: IdentityDocuments, call: Call) -> Done:
        """Submit an identity check; the result comes by mail after 10 to 20 minutes, or when a person has decided."""
        rules = self._desk.reviewer.rules
        with self._desk.work(call) as work:
            account = work.account_of(request.session)
            self._require_turn(account)
            if not re.fullmatch(r"[A-Z]{2}", request.country):
                raise invalid("the country", "two capital letters, as in DE")
            for side, picture in (("front", request.front), ("back", request.back)):
                require_measures(side, sharpness=picture.sharpness, brightness=picture.brightness)
            require_measures("video", motion=request.video.motion)
            due_s, refusal = None, None
            if rules.decides == "rules":
                due_s = call.now_s + self._review_rng.randint(rules.wait_min_s, rules.wait_max_s)
                refusal = decide(request, account.name, rules)
            if not work.unit.start_review(account.email, due_s, refusal, call.media):
                raise PortalError(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS, IN_PROGRESS)
            work.audit("identity check submitted", account, request.document.value)
        return Done(IN_PROGRESS)

    def _require_turn(self, account: Account) -> None:
        """Raise where no identity check can be submitted now."""
        if not account.profile_complete:
            raise PortalError(PortalErrorCode.PROFILE_INCOMPLETE, "Please complete your personal profile first.")
        if account.identity is CheckState.IN_PROGRESS:
            raise PortalError(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS, IN_PROGRESS)
        if account.identity is CheckState.APPROVED:
            raise PortalError(PortalErrorCode.INVALID_INPUT, VERIFIED)
        if account.attempts_left <= 0:
            raise PortalError(PortalErrorCode.NO_ATTEMPTS_LEFT, DENIED_FOR_GOOD)

    def finish_reviews(self, call: Call) -> None:
        """Decide the checks that are due, and tell by mail."""
        with self._desk.work(call) as work:
            for account in work.unit.reviews_due(call.now_s):
                self._decide(work, account, account.review_refusal)

    def decide_review(self, email: str, refusal: str | None, call: Call) -> bool:
        """Decide a check as a person does: `refusal` says why not, None approves. Return whether one was in progress."""
        with self._desk.work(call) as work:
            account = work.unit.account(email)
            return account is not None and self._decide(work, account, refusal)

    def _decide(self, work: Work, account: Account, refusal: str | None) -> bool:
        identity = CheckState.APPROVED if refusal is None else CheckState.REFUSED
        if not work.unit.end_review(account.email, identity):
            return False
        text = "Identification successful. Please go on with your company profile."
        if refusal is not None:
            text = f"Identification failed. Reason: {refusal}."
        work.mail(account.email, RESULT_SUBJECT, text)
        work.audit(f"identity {identity.value}", account, refusal or "")
        return True

    def next_review_s(self) -> int | None:
        """Return when the next check is decided."""
        with self._desk.store.reading() as reading:
            return reading.next_review_s()

    def status(self, request: GetStatus, call: Call) -> ProfileStatus:
        """Show the three lines and what they mean."""
        with self._desk.look(call) as look:
            visitor = look.visitor(request.session)
        account, company = visitor.account, visitor.company
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
