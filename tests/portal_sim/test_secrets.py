"""No password, secret, code, token or key in a repr, a log, an audit record or an error: walked with sentinels."""

import dataclasses
import logging
import re

import pytest
from portal_people import Counter, manager
from portal_secrets import MESSAGES, Noting, live, secrets_of

from portal_sim import records
from portal_sim.memory_store import MemoryStore
from portal_sim.records import Link, LiveSession, PendingLogin
from vci_driver.authenticator import Authenticator
from vci_driver.portal_client import PortalClient
from wire import portal_api as api
from wire.clock import WallClock

SENTINEL = "SENTINEL-7f3a"


def test_the_walk_finds_the_messages_and_their_secrets() -> None:
    found = {f"{message.__name__}.{name}" for message in MESSAGES for name in secrets_of(message)}
    assert {"SignUp.password", "ChangePassword.new_password", "FinishLogin.code", "Session.token"} <= found
    assert {"LoginStep.otpauth_uri", "Unlock.payload", "Mail.link_code", "Account.secret"} <= found
    assert len(MESSAGES) > 30


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_no_message_shows_its_secrets(message: type) -> None:
    values: dict[str, object] = {}
    for field in dataclasses.fields(message):
        secret = field.name in secrets_of(message)
        values[field.name] = SENTINEL if secret else "public"
    shown = repr(message(**values)) + str(message(**values)) + f"{message(**values)}"
    assert SENTINEL not in shown


def test_what_is_shown_is_not_everything_hidden() -> None:
    assert "tessa@x.example" in repr(api.SignUp(email="tessa@x.example", password=SENTINEL))


# ---- a whole life, with every secret noted on the way


def test_nothing_secret_comes_out_of_a_whole_life(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    counter = Noting()
    counter.note_keys(*live(counter))
    printed = capsys.readouterr()
    shown = "\n".join(
        [
            *counter.shown,
            *map(repr, counter.portal.audit_log()),
            *(repr(each) for each in (counter.portal, counter.portal.options, counter.portal.keys)),
            *(caplog.text, printed.out, printed.err),
        ]
    )
    assert len(counter.secrets) > 25
    assert counter.leaked(shown) == []


class NosyStore(MemoryStore):
    """Notes under which keys and with what the portal keeps codes, tokens and passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def add_account(self, account: records.Account, now_s: int) -> bool:
        self.kept.append(account.password_hash.decode())
        return super().add_account(account, now_s)

    def add_link(self, code_hash: str, link: Link) -> None:
        self.kept += [code_hash, repr(link)]
        super().add_link(code_hash, link)

    def add_login(self, login_hash: str, login: PendingLogin) -> None:
        self.kept += [login_hash, repr(login)]
        super().add_login(login_hash, login)

    def add_session(self, token_hash: str, session: LiveSession) -> None:
        self.kept += [token_hash, repr(session)]
        super().add_session(token_hash, session)


def test_the_store_keeps_hashes_of_passwords_codes_and_tokens() -> None:
    store = NosyStore()
    counter = Noting(store=store)
    live(counter)
    assert sum(each.startswith("$argon2id$") for each in store.kept) == 2
    assert [each for each in counter.secrets if any(each in kept for kept in store.kept)] == []


def test_two_people_with_one_password_have_different_hashes() -> None:
    store = NosyStore()
    counter = Counter(store=store)
    for name in ("tessa", "mila"):
        counter.call(api.SignUp(email=f"{name}@x.example", password="the very same password"))
    hashes = [each for each in store.kept if each.startswith("$argon2id$")]
    assert len(set(hashes)) == 2


# ---- the tester's end


def test_authenticator_and_client_show_no_secret() -> None:
    counter = Counter()
    person = manager(counter)
    client = PortalClient(counter, "T-1")
    phones: list[Authenticator] = []

    def second_factor(step: api.LoginStep) -> str:
        phones.append(Authenticator(step.otpauth_uri, WallClock(epoch_utc_s=counter.now_s)))
        return phones[0].code(0)

    session = client.login(person.email, person.password, second_factor)
    shown = repr(client) + repr(phones[0]) + repr(session) + repr(vars(client))
    assert session.token not in shown
    assert not re.search(r"[A-Z2-7]{32}", shown)
