"""A hundred who want the same thing at the same instant, by the portal's door: one gets it, in whatever store."""

from collections import Counter as Tally
from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from portal_people import Counter, Visitor, checked, colleague, manager, signed_in
from portal_stores import KINDS

from portal_sim.store import Store
from wire import portal_api as api
from wire.portal_api import PortalErrorCode

pytestmark = pytest.mark.slow
MANY = 100
DONE = "done"


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    return new_store(request.param)


@pytest.fixture
def counter(store: Store) -> Counter:
    return Counter(store=store, identity_attempts=1)


def at_once(acts: list[Callable[[], object]]) -> tuple[Tally[str], list[object]]:
    """Let a thread do each of these at the same instant; return how they ended, and what was given."""
    ends: list[str] = []
    given: list[object] = []
    gate = Barrier(len(acts))

    def race(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            given.append(act())
            ends.append(DONE)
        except api.PortalError as error:
            ends.append(str(error.code))

    runners = [Thread(target=race, args=(act,)) for act in acts]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert len(ends) == len(acts)
    return Tally(ends), given


def only(ends: Tally[str], *refusals: PortalErrorCode) -> bool:
    """Whether one got it, and all others were refused as foreseen."""
    return ends[DONE] == 1 and sum(ends[str(code)] for code in refusals) == MANY - 1


def test_of_a_hundred_logins_with_one_code_one_gets_in(counter: Counter) -> None:
    person = signed_in(counter)
    person.log_in()
    steps = [person.begin() for _ in range(MANY)]
    counter.wait_for_step()
    code = person.code()
    ends, _ = at_once([lambda step=step: person.finish(step, code) for step in steps])
    assert only(ends, PortalErrorCode.CODE_REJECTED, PortalErrorCode.THROTTLED), ends
    assert counter.actions().count("login") == 2


def test_of_a_hundred_unlocks_with_one_code_one_is_issued(counter: Counter) -> None:
    person = manager(counter)
    person.log_in()
    counter.wait_for_step()
    code = person.code()
    ends, _ = at_once([lambda: person.ask(code=code)] * MANY)
    assert only(ends, PortalErrorCode.CODE_REJECTED, PortalErrorCode.THROTTLED), ends
    assert counter.actions().count("unlock issued") == 1


def test_a_hundred_with_one_idempotency_key_get_one_unlock(counter: Counter) -> None:
    person = manager(counter)
    person.log_in()
    counter.wait_for_step()
    code = person.code()
    ends, given = at_once([lambda: person.ask(code=code, idempotency_key="one")] * MANY)
    assert ends == {DONE: MANY}
    assert len(set(given)) == 1
    assert counter.actions().count("unlock issued") == 1


def test_of_a_hundred_with_one_recovery_code_one_gets_in(counter: Counter) -> None:
    person = signed_in(counter)
    recovery = person.log_in().recovery_codes[0]
    steps = [person.begin() for _ in range(MANY)]
    ends, _ = at_once([lambda step=step: person.finish(step, recovery) for step in steps])
    assert only(ends, PortalErrorCode.CODE_REJECTED, PortalErrorCode.THROTTLED), ends
    assert counter.actions().count("recovery code used") == 1


def test_of_a_hundred_with_one_refresh_token_one_goes_on_and_the_theft_is_seen(counter: Counter) -> None:
    person = signed_in(counter)
    token = person.log_in().refresh_token
    ends, _ = at_once([lambda: counter.call(api.Refresh(refresh_token=token))] * MANY)
    assert only(ends, PortalErrorCode.SESSION_INVALID), ends
    assert "refresh token replayed" in counter.actions()


def test_of_a_hundred_sign_ups_with_one_address_one_wins(counter: Counter) -> None:
    ends, _ = at_once([Visitor(counter).sign_up] * MANY)
    assert only(ends, PortalErrorCode.EMAIL_TAKEN), ends
    assert counter.actions() == ["sign-up"]
    assert len(Visitor(counter).mails()) == 1


def test_of_a_hundred_who_follow_one_link_one_is_led(counter: Counter) -> None:
    person = Visitor(counter)
    person.sign_up()
    link = person.link()
    ends, _ = at_once([lambda: counter.call(api.ConfirmEmail(link_code=link))] * MANY)
    assert only(ends, PortalErrorCode.LINK_INVALID), ends


def test_of_a_hundred_who_hand_in_the_last_attempt_is_one_persons(counter: Counter) -> None:
    person = signed_in(counter)
    person.fill_in()
    ends, _ = at_once([person.hand_in] * MANY)
    assert only(ends, PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS), ends
    assert person.status().attempts_left == 0
    assert counter.actions().count("identity check submitted") == 1


def test_who_is_taken_out_while_a_hundred_unlocks_are_asked_for_gets_none_after_it(counter: Counter) -> None:
    boss = manager(counter)
    person = colleague(counter, boss)
    person.log_in()
    boss.sign_in()
    counter.wait_for_step()
    code = person.code()
    acts = [lambda: person.ask(code=code, idempotency_key="one")] * (MANY - 1)
    at_once([*acts[:50], lambda: boss.disassociate(person), *acts[50:]])
    actions = counter.actions()
    assert actions.index("disassociated") > max(
        (at for at, act in enumerate(actions) if act == "unlock issued"), default=-1
    )
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.ask(code=code)


def test_a_hundred_different_people_all_get_through(counter: Counter) -> None:
    people = [Visitor(counter, f"tessa{number}") for number in range(MANY)]
    ends, _ = at_once([person.sign_up for person in people])
    assert ends == {DONE: MANY}
    assert counter.actions() == ["sign-up"] * MANY
    assert checked(counter).status().attempts_left == 0
