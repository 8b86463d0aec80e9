"""Passwords, codes and tokens: what they may be, what they are made of, what is told when they change, and where none is."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
from portal_people import STEP_S, Counter, Visitor, checked, colleague, manager, signed_in

from portal_sim.options import PortalOptions
from portal_sim.passwords import MAX_PASSWORD_CHARS, hash_password, password_matches
from portal_sim.recovery import CODE_BYTES, code_hash
from portal_sim.service import Service, ServiceOptions
from wire import portal_api as api
from wire.entropy import LiveEntropy
from wire.portal_api import PortalErrorCode as Code

ROOT = Path(__file__).resolve().parents[3]
LONGEST = "x" * MAX_PASSWORD_CHARS
COST = PortalOptions().cost


def test_every_character_of_the_longest_password_counts() -> None:
    counter = Counter()
    person = Visitor(counter)
    person.password = LONGEST
    person.sign_up()
    person.confirm()
    person.sign_in()
    for wrong in (LONGEST[:-1], LONGEST[:-1] + "y", LONGEST + "x", "y" + LONGEST[1:]):
        with counter.refused(Code.LOGIN_FAILED):
            person.sign_in(wrong)
        counter.wait(600)


@pytest.mark.parametrize(
    "password",
    ["            ", "ねこねこねこねこねこねこ", "🔑" * 12, "aaaaaaaaaaaa", "O'Hara; DROP --", "two  spaces  in"],
)
def test_a_password_is_any_text(password: str) -> None:
    counter = Counter()
    person = Visitor(counter)
    person.password = password
    person.sign_up()
    person.confirm()
    person.sign_in()
    with counter.refused(Code.LOGIN_FAILED):
        person.sign_in(f"{password} ")


def test_a_password_does_not_grow_old() -> None:
    counter = Counter()
    person = signed_in(counter)
    counter.wait(10 * 365 * 24 * 3600)
    person.sign_in()
    counter.call(api.ChangePassword(session=person.browser, old_password=person.password, new_password=person.password))


def test_each_change_of_what_one_logs_in_with_is_told_by_mail() -> None:
    counter = Counter()
    boss = manager(counter)
    person = colleague(counter, boss)
    told = []

    def news() -> str:
        told.append([mail.subject for mail in person.mails()])
        return told[-1][-1]

    person.log_in()
    assert news() == "A new authenticator"
    new = "another long password"
    counter.call(api.ChangePassword(session=person.session, old_password=person.password, new_password=new))
    assert news() == "Your password was changed"
    boss.reset_second_factor(person)
    assert news() == "Your authenticator was reset"
    counter.call(api.RequestReset(email=person.email))
    counter.call(api.ConfirmReset(link_code=person.link(), new_password=new))
    assert news() == "Your password was reset"
    assert not [mail for mail in person.mails() if new in mail.text + mail.subject]


def test_a_served_portal_hashes_as_owasp_asks(tmp_path: Path) -> None:
    assert (COST.memory_kib >= 15 * 1024, COST.time_cost >= 2, COST.lanes >= 1) == (True, True, True)
    assert ServiceOptions(data=tmp_path, public_url="https://portal.example").portal.cost == COST
    encoded = hash_password("a long enough one", bytes(16), COST)
    assert encoded.startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_matches(encoded, "a long enough one")
    assert not password_matches(encoded, "a long enough two")


def test_a_served_portal_draws_from_the_system() -> None:
    for made in (Service, LiveEntropy):
        assert "SeededEntropy" not in inspect.getsource(made)
    assert "secrets" in inspect.getsource(LiveEntropy)
    assert len({LiveEntropy().token_bytes(24) for _ in range(1000)}) == 1000


def test_tokens_and_links_have_192_random_bits() -> None:
    counter = Counter()
    person = signed_in(counter)
    seen = []
    for _ in range(50):
        session, step = person.log_in(), person.begin()
        seen += [session.token, session.refresh_token, step.login_id]
    seen += [mail.link_code for mail in person.mails() if mail.link_code]
    assert len(seen) == len(set(seen)) == 151
    assert all(re.fullmatch(r"[0-9a-f]{48}", each) for each in seen)


def test_recovery_codes_are_random_and_kept_as_hashes() -> None:
    counter = Counter()
    codes = signed_in(counter).log_in().recovery_codes
    assert CODE_BYTES * 8 >= 112
    assert len(set(codes)) == len(codes) == 10
    for code in codes:
        assert re.fullmatch(r"[0-9a-f]{64}", code_hash("tessa@workshop.example", code))


def test_a_code_that_comes_again_is_refused_logged_and_told() -> None:
    counter = Counter()
    person = signed_in(counter)
    person.log_in()
    code, step = person.code(), person.begin()
    with counter.refused(Code.CODE_REJECTED):
        person.finish(step, code)
    assert counter.actions()[-2:] == ["code used again", "login failure"]
    mail = person.mails()[-1]
    assert mail.subject == "A code of your authenticator was used twice"
    assert code not in mail.text
    before = len(person.mails())
    counter.wait(STEP_S)
    with counter.refused(Code.CODE_REJECTED):
        person.finish(step, person.wrong_code())
    assert len(person.mails()) == before, "a code that was merely wrong is no theft"


def test_no_request_asks_for_a_hint_or_a_secret_answer() -> None:
    messages = [each for _, each in inspect.getmembers(api, inspect.isclass) if issubclass(each, api.Request)]
    fields = {field.name for each in messages if each is not api.Request for field in dataclasses.fields(each)}
    assert not [name for name in fields if re.search("hint|question|answer|maiden|remind", name)]


def test_a_new_portal_has_no_account() -> None:
    counter = Counter()
    for name in ("root", "admin", "sa", "test", "manager"):
        for email in (name, f"{name}@localhost", f"{name}@workshop.example"):
            with counter.refused(Code.LOGIN_FAILED):
                counter.call(api.PortalLogin(email=email, password=name))
    assert counter.portal.audit_log() == []
    assert checked(counter).status().identity is api.CheckState.APPROVED


def test_no_key_or_secret_stands_in_the_source() -> None:
    sources = [path for room in ("portal_sim", "bench", "wire", "vci_driver") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 100
    for path in sources:
        text = path.read_text()
        assert "PRIVATE KEY-----\\n" not in text.replace("\n", "\\n"), path
        assert not re.search(r"""(?i)(password|secret|token|api_key)\w* *= *["'][0-9a-f]{20,}["']""", text), path
