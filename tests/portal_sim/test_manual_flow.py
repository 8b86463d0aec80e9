"""The tester's end of the portal: its session, and the manual flow with request and token as text in a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import CLUSTER, VIN, Counter, Visitor, manager

from vci_driver.portal_client import NotLoggedIn, PortalClient, UnlockWish
from wire.errors import ConfigError, LocalMisuse
from wire.manual_flow import MAX_TEXT_CHARS, REQUEST, TOKEN, decode_text, encode_text
from wire.portal_api import LoginStep, PortalError, PortalErrorCode, UnlockKind
from wire.token import RequestStructure, Role, Scope, Token

STRUCTURE = RequestStructure(ecu_address=CLUSTER, vin=VIN, nonce=bytes(range(16)))
DAY_S = 24 * 3600
TEXT = encode_text(REQUEST, {"VIN": VIN, "Unit": "17"}, STRUCTURE.encode())


@pytest.fixture
def person() -> Visitor:
    person = manager(Counter())
    person.log_in()
    person.counter.wait_for_step()
    return person


@pytest.fixture
def client(person: Visitor) -> PortalClient:
    """A tester at the portal; nobody is logged in on it yet."""
    return PortalClient(person.counter, "T-1")


def log_in(client: PortalClient, person: Visitor) -> None:
    person.counter.wait_for_step()
    client.login(person.email, person.password, lambda _: person.code())


def wish(**changes: object) -> UnlockWish:
    fields = {
        "kind": UnlockKind.SFD_TOKEN,
        "make": "vag",
        "vin": VIN,
        "ecu_address": CLUSTER,
        "role": Role.AFTER_SALES,
        "scope": Scope.CODING,
        "challenge": STRUCTURE.encode(),
        **changes,
    }
    return UnlockWish(**fields)


# ---- the session on the tester


def test_a_login_asks_for_the_second_factor_and_keeps_the_session(client: PortalClient, person: Visitor) -> None:
    seen: list[LoginStep] = []

    def second_factor(step: LoginStep) -> str:
        seen.append(step)
        return person.code()

    session = client.login(person.email, person.password, second_factor)
    assert client.logged_in
    assert client.session == session
    assert [step.otpauth_uri for step in seen] == [None]
    assert person.counter.portal.audit_log()[-1].subject == "T-1"


def test_a_login_that_fails_leaves_no_session_behind(client: PortalClient, person: Visitor) -> None:
    log_in(client, person)
    with person.counter.refused(PortalErrorCode.LOGIN_FAILED):
        client.login(person.email, "wrong", lambda _: person.code())
    assert not client.logged_in


def test_without_a_login_the_portal_is_not_asked(client: PortalClient) -> None:
    with pytest.raises(NotLoggedIn, match="log in"):
        client.request_unlock(wish())
    assert issubclass(NotLoggedIn, LocalMisuse)


def test_a_session_that_the_portal_ended_is_forgotten(client: PortalClient, person: Visitor) -> None:
    log_in(client, person)
    person.counter.wait(3600)
    with person.counter.refused(PortalErrorCode.SESSION_INVALID):
        client.request_unlock(wish())
    assert not client.logged_in


def test_a_refusal_for_another_reason_keeps_the_session(client: PortalClient, person: Visitor) -> None:
    log_in(client, person)
    with person.counter.refused(PortalErrorCode.NOT_ENTITLED):
        client.request_unlock(wish(role=Role.DEVELOPMENT))
    person.counter.wait_for_step()
    assert client.request_unlock(wish(), person.code()).payload


def test_a_logout_ends_the_session_on_both_sides(client: PortalClient, person: Visitor) -> None:
    log_in(client, person)
    token = client.session.token
    client.logout()
    client.logout()  # nothing to end: nothing happens
    assert not client.logged_in
    with person.counter.refused(PortalErrorCode.SESSION_INVALID):
        person.ask(session=token)


# ---- the manual flow


def test_a_request_goes_to_the_portal_as_text_and_the_token_comes_back_as_text(
    client: PortalClient, person: Visitor
) -> None:
    log_in(client, person)
    headers, challenge = decode_text(REQUEST, TEXT)
    assert headers == {"VIN": VIN, "Unit": "17"}
    person.counter.wait_for_step()
    unlock = client.request_unlock(wish(challenge=challenge, manual=True), person.code())
    _, payload = decode_text(TOKEN, encode_text(TOKEN, headers, unlock.payload))
    claims = Token.decode(payload).claims
    assert (claims.nonce, claims.vin) == (STRUCTURE.nonce, VIN)


@pytest.mark.parametrize(("manual", "lifetime_s"), [(False, 600), (True, DAY_S)])
def test_a_token_that_is_carried_by_hand_may_be_written_for_a_day(
    client: PortalClient, person: Visitor, manual: bool, lifetime_s: int
) -> None:
    log_in(client, person)
    person.counter.wait_for_step()
    unlock = client.request_unlock(wish(manual=manual), person.code())
    assert unlock.expires_utc_s == person.counter.now_s + lifetime_s
    assert Token.decode(unlock.payload).claims.not_after_utc_s == unlock.expires_utc_s


NAMES = st.text(st.sampled_from("abcXYZ-"), min_size=1, max_size=10)
VALUES = st.text(st.sampled_from("abc XYZ:/0123-=é"), max_size=20).map(str.strip)


@given(
    kind=st.sampled_from([REQUEST, TOKEN]),
    headers=st.dictionaries(NAMES, VALUES, max_size=4),
    data=st.binary(min_size=1, max_size=600),
)
def test_what_is_written_is_read_back(kind: str, headers: dict[str, str], data: bytes) -> None:
    text = encode_text(kind, headers, data)
    assert max(map(len, text.splitlines())) <= 80
    assert decode_text(kind, text) == (headers, data)
    assert decode_text(kind, "\n" + text.replace("\n", "  \r\n")) == (headers, data)  # as mail programs mangle it


@pytest.mark.parametrize("header", [{"VIN": "A\nB"}, {"VIN": "A\u2028B"}, {"V\nIN": "A"}, {"V: IN": "A"}, {"": "A"}])
def test_a_header_is_one_line(header: dict[str, str]) -> None:
    with pytest.raises(LocalMisuse):
        encode_text(REQUEST, header, b"data")


BAD = [
    ("", 1, "nothing"),
    ("hello", 1, "hello"),
    (TEXT.replace(REQUEST, TOKEN), 1, "must be"),
    (TEXT.replace(f"-----END {REQUEST}-----", ""), None, "cut off"),
    (TEXT[: len(TEXT) // 2], None, "cut off"),
    (TEXT.replace("\n\n", "\n"), None, "empty line"),
    (TEXT.replace("VIN: ", "VIN "), 2, "header"),
    (TEXT.replace("Unit", "VIN"), 3, "twice"),
    (TEXT.replace("\n\n", "\n\n!"), 5, "base64"),
    (TEXT.replace("\n\n", "\n\n\u00fc"), 5, "base64"),
    (TEXT.replace("\n\n", "\n\nA"), 5, "base64"),
    (f"-----BEGIN {REQUEST}-----\nVIN: X\n\n-----END {REQUEST}-----", 4, "no base64"),
    (TEXT + " " * 5 + "x" * MAX_TEXT_CHARS, None, "at most"),
]


@pytest.mark.parametrize(("text", "line", "problem"), BAD)
def test_a_text_that_is_no_request_is_refused_with_the_line_and_the_reason(
    text: str, line: int | None, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem) as refusal:
        decode_text(REQUEST, text, path="request.txt")
    assert refusal.value.path == "request.txt"
    if line is not None:
        assert refusal.value.line == line


@given(text=st.one_of(st.text(max_size=300), st.text(max_size=60).map(lambda part: TEXT[:80] + part + TEXT[80:])))
def test_no_text_raises_anything_but_the_documented_error(text: str) -> None:
    try:
        _, data = decode_text(REQUEST, text)
    except ConfigError:
        return
    assert data


def test_the_portal_refuses_a_structure_that_was_damaged_on_the_way(client: PortalClient, person: Visitor) -> None:
    log_in(client, person)
    with pytest.raises(PortalError) as refusal:
        client.request_unlock(wish(challenge=STRUCTURE.encode()[:-1]))
    assert refusal.value.code is PortalErrorCode.REQUEST_STRUCTURE_INVALID
