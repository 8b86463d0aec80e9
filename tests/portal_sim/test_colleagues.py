"""Other users of the same tester: invited one by one by the workshop manager, each checked in person, taken out again."""

import pytest
from portal_people import CLUSTER, Counter, Visitor, checked, colleague, manager, signed_in

from wire import portal_api as api
from wire.portal_api import CompanyState, PortalErrorCode

pytestmark = pytest.mark.every_store

THREE_DAYS_S = 3 * 24 * 3600


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def boss(counter: Counter) -> Visitor:
    return manager(counter)


def test_an_invited_colleague_belongs_to_the_company_and_unlocks(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    status = person.status()
    assert (status.company, status.company_name) == (CompanyState.VALIDATED, boss.status().company_name)
    assert not status.manager
    person.log_in()
    assert person.ask().payload
    record = counter.portal.audit_log()[-1]
    assert (record.person, record.company, record.ecu_address) == (person.email, status.company_name, CLUSTER)


def test_a_colleague_is_checked_in_person_too(counter: Counter, boss: Visitor) -> None:
    person = signed_in(counter, "conrad")
    boss.invite(person)
    person.accept()
    person.log_in()
    with counter.refused(PortalErrorCode.IDENTITY_NOT_VERIFIED):
        person.ask()


def test_a_colleague_is_no_manager(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    third = colleague(counter, boss, "carla")
    for act in (
        lambda: person.invite(third),
        lambda: person.disassociate(third),
        lambda: person.disassociate(boss),
        lambda: person.reset_second_factor(third),
        person.validate,
        person.company,
    ):
        with counter.refused(PortalErrorCode.NOT_THE_MANAGER):
            act()


def test_only_a_validated_company_invites(counter: Counter) -> None:
    person, other = checked(counter), signed_in(counter, "conrad")
    with counter.refused(PortalErrorCode.COMPANY_INCOMPLETE):
        person.invite(other)
    person.company()
    with counter.refused(PortalErrorCode.COMPANY_NOT_VALIDATED):
        person.invite(other)
    person.validate()
    person.invite(other)
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    with counter.refused(PortalErrorCode.COMPANY_NOT_VALIDATED):
        person.invite(other)


@pytest.mark.parametrize("email", ["", "conrad", "conrad@workshop.example\nBcc: all@workshop.example"])
def test_an_invitation_goes_to_an_address(counter: Counter, boss: Visitor, email: str) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.InviteUser(session=boss.browser, email=email))


def test_an_invitation_works_once_and_for_three_days(counter: Counter, boss: Visitor) -> None:
    person = signed_in(counter, "conrad")
    boss.invite(person)
    person.accept()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        person.accept()
    late = signed_in(counter, "carla")
    boss.invite(late)
    counter.wait(THREE_DAYS_S)
    late.sign_in()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        late.accept()


def test_an_invitation_is_for_the_invited_person_who_can_still_use_it_when_another_tried(
    counter: Counter, boss: Visitor
) -> None:
    person, thief = signed_in(counter, "conrad"), signed_in(counter, "stian")
    boss.invite(person)
    with counter.refused(PortalErrorCode.LINK_INVALID):
        thief.accept(person.link())
    assert thief.status().company is CompanyState.NONE
    person.accept()


@pytest.mark.parametrize("who", ["a member", "a manager"])
def test_who_belongs_to_a_company_joins_no_other_and_nothing_is_burned(
    counter: Counter, boss: Visitor, who: str
) -> None:
    other_boss = manager(counter, "stian")
    other_boss.company(legal_name="Other Workshop Ltd")
    other_boss.validate()
    person = colleague(counter, other_boss) if who == "a member" else other_boss
    boss.sign_in()
    boss.invite(person)
    person.sign_in()
    with counter.refused(PortalErrorCode.ALREADY_IN_COMPANY) as refusal:
        person.accept()
    assert "belong to another company" in refusal.value.sentence
    status = person.status()
    assert (status.company_name, status.manager) == ("Other Workshop Ltd", who == "a manager")
    assert counter.actions().count("joined company") == (who == "a member")
    if who == "a member":  # the invitation is still good
        invitation = person.link()
        other_boss.sign_in()
        other_boss.disassociate(person)
        person.sign_in()
        person.accept(invitation)
        assert person.status().company_name == boss.status().company_name


def test_who_belongs_to_a_company_may_accept_its_own_invitation_again(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    boss.invite(person)
    person.accept()
    assert person.status().company is CompanyState.VALIDATED


def test_an_invented_invitation_is_refused_as_such_in_a_company_too(counter: Counter, boss: Visitor) -> None:
    with counter.refused(PortalErrorCode.LINK_INVALID):
        boss.accept("an-invented-link")


def test_links_of_one_kind_do_not_serve_as_the_other(counter: Counter, boss: Visitor) -> None:
    person = Visitor(counter, "conrad")
    person.sign_up()
    confirmation = person.link()
    boss.invite(person)
    invitation = person.link()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        counter.call(api.ConfirmEmail(link_code=invitation))
    counter.call(api.ConfirmEmail(link_code=confirmation))
    person.sign_in()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        person.accept(confirmation)
    person.accept(invitation)


def test_a_disassociated_person_is_logged_out_and_unlocks_nothing(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    person.log_in()
    boss.disassociate(person)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.ask()
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.status()
    person.log_in()
    with counter.refused(PortalErrorCode.DISASSOCIATED):
        person.ask()


def test_an_older_invitation_does_not_lead_back(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    boss.invite(person)
    spare = person.link()
    boss.disassociate(person)
    person.sign_in()
    with counter.refused(PortalErrorCode.LINK_INVALID):
        person.accept(spare)
    boss.invite(person)
    person.accept()
    person.log_in()
    assert person.ask().payload


def test_the_manager_handles_colleagues_of_the_own_company_alone(counter: Counter, boss: Visitor) -> None:
    stranger = manager(counter, "stian")
    boss.sign_in()
    nobody = Visitor(counter, "nobody")
    for other in (stranger, nobody, boss):
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            boss.disassociate(other)
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            boss.reset_second_factor(other)


def test_after_a_reset_a_new_authenticator_is_enrolled_and_the_old_one_is_worth_nothing(
    counter: Counter, boss: Visitor
) -> None:
    person = colleague(counter, boss)
    person.log_in()
    old = person.phone
    assert person.status().enrolled
    boss.reset_second_factor(person)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.ask()
    counter.wait_for_step()
    step = person.begin()
    assert step.otpauth_uri is not None
    assert person.phone != old
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(step, old.at(counter.now_s))
    counter.wait(60)
    person.finish(step, person.code())
    assert person.ask().payload


def test_a_reset_ends_a_login_that_is_under_way(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    person.log_in()
    counter.wait_for_step()
    step = person.begin()
    boss.reset_second_factor(person)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.finish(step, person.code())


def test_a_reset_ends_a_lock_out() -> None:
    counter = Counter(max_failures=1)
    boss = manager(counter)
    person = colleague(counter, boss)
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    with counter.refused(PortalErrorCode.LOCKED_OUT):
        person.begin()
    boss.reset_second_factor(person)
    person.log_in()


def test_what_the_manager_does_stands_in_the_audit_log_with_both_names(counter: Counter, boss: Visitor) -> None:
    person = colleague(counter, boss)
    boss.reset_second_factor(person)
    boss.disassociate(person)
    log = counter.portal.audit_log()
    for action in ("invited", "second factor reset", "disassociated"):
        (record,) = [record for record in log if record.action == action]
        assert (record.person, record.subject, record.utc_s) == (boss.email, person.email, counter.now_s)
