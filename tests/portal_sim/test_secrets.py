"""No password, secret, code, token or key in a repr, a log, an audit record or an error: walked with sentinels."""

import dataclasses
import inspect
import logging
import re
from typing import get_type_hints

import pytest
from portal_people import Counter, Visitor, backend_keys, colleague, manager

from portal_sim import records
from portal_sim.memory_store import MemoryStore
from portal_sim.records import Link, LiveSession, PendingLogin
from vci_driver import portal_client
from vci_driver.authenticator import Authenticator
from vci_driver.portal_client import PortalClient
from wire import portal_api as api
from wire.clock import WallClock
from wire.portal_api import PortalErrorCode

MESSAGES = [
    each
    for module in (api, records, portal_client)
    for _, each in inspect.getmembers(module, dataclasses.is_dataclass)
    if each.__module__.startswith(module.__name__)
]
# Text and bytes that anyone may read. A new field stands here, or its message hides it.
PUBLIC = {
    *("email", "email_masked", "person", "first_name", "last_name", "birth_date", "country", "name", "to", "manager"),
    *("legal_name", "vat_number", "address", "street_number", "post_code", "town", "province", "nation", "phone"),
    *("position", "company", "company_name", "message", "messages", "subject", "text", "tester_serial", "make", "vin"),
    *("digest", "family", "key_hash", "request_hash", "media", "invited", "request_text", "der"),
    *("challenge", "audit_id", "action", "token_keys", "root_ca", "revoked_tokens", "kind", "fields", "review_refusal"),
}
SENTINEL = "SENTINEL-7f3a"


def carries_text(annotation: object) -> bool:
    return "str" in str(annotation) or "bytes" in str(annotation)


def secrets_of(message: type) -> list[str]:
    hints = get_type_hints(message)
    return [f.name for f in dataclasses.fields(message) if carries_text(hints[f.name]) and f.name not in PUBLIC]


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


class Witness(Counter):
    """Notes every secret that passes and every text that comes out beside the replies."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.secrets: set[str] = set()
        self.shown: list[str] = []

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        self.note(request)
        try:
            reply = super().call(request)
        except api.PortalError as error:
            self.shown += [str(error), repr(error), error.sentence, str(error.__cause__)]
            raise
        for each in reply if isinstance(reply, tuple) else (reply,):
            self.note(each)
        return reply

    def note(self, message: object) -> None:
        self.shown.append(repr(message))
        for name in secrets_of(type(message)):
            value = getattr(message, name)
            for each in value if isinstance(value, tuple) else (value,):
                if each:
                    self.secrets.add(each.hex() if isinstance(each, bytes) else each)
        if isinstance(message, api.LoginStep) and message.otpauth_uri:
            self.secrets.add(message.otpauth_uri.partition("secret=")[2].partition("&")[0])


def live(counter: Counter) -> tuple[Visitor, Visitor]:
    boss = manager(counter)
    person = colleague(counter, boss)
    person.log_in()
    counter.portal.operators.revoke_unlock(person.ask().audit_id, counter.now_s)
    for refused in (
        lambda: person.begin("a wrong password"),
        person.begin,
        lambda: person.ask(session="an-invented-session"),
        lambda: counter.call(api.ConfirmEmail(link_code="an-invented-link")),
        lambda: counter.call(api.SignUp(email="tessa", password="the secret of tessa")),
        lambda: counter.call(api.SignUp(email="tessa@x.example", password="short-pass")),
        lambda: counter.call(api.FinishLogin(login_id="an-invented-login", code="135790")),
    ):
        with pytest.raises(api.PortalError):
            refused()
    counter.wait(600)
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        person.ask(code=person.wrong_code())
    counter.wait(600)
    person.log_in()
    new = "a new password for it"
    counter.call(api.ChangePassword(session=person.session, old_password=person.password, new_password=new))
    boss.sign_in()
    boss.reset_second_factor(person)
    boss.disassociate(person)
    return boss, person


def test_nothing_secret_comes_out_of_a_whole_life(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    counter = Witness()
    boss, person = live(counter)
    keys = backend_keys()
    counter.secrets.add(keys.token_key.private_bytes_raw().hex())
    counter.secrets |= {f"{key.private_numbers().private_value:x}" for key in (keys.root_key, keys.ca_key)}
    counter.secrets |= {each.phone.byte_secret().hex() for each in (boss, person) if each.phone}
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
    leaked = [each for each in counter.secrets if re.search(rf"(?<![0-9a-z]){re.escape(each)}(?![0-9a-z])", shown)]
    assert leaked == []


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
    counter = Witness(store=store)
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
