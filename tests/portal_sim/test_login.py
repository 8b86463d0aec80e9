"""Login on the tester and at the pages: password, one-time codes, throttling, lock-out, sessions."""

import gc

import pytest
from portal_people import STEP_S, Counter, Visitor, manager, signed_in

from portal_sim.records import Link, LiveSession, PendingLogin
from wire import portal_api as api
from wire.portal_api import PortalErrorCode

pytestmark = pytest.mark.every_store


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    """Enrolled, logged in once; the codes have changed since."""
    person = signed_in(counter)
    person.log_in()
    counter.wait(10 * STEP_S)
    return person


# ---- enrolment


def test_the_first_login_shows_the_qr_code_and_the_next_one_does_not(counter: Counter) -> None:
    person = signed_in(counter)
    step = person.begin()
    assert step.otpauth_uri is not None
    assert step.otpauth_uri.startswith("otpauth://totp/SGW%20Bench:tessa@workshop.example?secret=")
    session = person.finish(step, person.code())
    assert session.strong
    assert person.status().enrolled
    counter.wait_for_step()
    assert person.begin().otpauth_uri is None


def test_a_wrong_first_code_enrols_nothing(counter: Counter) -> None:
    person = signed_in(counter)
    step = person.begin()
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(step, person.wrong_code())
    assert not person.status().enrolled
    counter.wait(60)
    assert person.begin().otpauth_uri is not None


def test_every_qr_code_holds_another_secret_and_the_last_one_shown_counts(counter: Counter) -> None:
    person = signed_in(counter)
    first = person.begin()
    unseen = person.phone
    second = person.begin()
    assert person.phone.secret != unseen.secret
    assert len(person.phone.byte_secret()) == 20
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(first, unseen.at(counter.now_s))
    counter.wait(60)
    person.finish(second, person.code())


@pytest.mark.parametrize("serial", ["x", "T-1", "S" * 64, "TX 0815/47 (rev. B)", "~!"])
def test_a_testers_serial_number_is_a_line_of_ascii(counter: Counter, serial: str) -> None:
    person = signed_in(counter)
    step = counter.call(api.BeginLogin(email=person.email, password=person.password, tester_serial=serial))
    assert step.otpauth_uri is not None


@pytest.mark.parametrize(
    "serial", ["", "S" * 65, "S" * 10**6, "T-1\n", "T\0", "T\x7f", "T\u2011", "\u0661", "T\ud800", "\u202eT"]
)
def test_what_is_no_serial_number_is_refused_whoever_asks(counter: Counter, serial: str) -> None:
    person = signed_in(counter)
    for email in (person.email, "nobody@workshop.example"):
        with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
            counter.call(api.BeginLogin(email=email, password="wrong", tester_serial=serial))
        assert "serial number" in refusal.value.sentence
    person.begin()  # it was no guess at the password: nobody waits


# ---- codes


@pytest.mark.parametrize(("steps", "accepted"), [(-3, False), (-2, False), (-1, True), (0, True), (1, False)])
def test_a_code_is_taken_in_its_step_and_one_step_later(
    counter: Counter, person: Visitor, steps: int, accepted: bool
) -> None:
    step = person.begin()
    if accepted:
        assert person.finish(step, person.code(steps)).strong
    else:
        with counter.refused(PortalErrorCode.CODE_REJECTED):
            person.finish(step, person.code(steps))


@pytest.mark.parametrize("older", [0, -1])
def test_after_a_code_neither_it_nor_an_earlier_one_is_taken(counter: Counter, person: Visitor, older: int) -> None:
    person.finish(person.begin(), person.code())
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), person.code(older))
    counter.wait_for_step()
    person.finish(person.begin(), person.code())


def test_a_code_used_at_the_tester_is_used_up_at_the_pages_too(counter: Counter, person: Visitor) -> None:
    person.finish(person.begin(), person.code())
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        counter.call(api.PortalLogin(email=person.email, password=person.password, code=person.code()))


def test_two_testers_with_one_code_one_gets_in(counter: Counter, person: Visitor) -> None:
    one, two = person.begin(), person.begin()
    person.finish(one, person.code())
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(two, person.code())


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "\uff11" * 6, "\ud800"])
def test_what_is_no_code_is_a_wrong_code(counter: Counter, person: Visitor, code: str) -> None:
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), code)


