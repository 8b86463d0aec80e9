"""E-mail addresses compare without case, wherever they enter the portal."""

from collections.abc import Callable

import pytest
from portal_people import Counter, Visitor, colleague, manager, signed_in

from wire import portal_api as api
from wire.portal_api import CompanyState, PortalErrorCode
from wire.token import Role


@pytest.fixture
def counter() -> Counter:
    return Counter()


def shout(person: Visitor) -> Visitor:
    """The same person, who types the address in capitals from now on."""
    person.email = person.email.upper()
    return person


def test_an_address_in_capitals_is_the_same_address(counter: Counter) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.EMAIL_TAKEN):
        shout(person).sign_up()
    assert person.sign_in().person == "tessa@workshop.example"
    assert person.log_in().strong


def test_who_signs_up_in_capitals_is_found_in_small_letters(counter: Counter) -> None:
    person = Visitor(counter)
    person.email = "Tessa@Workshop.EXAMPLE"
    person.sign_up()
    person.email = "tessa@workshop.example"
    person.confirm()
    person.sign_in()
    assert person.status().email_masked == "te***@workshop.example"
    assert {mail.to for mail in person.mails()} == {"tessa@workshop.example"}


def test_mails_to_an_address_are_in_one_box(counter: Counter) -> None:
    person = signed_in(counter)
    mails = person.mails()
    assert mails
    assert shout(person).mails() == mails


def test_guessing_in_capitals_gains_no_tries(counter: Counter) -> None:
    for person in (signed_in(counter), Visitor(counter, "nobody")):
        with counter.refused(PortalErrorCode.LOGIN_FAILED):
            person.begin("wrong")
        with counter.refused(PortalErrorCode.THROTTLED):
            shout(person).begin("wrong")


def test_the_label_of_the_authenticator_is_one_whatever_was_typed(counter: Counter) -> None:
    person = signed_in(counter)
    step = shout(person).begin()
    assert step.otpauth_uri is not None
    assert step.otpauth_uri.startswith("otpauth://totp/SGW%20Bench:tessa@workshop.example?")


def test_an_invitation_in_capitals_reaches_the_person(counter: Counter) -> None:
    boss, person = manager(counter), signed_in(counter, "conrad")
    boss.invite(shout(person))
    person.accept()
    assert person.status().company is CompanyState.VALIDATED


@pytest.mark.parametrize("act", [Visitor.disassociate, Visitor.reset_second_factor])
def test_the_managers_acts_reach_the_colleague(counter: Counter, act: Callable[[Visitor, Visitor], api.Done]) -> None:
    boss = manager(counter)
    person = colleague(counter, boss)
    act(boss, shout(person))
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.status()


def test_in_capitals_too_the_manager_stays(counter: Counter) -> None:
    boss = manager(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        boss.disassociate(shout(boss))


def test_what_operators_type_reaches_the_person(counter: Counter) -> None:
    person = manager(counter)
    person.log_in()
    counter.portal.operators.entitle("MILA@workshop.example", "vag", Role.DEVELOPMENT, counter.now_s)
    assert person.ask(role=Role.DEVELOPMENT).payload
    counter.portal.operators.revoke_company("Mila@Workshop.Example", counter.now_s)
    assert person.status().company is CompanyState.REVOKED


def test_the_audit_log_names_a_person_in_one_way(counter: Counter) -> None:
    boss = manager(counter)
    person = colleague(counter, boss)
    shout(person).log_in()
    shout(boss).sign_in()
    boss.reset_second_factor(person)
    log = counter.portal.audit_log()
    assert {record.person for record in log} == {"mila@workshop.example", "conrad@workshop.example"}
    assert log[-1].subject == "conrad@workshop.example"


@pytest.mark.parametrize(("one", "other"), [("stra\u00dfe", "strasse"), ("\u0131rma", "irma")])
def test_letters_that_only_look_alike_stay_different(counter: Counter, one: str, other: str) -> None:
    for name in (one, other):
        signed_in(counter, name)
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        counter.call(api.PortalLogin(email=f"{one}@workshop.example", password=f"correct horse {other} battery"))


def test_an_address_is_measured_as_it_is_kept(counter: Counter) -> None:
    """A capital I with a dot becomes two characters as a small letter."""
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.SignUp(email="\u0130" * 40 + "@workshop.example", password="long enough, surely"))


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nBcc: x@y.example",
        "a@b.example,x@y.example",
        '"a\\"@x.example"@b.example',
        "<a@b.example",
        "a,x@y.example",
        "=?utf-8?q?a=0ABcc:x?=@b.example",
        "a..b@c.example",
        "ä" * 33 + "@b.example",
    ],
)
def test_an_address_to_which_no_mail_goes_has_no_account_and_no_invitation(counter: Counter, address: str) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.SignUp(email=address, password="correct horse battery"))
    boss = manager(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.InviteUser(session=boss.browser, email=address))
