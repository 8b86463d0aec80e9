"""A person at the portal's pages: an e-mail address, a password, a phone with an authenticator, and patience.

Everything goes through the portal's public operations (`wire.portal_api`), as it would in a browser.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vci_driver.authenticator import Authenticator
from wire.clock import WallClock
from wire.portal_api import (
    AcceptInvitation,
    CheckState,
    CompanyProfile,
    ConfirmEmail,
    DisassociateUser,
    DocumentKind,
    Done,
    FaceVideo,
    GetStatus,
    IdentityDocuments,
    InviteUser,
    Mail,
    PersonalProfile,
    Picture,
    PortalError,
    PortalErrorCode,
    PortalLogin,
    PortalPort,
    ProfileStatus,
    R_co,
    ReadMail,
    Request,
    ResetSecondFactor,
    SignUp,
    ValidateCompany,
)
from wire.world import World

FIRST_NAMES = {"technician": "Tessa", "manager": "Mila", "colleague": "Conrad", "stranger": "Stian"}
REVIEW_POLL_S = 60
"""How often a patient person presses *Update*."""
REVIEW_POLLS_MAX = 60
"""An hour of pressing *Update*: reviews take 10 to 20 minutes, so longer means that none is coming."""


class Person:
    """One natural person. `session` is the browser's; the tester has its own. `mark` tells the people of one bench from those
    of others at a portal that remembers.
    """

    def __init__(self, name: str, world: World, portal: PortalPort, *, mark: str = "") -> None:
        self.name = name
        self.email = f"{name}{mark}@workshop.example"
        self.password = f"correct horse {name} battery"
        self.first_name = FIRST_NAMES.get(name, name.capitalize())
        self.last_name = "Example"
        self.phone_clock = WallClock(epoch_utc_s=world.clock.epoch_utc_s() + world.date_ahead_s)
        self.authenticator: Authenticator | None = None
        self._world = world
        self._portal = portal
        self._session: str | None = None

    @property
    def full_name(self) -> str:
        """First and last name, as on the documents."""
        return f"{self.first_name} {self.last_name}"

    # ---- account

    def sign_up(self) -> Done:
        """Make an account and follow the link in the mail."""
        done = self._portal.call(SignUp(email=self.email, password=self.password))
        link = self._latest_link()
        self._portal.call(ConfirmEmail(link_code=link))
        return done

    def mails(self) -> tuple[Mail, ...]:
        """Return the person's mailbox, oldest first."""
        return self._portal.call(ReadMail(email=self.email))

    def session(self) -> str:
        """Return the browser's session, signing in first where needed."""
        if self._session is None:
            code = self.authenticator.fresh_code(self._world) if self.authenticator is not None else None
            reply = self._portal.call(PortalLogin(email=self.email, password=self.password, code=code))
            self._session = reply.token
        return self._session

    def _signed_in(self, page: Callable[[str], Request[R_co]]) -> R_co:
        """Call what `page` makes of the session; sign in again, once, where it has run out."""
        try:
            return self._portal.call(page(self.session()))
        except PortalError as error:
            if error.code is not PortalErrorCode.SESSION_INVALID:
                raise
        self._session = None
        return self._portal.call(page(self.session()))

    def status(self) -> ProfileStatus:
        """Look at the page with the three lines."""
        return self._signed_in(lambda session: GetStatus(session=session))

    # ---- profile

    def personal_profile(self) -> Done:
        """Fill in the personal profile."""
        return self._signed_in(
            lambda session: PersonalProfile(
                session=session, first_name=self.first_name, last_name=self.last_name, birth_date="1990-04-01"
            )
        )

    def identity_check(
        self, front: Picture | None = None, back: Picture | None = None, video: FaceVideo | None = None
    ) -> Done:
        """Submit a passport and a video; what is None is good and in the person's own name."""
        good = Picture(name=self.full_name)
        return self._signed_in(
            lambda session: IdentityDocuments(
                session=session,
                country="DE",
                document=DocumentKind.PASSPORT,
                front=_named(front, self.full_name) if front else good,
                back=_named(back, self.full_name) if back else good,
                video=video or FaceVideo(),
            )
        )

    def wait_for_review(self) -> ProfileStatus:
        """Press *Update* once a minute until the check is decided, an hour at most; where a minute is one, each second."""
        dates_are_ours = self._world.virtual or self._world.on_date is not None
        for _ in range(REVIEW_POLLS_MAX):
            status = self.status()
            if status.identity is not CheckState.IN_PROGRESS:
                return status
            self._world.wait_for_the_date(REVIEW_POLL_S if dates_are_ours else 1)
        return self.status()

    # ---- company

    def company_profile(self) -> Done:
        """Fill in the company profile, every field of it."""
        return self._signed_in(
            lambda session: CompanyProfile(
                session=session,
                legal_name="Example Workshop Ltd",
                vat_number="DE123456789",
                address="Werkstrasse",
                street_number="7",
                post_code="38440",
                town="Wolfsburg",
                province="NI",
                nation="DE",
                phone="+49 5361 0000",
                position="Workshop Manager",
            )
        )

    def validate_company(self) -> Done:
        """Press *Validate profile*."""
        return self._signed_in(lambda session: ValidateCompany(session=session))

    def invite(self, other: Person) -> Done:
        """Invite another person and let them accept."""
        done = self._signed_in(lambda session: InviteUser(session=session, email=other.email))
        other.accept_invitation()
        return done

    def accept_invitation(self) -> Done:
        """Follow the link of the latest invitation."""
        link = self._latest_link()
        return self._signed_in(lambda session: AcceptInvitation(session=session, link_code=link))

    def disassociate(self, other: Person) -> Done:
        """Take another person out of the company."""
        return self._signed_in(lambda session: DisassociateUser(session=session, email=other.email))

    def reset_second_factor(self, other: Person) -> Done:
        """Take another person's authenticator away."""
        done = self._signed_in(lambda session: ResetSecondFactor(session=session, email=other.email))
        other.authenticator = None
        return done

    def enrol(self, otpauth_uri: str) -> Authenticator:
        """Scan the QR code with the phone."""
        self.authenticator = Authenticator(otpauth_uri, self.phone_clock)
        return self.authenticator

    def _latest_link(self) -> str:
        links = [mail.link_code for mail in self.mails() if mail.link_code is not None]
        if not links:
            raise PortalError(PortalErrorCode.LINK_INVALID, f"No mail with a link has come to {self.email}.")
        return links[-1]


def _named(picture: Picture, full_name: str) -> Picture:
    return picture if picture.name else replace(picture, name=full_name)
