"""Accounts: sign-up, the mail that confirms the address, signing in at the pages, passwords."""

from itertools import pairwise

import pytest
from portal_people import Counter, Visitor, checked, signed_in

from wire import portal_api as api
from wire.portal_api import PortalErrorCode

pytestmark = pytest.mark.every_store

THREE_DAYS_S = 3 * 24 * 3600


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_mail_with_a_link_confirms_the_address(counter: Counter) -> None:
    person = Visitor(counter)
    person.sign_up()
    (mail,) = person.mails()
    assert mail.to == person.email
    assert mail.link_code is not None
    assert mail.sent_utc_s == counter.now_s
    person.confirm()
    assert person.sign_in().person == person.email


@pytest.mark.parametrize(("age_s", "valid"), [(0, True), (THREE_DAYS_S - 1, True), (THREE_DAYS_S, False)])
def test_the_link_is_valid_for_three_days(counter: Counter, age_s: int, valid: bool) -> None:
    person = Visitor(counter)
    person.sign_up()
    counter.wait(age_s)
    if valid:
        person.confirm()
        person.sign_in()
    else:
        with counter.refused(PortalErrorCode.LINK_INVALID):
            person.confirm()


def test_the_link_works_once(counter: Counter) -> None:
    person = Visitor(counter)
    person.sign_up()
    person.confirm()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        person.confirm()


@pytest.mark.parametrize("link", ["", "0" * 48, "\ud800"])
def test_an_invented_link_confirms_nothing(counter: Counter, link: str) -> None:
    person = Visitor(counter)
    person.sign_up()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        counter.call(api.ConfirmEmail(link_code=link))
    with counter.refused(PortalErrorCode.EMAIL_NOT_CONFIRMED):
        person.sign_in()


def test_who_let_the_link_run_out_signs_up_again(counter: Counter) -> None:
    person = Visitor(counter)
    person.sign_up()
    old_link = person.link()
    counter.wait(THREE_DAYS_S)
    person.password = "another password, longer"
    person.sign_up()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        counter.call(api.ConfirmEmail(link_code=old_link))
    person.confirm()
    person.sign_in()


@pytest.mark.parametrize("confirmed", [False, True])
def test_an_address_signs_up_once(counter: Counter, confirmed: bool) -> None:
    person = Visitor(counter)
    person.sign_up()
    if confirmed:
        person.confirm()
        counter.wait(THREE_DAYS_S)
    with counter.refused(PortalErrorCode.EMAIL_TAKEN):
        person.sign_up()


def test_before_the_address_is_confirmed_nobody_gets_in(counter: Counter) -> None:
    person = Visitor(counter)
    person.sign_up()
    with counter.refused(PortalErrorCode.EMAIL_NOT_CONFIRMED):
        person.sign_in()
    with counter.refused(PortalErrorCode.EMAIL_NOT_CONFIRMED):
        person.begin()


@pytest.mark.parametrize(
    "email",
    [
        *("", "tessa", "tessa@", "@workshop.example", "tessa@workshop", "a@b@workshop.example"),
        *("tes sa@workshop.example", "tessa@workshop.example\n", "tessa\0@workshop.example"),
        *("t" * 65 + "@workshop.example", "t\ud800@workshop.example", "t\u202e@workshop.example"),
    ],
)
def test_what_is_no_address_is_refused(counter: Counter, email: str) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
        counter.call(api.SignUp(email=email, password="long enough, surely"))
    assert "e-mail address" in refusal.value.sentence


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (11, False), (12, True), (128, True), (129, False)])
def test_passwords_have_12_to_128_characters(counter: Counter, length: int, accepted: bool) -> None:
    request = api.SignUp(email="tessa@workshop.example", password="x" * length)
    if accepted:
        counter.call(request)
    else:
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            counter.call(request)


@pytest.mark.parametrize("common", ["123456789qwerty", "Password1234", "QWERTY123456"])
def test_a_password_that_everybody_tries_first_is_refused_wherever_one_is_chosen(counter: Counter, common: str) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
        counter.call(api.SignUp(email="tessa@workshop.example", password=common))
    assert "tries first" in refusal.value.sentence
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.ChangePassword(session=person.browser, old_password=person.password, new_password=common))
    counter.call(api.RequestReset(email=person.email))
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.ConfirmReset(link_code=person.link(), new_password=common))


def test_half_a_character_in_a_password_is_a_wrong_password(counter: Counter) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.sign_in("\ud800" * 12)


def test_a_new_password_ends_the_other_sessions(counter: Counter) -> None:
    person = signed_in(counter)
    other = person.browser
    person.sign_in()
    new = "a new password, no less"
    counter.call(api.ChangePassword(session=person.browser, old_password=person.password, new_password=new))
    assert person.status()
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(api.GetStatus(session=other))
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.sign_in()
    counter.wait(60)
    person.sign_in(new)


def test_a_new_password_needs_the_old_one_and_has_to_be_long_enough(counter: Counter) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.ChangePassword(session=person.browser, old_password=person.password, new_password="short"))
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        counter.call(api.ChangePassword(session=person.browser, old_password="wrong", new_password="x" * 12))
    counter.wait(60)
    person.sign_in()


def test_guesses_at_the_old_password_wait_like_guesses_at_the_login(counter: Counter) -> None:
    person = signed_in(counter)
    guess = api.ChangePassword(session=person.browser, old_password="wrong", new_password="x" * 12)
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        counter.call(guess)
    with counter.refused(PortalErrorCode.THROTTLED):
        counter.call(guess)
    with counter.refused(PortalErrorCode.THROTTLED):
        person.sign_in()


def test_the_page_masks_the_address_and_shows_three_crosses(counter: Counter) -> None:
    status = signed_in(counter).status()
    assert status.email_masked == "te***@workshop.example"
    assert not status.personal_profile
    assert (status.identity, status.company) == (api.CheckState.NONE, api.CompanyState.NONE)
    assert (status.company_name, status.manager, status.enrolled) == ("", False, False)
    assert status.attempts_left == 3
    assert status.messages == ()


def test_two_accounts_share_nothing(counter: Counter) -> None:
    one, two = checked(counter, "tessa"), signed_in(counter, "mila")
    assert one.sign_in().person == "Tessa Example"
    assert two.status().identity is api.CheckState.NONE
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        counter.call(api.PortalLogin(email=one.email, password=two.password))


def test_every_step_of_the_account_stands_in_the_audit_log(counter: Counter) -> None:
    person = checked(counter)
    person.status()
    log = counter.portal.audit_log()
    assert counter.actions() == ["sign-up", "identity check submitted", "identity approved"]
    assert {record.person for record in log} == {person.email}
    assert all(earlier.utc_s <= later.utc_s for earlier, later in pairwise(log))
    assert len({record.audit_id for record in log}) == len(log)
