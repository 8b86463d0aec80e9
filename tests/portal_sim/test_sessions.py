"""Sessions go on by refresh tokens, each taken once; one that is shown again ends everything that came from its login."""

from contextlib import suppress

import pytest
from portal_people import Counter, Visitor, colleague, manager, signed_in

from wire import portal_api as api
from wire.portal_api import PortalErrorCode

HOUR_S = 3600


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    return signed_in(counter)


def again(counter: Counter, session: api.Session) -> api.Session:
    return counter.call(api.Refresh(refresh_token=session.refresh_token))


def alive(counter: Counter, session: api.Session) -> bool:
    with suppress(api.PortalError):
        return counter.call(api.GetStatus(session=session.token)).identity is api.CheckState.NONE
    return False


def test_a_refresh_gives_the_next_session_as_strong_as_the_last(counter: Counter, person: Visitor) -> None:
    weak, strong = person.sign_in(), person.log_in()
    counter.wait(HOUR_S)
    assert not alive(counter, strong)
    for before in (weak, strong):
        after = again(counter, before)
        assert alive(counter, after)
        assert after.strong == before.strong
        assert {after.token, after.refresh_token}.isdisjoint({before.token, before.refresh_token})


def test_refreshed_or_not_a_login_ends_after_twelve_hours(counter: Counter, person: Visitor) -> None:
    session = person.log_in()
    begin_s = counter.now_s
    assert session.refresh_until_utc_s == begin_s + 12 * HOUR_S
    while counter.now_s < begin_s + 12 * HOUR_S - 600:
        session = again(counter, session)
        assert session.expires_utc_s <= begin_s + 12 * HOUR_S
        counter.wait(600)
    counter.wait(600)
    assert not alive(counter, session)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, session)


def test_a_token_that_is_shown_again_ends_its_whole_family_and_no_other(counter: Counter, person: Visitor) -> None:
    stolen, elsewhere = person.log_in(), person.log_in()
    honest = again(counter, stolen)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, stolen)
    assert not alive(counter, stolen)
    assert not alive(counter, honest)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, honest)
    assert alive(counter, elsewhere)
    assert "refresh token replayed" in counter.actions()
    assert person.mails()[-1].subject == "You were signed out"


def test_a_logout_ends_the_refresh_token_too(counter: Counter, person: Visitor) -> None:
    session = person.log_in()
    counter.call(api.Logout(session=session.token))
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, session)


def test_what_ends_sessions_ends_their_refresh_tokens(counter: Counter) -> None:
    boss = manager(counter)
    person = colleague(counter, boss)
    session = person.log_in()
    boss.disassociate(person)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, session)


def test_a_changed_password_ends_the_others_and_not_ones_own(counter: Counter, person: Visitor) -> None:
    other, own = person.log_in(), person.log_in()
    change = api.ChangePassword(session=own.token, old_password=person.password, new_password="another long password")
    counter.call(change)
    assert alive(counter, again(counter, own))
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        again(counter, other)
    assert person.mails()[-1].subject == "Your password was changed"


def test_who_is_locked_out_is_not_let_on(counter: Counter, person: Visitor) -> None:
    counter = Counter(max_failures=1, throttle_s=0)
    person = signed_in(counter)
    session = person.log_in()
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("a wrong password")
    with counter.refused(PortalErrorCode.LOCKED_OUT):
        again(counter, session)


@pytest.mark.parametrize("token", ["", "x", "0" * 48])
def test_what_is_no_token_is_refused(counter: Counter, token: str) -> None:
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(api.Refresh(refresh_token=token))


def test_no_session_token_refreshes_and_no_refresh_token_opens_a_page(counter: Counter, person: Visitor) -> None:
    session = person.log_in()
    for token, message in ((session.token, api.Refresh), (session.refresh_token, api.GetStatus)):
        with counter.refused(PortalErrorCode.SESSION_INVALID):
            counter.call(message(**{next(iter(message.__slots__)): token}))
