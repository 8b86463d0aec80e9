"""Who asks again under one idempotency key, because an answer was lost, gets the same unlock and spends no second code."""

import pytest
from portal_people import Counter, Visitor, colleague, manager

from wire.portal_api import CompanyState, PortalErrorCode
from wire.token import Scope

KEY = "6f1e1f6e-7c7e-4a55-9d0a-0c8a6a3b5a11"


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    person = manager(counter)
    person.log_in()
    return person


def test_a_repetition_gets_the_same_unlock_with_the_same_code(counter: Counter, person: Visitor) -> None:
    first = person.ask(idempotency_key=KEY)
    code = person.code()
    assert person.ask(idempotency_key=KEY, code=code) == first
    assert person.ask(idempotency_key=KEY, code=None) == first
    assert counter.actions().count("unlock issued") == 1
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(code=code)  # it was spent


def test_without_a_key_each_request_is_one_of_its_own(counter: Counter, person: Visitor) -> None:
    assert person.ask() != person.ask()
    assert counter.actions().count("unlock issued") == 2


def test_a_repetition_may_come_from_the_next_session(person: Visitor) -> None:
    first = person.ask(idempotency_key=KEY)
    person.log_in()
    assert person.ask(idempotency_key=KEY) == first


def test_a_key_is_good_for_one_request(counter: Counter, person: Visitor) -> None:
    person.ask(idempotency_key=KEY)
    with counter.refused(PortalErrorCode.KEY_REUSED):
        person.ask(idempotency_key=KEY, scope=Scope.ADAPTATION)


def test_a_key_belongs_to_a_person(counter: Counter, person: Visitor) -> None:
    other = colleague(counter, person)
    other.log_in()
    assert person.ask(idempotency_key=KEY).audit_id != other.ask(idempotency_key=KEY).audit_id


def test_a_refusal_is_not_kept(counter: Counter, person: Visitor) -> None:
    counter.wait_for_step()
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(idempotency_key=KEY, code=person.wrong_code())
    counter.wait(30)
    assert person.ask(idempotency_key=KEY)


def test_who_may_not_ask_any_more_gets_no_old_answer(counter: Counter, person: Visitor) -> None:
    person.ask(idempotency_key=KEY)
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    with counter.refused(PortalErrorCode.COMPANY_REVOKED):
        person.ask(idempotency_key=KEY)
    assert person.status().company is CompanyState.REVOKED


def test_after_a_day_a_key_is_a_new_one(counter: Counter, person: Visitor) -> None:
    first = person.ask(idempotency_key=KEY)
    counter.wait(24 * 3600)
    person.log_in()
    assert person.ask(idempotency_key=KEY) != first


@pytest.mark.parametrize("key", ["x" * 65, "schlüssel", "a\nb"])
def test_what_is_no_key_is_refused_before_a_code_is_spent(counter: Counter, person: Visitor, key: str) -> None:
    counter.wait_for_step()
    code = person.code()
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        person.ask(idempotency_key=key, code=code)
    assert person.ask(code=code)
