"""Walks a whole life at the portal and notes every secret that passes, and every text that comes out beside the replies."""

import dataclasses
import inspect
import re
from typing import get_type_hints

import pytest
from portal_people import Counter, Visitor, backend_keys, colleague, manager

from portal_sim import records
from vci_driver import portal_client
from wire import portal_api as api
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


def carries_text(annotation: object) -> bool:
    return "str" in str(annotation) or "bytes" in str(annotation)


def secrets_of(message: type) -> list[str]:
    hints = get_type_hints(message)
    return [f.name for f in dataclasses.fields(message) if carries_text(hints[f.name]) and f.name not in PUBLIC]


class Noting(Counter):
    """Notes every secret that passes, every text that comes out beside the replies, and what mails say."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.secrets: set[str] = set()
        self.shown: list[str] = []
        self.mailed: set[str] = set()

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        self.note(request)
        try:
            reply = self.carried_out(request)
        except api.PortalError as error:
            self.shown += [str(error), repr(error), error.sentence, str(error.__cause__)]
            raise
        for each in reply if isinstance(reply, tuple) else (reply,):
            self.note(each)
        return reply

    def carried_out(self, request: api.Request[api.R_co]) -> api.R_co:
        return super().call(request)

    def note(self, message: object) -> None:
        self.shown.append(repr(message))
        if isinstance(message, api.Mail):
            self.mailed.add(message.text)
        for name in secrets_of(type(message)):
            value = getattr(message, name)
            for each in value if isinstance(value, tuple) else (value,):
                if each:
                    self.secrets.add(each.hex() if isinstance(each, bytes) else each)
        if isinstance(message, api.LoginStep) and message.otpauth_uri:
            self.secrets.add(message.otpauth_uri.partition("secret=")[2].partition("&")[0])

    def note_keys(self, *people: Visitor) -> None:
        """Note what never passes: the back end's private keys, and the secrets on people's phones."""
        keys = backend_keys()
        self.secrets.add(keys.token_key.private_bytes_raw().hex())
        self.secrets |= {f"{key.private_numbers().private_value:x}" for key in (keys.root_key, keys.ca_key)}
        self.secrets |= {each.phone.byte_secret().hex() for each in people if each.phone}

    def leaked(self, shown: str) -> list[str]:
        """Return the secrets that stand in a text."""
        return [each for each in self.secrets if re.search(rf"(?<![0-9a-z]){re.escape(each)}(?![0-9a-z])", shown)]


def live(counter: Counter) -> tuple[Visitor, Visitor]:
    """Lead two people through a whole life at the portal, with what is refused in it."""
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
