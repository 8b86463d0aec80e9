"""Recovery codes stand in for the authenticator, each once; they are shown once, and new ones make the old ones worthless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import Counter, Visitor, manager, signed_in

from portal_sim.recovery import code_hash, new_codes, typed_code
from wire import portal_api as api
from wire.portal_api import PortalErrorCode


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def enrolled(counter: Counter) -> tuple[Visitor, tuple[str, ...]]:
    """A person who has just set up an authenticator, and the codes that they were shown."""
    person = signed_in(counter)
    return person, person.log_in().recovery_codes


def test_they_are_shown_when_an_authenticator_is_set_up_and_never_again(
    enrolled: tuple[Visitor, tuple[str, ...]],
) -> None:
    person, codes = enrolled
    assert len(set(codes)) == 10
    assert person.log_in().recovery_codes == ()


def test_each_logs_in_once(counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]) -> None:
    person, codes = enrolled
    for code in codes:
        assert person.finish(person.begin(), code).strong
        with counter.refused(PortalErrorCode.CODE_REJECTED):
            person.finish(person.begin(), code)
        counter.wait(5)


@pytest.mark.parametrize("typed", [str.upper, lambda code: code.replace("-", ""), lambda code: code.replace("-", " ")])
def test_it_may_be_typed_in_capitals_and_without_dashes(
    enrolled: tuple[Visitor, tuple[str, ...]], typed: object
) -> None:
    person, codes = enrolled
    assert person.finish(person.begin(), typed(codes[0]))


def test_who_used_one_is_told_by_mail_and_it_stands_in_the_log(
    counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]
) -> None:
    person, codes = enrolled
    person.finish(person.begin(), codes[3])
    assert "9 recovery codes left" in person.mails()[-1].text
    record = next(each for each in counter.portal.audit_log() if each.action == "recovery code used")
    assert (record.person, record.subject) == (person.email, "9 left")


def test_a_wrong_one_counts_like_a_wrong_code(counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]) -> None:
    person, _ = enrolled
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa")
    with counter.refused(PortalErrorCode.THROTTLED):
        person.begin()


def test_it_is_nobody_elses(counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]) -> None:
    other = signed_in(counter, "mila")
    other.log_in()
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        other.finish(other.begin(), enrolled[1][0])


def test_new_ones_need_a_code_and_replace_the_old(counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]) -> None:
    person, old = enrolled
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        counter.call(api.NewRecoveryCodes(session=person.session, code=person.wrong_code()))
    counter.wait(30)
    counter.wait_for_step()
    new = counter.call(api.NewRecoveryCodes(session=person.session, code=person.code())).codes
    assert not set(new) & set(old)
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), old[0])
    counter.wait(5)
    assert person.finish(person.begin(), new[0])


def test_without_an_authenticator_there_are_none(counter: Counter) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.NOT_ENROLLED):
        counter.call(api.NewRecoveryCodes(session=person.browser, code="000000"))


def test_they_end_with_their_authenticator(counter: Counter, enrolled: tuple[Visitor, tuple[str, ...]]) -> None:
    person, codes = enrolled
    counter.call(api.RequestReset(email=person.email))
    counter.call(api.ConfirmReset(link_code=person.link(), new_password=person.password))
    person.phone = None
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.finish(person.begin(), codes[0])


def test_one_does_for_an_unlock_too(counter: Counter) -> None:
    person = manager(counter)
    codes = person.log_in().recovery_codes
    assert person.ask(code=codes[0])
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(code=codes[0])


@given(st.text(max_size=40))
def test_what_is_typed_is_a_code_or_it_is_not(text: str) -> None:
    code = typed_code(text)
    assert code is None or (len(code) == 24 and typed_code(code) == code)


def test_their_hashes_tell_people_apart() -> None:
    class Zeros:
        def token_bytes(self, size: int) -> bytes:
            return bytes(size)

    (code,) = new_codes(Zeros(), 1)
    assert code == "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"
    assert code_hash("tessa@x.example", code) != code_hash("mila@x.example", code)
