"""Accounts live in any order of events; a small model says when an unlock may be had, and who is not validated never gets one."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from portal_people import STEP_S, Counter, Visitor
from portal_stores import DATABASES

from portal_sim.store import Store
from wire import portal_api as api
from wire.portal_api import CheckState, CompanyState

DAY_S, REVIEW_S = 24 * 3600, 900
NAMES = ("mila", "tessa", "conrad")
PEOPLE = st.sampled_from(NAMES)


class Model:
    """What this test believes of one person, written from the rules and not from the portal."""

    def __init__(self) -> None:
        self.exists = self.profile = self.enrolled = False
        self.identity = CheckState.NONE
        self.attempts = 3
        self.good = True
        self.due_s = 0
        self.company: str | None = None  # the name of its manager
        self.out = False
        self.session_until_s = 0


class Life(RuleBasedStateMachine):
    """Three people and their companies; every rule is tried whether it is allowed or not."""

    @initialize(workshop=st.sampled_from(("with an apprentice", "of two", "with a rival", "none")))
    def open_the_portal(self, workshop: str) -> None:
        self.counter = Counter(session_lifetime_s=DAY_S, review_min_s=REVIEW_S, review_max_s=REVIEW_S)
        self.people = {name: Visitor(self.counter, name) for name in NAMES}
        self.model = {name: Model() for name in NAMES}
        self.companies: dict[str, CompanyState] = {}
        self.issued = 0
        if workshop != "none":  # what is interesting comes after it
            self.go_all_the_way("mila", "mila")
            self.go_all_the_way("conrad", "mila")
        if workshop == "with an apprentice":  # who is not checked yet
            self.sign_up("tessa")
            self.invite("mila", "tessa")
        if workshop == "with a rival":
            self.go_all_the_way("tessa", "tessa")

    def attempt(self, act: object, *, allowed: bool) -> bool:
        """Do it; the portal must allow and refuse as the model does."""
        if allowed:
            act()
            return True
        with pytest.raises(api.PortalError):
            act()
        return False

    def browser(self, name: str) -> bool:
        """Sign in at the pages, where there is an account; reviews that are due by then are decided."""
        if self.model[name].exists:
            self.people[name].sign_in()
        self.review()
        return self.model[name].exists

    def review(self) -> None:
        for model in self.model.values():
            if model.identity is CheckState.IN_PROGRESS and self.counter.now_s >= model.due_s:
                model.identity = CheckState.APPROVED if model.good else CheckState.REFUSED

    # ---- what people do

    @rule(name=PEOPLE)
    def sign_up(self, name: str) -> None:
        if self.attempt(self.people[name].sign_up, allowed=not self.model[name].exists):
            self.people[name].confirm()
            self.model[name].exists = True

    @rule(name=PEOPLE)
    def fill_in(self, name: str) -> None:
        model = self.model[name]
        if self.browser(name):
            allowed = model.identity in {CheckState.NONE, CheckState.REFUSED}
            model.profile |= self.attempt(self.people[name].fill_in, allowed=allowed)

    @rule(name=PEOPLE, good=st.booleans())
    def hand_in(self, name: str, good: bool) -> None:
        model = self.model[name]
        if not self.browser(name):
            return
        video = api.FaceVideo(motion=1.0 if good else 0.0)
        allowed = model.profile and model.attempts > 0 and model.identity in {CheckState.NONE, CheckState.REFUSED}
        if self.attempt(lambda: self.people[name].hand_in(video=video), allowed=allowed):
            model.identity, model.good, model.due_s = CheckState.IN_PROGRESS, good, self.counter.now_s + REVIEW_S
            model.attempts -= 1

    @rule(name=PEOPLE)
    def fill_in_company(self, name: str) -> None:
        model = self.model[name]
        if (name == "conrad" and not model.out) or not self.browser(name):
            return  # Conrad works for others while they let him
        allowed = (
            model.identity is CheckState.APPROVED
            and model.company in {None, name}
            and self.companies.get(name) is not CompanyState.REVOKED
        )
        if self.attempt(self.people[name].company, allowed=allowed):
            self.companies[name] = CompanyState.COMPLETE
            model.company, model.out = name, False

    @rule(name=PEOPLE)
    def validate(self, name: str) -> None:
        if not self.browser(name):
            return
        model = self.model[name]
        state = self.companies.get(name)
        allowed = model.identity is CheckState.APPROVED and model.company == name and state is not CompanyState.REVOKED
        if self.attempt(self.people[name].validate, allowed=allowed):
            self.companies[name] = CompanyState.VALIDATED

    @rule(boss=PEOPLE, other=PEOPLE)
    def invite(self, boss: str, other: str) -> None:
        if boss == other or not self.model[other].exists or not self.browser(boss):
            return
        allowed = self.model[boss].company == boss and self.companies[boss] is CompanyState.VALIDATED
        if self.attempt(lambda: self.people[boss].invite(self.people[other]), allowed=allowed):
            self.browser(other)
            model = self.model[other]
            if self.attempt(self.people[other].accept, allowed=model.company in {None, boss}):
                model.company, model.out = boss, False

    @rule(boss=PEOPLE, other=PEOPLE)
    def disassociate(self, boss: str, other: str) -> None:
        if self.browser(boss):
            allowed = boss != other and self.model[boss].company == boss and self.model[other].company == boss
            if self.attempt(lambda: self.people[boss].disassociate(self.people[other]), allowed=allowed):
                model = self.model[other]
                model.company, model.out, model.session_until_s = None, True, 0

    @rule(boss=PEOPLE, other=PEOPLE)
    def reset(self, boss: str, other: str) -> None:
        if self.browser(boss):
            allowed = boss != other and self.model[boss].company == boss and self.model[other].company == boss
            if self.attempt(lambda: self.people[boss].reset_second_factor(self.people[other]), allowed=allowed):
                self.people[other].phone = None
                self.model[other].enrolled, self.model[other].session_until_s = False, 0

    @rule(name=PEOPLE)
    def reset_by_mail(self, name: str) -> None:
        model, person = self.model[name], self.people[name]
        if model.exists:
            self.counter.call(api.RequestReset(email=person.email))
            self.counter.call(api.ConfirmReset(link_code=person.link(), new_password=person.password))
            person.phone = None
            model.enrolled, model.session_until_s = False, 0

    @rule(boss=PEOPLE)
    def revoke(self, boss: str) -> None:
        if boss in self.companies and self.model[boss].company == boss:
            self.counter.portal.operators.revoke_company(self.people[boss].email, self.counter.now_s)
            self.companies[boss] = CompanyState.REVOKED

    @rule(name=PEOPLE)
    def log_in(self, name: str) -> None:
        model = self.model[name]
        if self.attempt(self.people[name].log_in, allowed=model.exists):
            model.enrolled = True
            model.session_until_s = self.counter.now_s + DAY_S
        else:
            self.counter.wait(700)  # whoever guessed waits

    @rule(name=PEOPLE, boss=st.sampled_from(("mila", "tessa")))
    def go_all_the_way(self, name: str, boss: str) -> None:
        """The straight way, as far as it is open."""
        self.sign_up(name)
        self.fill_in(name)
        self.hand_in(name, good=True)
        self.wait(REVIEW_S)
        self.fill_in_company(name)
        self.validate(name)
        self.invite(boss, name)
        self.log_in(name)

    @rule(seconds=st.sampled_from([1, STEP_S, REVIEW_S, DAY_S]))
    def wait(self, seconds: int) -> None:
        self.counter.wait(seconds)

    # ---- what it is all about

    @rule(name=PEOPLE, log_in_first=st.booleans())
    def ask(self, name: str, log_in_first: bool) -> None:
        model, person = self.model[name], self.people[name]
        if log_in_first and model.exists:
            self.log_in(name)
        self.counter.wait_for_step()
        self.review()
        validated = (
            model.identity is CheckState.APPROVED
            and model.company is not None
            and not model.out
            and self.companies[model.company] is CompanyState.VALIDATED
        )
        signed_in = self.counter.now_s < model.session_until_s
        code = person.code() if person.phone is not None else "000000"
        self.issued += self.attempt(lambda: person.ask(code=code), allowed=validated and signed_in)

    def teardown(self) -> None:
        """Wherever a life ends: who may have an unlock gets one, and nobody else."""
        for name in NAMES if hasattr(self, "people") else ():
            self.ask(name, log_in_first=True)
        self.every_unlock_has_its_record_and_every_record_its_unlock()

    @invariant()
    def every_unlock_has_its_record_and_every_record_its_unlock(self) -> None:
        assert self.counter.actions().count("unlock issued") == self.issued

    @invariant()
    def ticks_are_as_the_model_says(self) -> None:
        for name, model in self.model.items():
            person = self.people[name]
            if not person.session or self.counter.now_s >= model.session_until_s:
                continue
            status = self.counter.call(api.GetStatus(session=person.session))
            self.review()
            assert status.identity is model.identity
            assert status.attempts_left == model.attempts
            assert status.personal_profile == model.profile
            assert status.enrolled
            expected = CompanyState.NONE if model.company is None else self.companies[model.company]
            assert status.company is expected


Life.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestLife = pytest.mark.slow(Life.TestCase)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_lives_are_the_same_in_a_database(
    kind: str, new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counter, "new_store", staticmethod(lambda: new_store(kind)))
    run_state_machine_as_test(Life, settings=settings(max_examples=6, stateful_step_count=20, deadline=None))