def test_another_persons_code_is_a_wrong_code(counter: Counter, person: Visitor) -> None:
    other = signed_in(counter, "mila")
    other.log_in()
    counter.wait_for_step()
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), other.code())


# ---- throttling and lock-out


def test_each_failure_in_a_row_makes_the_next_wait_longer_up_to_a_limit(counter: Counter, person: Visitor) -> None:
    waits = []
    for _ in range(20):
        with pytest.raises(api.PortalError) as refusal:
            person.begin("wrong")
        assert refusal.value.code is PortalErrorCode.LOGIN_FAILED
        with counter.refused(PortalErrorCode.THROTTLED) as refusal:
            person.begin()
        wait_s = refusal.value.retry_after_s
        waits.append(wait_s)
        counter.wait(wait_s - 1)
        with counter.refused(PortalErrorCode.THROTTLED) as refusal:
            person.begin()
        assert refusal.value.retry_after_s == 1
        counter.wait(1)
    assert waits == [min(5 * failures, 600) for failures in range(1, 21)]


def test_opening_new_logins_gains_no_tries(counter: Counter, person: Visitor) -> None:
    steps = [person.begin() for _ in range(3)]
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(steps[0], person.wrong_code())
    for step in steps[1:]:
        with counter.refused(PortalErrorCode.THROTTLED):
            person.finish(step, person.code())


