"""Failures from one network address make it wait, whoever they are about; a few mistakes cost nothing, and time forgives."""

import pytest
from portal_people import Counter, Visitor, signed_in

from wire import portal_api as api
from wire.portal_api import PortalErrorCode

HOME, ELSEWHERE = "192.0.2.7", "2001:db8::9"
FREE = 20


class Street(Counter):
    """A portal that people reach from network addresses."""

    address = HOME

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.portal.handle(request, self.now_s, address=self.address)


@pytest.fixture
def street() -> Street:
    return Street()


def guess(street: Street, number: int) -> PortalErrorCode:
    request = api.BeginLogin(email=f"{number}@x.example", password="a guess", tester_serial="T-1")
    with pytest.raises(api.PortalError) as refused:
        street.call(request)
    return refused.value.code


def exhaust(street: Street) -> None:
    for number in range(FREE + 1):
        assert guess(street, number) is PortalErrorCode.LOGIN_FAILED


def test_who_tries_many_accounts_from_one_address_waits_longer_and_longer(street: Street) -> None:
    exhaust(street)
    waits = []
    for number in range(100, 104):
        with street.refused(PortalErrorCode.THROTTLED) as refused:
            street.call(api.BeginLogin(email="a@x.example", password="a guess", tester_serial="T-1"))
        waits.append(refused.value.retry_after_s)
        street.wait(refused.value.retry_after_s)
        assert guess(street, number) is PortalErrorCode.LOGIN_FAILED
    assert waits == [5, 10, 15, 20]


def test_another_address_does_not_wait_for_it(street: Street) -> None:
    person = signed_in(street)
    exhaust(street)
    with street.refused(PortalErrorCode.THROTTLED):
        person.begin()
    street.address = ELSEWHERE
    assert person.begin()


def test_an_hour_without_failure_forgives(street: Street) -> None:
    exhaust(street)
    street.wait(3601)
    exhaust(street)


def test_a_right_login_does_not_wipe_out_what_was_guessed_from_there(street: Street) -> None:
    person = signed_in(street)
    for number in range(FREE):
        guess(street, number)
    person.begin()
    guess(street, 99)
    with street.refused(PortalErrorCode.THROTTLED):
        person.begin()


def invented(person: Visitor) -> dict[str, api.Request[object]]:
    return {
        "confirmation": api.ConfirmEmail(link_code="no such link"),
        "reset": api.ConfirmReset(link_code="no such link", new_password="a long new password"),
        "invitation": api.AcceptInvitation(session=person.browser, link_code="no such link"),
        "refresh": api.Refresh(refresh_token="no such token"),
        "login": api.FinishLogin(login_id="no such login", code="123456"),
        "sign-up": api.SignUp(email=person.email, password="a long new password"),
    }


@pytest.mark.parametrize("what", invented(Visitor(Counter())))
def test_guesses_of_every_kind_count(street: Street, what: str) -> None:
    person = signed_in(street)
    codes = []
    for _ in range(FREE + 2):
        with pytest.raises(api.PortalError) as refused:
            street.call(invented(person)[what])
        codes.append(refused.value.code)
    assert PortalErrorCode.THROTTLED not in codes[: FREE + 1]
    assert codes[FREE + 1] is PortalErrorCode.THROTTLED


def test_in_process_there_is_no_address_and_nobody_waits_for_others(street: Street) -> None:
    street.address = ""
    for number in range(3 * FREE):
        assert guess(street, number) is PortalErrorCode.LOGIN_FAILED
