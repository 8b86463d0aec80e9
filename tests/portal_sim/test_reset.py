"""The way back by mail, for who is locked out or forgot the password: a link, a new password, a new authenticator."""

from collections.abc import Callable

import pytest
from portal_people import Counter, Visitor, colleague, manager, signed_in

from wire import portal_api as api
from wire.portal_api import PortalErrorCode

pytestmark = pytest.mark.every_store

THREE_DAYS_S = 3 * 24 * 3600
NEW = "an entirely new password"


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    """Enrolled, and logged in on the tester."""
    person = signed_in(counter)
    person.log_in()
    return person


def ask_for_a_link(person: Visitor) -> str:
    person.counter.call(api.RequestReset(email=person.email))
    return person.link()


def follow(person: Visitor, link: str, password: str = NEW) -> api.Done:
    return person.counter.call(api.ConfirmReset(link_code=link, new_password=password))


def answer(counter: Counter, request: api.Request[api.Done]) -> tuple[object, ...]:
    """What a stranger sees of an answer."""
    try:
        return (counter.call(request),)
    except api.PortalError as error:
        return error.code, error.sentence, error.retry_after_s


# ---- the way back


def test_a_locked_out_manager_comes_back_and_unlocks_again() -> None:
    counter = Counter(max_failures=1)
    boss = manager(counter)
    boss.log_in()
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        boss.begin("wrong")
    with counter.refused(PortalErrorCode.LOCKED_OUT):
        boss.begin()
    counter.wait(600)
    follow(boss, ask_for_a_link(boss))
    boss.password = NEW
    step = boss.begin()
    assert step.otpauth_uri is not None
    boss.finish(step, boss.code())
    assert boss.ask().payload
    boss.sign_in()
    assert boss.status().manager


def test_afterwards_the_old_password_and_the_old_authenticator_are_worth_nothing(
    counter: Counter, person: Visitor
) -> None:
    old = person.phone
    follow(person, ask_for_a_link(person))
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin()
    counter.wait(60)
    step = person.begin(NEW)
    assert person.phone != old
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(step, old.at(counter.now_s))
    counter.wait(60)
    person.finish(step, person.code())


def test_sessions_and_logins_of_before_end(counter: Counter, person: Visitor) -> None:
    person.sign_in()
    counter.wait_for_step()
    step = person.begin()
    link = ask_for_a_link(person)
    assert person.status().enrolled
    follow(person, link)
    for session in (person.session, person.browser):
        with counter.refused(PortalErrorCode.SESSION_INVALID):
            counter.call(api.GetStatus(session=session))
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.finish(step, person.code())


def test_failures_are_forgotten_and_the_next_ones_count_from_the_first(counter: Counter, person: Visitor) -> None:
    for _ in range(5):
        with counter.refused(PortalErrorCode.LOGIN_FAILED):
            person.begin("wrong")
        counter.wait(600)
    follow(person, ask_for_a_link(person))
    assert person.begin(NEW).otpauth_uri is not None
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    with counter.refused(PortalErrorCode.THROTTLED) as refusal:
        person.begin(NEW)
    assert refusal.value.retry_after_s == 5


def test_asking_alone_changes_nothing_but_the_next_tries_wait(counter: Counter, person: Visitor) -> None:
    ask_for_a_link(person)
    assert counter.call(api.GetStatus(session=person.session)).enrolled
    with counter.refused(PortalErrorCode.THROTTLED):
        person.begin()
    counter.wait(5)
    assert person.begin().otpauth_uri is None


def test_the_address_may_be_typed_in_capitals(counter: Counter, person: Visitor) -> None:
    counter.call(api.RequestReset(email=person.email.upper()))
    follow(person, person.link())
    person.begin(NEW)


def test_both_steps_stand_in_the_audit_log(counter: Counter, person: Visitor) -> None:
    follow(person, ask_for_a_link(person))
    assert counter.actions()[-2:] == ["password reset requested", "password reset"]
    assert {record.person for record in counter.portal.audit_log()} == {person.email}


# ---- the link


@pytest.mark.parametrize(("age_s", "valid"), [(0, True), (THREE_DAYS_S - 1, True), (THREE_DAYS_S, False)])
def test_the_link_is_valid_for_three_days(counter: Counter, person: Visitor, age_s: int, valid: bool) -> None:
    link = ask_for_a_link(person)
    counter.wait(age_s)
    if valid:
        follow(person, link)
        person.begin(NEW)
    else:
        with counter.refused(PortalErrorCode.LINK_INVALID):
            follow(person, link)
        person.begin()


def test_the_link_works_once(counter: Counter, person: Visitor) -> None:
    link = ask_for_a_link(person)
    follow(person, link)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        follow(person, link, "another password, of a thief")
    person.begin(NEW)


def test_the_newest_link_alone_counts(counter: Counter, person: Visitor) -> None:
    older = ask_for_a_link(person)
    counter.wait(600)
    newer = ask_for_a_link(person)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        follow(person, older)
    follow(person, newer)
    person.begin(NEW)


def test_who_asks_again_spoils_nobody_elses_link(counter: Counter, person: Visitor) -> None:
    other = signed_in(counter, "mila")
    link = ask_for_a_link(person)
    ask_for_a_link(other)
    follow(person, link)
    person.begin(NEW)
    with counter.refused(PortalErrorCode.THROTTLED):
        other.begin()
    counter.wait(5)
    other.begin()


