"""A person at the portal's pages: signs in again when the session has run out, waits with an end, follows links that came."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bench import Bench
from bench.person import Person
from wire.portal_api import CheckState, CompanyState, Picture, PortalError, PortalErrorCode

Page = Callable[[Person, Person], object]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench(seed=3) as made:
        yield made


def validated(bench: Bench) -> Person:
    bench.tester("validated")
    return bench.person()


PAGES: dict[str, Page] = {
    "status": lambda who, _: who.status(),
    "personal profile": lambda who, _: who.personal_profile(),
    "company profile": lambda who, _: who.company_profile(),
    "validation": lambda who, _: who.validate_company(),
    "invitation": lambda who, other: who.invite(other),
    "second factor": lambda who, other: (who.invite(other), who.reset_second_factor(other)),
    "disassociation": lambda who, other: (who.invite(other), who.disassociate(other)),
}


def refusal(page: Page, who: Person, other: Person) -> PortalErrorCode | None:
    try:
        page(who, other)
    except PortalError as error:
        return error.code
    return None


@pytest.mark.parametrize("enrolled", [False, True])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_answers_the_same_hours_later_as_it_did_at_once(page: Page, enrolled: bool) -> None:
    """The browser's session lasts an hour; who is asked to sign in again does so, with the phone's code where there is one."""
    found = []
    for hours in (0, 2):
        with Bench(seed=3) as bench:
            who, other = validated(bench), bench.person("colleague")
            other.sign_up()
            if enrolled:
                bench.tester().login()
            bench.sleep(hours=hours)
            found.append(refusal(page, who, other))
    assert found[0] == found[1]
    assert PortalErrorCode.SESSION_INVALID not in found


def test_an_identity_check_may_be_submitted_hours_after_the_profile_was_filled_in(bench: Bench) -> None:
    who = bench.person()
    who.sign_up()
    who.personal_profile()
    bench.sleep(hours=2)
    who.identity_check()
    assert who.wait_for_review().identity is CheckState.APPROVED


def test_a_password_that_no_longer_holds_ends_the_signing_in_and_is_not_tried_twice(bench: Bench) -> None:
    who = validated(bench)
    who.password = "not the one that was set"
    bench.sleep(hours=2)
    with pytest.raises(PortalError) as refused:
        who.status()
    assert refused.value.code is PortalErrorCode.LOGIN_FAILED


def test_a_refusal_of_the_page_itself_is_not_answered_by_signing_in_again(bench: Bench) -> None:
    who = bench.person()
    who.sign_up()
    token = who.session()
    with pytest.raises(PortalError) as refused:
        who.validate_company()
    assert refused.value.code is not PortalErrorCode.SESSION_INVALID
    assert who.session() == token


def test_who_submitted_nothing_waits_for_no_review(bench: Bench) -> None:
    who = bench.person()
    who.sign_up()
    before_ns = bench.world.now_ns
    assert who.wait_for_review().identity is CheckState.NONE
    assert bench.world.now_ns - before_ns < 10**9


def test_a_review_that_does_not_come_is_waited_for_an_hour_and_no_longer(bench: Bench) -> None:
    who = bench.person()
    who.sign_up()
    who.personal_profile()
    bench.portal.portal.handle_timer = lambda _: None
    bench.backend.next_deadline_utc_s = lambda: None
    who.identity_check()
    before_ns = bench.world.now_ns
    assert who.wait_for_review().identity is CheckState.IN_PROGRESS
    assert 3_600 <= (bench.world.now_ns - before_ns) / 10**9 < 3_700


def test_pictures_show_the_person_s_own_name_where_no_other_is_given(bench: Bench) -> None:
    who = bench.person()
    who.sign_up()
    who.personal_profile()
    who.identity_check(front=Picture(sharpness=0.9), back=Picture(name=who.full_name))
    assert who.wait_for_review().identity is CheckState.APPROVED


def test_who_got_no_mail_with_a_link_has_none_to_follow(bench: Bench) -> None:
    who = bench.person()
    with pytest.raises(PortalError, match="No mail with a link") as refused:
        who.accept_invitation()
    assert refused.value.code is PortalErrorCode.LINK_INVALID


def test_a_company_that_is_validated_says_so_in_the_manager_s_status(bench: Bench) -> None:
    status = validated(bench).status()
    assert (status.company, status.manager, status.enrolled) == (CompanyState.VALIDATED, True, False)


def test_nothing_of_a_profile_goes_out_before_there_is_an_account(bench: Bench) -> None:
    with pytest.raises(PortalError) as refused:
        bench.person("stranger").personal_profile()
    assert refused.value.code is PortalErrorCode.LOGIN_FAILED
