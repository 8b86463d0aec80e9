"""Guesses: whether there is an account, at passwords in parallel, with tokens of other kinds, and with the clock moved."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter as Tally
from threading import Barrier, Thread

import pyotp
import pytest
from portal_people import STEP_S, VIN, Counter, Visitor, manager, signed_in
from portal_stores import KINDS

from portal_sim import passwords
from wire import portal_api as api
from wire.portal_api import PortalErrorCode as Code
from wire.token import Generation, RequestStructure

ASKS = {
    "login at the pages": lambda email: api.PortalLogin(email=email, password="a wrong password"),
    "login on the tester": lambda email: api.BeginLogin(email=email, password="a wrong one", tester_serial="T-1"),
    "reset": lambda email: api.RequestReset(email=email),
}


def answered(counter: Counter, request: api.Request[api.Done]) -> tuple[str, str]:
    try:
        return "done", counter.call(request).message
    except api.PortalError as error:
        return str(error.code), error.sentence


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("kind", ["an account", "one not confirmed", "none"])
def test_an_account_is_told_neither_by_the_answer_nor_by_the_work(
    monkeypatch: pytest.MonkeyPatch, ask: object, kind: str
) -> None:
    counter, hashes = Counter(), Tally[str]()
    person = Visitor(counter)
    if kind != "none":
        person.sign_up()
    if kind == "an account":
        person.confirm()
    verify = passwords.verify_secret
    monkeypatch.setattr(passwords, "verify_secret", lambda *a: (hashes.update(["argon2"]), verify(*a))[1])
    said = answered(counter, ask(person.email))
    again = answered(counter, ask(person.email))
    expected = {
        "BeginLogin": "login-failed",
        "PortalLogin": "login-failed",
        "RequestReset": "done",
    }[type(ask(person.email)).__name__]
    assert said[0] == expected
    assert again == ("throttled", "Too many failures. Try again in 5 s.")
    assert hashes["argon2"] == (0 if expected == "done" else 1), (
        "one look at a password, whoever asks; none while throttled"
    )
    assert "tessa" not in said[1]


def test_a_sign_up_tells_that_an_address_is_taken_and_each_such_question_counts() -> None:
    """The one place that tells. It is kept: a person who forgot the account must hear of it; who asks much waits."""
    counter = Counter()
    signed_in(counter)

    def ask() -> Code:
        request = api.SignUp(email="tessa@workshop.example", password="a long enough guess")
        with pytest.raises(api.PortalError) as refusal:
            counter.portal.handle(request, counter.now_s, address="192.0.2.7")
        return refusal.value.code

    said = Tally(ask() for _ in range(30))
    assert said[Code.EMAIL_TAKEN] == counter.portal.options.address_free_failures + 1
    assert said[Code.THROTTLED] == 30 - said[Code.EMAIL_TAKEN]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_guesses_at_once_count_as_a_hundred(kind: str, new_store: object) -> None:
    counter = Counter(store=new_store(kind), throttle_s=0, max_failures=100)
    person = signed_in(counter)
    gate = Barrier(20)

    def guess(number: int) -> None:
        gate.wait()
        for each in range(5):
            with pytest.raises(api.PortalError):
                counter.call(api.PortalLogin(email=person.email, password=f"guess {number} {each}"))

    threads = [Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.actions().count("login failure") == 100
    with counter.refused(Code.LOCKED_OUT):
        person.sign_in()


def b64(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def test_a_token_that_names_its_own_algorithm_is_nobodys() -> None:
    counter = Counter()
    person = manager(counter)
    claims = {"sub": person.email, "exp": counter.now_s + 3600, "manager": True, "strong": True}
    for algorithm in ("none", "None", "HS256", "EdDSA"):
        token = f"{b64({'alg': algorithm, 'typ': 'JWT'})}.{b64(claims)}."
        for session in (token, token + b64({}), hashlib.sha256(person.browser.encode()).hexdigest()):
            with counter.refused(Code.SESSION_INVALID):
                counter.call(api.GetStatus(session=session))


def test_a_token_that_somebody_else_chose_never_becomes_a_session() -> None:
    counter = Counter()
    person, planted = signed_in(counter), "0" * 48
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.GetStatus(session=planted))
    tokens = [person.sign_in().token for _ in range(3)]
    assert len({planted, *tokens}) == 4
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.GetStatus(session=planted))


def test_tokens_of_one_kind_are_worth_nothing_as_another() -> None:
    counter = Counter()
    person = manager(counter)
    session = person.log_in()
    step = person.begin()
    shown = {session.token, session.refresh_token, step.login_id}
    for token in shown - {session.token}:
        with counter.refused(Code.SESSION_INVALID):
            counter.call(api.GetStatus(session=token))
    for token in shown - {session.refresh_token}:
        with counter.refused(Code.SESSION_INVALID):
            counter.call(api.Refresh(refresh_token=token))
    for token in shown - {step.login_id}:
        with counter.refused(Code.SESSION_INVALID):
            counter.call(api.FinishLogin(login_id=token, code=person.code()))
    for token in shown:
        with counter.refused(Code.LINK_INVALID):
            counter.call(api.ConfirmReset(link_code=token, new_password="a long enough one"))


@pytest.mark.parametrize(
    "other", [{"digits": 8}, {"digest": hashlib.sha256}, {"digest": hashlib.sha512}, {"interval": 60}], ids=str
)
def test_a_code_by_other_parameters_is_a_wrong_code(other: dict[str, object]) -> None:
    counter = Counter(throttle_s=0)
    person = signed_in(counter)
    person.log_in()
    counter.wait_for_step()
    code = pyotp.TOTP(person.phone.secret, **other).at(counter.now_s)
    with counter.refused(Code.CODE_REJECTED):
        person.finish(person.begin(), code)


def test_a_request_of_another_generation_vehicle_or_unit_gets_no_token() -> None:
    counter = Counter()
    person = manager(counter)
    person.log_in()
    mine = {"ecu_address": 0x714, "vin": VIN, "nonce": bytes(16)}
    for change in (
        {"ecu_address": 0x715},
        {"vin": VIN[:-1] + "2"},
        *({"generation": each} for each in Generation if each is not Generation.SFD),
    ):
        with counter.refused(Code.REQUEST_STRUCTURE_INVALID):
            person.ask(challenge=RequestStructure(**{**mine, **change}).encode())
    with counter.refused(Code.INVALID_INPUT):
        person.ask(kind=api.UnlockKind.CERTIFICATE)
    assert "unlock issued" not in counter.actions()


def test_a_clock_that_is_put_back_makes_nothing_new_of_what_was_used() -> None:
    counter = Counter()
    person = manager(counter)
    session = person.log_in()
    used_link = person.link()
    code = person.code()
    counter.call(api.Refresh(refresh_token=session.refresh_token))
    ended = person.sign_in()
    counter.call(api.Logout(session=ended.token))
    counter.wait_for_step()
    first = person.ask(code=person.code(), idempotency_key="one")
    asked_for = counter.now_s
    for back_s in (0, STEP_S, 3600, 10 * 24 * 3600):
        counter.now_s = asked_for - back_s
        with counter.refused(Code.LINK_INVALID):
            counter.call(api.ConfirmEmail(link_code=used_link))
        with counter.refused(Code.SESSION_INVALID):
            counter.call(api.GetStatus(session=ended.token))
        if back_s:
            again = person.ask(code=None, idempotency_key="one")
            assert again.payload == first.payload
    counter.now_s = asked_for - STEP_S
    with counter.refused(Code.CODE_REJECTED):
        person.ask(code=code)
    counter.now_s = asked_for
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.Refresh(refresh_token=session.refresh_token))
    assert "refresh token replayed" in counter.actions()


def test_a_clock_that_is_put_back_does_not_shorten_a_wait_nor_end_a_lock_out() -> None:
    counter = Counter(max_failures=2)
    person = signed_in(counter)
    for _ in range(2):
        with counter.refused(Code.LOGIN_FAILED):
            person.sign_in("a wrong password")
        counter.wait(60)
    for now_s in (0, counter.now_s - 3600, counter.now_s + 30 * 24 * 3600):
        counter.now_s = now_s
        with counter.refused(Code.LOCKED_OUT):
            person.sign_in()


def test_a_clock_that_is_put_forward_ends_everything_and_grants_nothing() -> None:
    counter = Counter()
    person = manager(counter)
    session = person.log_in()
    step = person.begin()
    link = person.link()
    counter.call(api.RequestReset(email=person.email))
    reset = person.link()
    counter.wait(4 * 24 * 3600)
    for request, code in (
        (api.GetStatus(session=session.token), Code.SESSION_INVALID),
        (api.Refresh(refresh_token=session.refresh_token), Code.SESSION_INVALID),
        (api.FinishLogin(login_id=step.login_id, code=person.code()), Code.SESSION_INVALID),
        (api.ConfirmEmail(link_code=link), Code.LINK_INVALID),
        (api.ConfirmReset(link_code=reset, new_password="a long enough one"), Code.LINK_INVALID),
    ):
        with counter.refused(code):
            counter.call(request)