def test_a_changed_password_makes_the_links_of_before_worthless(counter: Counter, person: Visitor) -> None:
    link = ask_for_a_link(person)
    counter.wait(5)
    change = api.ChangePassword(session=person.session, old_password=person.password, new_password=NEW)
    counter.call(change)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        follow(person, link, "the password of a thief")
    person.begin(NEW)


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 201])
def test_a_password_that_is_refused_burns_no_link(counter: Counter, person: Visitor, password: str) -> None:
    link = ask_for_a_link(person)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        follow(person, link, password)
    follow(person, link)
    person.begin(NEW)


@pytest.mark.parametrize("link", ["", "0" * 48, "\ud800"])
def test_an_invented_link_resets_nothing(counter: Counter, person: Visitor, link: str) -> None:
    ask_for_a_link(person)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        follow(person, link)
    assert counter.call(api.GetStatus(session=person.session)).enrolled


def test_links_of_other_kinds_reset_nothing_and_a_reset_does_nothing_else(counter: Counter) -> None:
    boss = manager(counter)
    person = Visitor(counter, "conrad")
    person.sign_up()
    confirmation = person.link()
    boss.invite(person)
    invitation = person.link()
    for link in (confirmation, invitation):
        with counter.refused(PortalErrorCode.LINK_INVALID):
            follow(person, link)
    person.counter.call(api.ConfirmEmail(link_code=confirmation))
    person.sign_in()
    reset = ask_for_a_link(person)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        counter.call(api.ConfirmEmail(link_code=reset))
    with counter.refused(PortalErrorCode.LINK_INVALID):
        person.accept(reset)
    person.accept(invitation)
    follow(person, reset)


# ---- what strangers learn, and how often they may ask


def test_no_answer_tells_whether_there_is_an_account() -> None:
    counter = Counter(max_failures=4)
    known, nobody = signed_in(counter), Visitor(counter, "nobody")
    unconfirmed = Visitor(counter, "conrad")
    unconfirmed.sign_up()
    people = (known, unconfirmed, nobody)
    seen = set()
    for _ in range(12):
        answers = {answer(counter, api.RequestReset(email=person.email)) for person in people}
        logins = {
            answer(counter, api.BeginLogin(email=person.email, password="wrong", tester_serial="T-1"))
            for person in people
        }
        assert (len(answers), len(logins)) == (1, 1)
        seen |= {each[0] for each in answers | logins}
        counter.wait(7)
    assert {PortalErrorCode.THROTTLED, PortalErrorCode.LOCKED_OUT} < seen


def test_a_lock_out_does_not_show_in_the_answer() -> None:
    counter = Counter(max_failures=1)
    locked, free = signed_in(counter, "tessa"), signed_in(counter, "mila")
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        locked.begin("wrong")
    counter.wait(600)
    answers = {answer(counter, api.RequestReset(email=person.email)) for person in (locked, free)}
    assert len(answers) == 1


def test_mails_go_to_confirmed_accounts_alone(counter: Counter) -> None:
    known, nobody, unconfirmed = signed_in(counter), Visitor(counter, "nobody"), Visitor(counter, "conrad")
    unconfirmed.sign_up()
    for person, more in ((known, 1), (nobody, 0), (unconfirmed, 0)):
        before = len(person.mails())
        counter.call(api.RequestReset(email=person.email))
        assert len(person.mails()) - before == more
    assert counter.call(api.ConfirmEmail(link_code=unconfirmed.link())) is not None


@pytest.mark.parametrize("email", ["", "tessa", "\ud800", "x" * 300])
def test_what_is_no_address_gets_the_same_answer(counter: Counter, person: Visitor, email: str) -> None:
    assert answer(counter, api.RequestReset(email=email)) == answer(counter, api.RequestReset(email=person.email))


@pytest.mark.parametrize("locked", [False, True])
def test_who_asks_again_and_again_waits_longer_and_longer(locked: bool) -> None:
    counter = Counter(max_failures=1 if locked else 100)
    person = signed_in(counter)
    waits = []
    for _ in range(5):
        ask_for_a_link(person)
        mails = len(person.mails())
        with counter.refused(PortalErrorCode.THROTTLED) as refusal:
            ask_for_a_link(person)
        assert len(person.mails()) == mails
        waits.append(refusal.value.retry_after_s)
        counter.wait(refusal.value.retry_after_s)
    assert waits == [5, 10, 15, 20, 25]
    assert counter.actions().count("password reset requested") == 5
    assert counter.actions().count("locked out") == locked


def test_guesses_at_the_password_hold_the_mail_up_and_the_mail_holds_guesses_up(
    counter: Counter, person: Visitor
) -> None:
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    with counter.refused(PortalErrorCode.THROTTLED):
        ask_for_a_link(person)
    counter.wait(5)
    ask_for_a_link(person)
    with counter.refused(PortalErrorCode.THROTTLED) as refusal:
        person.begin("wrong")
    assert refusal.value.retry_after_s == 10


# ---- who is who afterwards


def member(counter: Counter) -> tuple[Visitor, str]:
    boss = manager(counter)
    return colleague(counter, boss), boss.status().company_name


def alone(counter: Counter) -> tuple[Visitor, str]:
    return signed_in(counter), ""


@pytest.mark.parametrize("make", [member, alone])
def test_person_check_and_company_stay_as_they_were(
    counter: Counter, make: Callable[[Counter], tuple[Visitor, str]]
) -> None:
    person, company_name = make(counter)
    before = person.status()
    follow(person, ask_for_a_link(person))
    person.sign_in(NEW)
    assert person.status() == before
    assert before.company_name == company_name