def test_a_throttled_try_says_nothing_about_the_password(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    answers = []
    for password in ("wrong", None):
        with counter.refused(PortalErrorCode.THROTTLED) as refusal:
            person.begin(password)
        answers.append(str(refusal.value))
    assert answers[0] == answers[1]


def test_a_right_password_alone_does_not_forget_wrong_codes(counter: Counter, person: Visitor) -> None:
    for wait_s in (5, 10, 15):
        with counter.refused(PortalErrorCode.CODE_REJECTED):
            person.finish(person.begin(), person.wrong_code())
        with counter.refused(PortalErrorCode.THROTTLED) as refusal:
            person.begin()
        assert refusal.value.retry_after_s == wait_s
        counter.wait(wait_s)


def test_a_login_forgets_the_failures_before_it(counter: Counter, person: Visitor) -> None:
    for _ in range(3):
        with counter.refused(PortalErrorCode.CODE_REJECTED):
            person.finish(person.begin(), person.wrong_code())
        counter.wait(600)
        person.log_in()
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    with counter.refused(PortalErrorCode.THROTTLED) as refusal:
        person.begin()
    assert refusal.value.retry_after_s == 5


def test_a_sign_in_without_an_authenticator_forgets_them_too(counter: Counter) -> None:
    counter = Counter(max_failures=2)
    person = signed_in(counter)
    for _ in range(3):
        with counter.refused(PortalErrorCode.LOGIN_FAILED):
            person.sign_in("wrong")
        counter.wait(600)
        person.sign_in()


@pytest.mark.parametrize("what", ["password", "code"])
def test_a_hundred_failures_in_a_row_lock_the_account(counter: Counter, person: Visitor, what: str) -> None:
    guesses = {
        "password": lambda: person.begin("wrong"),
        "code": lambda: person.finish(person.begin(), person.wrong_code()),
    }
    for _ in range(100):
        with pytest.raises(api.PortalError) as refusal:
            guesses[what]()
        assert refusal.value.code in (PortalErrorCode.LOGIN_FAILED, PortalErrorCode.CODE_REJECTED)
        counter.wait(600)
    for attempt in (person.begin, lambda: person.begin("wrong"), person.sign_in):
        with counter.refused(PortalErrorCode.LOCKED_OUT):
            attempt()
    counter.wait(365 * 24 * 3600)
    with counter.refused(PortalErrorCode.LOCKED_OUT):
        person.begin()
    assert counter.actions().count("locked out") == 1


def test_one_persons_failures_hold_nobody_else_up(counter: Counter, person: Visitor) -> None:
    other = signed_in(counter, "mila")
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    other.log_in()


def test_no_answer_tells_whether_an_address_has_an_account() -> None:
    counter = Counter(max_failures=4)
    known, unknown = signed_in(counter), Visitor(counter, "nobody")
    for _ in range(12):
        answers = []
        for person in (known, unknown):
            with pytest.raises(api.PortalError) as refusal:
                counter.call(api.BeginLogin(email=person.email, password="wrong password", tester_serial="T-1"))
            answers.append((refusal.value.code, refusal.value.sentence, refusal.value.retry_after_s))
        assert answers[0] == answers[1]
        counter.wait(4)
    assert answers[0][0] is PortalErrorCode.LOCKED_OUT


def test_an_address_that_was_guessed_at_can_still_sign_up_and_log_in() -> None:
    counter = Counter(max_failures=1)
    person = Visitor(counter)
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin()
    person.sign_up()
    person.confirm()
    person.log_in()


# ---- sessions


def test_a_session_lasts_an_hour(counter: Counter, person: Visitor) -> None:
    session = person.log_in()
    assert session.expires_utc_s == counter.now_s + 3600
    counter.wait(3599)
    counter.call(api.GetStatus(session=session.token))
    counter.wait(1)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(api.GetStatus(session=session.token))


def test_a_login_waits_five_minutes_for_its_code_and_takes_it_once(counter: Counter, person: Visitor) -> None:
    step = person.begin()
    counter.wait(300)
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.finish(step, person.code())
    step = person.begin()
    counter.wait(299)
    person.finish(step, person.code())
    counter.wait_for_step()
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        person.finish(step, person.code())


def test_a_logout_ends_its_own_session_alone(counter: Counter, person: Visitor) -> None:
    first, second = person.log_in(), person.log_in()
    counter.call(api.Logout(session=first.token))
    for request in (api.GetStatus(session=first.token), api.Logout(session=first.token)):
        with counter.refused(PortalErrorCode.SESSION_INVALID):
            counter.call(request)
    assert counter.call(api.GetStatus(session=second.token)).enrolled


@pytest.mark.parametrize("token", ["", "0" * 48, "\ud800"])
def test_an_invented_session_or_login_is_refused(counter: Counter, person: Visitor, token: str) -> None:
    for request in (api.GetStatus(session=token), api.FinishLogin(login_id=token, code=person.code())):
        with counter.refused(PortalErrorCode.SESSION_INVALID):
            counter.call(request)


def test_sessions_logins_and_links_do_not_stand_for_each_other(counter: Counter, person: Visitor) -> None:
    step = person.begin()
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(api.GetStatus(session=step.login_id))
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(api.FinishLogin(login_id=person.session, code=person.code()))


def test_once_enrolled_the_pages_ask_for_the_code_too(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        counter.call(api.PortalLogin(email=person.email, password=person.password))
    assert person.sign_in().strong


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(type(each) in kinds for each in gc.get_objects())


@pytest.mark.slow
def test_ten_thousand_logins_leave_no_more_than_is_still_valid(counter: Counter) -> None:
    kinds = (Link, LiveSession, PendingLogin)
    person = signed_in(counter)
    person.log_in()
    before = alive(*kinds)
    for number in range(10_000):
        person.begin()  # a login that is never finished
        session = person.log_in()
        if number % 1000 == 0:
            counter.call(api.SignUp(email=f"{number}@workshop.example", password="never confirmed, never used"))
    sessions, logins, links = 3600 // STEP_S, 300 // STEP_S, 3 * 24 * 3600 // (1000 * STEP_S) + 1
    assert alive(*kinds) - before <= sessions + logins + links
    counter.wait(3599)
    assert counter.call(api.GetStatus(session=session.token)).enrolled
    counter.wait(3 * 24 * 3600)
    counter.portal.handle_timer(counter.now_s)
    assert alive(*kinds) <= before


# ---- second factor per unlock


def test_vag_asks_for_a_new_code_at_every_unlock(counter: Counter) -> None:
    person = manager(counter)
    person.log_in()
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        person.ask(code=None)
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(code=person.code())  # the one of the login
    counter.wait(60)
    person.ask()
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(code=person.code())
    counter.wait(60)
    person.ask()
