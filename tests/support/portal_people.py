"""A portal with a clock that the test moves, and people who walk through it by its public door alone.

The people's authenticators are pyotp, which no one here wrote.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pyotp
import pytest

from portal_sim.keys import BackendKeys, make_keys
from portal_sim.mail.memory_inbox import Inbox
from portal_sim.memory_store import MemoryStore
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.portal import Portal
from portal_sim.store import Store
from wire import portal_api as api
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.portal_api import PortalErrorCode
from wire.token import RequestStructure, Role, Scope

VIN = "WVWZZZCD4MW000001"
CLUSTER = 0x714
STEP_S = 30
LONGEST_REVIEW_S = 20 * 60
COMPANY = {
    "legal_name": "Example Workshop Ltd",
    "vat_number": "DE123456789",
    "address": "Werkstrasse",
    "street_number": "7",
    "post_code": "38440",
    "town": "Wolfsburg",
    "province": "NI",
    "nation": "DE",
    "phone": "+49 5361 0000",
    "position": "Workshop Manager",
}


@cache
def backend_keys() -> BackendKeys:
    return make_keys(SeededEntropy(random.Random(7)), VIRTUAL_EPOCH_UTC_S)


class Counter:
    """The portal, and the time at its counter. `new_store`: makes its store, where none is handed in (`portal_stores`)."""

    new_store: Callable[[], Store] = MemoryStore

    def __init__(
        self, *, store: Store | None = None, inbox: Inbox | None = None, seed: int = 0, **options: object
    ) -> None:
        self.now_s = VIRTUAL_EPOCH_UTC_S
        self.portal = Portal(
            entropy=SeededEntropy(random.Random(seed)),
            keys=backend_keys(),
            review_rng=random.Random(seed + 1),
            options=PortalOptions(**{"cost": CHEAP_COST, **options}),
            store=self.new_store() if store is None else store,
            inbox=inbox,
        )

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.portal.handle(request, self.now_s)

    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    def wait_for_step(self) -> None:
        """Wait until the codes change."""
        self.wait(STEP_S - self.now_s % STEP_S)

    @contextmanager
    def refused(self, code: PortalErrorCode) -> Iterator[pytest.ExceptionInfo[api.PortalError]]:
        with pytest.raises(api.PortalError) as refusal:
            yield refusal
        assert refusal.value.code is code, refusal.value

    def actions(self) -> list[str]:
        return [record.action for record in self.portal.audit_log()]


class Visitor:
    """One natural person with a browser, a mailbox, a phone and a tester."""

    def __init__(self, counter: Counter, name: str = "tessa") -> None:
        self.counter = counter
        self.email = f"{name}@workshop.example"
        self.password = f"correct horse {name} battery"
        self.first_name, self.last_name = name.capitalize(), "Example"
        self.browser = ""
        self.phone: pyotp.TOTP | None = None
        self.session = ""

    # ---- account

    def sign_up(self) -> api.Done:
        return self.counter.call(api.SignUp(email=self.email, password=self.password))

    def mails(self) -> tuple[api.Mail, ...]:
        return self.counter.call(api.ReadMail(email=self.email))

    def link(self) -> str:
        return [mail.link_code for mail in self.mails() if mail.link_code is not None][-1]

    def confirm(self) -> api.Done:
        return self.counter.call(api.ConfirmEmail(link_code=self.link()))

    def sign_in(self, password: str | None = None) -> api.Session:
        code = None
        if self.phone is not None:
            self.counter.wait_for_step()
            code = self.code()
        request = api.PortalLogin(email=self.email, password=password or self.password, code=code)
        session = self.counter.call(request)
        self.browser = session.token
        return session

    def status(self) -> api.ProfileStatus:
        return self.counter.call(api.GetStatus(session=self.browser))

    # ---- profile, identity, company

    def fill_in(self, **changes: str) -> api.Done:
        fields = {"first_name": self.first_name, "last_name": self.last_name, "birth_date": "1990-04-01", **changes}
        return self.counter.call(api.PersonalProfile(session=self.browser, **fields))

    def picture(self, **changes: object) -> api.Picture:
        return api.Picture(**{"name": f"{self.first_name} {self.last_name}", **changes})

    def hand_in(self, **changes: object) -> api.Done:
        fields = {
            "country": "DE",
            "document": api.DocumentKind.PASSPORT,
            "front": self.picture(),
            "back": self.picture(),
            "video": api.FaceVideo(),
            **changes,
        }
        return self.counter.call(api.IdentityDocuments(session=self.browser, **fields))

    def company(self, **changes: str) -> api.Done:
        return self.counter.call(api.CompanyProfile(session=self.browser, **{**COMPANY, **changes}))

    def validate(self) -> api.Done:
        return self.counter.call(api.ValidateCompany(session=self.browser))

    # ---- colleagues

    def invite(self, other: "Visitor") -> api.Done:
        return self.counter.call(api.InviteUser(session=self.browser, email=other.email))

    def accept(self, link: str | None = None) -> api.Done:
        return self.counter.call(api.AcceptInvitation(session=self.browser, link_code=link or self.link()))

    def disassociate(self, other: "Visitor") -> api.Done:
        return self.counter.call(api.DisassociateUser(session=self.browser, email=other.email))

    def reset_second_factor(self, other: "Visitor") -> api.Done:
        return self.counter.call(api.ResetSecondFactor(session=self.browser, email=other.email))

    # ---- tester

    def begin(self, password: str | None = None) -> api.LoginStep:
        """E-mail and password on the tester; scans the QR code where one is shown."""
        request = api.BeginLogin(email=self.email, password=password or self.password, tester_serial="T-1")
        step = self.counter.call(request)
        if step.otpauth_uri is not None:
            self.phone = pyotp.parse_uri(step.otpauth_uri)
        return step

    def code(self, steps: int = 0) -> str:
        """The code that the phone shows now, or so many steps away."""
        return self.phone.generate_otp(self.counter.now_s // STEP_S + steps)

    def wrong_code(self) -> str:
        return str((int(self.code()) + 1) % 10**6).zfill(6)

    def finish(self, step: api.LoginStep, code: str) -> api.Session:
        session = self.counter.call(api.FinishLogin(login_id=step.login_id, code=code))
        self.session = session.token
        return session

    def log_in(self) -> api.Session:
        """Log in on the tester with a code that was not used before."""
        self.counter.wait_for_step()
        return self.finish(self.begin(), self.code())

    def ask(self, **changes: object) -> api.Unlock:
        """Ask for a VAG unlock of the cluster, with a new code."""
        if "code" not in changes and self.phone is not None:
            self.counter.wait_for_step()
            changes["code"] = self.code()
        fields = {
            "session": self.session,
            "kind": api.UnlockKind.SFD_TOKEN,
            "make": "vag",
            "vin": VIN,
            "ecu_address": CLUSTER,
            "role": Role.AFTER_SALES,
            "scope": Scope.CODING,
            "challenge": RequestStructure(ecu_address=CLUSTER, vin=VIN, nonce=bytes(16)).encode(),
            **changes,
        }
        return self.counter.call(api.RequestUnlock(**fields))


def signed_in(counter: Counter, name: str = "tessa") -> Visitor:
    """Return a person with a confirmed account, signed in at the pages by password."""
    person = Visitor(counter, name)
    person.sign_up()
    person.confirm()
    person.sign_in()
    return person


def checked(counter: Counter, name: str = "tessa") -> Visitor:
    """Return a person whose identity is checked."""
    person = signed_in(counter, name)
    person.fill_in()
    person.hand_in()
    counter.wait(LONGEST_REVIEW_S)
    return person


def manager(counter: Counter, name: str = "mila") -> Visitor:
    """Return the workshop manager of a validated company."""
    person = checked(counter, name)
    person.company()
    person.validate()
    return person


def colleague(counter: Counter, boss: Visitor, name: str = "conrad") -> Visitor:
    """Return a checked person who accepted the manager's invitation. The browser sessions of both are new."""
    person = checked(counter, name)
    boss.sign_in()
    boss.invite(person)
    person.accept()
    return person
